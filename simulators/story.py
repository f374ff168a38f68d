"""
One made-up person who changes jobs: both covers, the coverage lines, and the month's claim.

The clinic knows only the old card, so its claim goes out under the old number.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from gateway.domain.identifiers import InsurerKind
from simulators.claims_text import Bill, details, file_of
from simulators.people import INSURERS, Card, Row
from simulators.population import (
    Household,
    Person,
    Spell,
    made_up_individual_number,
    rows_of,
)

OLD_INSURER: Final = INSURERS[InsurerKind.SOCIETY][0]
NEW_INSURER: Final = INSURERS[InsurerKind.ASSOCIATION][0]
SERIALS: Final = 10_000_000
"""My Numbers of stories begin here, far from the catalogue's and any population's."""
VISIT_DAYS: Final = (9, 16)
"""Days of the month on which the person saw the doctor."""


@dataclass(frozen=True, slots=True)
class Story:
    """Everything about the person; `changed` is the first day of the new job."""

    person: Person
    old: Spell
    new: Spell
    changed: date
    before: Row = field(repr=False)
    loss: Row = field(repr=False)
    after: Row = field(repr=False)

    @property
    def month(self) -> str:
        """The month of the change and of the visits, YYYYMM."""
        return f"{self.changed:%Y%m}"

    def claim_file(self, institution_code: str) -> bytes:
        """The clinic's claim file of the month, billed under the old number."""
        bill = Bill(
            person=self.person,
            card=self.old.card,
            claim_type="1112",
            benefit="",
            special="",
            days=VISIT_DAYS,
            uncounted=(),
            lines=details(VISIT_DAYS, 0, None, random.Random(1)),
            subsidies=0,
            has_kana=True,
            has_confirmation=True,
            has_days=True,
            has_burden=True,
            is_wide=False,
            has_other_bytes=False,
        )
        return file_of([bill], self.month, institution_code)


def job_change(serial: int, today: date) -> Story:
    """
    Make up a story whose job changed on the first of last month.

    Args:
        serial: Another person for each, below ten million.
    """
    changed = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    number = f"{serial:07d}"
    began = changed.replace(year=changed.year - 8)
    old = Spell(
        OLD_INSURER,
        Card(OLD_INSURER.number, "12-34", number, "01"),
        began,
        changed,
        "03",
        relationship="1",
        is_numbered=True,
    )
    new = Spell(
        NEW_INSURER,
        Card(NEW_INSURER.number, "71000009", number, "00"),
        changed,
        None,
        "",
        relationship="1",
        is_numbered=True,
    )
    person = Person(
        name="見本　めぐる",
        name_kana="ﾐﾎﾝ ﾒｸﾞﾙ",
        sex="2",
        birth_date=date(1990, 4, 7),
        copayment_ratio="030",
        is_preschool=False,
        spells=(old, new),
        individual_number=made_up_individual_number(SERIALS + serial),
    )
    before, loss, after = rows_of(Household(serial, (person,)))
    return Story(person, old, new, changed, before, loss, after)
