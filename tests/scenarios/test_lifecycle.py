"""
The scenarios of insurer-lifecycle.md 7.4, one test each: by number, by card and by folder.

They are played in order on one sandbox of real processes; the last two move its clock.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from loadtests import scenario_card_tales as cards
from loadtests import scenario_insurer_tales as insurers
from loadtests import scenario_paper_tales as papers
from loadtests import scenario_person_tales as persons
from loadtests import scenario_register_tales as register
from loadtests import scenario_tales as tales
from loadtests.scenario_place import Place, running_place
from loadtests.scenario_tales import Noted, Tale
from loadtests.scenarios import wrong_among

pytestmark = [pytest.mark.processes, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """The sandbox all scenarios are played on."""
    async with running_place(tmp_path_factory.mktemp("scenarios")) as running:
        yield running


async def played(place: Place, tell: Callable[[Tale], Awaitable[None]]) -> list[Noted]:
    """
    Play a scenario: each answer must be right, and each of the three routes was asked.

    A card is asked about on the wire and in the face folder.
    """
    tale = Tale(place)
    await tell(tale)
    assert wrong_among(tale.noted) == []
    assert {one.route for one in tale.noted} >= {"number", "card", "folder", "face"}
    return tale.noted


async def test_scenario_01_insured_and_family(place: Place) -> None:
    """1: 健保 本人 and 家族 are valid with and without the branch, which comes back."""
    await played(place, tales.normal_cover)


async def test_scenario_02_twins(place: Place) -> None:
    """2: twins are several people without a branch, and one person with it."""
    await played(place, tales.twins)


async def test_scenario_03_lost_and_nothing_newer(place: Place) -> None:
    """3: after a job change whose new cover is not registered, the old one is invalid."""
    await played(place, tales.lost_and_nothing_newer)


async def test_scenario_04_newer_registered(place: Place) -> None:
    """4: the old number says that a newer cover exists; the card finds it."""
    await played(place, tales.newer_registered)


async def test_scenario_05_overlap(place: Place) -> None:
    """5: registered before the old insurer's loss, both numbers are valid, the card the newest."""
    await played(place, tales.enrolled_twice)


async def test_scenario_05_overlap_is_listed_to_both(place: Place) -> None:
    """5: duplicated enrolment is never blocked, and each insurer's list tells of the other's."""
    await played(place, insurers.overlap_list)


async def test_scenario_06_no_my_number(place: Place) -> None:
    """6: without a My Number the card finds nothing; once it is told, it does."""
    await played(place, tales.no_my_number)


async def test_scenario_07_false_match(place: Place) -> None:
    """7: three items for five link another person, whose card shows the cover until it is found."""
    await played(place, register.false_match)


async def test_scenario_08_mismatch_classes(place: Place) -> None:
    """8: class 1 stops the cover, 2 and 3 the medical information, until both sides agree."""
    noted = await played(place, register.mismatch_classes)
    stopped = {one.what for one in noted if one.got[1].get("medical_stopped") == "1"}
    assert stopped == {name for name, _, is_suspended in register.MISMATCHES if not is_suspended}


async def test_scenario_08_register_disagrees(place: Place) -> None:
    """8, class 1: where the birth date differs in the register, nothing can be seen."""
    await played(place, tales.suspended)


async def test_scenario_09_names(place: Place) -> None:
    """9: a replaced character, a rare one and a name of daily life come back as registered."""
    await played(place, tales.names)


async def test_scenario_14_birthdays(place: Place) -> None:
    """14: at 70 the certificate holds from the next month, at 75 the insurer changes that day."""
    await played(place, tales.birthdays)


async def test_scenario_15_new_ratio(place: Place) -> None:
    """15: a ratio that changes on 1 August is a new certificate, each good on its days."""
    await played(place, tales.new_ratio)


async def test_scenario_16_limit_and_consent(place: Place) -> None:
    """16: the limit certificate is shown with consent only."""
    await played(place, tales.limit_consent)


async def test_scenario_20_nondisclosed(place: Place) -> None:
    """20, 不開示: by number no address is told, and the portal does not tell who looked."""
    await played(place, persons.nondisclosed)


async def test_scenario_20_self_information_withheld(place: Place) -> None:
    """20, 自己情報提供不可: the card finds nothing, registers nowhere and opens nothing."""
    await played(place, persons.withheld)


async def test_scenario_29_no_last_valid_day(place: Place) -> None:
    """29: a card without a last valid day has none in any answer."""
    await played(place, tales.no_last_day)


async def test_purpose_kp7_or_01_registered_for_others(place: Place) -> None:
    """KP7-OR-01: what an insurer registered from 1 April is found from that day on."""
    await played(place, tales.registered_for_others)


async def test_purpose_kp1_i_01_certificate(place: Place) -> None:
    """KP1-I-01: who has no card in use gets a 資格確認書, which is collected after the loss."""
    await played(place, persons.certificate)


async def test_purpose_kp1_i_02_documents(place: Place) -> None:
    """KP1-I-02: a certificate without the documents it needs is refused and seen by nobody."""
    await played(place, persons.documents)


async def test_requirement_r003_24_certificate_collected(place: Place) -> None:
    """R003-24, R003-25: to collect after the loss, then collected, on the list."""
    await played(place, papers.certificate_collected)
    command = ("-m", "gateway", "collections", "--dir", str(place.sandbox.root))
    options = ("--insurer", "06990014", "--state", "collected")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, *options, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    assert "COLLECTED 2026-04-14" in told.decode()


async def test_purpose_kp1_d_08_inquiry(place: Place) -> None:
    """KP1-D-08: the answer references the inquiry's id, and both are in the person's records."""
    await played(place, insurers.inquiry)


async def test_purpose_r002_18_my_number(place: Place) -> None:
    """R002-18, R003-18: no answer holds a My Number, and only its insurer may tell one."""
    await played(place, insurers.my_number_kept)


async def test_purpose_r003_26_checked_numbers(place: Place) -> None:
    """R003-26: a number links once the register agrees, and a wrong one shows nothing."""
    await played(place, insurers.number_checked)


async def test_requirement_r003_08_three_ways(place: Place) -> None:
    """R003-08: face, PIN, sight and what is typed find the same person."""
    await played(place, persons.three_ways)


async def test_requirement_r003_27_number_registered_later(place: Place) -> None:
    """R003-27: until the My Number is registered no card finds it; then from the first day on."""
    await played(place, persons.number_registered_later)


JOB_CHANGED = (
    *("--insurer", "06990014", "--symbol", "12-34", "--number", "8001", "--branch", "01"),
    *("--birth-date", "1992-10-31"),
)


async def shown(place: Place, *options: str, question: tuple[str, ...] = JOB_CHANGED) -> str:
    """What `onshi why` prints; about the person whose job changed if nothing else is said."""
    command = ("-m", "gateway", "why", "--dir", str(place.sandbox.root), "--on", "2026-04-15")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, *question, *options, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    return told.decode()


async def test_onshi_why_tells_what_an_answer_rests_on(place: Place) -> None:
    """Acquisition, loss and links in order, in both languages and as JSON; before them nothing."""
    told = await shown(place)
    assert "3  newer cover" in told
    assert told.index("acquired") < told.index("lost")
    assert re.search(r"valid, had the loss recorded on \d{4}-\d\d-\d\d not arrived", told)
    assert "linked by My Number to person" in told
    assert "青空" not in told
    assert "届いていなければ" in await shown(place, "--language", "ja")
    said = json.loads(await shown(place, "--json"))
    assert said["validity"] == 3
    assert {one["kind"] for one in said["versions"]} == {
        "VERSION_KIND_ACQUIRED",
        "VERSION_KIND_LOST",
    }
    assert "There is nothing to tell of." in await shown(place, "--known-at", "2026-01-01T00:00")


async def test_onshi_why_reads_a_card(place: Place) -> None:
    """By card the newest cover answers, and what it rests on is told with upload and line."""
    card = await place.card_of("job-changed")
    await place.register(card, place.wallet.pin("job-changed"))
    told = await shown(place, question=("--person", "job-changed"))
    assert "1  valid" in told
    assert re.search(r"invalid, had the acquisition recorded .* \(01990019, \S+ : \d+\)", told)


async def test_scenario_28_link_down(place: Place) -> None:
    """28: while an insurer is cut off answers are stale; one file catches up."""
    await played(place, tales.link_down)


async def test_scenario_18_certificates(place: Place) -> None:
    """18: near its end, in grace, after it, renewed: alert, answer, refusal, fail once."""
    noted = await played(place, cards.certificates)
    by_card = [one for one in noted if one.route == "card" and "said" not in one.got[1]]
    assert [one.got[0] for one in by_card] == [1, 1, 0, 4, 0, 1]
