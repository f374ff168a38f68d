"""The made-up residents behind coverage files: what the simulated resident register holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from simulators.people import Row, TestPerson
from simulators.population import MADE_UP_PREFIX


def resident_id_of(individual_number: str) -> str:
    """The simulation's name of whoever has a made-up My Number, such as `p42`."""
    return f"p{int(individual_number.removeprefix(MADE_UP_PREFIX)[:-1])}"


def residents_of(rows: Iterable[Row], people: Iterable[TestPerson] = ()) -> Iterator[bytes]:
    """
    Spell the residents of coverage lines as lines of JSON, one for each My Number.

    Of several lines with one number the last counts. Test persons are known by their ids too; of
    one whose registration is to be suspended the register holds another birth date.
    """
    named: dict[str, list[TestPerson]] = {}
    for person in people:
        named.setdefault(person.individual_number, []).append(person)
    last = {row["individual_number"]: row for row in rows if row.get("individual_number")}
    for number, row in last.items():
        yield _line(number, row, named.get(number, []))


def _line(number: str, row: Mapping[str, str], named: list[TestPerson]) -> bytes:
    born = row["birth_date"]
    if any(person.is_suspended for person in named):
        born = f"{int(born[:4]) - 4}{born[4:]}"  # Four years keep a 29 February.
    resident = {
        "ids": [resident_id_of(number), *(person.id for person in named)],
        "individual_number": number,
        "name": row["name"],
        "name_kana": row.get("name_kana", ""),
        "birth_date": born,
        "sex": int(row["sex"]),
        "address": row.get("address", ""),
    }
    return json.dumps(resident, ensure_ascii=False).encode() + b"\n"
