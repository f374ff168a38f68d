"""Claims are well formed, their truths follow from the covers, and the checks can fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from loadtests.claims_check import (
    MONTH,
    Came,
    Outcome,
    faults,
    judge,
    planted_files,
)
from loadtests.uke_audit import AuditedClaim, audit, check_digit_holds
from simulators.claims import SITUATIONS, Truth, claims_of
from simulators.claims_text import check_digit, spelled
from simulators.people import Card
from simulators.population import Person, population
from simulators.population import truth as truth_of

ON = date(2026, 4, 15)
INSTITUTION = "1319999999"
PEOPLE = list(population(3_000, 1, ON))
MADE = claims_of(PEOPLE, MONTH, 1_000, 1, INSTITUTION)
SENT = audit(MADE.data, is_moved=False).claims

by_code = pytest.mark.parametrize("code", ["02", "03", "04", "06", "09"])


def _body(claim: AuditedClaim, truth: Truth) -> AuditedClaim:
    """The claim as a review body that makes no mistake would give it out."""
    if truth.check_code == "02":
        return claim
    card = truth.card
    insurer = card.insurer_number.removeprefix("00").rjust(8)
    symbol, number = (spelled(text, is_wide=False) for text in (card.symbol, card.number))
    lines = []
    for line in claim.raw.decode("cp932").split("\r\n"):
        fields = line.split(",")
        if fields[0] == "SN":
            fields[2], fields[6] = truth.check_code, card.branch
        if truth.check_code == "04":
            match fields[0]:
                case "RE":
                    fields[2] = truth.claim_type
                    fields[7] = "70" if insurer.startswith("  ") else ""
                case "HO":
                    fields[1:4] = insurer, symbol, number
                case "SN":
                    fields[3:6] = insurer, symbol, number
        lines.append(",".join(fields))
    raw = "\r\n".join(lines).encode("cp932")
    head = MADE.data.split(b"\r\n", 1)[0]
    file = head + b"\r\n" + raw + b"GO,0,0,99\r\n\x1a"
    report = audit(file, is_moved=True)
    assert not report.problems
    return report.claims[truth.number]


def _outcome(truth: Truth, claim: AuditedClaim) -> Outcome:
    came = Came(claim, truth.card.insurer_number, is_moved=truth.check_code == "04")
    return Outcome({truth.number: [came]}, {truth.number: [truth.check_code]})


def _plain(code: str) -> Truth:
    """A claim of a 確認区分 without second spellings of cp932, which re-encoding would change."""
    return next(
        truth
        for truth in MADE.truths
        if truth.check_code == code
        and b"SN," in SENT[truth.number].raw
        and SENT[truth.number].raw.decode("cp932").encode("cp932") == SENT[truth.number].raw
    )


def test_the_same_arguments_give_the_same_file() -> None:
    """Population, month, count and seed decide every byte; another seed gives others."""
    assert claims_of(PEOPLE, MONTH, 60, 5, INSTITUTION) == claims_of(
        PEOPLE, MONTH, 60, 5, INSTITUTION
    )
    assert (
        claims_of(PEOPLE, MONTH, 60, 5, INSTITUTION).data
        != claims_of(PEOPLE, MONTH, 60, 6, INSTITUTION).data
    )


@pytest.mark.parametrize("count", [1, 7, 100, 1_000])
def test_it_makes_exactly_as_many_claims_as_asked(count: int) -> None:
    """Claims are numbered 1, 2, 3 in order, and each has its truth."""
    made = claims_of(PEOPLE, MONTH, count, 3, INSTITUTION)
    claims = audit(made.data, is_moved=False).claims
    expected = list(range(1, count + 1))
    assert expected == list(claims)
    assert expected == [truth.number for truth in made.truths]


@by_code
def test_every_kind_has_sixty_claims_of_a_thousand(code: str) -> None:
    """Each 確認区分 is shown often enough for its count to say something."""
    assert Counter(truth.check_code for truth in MADE.truths)[code] >= 60


def test_every_situation_has_its_share() -> None:
    """A thousand claims hold each situation as often as its weight says, with its code."""
    expected = {(situation, code): weight for situation, (code, weight) in SITUATIONS.items()}
    assert expected == Counter((truth.situation, truth.check_code) for truth in MADE.truths)


def test_a_population_too_small_is_refused() -> None:
    """It says which situation nobody can be in, and names no person."""
    with pytest.raises(ValueError, match="too few people for: cover holds"):
        claims_of(PEOPLE[:5], MONTH, 100, 1, INSTITUTION)


@pytest.mark.parametrize("seed", range(2, 8))
def test_generated_files_pass_the_audit(seed: int) -> None:
    """The writer and the auditor, who share no code, agree on the format."""
    made = claims_of(PEOPLE, MONTH, 300, seed, INSTITUTION)
    assert audit(made.data, is_moved=False).problems == ()


def test_another_month_and_its_year_end_are_spelled() -> None:
    """Care of December is billed in January; February ends on its last day."""
    for month, billed in (("202512", b"202601"), ("202602", b"202603")):
        made = claims_of(PEOPLE, month, 60, 1, INSTITUTION)
        assert audit(made.data, is_moved=False).problems == ()
        assert billed == made.data.split(b",", 8)[7]


def test_the_file_holds_what_makes_byte_identity_hard() -> None:
    """Wide and narrow symbols, blanks before numbers, ●, extensions, and second spellings."""
    text = MADE.data.decode("cp932")
    assert MADE.data != text.encode("cp932")
    for piece in (
        "HO,  99",
        "●",
        "髙",
        "①",
        "架見",
        "０",
        ",,,,,\r\n",
        "SI,",
        "IY,,",
        "TO,",
        "SJ,",
    ):
        assert piece in text, piece


def _by_number() -> dict[tuple[str, str, str], tuple[Card, list[Person]]]:
    """Everybody with a number, and a card of it, by insurer, symbol and number in either width."""
    found: dict[tuple[str, str, str], tuple[Card, list[Person]]] = {}
    for person in (p for household in (*PEOPLE, *MADE.households) for p in household.people):
        for card in {replace(spell.card, branch="") for spell in person.spells}:
            for is_wide in (False, True):
                symbol = spelled(card.symbol, is_wide=is_wide)
                number = spelled(card.number, is_wide=is_wide and bool(symbol))
                _, people = found.setdefault((card.insurer_number, symbol, number), (card, []))
                if person not in people:
                    people.append(person)
    return found


BY_NUMBER = _by_number()


def _days(claim: AuditedClaim) -> list[date]:
    """The days of the details, read from the bytes."""
    details = [line.split(b",") for line in claim.lines if line[:2] in {b"SI", b"IY", b"TO"}]
    counts = [fields[-31:] for fields in details]
    return [date(2026, 3, day) for day in range(1, 32) if any(row[day - 1] for row in counts)]


def _validities(claim: AuditedClaim, card: Card, people: list[Person]) -> set[int]:
    """What the population's own truth says to a clinic that asks on each day of care."""
    birth_date = date.fromisoformat(claim.lines[0].split(b",")[6].decode())
    return {truth_of(people, card, birth_date, on) for on in _days(claim)}


_TOLD_BY_CODE = {"02": {1}, "03": {5}, "04": {3}, "06": {2}, "09": {1}}
_TOLD_OTHERWISE = {
    "number nobody has": {4},
    "insurer not known (77777777)": {4},
    "no MF, points over the limit": {3},
    "changed between visits": {1, 3},
    "branch wrong": {4},
    "twins of both sexes without a branch": {5},
}


def test_truths_agree_with_what_a_clinic_would_be_told() -> None:
    """
    The official validity of the billed card and of the one found explains every decision.

    1 holds, 2 lost, 3 lost and newer, 4 none, 5 several; asked on each day of care.
    """
    told: dict[str, set[int]] = {situation: set() for situation in SITUATIONS}
    for truth in MADE.truths:
        claim = SENT[truth.number]
        key = claim.insurer_number.zfill(8), claim.symbol, claim.card_number
        card, people = BY_NUMBER.get(key, (Card(*key, ""), []))
        told[truth.situation] |= _validities(claim, replace(card, branch=claim.branch), people)
        if truth.check_code in {"04", "09"}:
            found = truth.card
            symbol = spelled(found.symbol, is_wide=False)
            _, people = BY_NUMBER[found.insurer_number, symbol, found.number]
            assert {1} == _validities(claim, found, people)
    by_code = {situation: _TOLD_BY_CODE[code] for situation, (code, _) in SITUATIONS.items()}
    assert by_code | _TOLD_OTHERWISE == told


@by_code
def test_claims_as_they_must_come_out_are_right(code: str) -> None:
    """A body without mistakes is found without fault, whatever it decides."""
    truth = _plain(code)
    claim = _body(SENT[truth.number], truth)
    assert faults(truth, SENT[truth.number], _outcome(truth, claim)) == []


_DEFECTS: dict[str, Callable[[Truth, AuditedClaim], tuple[Truth, AuditedClaim]]] = {
    "a wrong truth": lambda t, c: (replace(t, check_code="05"), c),
    "another branch": lambda t, c: (t, replace(c, branch="9")),
    "another insurer": lambda t, c: (t, replace(c, insurer_number="06990014")),
    "another symbol": lambda t, c: (t, replace(c, symbol="0")),
    "another type": lambda t, c: (t, replace(c, claim_type="1199")),
    "a remark changed": lambda t, c: (t, replace(c, raw=c.raw.replace(b"SI,11", b"SI,13"))),
    "points changed": lambda t, c: (t, replace(c, raw=c.raw.replace(b",291,", b",292,"))),
    "a record lost": lambda t, c: (t, replace(c, raw=c.raw.partition(b"\r\n")[2])),
}


@by_code
@pytest.mark.parametrize("name", _DEFECTS)
def test_planted_defects_of_a_claim_are_found(code: str, name: str) -> None:
    """No 確認区分 lets a wrong decision, a wrong card or a changed record pass."""
    truth = _plain(code)
    wrong_truth, claim = _DEFECTS[name](truth, _body(SENT[truth.number], truth))
    assert faults(wrong_truth, SENT[truth.number], _outcome(truth, claim))


@by_code
def test_a_claim_in_the_wrong_place_or_not_once_is_found(code: str) -> None:
    """Each claim comes out exactly once, in the file of its insurer, moved or billed."""
    truth = _plain(code)
    sent = SENT[truth.number]
    came = Came(_body(sent, truth), truth.card.insurer_number, is_moved=code == "04")
    decided = {truth.number: [code]}
    for wrong in (
        [],
        [came, came],
        [came._replace(insurer="06990022")],
        [came._replace(is_moved=code != "04")],
    ):
        assert faults(truth, sent, Outcome({truth.number: wrong}, decided))


def test_a_month_is_counted_by_kind_and_strangers_are_told() -> None:
    """Right and wrong add up to the claims; what nobody sent is told."""
    truths = MADE.truths[:30]
    outcome = Outcome()
    for truth in truths:
        outcome.claims[truth.number] = _outcome(truth, SENT[truth.number]).claims[truth.number]
        outcome.decisions[truth.number] = [truth.check_code]
    untouched = sum(truth.check_code == "02" for truth in truths)
    outcome.decisions[9_999] = ["02"]
    judged = judge(truths, SENT, outcome)
    assert (untouched, 30 - untouched) == (judged.right.total(), judged.wrong.total())
    assert "claim 9999: nobody sent it" in judged.sentences


@pytest.mark.parametrize("name", planted_files(MADE.data))
def test_planted_defects_of_a_file_are_found(name: str) -> None:
    """Each defect the command plants is found, in a file that had none."""
    assert audit(planted_files(MADE.data)[name], is_moved=False).problems != ()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"GO,", b'GO",', "a quote (0x22)"),
        (b"SN,1,01", b"SN,1,10", "確認区分"),
        (b"\r\nMF,00", b"\r\nMF,0", "MF field 2: length"),
        (b",291,1,", b",0291,1,", "SI field 6: form"),
        (b"SI,11,1", b"SI,11,5", "SI: 負担区分"),
        (b"SI,11,1", b"XX,11,1", "unknown record"),
        (b"\r\nSY,", b"\r\nSY,\x81\xff", "not cp932"),
        (b"IR,1,13,1,9999999", b"IR,1,13,1,9999998", "check digit of the institution code"),
        (b",202604,00", b",202603,00", "care not before the month"),
        (b"\r\nRE,2,", b"\r\nRE,1,", "claim numbers do not rise"),
    ],
)
def test_the_auditor_says_what_is_wrong(old: bytes, new: bytes, problem: str) -> None:
    """One defect at a time, planted at its first place, gets the sentence that names it."""
    made = claims_of(PEOPLE, MONTH, 40, 9, INSTITUTION).data
    assert old in made
    problems = audit(made.replace(old, new, 1), is_moved=False).problems
    assert any(problem in sentence for sentence in problems), problems


def test_moved_files_have_empty_totals() -> None:
    """A file of moved claims says 0 and 0 in GO, and only such a file."""
    moved = MADE.data[: MADE.data.rindex(b"GO,")] + b"GO,0,0,99\r\n\x1a"
    assert audit(moved, is_moved=True).problems == ()
    assert audit(moved, is_moved=False).problems != ()
    assert audit(MADE.data, is_moved=True).problems != ()


def test_what_the_auditor_says_names_no_value() -> None:
    """Sentences tell lines and fields; names and numbers of persons stay in the file."""
    worst = MADE.data.replace(b",1,01,", b",1,10,").replace(b"HO,0", b"HO,9")
    problems = " ".join(audit(worst, is_moved=False).problems)
    values = {claim.card_number for claim in SENT.values()}
    assert problems
    assert not {value for value in values if value in problems}


@pytest.mark.parametrize(
    "number", ["01130012", "138016", "67138016", "06139992", "39131016", "1310123458"]
)
def test_check_digits_of_the_reference_hold(number: str) -> None:
    """Both sides know the worked numbers of claims-furikae.md 3.1, each by its own arithmetic."""
    assert check_digit_holds(number)
    assert number[-1] == check_digit(number[:-1])


def test_truths_hide_whom_they_are_about() -> None:
    """What a failing test prints of a truth shows no symbol, number or branch."""
    assert "card=" not in repr(MADE.truths[0])
    assert "Card(" not in repr(MADE)
