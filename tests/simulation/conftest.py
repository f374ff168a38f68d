"""Fixtures of the simulation tests: what a gateway would believe after a set of coverage files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import pytest

from gateway.domain.changes import Change, LinkNumber, NewCover, apply
from gateway.domain.coverage import Coverage, Enrolment, History
from gateway.domain.identifiers import EnrolleeKey, PersonKey
from gateway.domain.period import Instant
from gateway.formats.coverage_csv import decode_header, decode_line

NOW = Instant(1_776_211_200_000_000)

HistoriesOf = Callable[[Iterable[bytes]], list[History]]


def _key(*parts: str) -> bytes:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).digest()


def _changes(data: bytes) -> Iterable[Change]:
    header, *lines = data.decode().splitlines()
    columns = decode_header(header)
    for line_number, line in enumerate(lines, start=2):
        change = decode_line(columns, line_number, line)
        assert isinstance(change, Change), change
        yield change


def _histories(files: Iterable[bytes]) -> list[History]:
    covers: dict[bytes, tuple[Coverage, ...]] = {}
    numbers: dict[bytes, str] = {}
    for data in files:
        for change in _changes(data):
            target = change.target
            key = _key(
                target.insured_id.lookup_key.hex(),
                target.insured_id.branch or "",
                target.birth_date.isoformat(),
            )
            covers[key] = apply(covers.get(key, ()), change, NOW)
            if isinstance(change, NewCover | LinkNumber) and change.number is not None:
                numbers[key] = change.number.reveal()
    enrolments: dict[bytes, list[Enrolment]] = {}
    for key, of_enrollee in covers.items():
        person = _key(numbers[key]) if key in numbers else key
        enrolments.setdefault(person, []).append(
            Enrolment(EnrolleeKey(key), key in numbers, of_enrollee)
        )
    return [History(PersonKey(key), 1, tuple(held)) for key, held in enrolments.items()]


@pytest.fixture(scope="session")
def histories_of() -> HistoriesOf:
    """Apply coverage files line by line, without a store; My Numbers join a person's covers."""
    return _histories
