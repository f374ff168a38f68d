"""
What the gateway asks of its other memories: the vault, the trail of looks, the spool.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gateway.domain.access import AccessRecord
from gateway.domain.identifiers import PersonKey
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import Instant
from gateway.store.port import UploadKey


class Vault(Protocol):
    """The only place a My Number is kept: a keyed digest to match, a ciphertext to repair."""

    async def person_of(self, number: IndividualNumber, if_new: PersonKey) -> PersonKey:
        """
        Give the person a number belongs to; a number never seen becomes `if_new`, durably.

        Asking again gives the same person, over restarts and key rotation too.
        """

    async def people_of(
        self, asked: Sequence[tuple[IndividualNumber, PersonKey]]
    ) -> Sequence[PersonKey]:
        """
        Do what `person_of` does for several numbers, in their order and with one sync.

        A number that comes twice belongs to one person.
        """

    async def holds(self, person_key: PersonKey, number: IndividualNumber) -> bool:
        """Whether a person's number is this one."""

    async def numbers_of(self, people: Sequence[PersonKey]) -> Sequence[IndividualNumber | None]:
        """
        Decrypt the numbers of people, in their order, for the resident register alone.

        None for a person without a number, or whose row cannot be read.
        """


class Look(NamedTuple):
    """One look at a person as the trail shows it; the fields are those of its access record."""

    record_id: str
    at: Instant
    role: str
    code: str
    method: str
    purpose: str
    operation: str
    outcome: str
    detail: str


class Looks(Protocol):
    """The trail of looks, by whom they were about."""

    async def who_looked(self, people: Sequence[PersonKey], looks_max: int) -> Sequence[Look]:
        """Give the latest looks at any of these that are durable by now, newest first."""


class Accesses(Protocol):
    """Where looks at personal data are recorded."""

    async def record(self, record: AccessRecord) -> str:
        """
        Append a record and return its id when it is durable.

        Records are made durable in groups; the call returns after the sync of its group.
        """


class Runs(Protocol):
    """
    Sorts records that may not fit into memory; holds a bounded number of them.

    Nothing of it outlives the process, and nothing of it can be read from a disk.
    """

    async def put(self, records: Sequence[bytes]) -> None:
        """
        Take records in any order, none after the first `take`.

        Raises:
            Unavailable: `STORE_UNAVAILABLE`; then nothing more can be had of it but `close`.
        """

    async def take(self, records_max: int) -> Sequence[bytes]:
        """Give the next records in order of their bytes; none at the end. Raises as `put`."""

    async def close(self) -> None:
        """Forget what is left."""


class Spool(Protocol):
    """
    Keeps the bytes of uploads until they are applied, encrypted, because files hold My Numbers.

    One upload is written by one task at a time.
    """

    async def durable_offset(self, upload_key: UploadKey) -> int:
        """How many bytes of an upload are safe; 0 for an unknown one."""

    async def append(self, upload_key: UploadKey, offset: int, data: bytes) -> int:
        """
        Add bytes that begin at `offset` and make them durable; return the new durable offset.

        Bytes that are durable already are skipped.

        Raises:
            InvalidInput: `UPLOAD_OFFSET_WRONG` if there would be a gap.
        """

    async def digest(self, upload_key: UploadKey) -> bytes:
        """SHA-256 of the bytes that are safe."""

    async def read(self, upload_key: UploadKey, offset: int, bytes_max: int) -> bytes:
        """Give up to `bytes_max` bytes from an offset; fewer only at the end."""

    async def discard(self, upload_key: UploadKey) -> None:
        """Forget an upload's bytes. Discarding twice is no error."""

    async def uploads(self, uploads_max: int) -> Sequence[UploadKey]:
        """Give uploads that have bytes here, at most so many, in no order."""

    def runs(self) -> Runs:
        """Begin to sort what was read from here."""
