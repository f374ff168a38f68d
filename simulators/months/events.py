"""What an insurer is told and tells of a household: events, and the lines of each day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

from msgspec import Struct

from simulators.nation.households import Person, Spell
from simulators.people import Row

NO_DAY: Final = "20270230"
"""The birth date a line with a typing error has."""

_NAMED: Final = ("insurer_number", "symbol", "number", "branch", "birth_date")


class Event(Struct):
    """
    One beginning, change or end of a cover, on every day that matters; None for what never comes.

    `row` is the line that is right. `typo_on` is when it was first sent with a birth date that
    does not exist, `twice_on` when it was sent again, `number_told_on` when a missing My Number
    came, `corrected_on` when a wrong sex was put right. `linked_on` is when the enrollee is
    linked. `employer_code` is empty unless an employer's notice is behind it.
    """

    happening: str
    insurer: str
    employer_code: str
    row: Row
    fact: date
    filed: date
    received: date
    registered: date
    linked_on: date | None = None
    typo_on: date | None = None
    twice_on: date | None = None
    number_told_on: date | None = None
    corrected_on: date | None = None
    is_mismatched: bool = False
    seen_by: str = ""
    """The My Number whose card sees it once it is linked; empty if there is none."""
    number: str = ""

    @property
    def is_loss(self) -> bool:
        """Whether a cover ends."""
        return self.row["action"] == "LOSS"

    @property
    def is_notice(self) -> bool:
        """Whether it is a case of the lag report: an employer's notice is behind it."""
        return self.employer_code != ""

    @property
    def days(self) -> set[date]:
        """The days on which a line about it is sent."""
        days = {
            self.registered, self.typo_on, self.twice_on, self.number_told_on, self.corrected_on,
        }  # fmt: skip
        return {one for one in days if one is not None}


class Known(Struct):
    """
    What became known of a true cover, and when; days are those on which insurers told it.

    `shown_from` is when its mismatch was corrected: until then no clinic sees it. A cover that was
    never told has no such record.
    """

    person: Person
    spell: Spell
    registered: date
    linked: date | None
    loss_told: date | None = None
    shown_from: date | None = date.min
    branch_from: date = date.min


class Residing(Struct):
    """Somebody the resident register learns of, or anew, on a day."""

    on: date
    line: bytes


def lines_of(event: Event, on: date) -> Iterator[Row]:
    """Give the lines an insurer's file has about an event on a day."""
    if event.typo_on == on:
        yield event.row | {"birth_date": NO_DAY}
    if event.registered == on and event.is_mismatched:
        yield event.row | {"sex": "2" if event.row["sex"] == "1" else "1"}
    elif on in {event.registered, event.twice_on}:
        yield event.row
    if event.corrected_on == on:
        yield {"action": "CORRECT", "sex": event.row["sex"]} | _named(event.row)


def number_line(event: Event) -> Row:
    """Give the line that tells a missing My Number."""
    return {"action": "NUMBER", "individual_number": event.number} | _named(event.row)


def _named(row: Row) -> Row:
    return {name: row[name] for name in _NAMED}
