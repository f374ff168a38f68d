"""Access records and their chain: a record that was changed, dropped or moved is noticed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.domain.access import (
    AccessRecord,
    decode_record,
    encode_record,
    first_digest,
    next_digest,
    record_id,
)
from tests.strategies import instants, person_keys

words = st.text("ABCxyz-0123456789", max_size=12)
records = st.builds(
    AccessRecord,
    at=instants,
    role=words,
    code=words,
    method=words,
    purpose=words,
    policy_version=words,
    operation=words,
    data=st.lists(words, max_size=3).map(tuple),
    outcome=st.sampled_from(["ANSWERED", "REGISTERED", "DENIED"]),
    detail=words,
    people=st.lists(person_keys, max_size=3).map(tuple),
)

OTHER: dict[str, Any] = {
    "at": 1,
    "role": "?",
    "code": "?",
    "method": "?",
    "purpose": "?",
    "policy_version": "?",
    "operation": "?",
    "data": ("?",),
    "outcome": "?",
    "detail": "?",
    "people": (b"?" * 16,),
}


def chained(life: str, bodies: list[bytes]) -> bytes:
    """The digest of the last of these records in a life."""
    digest = first_digest(life)
    for body in bodies:
        digest = next_digest(digest, body)
    return digest


@given(records)
def test_record_reads_back(record: AccessRecord) -> None:
    """A record is one line of JSON and means the same when it is read."""
    body = encode_record(record)
    assert b"\n" not in body
    assert record == decode_record(body)


@pytest.mark.parametrize("name", AccessRecord.__struct_fields__)
@given(record=records)
def test_changing_any_field_changes_the_digest(name: str, record: AccessRecord) -> None:
    """No field of a record can be altered without breaking the chain."""
    changed = structs.replace(record, **{name: OTHER[name]})
    before, after = (chained("life", [encode_record(one)]) for one in (record, changed))
    assert (before == after) == (record == changed)


@given(st.lists(records, min_size=2, max_size=5, unique_by=encode_record), st.data())
def test_dropping_or_swapping_records_changes_the_head(
    chain: list[AccessRecord], data: st.DataObject
) -> None:
    """The head of the chain vouches for every record before it, and for their order."""
    bodies = [encode_record(record) for record in chain]
    place = data.draw(st.integers(0, len(bodies) - 2))
    dropped = bodies[:place] + bodies[place + 1 :]
    swapped = [*bodies[:place], bodies[place + 1], bodies[place], *bodies[place + 2 :]]
    assert len({chained("life", one) for one in (bodies, dropped, swapped)}) == len("abc")


def test_chain_belongs_to_its_life() -> None:
    """The records of one process life cannot pass for another's."""
    assert chained("life-1", [b"{}"]) != chained("life-2", [b"{}"])


def test_record_is_named_by_its_life_and_place() -> None:
    """An answer's record id leads to the record."""
    expected = "life-12"
    assert expected == record_id("life", 12)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"at": "x"}', b"\xff"])
def test_other_bytes_are_no_record(body: bytes) -> None:
    """What is not a record is refused when it is read."""
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        decode_record(body)
