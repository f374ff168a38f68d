"""The model keeps the contract it is the model of."""

from __future__ import annotations

import hashlib

import pytest

from gateway.domain.access import AccessRecord
from gateway.domain.errors import InvalidInput
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import Instant
from gateway.store.memory import MemoryAccesses, MemorySpool, MemoryStore, MemoryVault
from gateway.store.records import encode_coverage
from tests.store.batches import UPLOAD_KEY, person
from tests.store.conformance import StoreTests


class TestMemoryStore(StoreTests):
    """The contract."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        """A fresh store."""
        return MemoryStore(encode_coverage)


async def test_the_vault_remembers_the_first_person() -> None:
    """A number belongs to whom it was first given to."""
    vault = MemoryVault()
    number = IndividualNumber("123456789018")
    assert person(1) == await vault.person_of(number, person(1))
    assert person(1) == await vault.person_of(number, person(2))
    assert await vault.holds(person(1), number)
    assert not await vault.holds(person(2), number)


async def test_the_spool_keeps_bytes_once() -> None:
    """Bytes sent again are skipped, a gap is refused, a discarded upload is empty."""
    spool = MemorySpool()
    assert await spool.append(UPLOAD_KEY, 0, b"abc") == 3
    assert await spool.append(UPLOAD_KEY, 1, b"bcd") == 4
    with pytest.raises(InvalidInput, match="UPLOAD_OFFSET_WRONG"):
        await spool.append(UPLOAD_KEY, 5, b"f")
    assert await spool.read(UPLOAD_KEY, 2, 9) == b"cd"
    assert hashlib.sha256(b"abcd").digest() == await spool.digest(UPLOAD_KEY)
    await spool.discard(UPLOAD_KEY)
    await spool.discard(UPLOAD_KEY)
    assert await spool.durable_offset(UPLOAD_KEY) == 0


async def test_accesses_are_named_in_order() -> None:
    """Each record gets the next name and stays to be looked at."""
    accesses = MemoryAccesses()
    record = AccessRecord(Instant(1), "role", "code", "method", "P", "1", "USE", (), "DENIED", "")
    assert [await accesses.record(record) for _ in range(2)] == ["memory-1", "memory-2"]
    assert [record, record] == accesses.records
