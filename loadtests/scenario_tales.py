"""
The scenarios of insurer-lifecycle.md 7.4, each with its answer by number, by card and by folder.

A tale asks and notes what it expected; it does not judge. Numbers are those of the reference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final

from loadtests.scenario_place import Asked, CardSeen, Place, Seen
from simulators.catalogue import ASSOCIATION, LATTER_STAGE, NATIONAL, ON, OTHER_NATIONAL, SOCIETY
from simulators.people import Card, Row, loss_row

NONE: Final = 0
"""What is noted as the validity where no eligibility was asked."""

Items = dict[str, str]
Said = tuple[int, Items]
"""A validity, and the items that are looked at."""


_ON_THE_WIRE_ALONE: Final = ("medical_stopped",)
"""Items the files have no element for."""


@dataclass(frozen=True, slots=True)
class Noted:
    """One answer: by which route, what was expected and what came."""

    what: str
    route: str
    expected: Said
    got: Said

    @property
    def is_right(self) -> bool:
        """Whether the answer was the one expected."""
        return self.expected == self.got


@dataclass(slots=True)
class Tale:
    """What was asked in one scenario."""

    place: Place
    noted: list[Noted] = field(default_factory=list)

    async def asks(
        self, what: str, asked: Asked, expected: Said, by_card: Said | None = None
    ) -> None:
        """
        Ask all three ways; by card something else may be expected than by number and file.

        A card is noted twice: as the answer came, and as the file in the face folder.
        """
        number, folder, card = await asyncio.gather(
            self.place.by_number(asked), self.place.by_folder(asked), self.place.by_card(asked)
        )
        self.note(what, "number", number, expected)
        self.note(what, "folder", folder, _of_a_file(expected))
        self.note_card(what, card, by_card or expected)

    def note_card(self, what: str, seen: CardSeen, expected: Said) -> None:
        """Note what a visit gave, on the wire and in the face folder."""
        self.note(what, "card", seen.wire, expected)
        self.note(what, "face", seen.face, _of_a_file(expected))

    def says(self, what: str, route: str, got: str, expected: str) -> None:
        """Note what was said where no eligibility was asked."""
        self.note(what, route, Seen(NONE, {"said": got}), (NONE, {"said": expected}))

    def note(self, what: str, route: str, seen: Seen, expected: Said) -> None:
        """Note an answer, with the items that are looked at."""
        got = {name: seen.items.get(name, "") for name in expected[1]}
        self.noted.append(Noted(what, route, expected, (seen.validity, got)))


def _of_a_file(expected: Said) -> Said:
    validity, items = expected
    return validity, {n: said for n, said in items.items() if n not in _ON_THE_WIRE_ALONE}


def valid(**items: str) -> Said:
    """Validity 1 with these items."""
    return 1, items


async def normal_cover(tale: Tale) -> None:
    """1: insured and family, with and without the branch; the branch comes back."""
    for person, branch in (("society-insured", "01"), ("society-family", "02")):
        asked = tale.place.asked(person)
        await tale.asks(f"{person}, with branch", asked, valid(branch=branch))
        without = replace(asked, card=replace(asked.card, branch=""))
        await tale.asks(f"{person}, without branch", without, valid(branch=branch))


async def twins(tale: Tale) -> None:
    """2: twins on one card are several people without a branch, and one with it."""
    asked = tale.place.asked("twins-without-branch")
    await tale.asks("no branch", asked, (5, {}), valid(branch="01"))
    await tale.asks("branch 02", tale.place.asked("twin-with-branch"), valid(branch="02"))


async def lost_and_nothing_newer(tale: Tale) -> None:
    """3: a job was left, the new one is not registered: the old cover is invalid."""
    asked = tale.place.asked("lost-on-leaving-work")
    await tale.asks("old cover lost", asked, (2, {"lost": "20260401"}))


async def newer_registered(tale: Tale) -> None:
    """4: the new job is registered: the old number says so, the card finds the new cover."""
    asked = tale.place.asked("job-changed")
    new = {"insurer": ASSOCIATION.number}
    await tale.asks("old number asked", asked, (3, {"insurer": SOCIETY.number}), (1, new))


async def enrolled_twice(tale: Tale) -> None:
    """5: two insurers overlap: both numbers are valid, the card finds the newest."""
    old = tale.place.asked("overlap")
    newest = valid(insurer=SOCIETY.number)
    await tale.asks("old number", old, valid(insurer=NATIONAL.number), newest)
    new = replace(old, card=Card(SOCIETY.number, "12-34", "6002", "01"))
    await tale.asks("new number", new, newest)


def moved_to(row: Row, insurer: str, name: str, card: Card, acquired: str) -> Row:
    """A person's line as another insurer says it."""
    return {
        **row,
        **card.cells(),
        "action": "NEW",
        "insurer_number": insurer,
        "insurer_name": name,
        "acquisition_date": acquired,
    }


async def no_my_number(tale: Tale) -> None:
    """6: no My Number was filed: the card finds nothing until it is."""
    place = tale.place
    card = Card(NATIONAL.number, "かくう", "00600", "01")
    row = moved_to(
        place.row_of("cover-cancelled"), NATIONAL.number, NATIONAL.name, card, "20260401"
    )
    number = row.pop("individual_number")
    row |= {"address": "", "post_number": ""}  # With four items the register finds nobody.
    await place.upload(row)
    asked = place.asked("cover-cancelled", card=card)
    await tale.asks("before the number", asked, valid(branch="01"), (4, {}))
    told = {name: row[name] for name in ("insurer_number", "symbol", "number", "branch")}
    told |= {"action": "NUMBER", "birth_date": row["birth_date"], "individual_number": number}
    await place.upload(told)
    await tale.asks("after the number", asked, valid(branch="01"))


async def suspended(tale: Tale) -> None:
    """8 (class 1): birth date differs in the resident register: nothing can be seen."""
    asked = tale.place.asked("suspended-after-check")
    await tale.asks("birth date differs", asked, (4, {}))


async def names(tale: Tale) -> None:
    """9: a replaced character, one beyond the usual sets, and a name of daily life."""
    for person in ("name-replaced", "name-outside-shift-jis", "name-of-daily-life"):
        row = tale.place.row_of(person)
        said = {"name": row["name"], "name_of_other": row.get("name_of_other", "")}
        await tale.asks(person, tale.place.asked(person), valid(**said))


async def birthdays(tale: Tale) -> None:
    """14: 70 in mid-month, the certificate holds from the next month; 75, the insurer changes."""
    seventy = tale.place.asked("seventy-on-the-day")
    for on, ratio in ((date(2026, 4, 30), ""), (date(2026, 5, 1), "020")):
        await tale.asks(f"70, on {on}", replace(seventy, on=on), valid(elderly_ratio=ratio))
    turned = tale.place.asked("turned-75")
    day = date(2026, 3, 10)
    national = valid(insurer=NATIONAL.number)
    await tale.asks("75, the day before", replace(turned, on=day - timedelta(1)), national)
    newer = valid(insurer=LATTER_STAGE.number)
    await tale.asks("75, on the day", replace(turned, on=day), (3, {}), newer)


async def new_ratio(tale: Tale) -> None:
    """15: the ratio changes on 1 August: each day has the certificate of its year."""
    place = tale.place
    row = place.row_of("elderly-certificate")
    kept = ("insurer_number", "symbol", "number", "branch", "birth_date")
    await place.upload(
        {name: row[name] for name in kept}
        | {
            "action": "CHANGE",
            "elderly_issue_date": "20260720",
            "elderly_first_valid_date": "20260801",
            "elderly_last_valid_date": "20270731",
            "elderly_copayment_ratio": "030",
        }
    )
    asked = place.asked("elderly-certificate")
    for on, ratio in ((date(2026, 7, 31), "020"), (date(2026, 8, 1), "030")):
        await tale.asks(f"on {on}", replace(asked, on=on), valid(elderly_ratio=ratio))


async def limit_consent(tale: Tale) -> None:
    """16: the limit certificate is shown with consent and not without."""
    asked = tale.place.asked("limit-certificate")
    for is_consented, shown in ((True, "A04"), (False, "")):
        what = "with consent" if is_consented else "without consent"
        await tale.asks(what, replace(asked, is_consented=is_consented), valid(limit_class=shown))


async def no_last_day(tale: Tale) -> None:
    """29: a card without a last valid day has none in the answer either."""
    asked = tale.place.asked("card-without-end")
    await tale.asks("last valid day is blank", asked, valid(card_ends=""))


async def link_down(tale: Tale) -> None:
    """28: an insurer is cut off for two days: answers are stale, then one file catches up."""
    place = tale.place
    asked = place.asked("association-insured")
    await tale.asks("before", asked, valid(lost=""))
    place.pass_days(2)
    await tale.asks("two days later, stale", asked, valid(lost=""))
    other = place.asked("name-of-daily-life")
    losses = [
        loss_row(place.row_of("association-insured"), "20260401", "99"),
        loss_row(place.row_of("name-of-daily-life"), "20260410", "99"),
    ]
    await place.upload(*losses)
    await tale.asks("caught up", asked, (2, {"lost": "20260401"}))
    await tale.asks("caught up, another person", other, (2, {"lost": "20260410"}))


async def registered_for_others(tale: Tale) -> None:
    """KP7-OR-01: what an insurer registered from 1 April is found from that day on."""
    place = tale.place
    card = Card(SOCIETY.number, "12-34", "7701", "01")
    asked = place.asked("lost-on-moving-away", card=card)
    await tale.asks("before", asked, (4, {}), (2, {"insurer": OTHER_NATIONAL.number}))
    row = place.row_of("lost-on-moving-away")
    await place.upload(moved_to(row, SOCIETY.number, SOCIETY.name, card, "20260401"))
    await tale.asks("registered", asked, valid(insurer=SOCIETY.number, acquired="20260401"))
    day_before = replace(asked, on=date(2026, 3, 31))
    old = (2, {"insurer": OTHER_NATIONAL.number})
    await tale.asks("the day before", day_before, (2, {"insurer": SOCIETY.number}), old)


TALES: Final[dict[str, Callable[[Tale], Awaitable[None]]]] = {
    "01 insured and family": normal_cover,
    "02 twins": twins,
    "03 lost, nothing newer": lost_and_nothing_newer,
    "04 newer registered": newer_registered,
    "05 enrolled twice": enrolled_twice,
    "06 no My Number": no_my_number,
    "08 register disagrees": suspended,
    "09 names": names,
    "14 birthdays": birthdays,
    "15 new ratio": new_ratio,
    "16 limit and consent": limit_consent,
    "29 no last valid day": no_last_day,
    "KP7-OR-01": registered_for_others,
    "28 link down": link_down,
}
"""By scenario; those that move the clock come last."""

assert date(2026, 4, 15) == ON
