"""A writer without a disk, for the tests of registration: build, send, look."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import count

from msgspec import structs

from gateway.domain.collection import listed_state
from gateway.domain.coverage import Coverage, History
from gateway.domain.identifiers import InsurerNumber, PersonKey
from gateway.domain.individual_number import individual_check_digit
from gateway.domain.overlap import overlapping_insurers
from gateway.domain.period import Instant
from gateway.domain.purpose import Role
from gateway.formats.coverage_csv import encode_header, encode_line
from gateway.formats.coverage_file import CoverageReader
from gateway.policy import published_policy
from gateway.store.memory import (
    MemoryAccesses,
    MemoryScratch,
    MemorySpool,
    MemoryStore,
    MemoryVault,
)
from gateway.store.port import Batch, RefusedLine, Upload, UploadState
from gateway.store.port_scratch import Scratch
from gateway.store.records import encode_coverage
from gateway.store.vault import RehearsedVault
from gateway.usecases.apply_uploads import Applier
from gateway.usecases.context import Caller, Context
from gateway.usecases.desk import Desk
from gateway.usecases.door import Door
from gateway.usecases.rehearsal import Rehearsal
from gateway.usecases.upload_coverage import Receiver, UploadLimits, upload_key_of

NOW = Instant(1_760_000_000_000_000)
"""October 2025."""

INSURER = InsurerNumber("01130012")
OTHER_INSURER = InsurerNumber("00138057")
NUMBERS = tuple(
    body + individual_check_digit(body) for body in ("12345678901", "00000000001", "11111111111")
)

LIMITS = UploadLimits(
    upload_bytes_max=1_000_000,
    chunk_bytes_max=100_000,
    line_bytes_max=2_000,
    slice_lines_max=200,
    slice_ms_max=50,
    refused_lines_reported_max=100,
    refused_lines_kept_max=1_000,
    moves_ordered_max=1_000,
)


class CrashError(Exception):
    """The power is cut."""


class WatchedStore(MemoryStore):
    """
    A memory store that holds each batch against what it should say.

    It also crashes at the commit with the number `crash_at`, before or after writing.
    """

    def __init__(self) -> None:
        super().__init__(encode_coverage)
        self.projections: dict[PersonKey, History] = {}
        self.rows: dict[tuple[bytes, object, bytes], PersonKey] = {}
        self.batches: list[Batch] = []
        self.crash_at = 0
        self.crash: Exception = CrashError()
        self.is_written_at_crash = False

    async def commit(self, batch: Batch) -> None:
        """Check and write a batch; each recorded time is later than the last."""
        assert batch.recorded_time > await self.last_recorded_time()
        is_crash = self.crash_at == len(self.batches) + 1
        if is_crash and not self.is_written_at_crash:
            self.crash_at = 0
            raise self.crash
        await super().commit(batch)
        self.batches.append(batch)
        for history in batch.histories:
            before = self.projections.get(history.person_key)
            assert history.version == (before.version if before else 0) + 1
            self.projections[history.person_key] = history
        for row in batch.lookups:
            self.rows[row.key, row.birth_date, row.enrollee_key] = row.person_key
        self._require_projected()
        self._require_listed()
        if is_crash:
            self.crash_at = 0
            raise self.crash

    def _require_projected(self) -> None:
        people = self._people(Instant(2**62))
        assert people.keys() <= self.projections.keys()
        for person_key, projected in self.projections.items():
            known = people.get(person_key)
            assert projected.enrolments == (known.enrolments if known else ())
        for person_key, history in people.items():
            for enrolment in history.enrolments:
                for cover in enrolment.covers:
                    row = (cover.insured_id.lookup_key, cover.birth_date, enrolment.enrollee_key)
                    assert person_key == self.rows[row]

    def _require_listed(self) -> None:
        """Whoever is enrolled twice is listed to both insurers, and what was lost with papers."""
        listed = {
            (insurer, person_key)
            for person_key, history in self._people(Instant(2**62)).items()
            for insurer in overlapping_insurers(
                [(self._insurers[one.enrollee_key], one) for one in history.enrolments]
            )
        }
        assert listed == self._overlaps.keys()
        covers = {
            (self._insurers[key], key, cover.cover_no): cover for key, cover in self._versions
        }
        states = {place: listed_state(cover) for place, cover in covers.items()}
        assert {place: state for place, state in states.items() if state is not None} == {
            place: row.state for place, row in self._collections.items()
        }


class Stand:
    """Everything a writer has, in memory; `restarted` keeps only what a disk would keep."""

    def __init__(self, before: Stand | None = None, limits: UploadLimits = LIMITS) -> None:
        self.store: WatchedStore = before.store if before else WatchedStore()
        self.vault: MemoryVault = before.vault if before else MemoryVault()
        self.spool: MemorySpool = before.spool if before else MemorySpool()
        self.accesses: MemoryAccesses = before.accesses if before else MemoryAccesses()
        self._keys: count[int] = before._keys if before else count(1)
        self.limits = limits
        self.door = Door(published_policy(), self.accesses)
        self.desk = Desk(self.store, self.vault, self.new_key, lambda: NOW)
        self.scratch: Scratch = MemoryScratch()
        self.applier = Applier(
            self.store, self.spool, self.desk, CoverageReader, limits, self.rehearsal()
        )
        self.receiver = Receiver(
            self.store, self.spool, self.desk, self.door, limits, self.applier.wake
        )

    def rehearsal(self, desk: Desk | None = None) -> Rehearsal:
        """What works dry runs out, with the rules of a desk."""
        vault = RehearsedVault(self.vault)
        return Rehearsal(desk or self.desk, self.store, self.scratch, vault)

    def new_key(self) -> bytes:
        """A key never given before."""
        return f"{next(self._keys):016d}".encode()

    async def receive(
        self,
        data: bytes,
        request_id: str = "file-1",
        insurer: InsurerNumber = INSURER,
        *,
        is_dry_run: bool = False,
    ) -> Upload:
        """Send a whole file."""
        async with self.receiver.receiving(
            caller(insurer), request_id, is_dry_run=is_dry_run
        ) as receiving:
            if receiving.finished is None:
                await receiving.append(receiving.durable_offset, data[receiving.durable_offset :])
            return await receiving.finish(len(data))

    async def apply_all(self) -> None:
        """Apply what was received, as the writer's task does, and stop it."""
        stop = asyncio.Event()
        task = asyncio.create_task(self.applier.run(stop))
        while await self.store.unapplied_uploads() and not task.done():  # noqa: ASYNC110  a store has no event
            await asyncio.sleep(0)
        stop.set()
        await task

    async def upload(
        self,
        data: bytes,
        request_id: str = "file-1",
        insurer: InsurerNumber = INSURER,
        *,
        is_dry_run: bool = False,
    ) -> Upload:
        """Send and apply a file."""
        await self.receive(data, request_id, insurer, is_dry_run=is_dry_run)
        await self.apply_all()
        upload = await self.store.upload(upload_key_of(insurer, request_id))
        assert upload is not None
        assert upload.state is UploadState.APPLIED
        return upload

    async def refused(
        self, request_id: str = "file-1", insurer: InsurerNumber = INSURER
    ) -> Sequence[RefusedLine]:
        """What was refused of a file."""
        return await self.store.refused_lines(upload_key_of(insurer, request_id), 1000)

    def people(self) -> Counter[tuple[object, ...]]:
        """
        Everybody with all their covers, without keys and times.

        Two stores that say the same of the same people give the same.
        """
        return Counter(
            tuple(sorted(repr((e.is_numbered, facts(e.covers))) for e in history.enrolments))
            for history in self.store.projections.values()
            if history.enrolments
        )


def facts(covers: Sequence[Coverage]) -> list[Coverage]:
    """Covers without the time they were recorded."""
    return [structs.replace(cover, recorded_time=Instant(0)) for cover in covers]


def caller(insurer: InsurerNumber = INSURER, role: Role = Role.INSURER) -> Context:
    """A call by an insurer."""
    return Context(Caller(role, insurer.zero_padded), NOW, "CoverageService/UploadCoverage")


def who(number: str = "1", branch: str = "01", insurer: InsurerNumber = INSURER) -> dict[str, str]:
    """The identifying cells of an enrollee."""
    return {
        "insurer_number": insurer.zero_padded,
        "symbol": "記号",
        "number": number,
        "branch": branch,
        "birth_date": "19840229",
    }


def new(number: str = "1", **cells: str) -> str:
    """A line that begins cover on 1 April 2025, unless told otherwise."""
    return said(
        "NEW",
        number,
        **{
            "acquisition_date": "20250401",
            "name": "架空　太郎",
            "sex": "1",
            "insurer_name": "架空組合",
        }
        | cells,
    )


def said(action: str, number: str = "1", **cells: str) -> str:
    """A line about an enrollee."""
    return encode_line(action, who(number) | cells)


def a_file(*lines: str) -> bytes:
    """A file of these lines."""
    return (encode_header() + "".join(lines)).encode()
