"""A made-up month of two insurers: members, and each day's corrections as coverage files."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from google.type.date_pb2 import Date

from gateway.formats.coverage_csv import encode_header, encode_line
from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest
from gateway.v1.types_pb2 import InsuredId
from simulators.population import made_up_individual_number

INSURER, OTHER_INSURER = "06139992", "01130012"
INSURERS: Final = (INSURER, OTHER_INSURER)
ASKED_ON: Final = (date(2026, 4, 20), date(2026, 5, 20))
CHANGED_A_DAY: Final = 0.06
"""Share of the members who are corrected on one day."""

Row = dict[str, str]


@dataclass(slots=True)
class Member:
    """A member of the first insurer, as its insurer knows them by now."""

    place: int
    number: str
    birth_date: str = "19800101"
    is_lost: bool = False
    is_gone: bool = False

    def cells(self, action: str, **more: str) -> Row:
        """A line about the member."""
        return {
            "action": action,
            "insurer_number": INSURER,
            "symbol": "記号",
            "number": self.number,
            "branch": "01",
            "birth_date": self.birth_date,
        } | more


class Month:
    """Members and what becomes of them; everything follows from the seed."""

    def __init__(self, members: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.members = [Member(place, f"{place:06}") for place in range(members)]
        self._files = 0

    def opening(self) -> list[Row]:
        """The lines by which every member begins, a half of them with a My Number."""
        return [self._new(member) for member in self.members]

    def _new(self, member: Member) -> Row:
        numbered = (
            {"individual_number": made_up_individual_number(member.place + 1)}
            if member.place % 2
            else {}
        )
        return member.cells(
            "NEW",
            acquisition_date="20260401",
            name="試験　太郎",
            sex="1",
            insurer_name="模擬健康保険組合",
            **numbered,
        )

    def day(self) -> tuple[list[Row], list[Row]]:
        """One day's lines of the first and of the other insurer."""
        here = [one for one in self.members if not one.is_gone]
        changed = self.rng.sample(here, max(1, int(len(here) * CHANGED_A_DAY)))
        rows = [self._changed(member) for member in changed]
        moved = self.rng.sample(here, max(1, len(changed) // 4))
        return rows, [self._elsewhere(member) for member in moved]

    def _changed(self, member: Member) -> Row:
        kind = self.rng.choice(("loss", "loss", "start", "birth", "number", "item", "told", "gone"))
        match kind:
            case "loss" if member.is_lost:
                member.is_lost = False
                return member.cells("CORRECT", loss_date="-")
            case "loss":
                member.is_lost = True
                day = self.rng.randint(2, 30)
                return member.cells("LOSS", loss_date=f"202604{day:02}", loss_reason="03")
            case "start":
                day = self.rng.randint(1, 30)
                return member.cells("CORRECT", new_acquisition_date=f"202603{day:02}")
            case "birth":
                row = member.cells("CORRECT", new_birth_date="19810203")
                member.birth_date = "19810203"
                return row
            case "number":
                row = member.cells("CORRECT", new_number=f"{member.place:06}9")
                member.number = f"{member.place:06}9"
                return row
            case "told":
                number = made_up_individual_number(member.place + 1)
                return member.cells("NUMBER", individual_number=number)
            case "gone" if self.rng.random() < 0.5:
                member.is_gone = True
                return member.cells("CANCEL")
            case _:
                ratio, name = self.rng.choice(("10", "20", "30")), self.rng.choice("甲乙丙")
                return member.cells("CHANGE", copayment_ratio=ratio, name=f"試験　{name}")

    def _elsewhere(self, member: Member) -> Row:
        """The same person's cover by the other insurer, which a My Number links."""
        return {
            **self._new(member),
            "insurer_number": OTHER_INSURER,
            "acquisition_date": "20260410",
            "insurer_name": "模擬国民健康保険",
            "individual_number": made_up_individual_number(member.place + 1),
        }

    def questions(self, count: int) -> Iterator[ConfirmEligibilityRequest]:
        """Some clinic's questions, about cards as they were handed out."""
        for _ in range(count):
            member = self.rng.choice(self.members)
            on = self.rng.choice(ASKED_ON)
            yield ConfirmEligibilityRequest(
                insured_id=InsuredId(
                    insurer_number=self.rng.choice((INSURER, INSURER, INSURER, OTHER_INSURER)),
                    symbol="記号",
                    number=self.rng.choice((f"{member.place:06}", member.number)),
                    branch=self.rng.choice(("", "01")),
                ),
                birth_date=Date(year=1980, month=1, day=1),
                confirmation_date=Date(year=on.year, month=on.month, day=on.day),
                is_limit_certificate_consented=self.rng.random() < 0.5,
            )


def file_of(rows: Sequence[Row]) -> bytes:
    """A coverage file."""
    return (encode_header() + "".join(encode_line(row["action"], row) for row in rows)).encode()
