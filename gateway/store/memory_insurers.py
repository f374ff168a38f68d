"""The model of what insurers list and of how an answer came about: all of it looked through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from gateway.domain.collection import CollectionState
from gateway.domain.coverage import Coverage
from gateway.domain.errors import TooMuch
from gateway.domain.explanation import Facts, LinkFact, VersionFact
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, LookupKey, PersonKey
from gateway.domain.inquiry import Inquiry, InquiryId
from gateway.domain.period import Instant
from gateway.store.port import Batch, CollectionRow, NewLink, Upload, UploadKey
from gateway.store.port_insurers import CollectionPlace, OverlapRow

_END_OF_TIME = Instant(2**63 - 1)


class MemoryLists:
    """The lists of `Lists`, and `Explaining`, over the versions and links of a memory store."""

    _insurers: dict[EnrolleeKey, InsurerNumber]
    _versions: list[tuple[EnrolleeKey, Coverage]]
    _links: list[tuple[Instant, NewLink]]
    _uploads: dict[UploadKey, Upload]

    def __init__(self) -> None:
        self._origins: dict[tuple[EnrolleeKey, int, int], tuple[UploadKey, int]] = {}
        self._overlaps: dict[tuple[InsurerNumber, PersonKey], Instant] = {}
        self._inquiries: dict[InquiryId, Inquiry] = {}
        self._collections: dict[tuple[InsurerNumber, EnrolleeKey, int], CollectionRow] = {}

    def _take_lists(self, batch: Batch) -> None:
        for version in batch.versions:
            cover = version.coverage
            place = (version.enrollee_key, cover.cover_no, cover.version_no)
            self._origins[place] = (version.upload_key, version.line_number)
        for one in batch.overlaps:
            key = (one.insurer_number, one.person_key)
            if one.is_overlapping:
                self._overlaps.setdefault(key, batch.recorded_time)
            else:
                self._overlaps.pop(key, None)
        for row in batch.collections:
            self._collections.pop((row.insurer_number, row.enrollee_key, row.cover_no), None)
            if row.state is not None and row.loss_date is not None:
                self._collections[row.insurer_number, row.enrollee_key, row.cover_no] = row
        self._inquiries |= {one.inquiry_id: one for one in batch.inquiries}

    async def overlapping(
        self, insurer: InsurerNumber, after: PersonKey, people_max: int
    ) -> Sequence[OverlapRow]:
        """See `Lists`."""
        rows = [
            OverlapRow(person_key, at)
            for (of, person_key), at in sorted(self._overlaps.items())
            if of == insurer and person_key > after
        ]
        return rows[:people_max]

    async def collections(
        self,
        insurer: InsurerNumber,
        state: CollectionState,
        after: CollectionPlace,
        covers_max: int,
    ) -> Sequence[CollectionPlace]:
        """See `Lists`."""
        found = [
            (row.loss_date, row.enrollee_key, row.cover_no)
            for row in self._collections.values()
            if row.insurer_number == insurer and row.state is state and row.loss_date is not None
        ]
        return sorted(place for place in found if place > after)[:covers_max]

    async def inquiry(self, inquiry_id: InquiryId) -> Inquiry | None:
        """See `Lists`."""
        return self._inquiries.get(inquiry_id)

    async def inquiries_of(
        self,
        insurer: InsurerNumber,
        before: tuple[Instant, InquiryId],
        inquiries_max: int,
        *,
        is_received: bool,
    ) -> Sequence[Inquiry]:
        """See `Lists`."""
        found = [
            one
            for one in self._inquiries.values()
            if insurer == (one.asked if is_received else one.asking)
            and (one.asked_time, one.inquiry_id) < before
        ]
        found.sort(key=lambda one: (one.asked_time, one.inquiry_id), reverse=True)
        return found[:inquiries_max]

    async def facts_of(
        self,
        key: LookupKey,
        birth_date: date,
        known: Instant | None,
        versions_max: int,
        people_max: int,
    ) -> Facts:
        """See `Explaining`."""
        moment = _END_OF_TIME if known is None else known
        links = self._links_known(moment)
        asked = {
            enrollee_key
            for enrollee_key, cover in self._versions
            if cover.insured_id.lookup_key == key and cover.birth_date == birth_date
        }
        people = {link.person_key for link in links if link.enrollee_key in asked}
        if len(people) > people_max:
            raise TooMuch("TOO_MANY_MATCHES")
        return self._facts_of_people(people, moment, versions_max)

    async def facts_of_person(
        self, person_key: PersonKey, versions_max: int, enrollees_max: int
    ) -> Facts:
        """See `Explaining`."""
        found = self._facts_of_people({person_key}, _END_OF_TIME, versions_max)
        if len({link.enrollee_key for link in found.links}) > enrollees_max:
            raise TooMuch("TOO_MANY_MATCHES")
        return found

    def _facts_of_people(self, people: set[PersonKey], moment: Instant, versions_max: int) -> Facts:
        links = self._links_known(moment)
        enrollees = {link.enrollee_key for link in links if link.person_key in people}
        versions = self._versions_known(enrollees, moment)
        older = [one for one in versions if one.superseded_time is not None]
        room = max(0, versions_max - (len(versions) - len(older)))
        left_out = older[: max(0, len(older) - room)]
        return Facts(
            tuple(one for one in versions if one not in left_out),
            tuple(link for link in links if link.enrollee_key in enrollees),
            bool(left_out),
        )

    def _links_known(self, moment: Instant) -> list[LinkFact]:
        """Links in order, each closed by the next of its enrollee; of one instant the last."""
        last = {
            (recorded, link.enrollee_key): link
            for recorded, link in self._links
            if recorded <= moment
        }
        closed: dict[EnrolleeKey, Instant] = {}
        found = []
        for (recorded, enrollee_key), link in sorted(last.items(), reverse=True, key=_by_place):
            found.append(
                LinkFact(
                    enrollee_key,
                    link.person_key,
                    recorded,
                    closed.get(enrollee_key),
                    link.is_numbered,
                )
            )
            closed[enrollee_key] = recorded
        return found[::-1]

    def _versions_known(
        self, enrollees: Iterable[EnrolleeKey], moment: Instant
    ) -> list[VersionFact]:
        wanted = set(enrollees)
        closed: dict[tuple[EnrolleeKey, int], Instant] = {}
        found = []
        for enrollee_key, cover in reversed(self._versions):
            if enrollee_key not in wanted or cover.recorded_time > moment:
                continue
            upload_key, line_number = self._origins[enrollee_key, cover.cover_no, cover.version_no]
            upload = self._uploads.get(upload_key)
            found.append(
                VersionFact(
                    enrollee_key,
                    self._insurers[enrollee_key],
                    cover,
                    closed.get((enrollee_key, cover.cover_no)),
                    "" if upload is None else upload.request_id,
                    line_number,
                )
            )
            closed[enrollee_key, cover.cover_no] = cover.recorded_time
        return sorted(
            found,
            key=lambda one: (
                one.coverage.recorded_time,
                one.enrollee_key,
                one.coverage.cover_no,
                one.coverage.version_no,
            ),
        )


def _by_place(item: tuple[tuple[Instant, EnrolleeKey], NewLink]) -> tuple[Instant, EnrolleeKey]:
    return item[0]
