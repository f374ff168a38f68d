"""
A dry run (予行): work a file out against the store as it is, and let nothing happen.

What the file would change is laid over the store, person by person, so that later lines see what
earlier ones did. Decision 0017 tells what a dry run cannot know.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gateway.domain.coverage import Enrolment
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, LookupKey, PersonKey
from gateway.domain.period import Instant
from gateway.store.port import Batch, Enrollee, Loaded, Loading, NumberCheck, UploadKey
from gateway.store.port_beside import Vault
from gateway.store.port_scratch import Scratch, ScratchPerson
from gateway.usecases.desk import Desk, Line, Worked


class Overlay:
    """A store as it is, with what a dry run changed laid over it; `Loading`."""

    def __init__(self, store: Loading, scratch: Scratch) -> None:
        self._store = store
        self._scratch = scratch
        self._seen: dict[EnrolleeKey, Enrollee] = {}
        self._versions: dict[PersonKey, int] = {}

    async def load(
        self,
        keys: Collection[LookupKey],
        people: Collection[PersonKey],
        enrollees: Collection[EnrolleeKey] = (),
    ) -> Loaded:
        """See `Loading`; whoever the dry run touched is as it left them."""
        stored = await self._store.load(keys, people, enrollees)
        kept = await self._scratch.load(keys, {*people, *stored.person_versions})
        found = [one for one in stored.enrollees if one.person_key not in kept]
        found += [enrollee for one in kept.values() for enrollee in one.enrollees]
        found.sort(key=lambda enrollee: enrollee.enrolment.enrollee_key)
        versions = stored.person_versions | {key: one.version for key, one in kept.items()}
        self._seen.update((one.enrolment.enrollee_key, one) for one in found)
        self._versions.update(versions)
        return Loaded(tuple(found), versions)

    async def last_recorded_time(self) -> Instant:
        """See `Loading`."""
        return await self._store.last_recorded_time()

    async def keep(self, batch: Batch) -> None:
        """Remember what a batch would write of people, whose loads came since the last one."""
        insurers = {one.enrollee_key: one.insurer_number for one in batch.versions}
        told = {
            one.enrollee_key: one for one in sorted(batch.checks, key=lambda c: c.received_time)
        }

        def enrollee(person_key: PersonKey, enrolment: Enrolment) -> Enrollee:
            key = enrolment.enrollee_key
            seen = self._seen.get(key)
            insurer = insurers[key] if seen is None else seen.insurer_number
            check = told.get(key, None if seen is None else seen.told)
            return Enrollee(insurer, person_key, enrolment, check)

        people = [
            ScratchPerson(
                history.person_key,
                history.version,
                tuple(enrollee(history.person_key, one) for one in history.enrolments),
            )
            for history in batch.histories
        ]
        people += self._told_only({one.person_key for one in people}, told)
        await self._scratch.keep(people, [(row.key, row.person_key) for row in batch.lookups])
        self.begin()

    def begin(self) -> None:
        """Forget what was loaded."""
        self._seen.clear()
        self._versions.clear()

    def _told_only(
        self, done: Collection[PersonKey], told: dict[EnrolleeKey, NumberCheck]
    ) -> list[ScratchPerson]:
        """People of whom a number was told and nothing else changed."""
        concerned = {one.person_key for key, one in self._seen.items() if key in told} - set(done)
        return [
            ScratchPerson(
                person_key,
                self._versions[person_key],
                tuple(
                    Enrollee(one.insurer_number, person_key, one.enrolment, told.get(key, one.told))
                    for key, one in sorted(self._seen.items())
                    if one.person_key == person_key
                ),
            )
            for person_key in sorted(concerned)
        ]


class Rehearsal:
    """
    Works dry runs out, one at a time.

    Args:
        desk: The desk whose rules count; it is asked for nothing else.

        vault: Knows numbers and keeps none, as `gateway.store.vault.RehearsedVault`.
    """

    def __init__(self, desk: Desk, store: Loading, scratch: Scratch, vault: Vault) -> None:
        self._scratch = scratch
        self._overlay = Overlay(store, scratch)
        self._desk = desk.rehearsing(self._overlay, vault)
        self._worked = Batch(Instant(0))

    async def begin(self) -> None:
        """Begin a dry run from what is stored now."""
        await self._scratch.begin()
        self._overlay.begin()

    async def work(
        self, lines: Sequence[Line], insurer: InsurerNumber, upload_key: UploadKey, now: Instant
    ) -> Worked:
        """As `Desk.work`; the batch is empty. Worked out again, it comes out the same."""
        worked = await self._desk.work(lines, insurer, upload_key, now)
        self._worked = worked.batch
        worked.batch = Batch(now)
        return worked

    async def keep(self) -> None:
        """Let what was worked out last count for the lines to come, once it is reported."""
        await self._overlay.keep(self._worked)

    async def end(self) -> None:
        """Forget what the dry run would have changed."""
        await self._scratch.end()
