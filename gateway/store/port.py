"""
What the rest of the house asks of a store: the contract, in docstrings.

Data goes in and out in whole pieces: a writer loads what a slice of changes concerns, decides
purely, and commits one `Batch`. There is exactly one writer, so nothing moves between the two.
Facts are versions: nothing is updated in place but the closing of a version by the next.
Sources: house 10 and 11.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum
from typing import NewType, Protocol

from msgspec import Struct

from gateway.domain.card import CardKey
from gateway.domain.collection import CollectionState
from gateway.domain.compact import CompactHistory
from gateway.domain.coverage import Coverage, Enrolment, History
from gateway.domain.feed import EnrolleeChange
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, LookupKey, PersonKey
from gateway.domain.inquiry import Inquiry
from gateway.domain.lag import Case
from gateway.domain.line_order import AS_THEY_STAND
from gateway.domain.overlap import OverlapState
from gateway.domain.period import Instant

UploadKey = NewType("UploadKey", bytes)
"""Digest of insurer number and request id, 16 bytes."""


@dataclass(frozen=True, slots=True)
class CardHolder:
    """Whose a registered card is; `history` is None while nothing is linked to the person."""

    person_key: PersonKey
    history: CompactHistory | None


class Reading(Protocol):
    """What a lookup needs."""

    async def matching(
        self, key: LookupKey, birth_date: date, people_max: int
    ) -> Sequence[CompactHistory]:
        """
        Give the last known history of each person with an enrollee under this key and birth date.

        An index only: a history may hold no cover that still matches; `confirm` decides. Each
        person comes once, in order of person key.

        Raises:
            TooMuch: `TOO_MANY_MATCHES` for more people than `people_max`.
            Unavailable: `STORE_UNAVAILABLE`.
        """

    async def matching_known_at(
        self, key: LookupKey, birth_date: date, known: Instant, people_max: int
    ) -> Sequence[CompactHistory]:
        """
        The same as it was believed at an instant, inclusive of what was recorded at it.

        A version counts if `recorded_time <= known < superseded_time`. The `version` is 0.
        Enrolments without a cover known then, and people without enrolments, are left out.
        """

    async def by_card(self, card_key: CardKey) -> CardHolder | None:
        """Give the holder of a registered card and their last known history; None if not."""

    async def cards_of(self, person_key: PersonKey, cards_max: int) -> Sequence[CardKey]:
        """Give registered cards of a person, the latest first."""

    async def history_of(self, person_key: PersonKey) -> History | None:
        """Give the last known history of a person; None for a key never used."""


class CheckState(IntEnum):
    """How far a told My Number has come."""

    RECEIVED = 1
    """Safe; the resident register has not answered."""
    LINKED = 2
    SUSPENDED = 3
    """The register disagrees; the covers are out of sight until the insurer corrects."""
    REPLACED = 4
    """Told anew before the register answered."""
    WANTED = 5
    """None was told; the register is to be asked for it by the five items."""
    NOT_FOUND = 6
    """The register knows nobody, or several people, of these five items."""


@dataclass(frozen=True, slots=True)
class NumberCheck:
    """
    A My Number an insurer told for an enrollee, on its way to a link: each stage with its stamp.

    `person_key` is whose number the vault says it is. `upload_key` and `line_number` tell where it
    was told. `mismatches` are names of `gateway.domain.residents.Mismatch`. A check is known by
    its enrollee and `received_time`; the latest of an enrollee counts. A missing number is wanted
    for the person the enrollee is by itself; once found, which `is_found` remembers, it is
    received like a told one.
    """

    enrollee_key: EnrolleeKey
    received_time: Instant
    insurer_number: InsurerNumber
    person_key: PersonKey
    upload_key: UploadKey
    line_number: int
    state: CheckState = CheckState.RECEIVED
    checked_time: Instant | None = None
    linked_time: Instant | None = None
    projected_time: Instant | None = None
    visible_time: Instant | None = None
    mismatches: tuple[str, ...] = ()
    is_found: bool = False


@dataclass(frozen=True, slots=True)
class Enrollee:
    """
    An insurer's enrollee as last known: every cover, and the person they are linked to.

    `told` is the latest check of their number, if one was told and had to be checked.
    """

    insurer_number: InsurerNumber
    person_key: PersonKey
    enrolment: Enrolment
    told: NumberCheck | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    What a slice of changes concerns.

    `enrollees` holds every enrollee under the keys asked for and, for each of their people and
    the people asked for, every enrollee of that person. `person_versions` gives the version of
    each such person's history, 0 for one that has none yet.
    """

    enrollees: tuple[Enrollee, ...]
    person_versions: dict[PersonKey, int]


class NewVersion(Struct, frozen=True):
    """A version of a cover to be remembered; it closes the version before it, if there is one."""

    enrollee_key: EnrolleeKey
    insurer_number: InsurerNumber
    coverage: Coverage
    upload_key: UploadKey
    line_number: int


class NewLink(Struct, frozen=True):
    """
    That an enrollee is a person, from the batch's recorded time on.

    `replaces` is the person of the link this one closes; None for a new enrollee. It may be the
    same person when only `is_numbered` changes.
    """

    enrollee_key: EnrolleeKey
    person_key: PersonKey
    is_numbered: bool
    replaces: PersonKey | None


class LookupRow(Struct, frozen=True):
    """Under which key and birth date an enrollee is found, and the person to show. Upserted."""

    key: LookupKey
    birth_date: date
    enrollee_key: EnrolleeKey
    person_key: PersonKey


class UploadState(IntEnum):
    """How far an upload has come; uploads that are still being received live in the spool only."""

    RECEIVED = 2
    APPLIED = 3


@dataclass(frozen=True, slots=True)
class Upload:
    """
    An upload, or a single change (then without a spool file), and how far it is applied.

    `lines_read` tells where applying continues after a restart: so many lines of the file's order
    are done, and `bytes_done` bytes with them. `line_order` names the order, as
    `gateway.domain.line_order` does; it stays as it was when the file was received.
    """

    upload_key: UploadKey
    insurer_number: InsurerNumber
    request_id: str
    state: UploadState
    size_bytes: int
    digest: bytes
    """SHA-256 of the whole file, or of the change: the same request id must come with it."""
    received_time: Instant
    applied_time: Instant | None = None
    encoding: str = ""
    bytes_done: int = 0
    lines_read: int = 0
    lines_applied: int = 0
    lines_unchanged: int = 0
    lines_refused: int = 0
    number_person: PersonKey | None = None
    """Whose My Number a single change brought, so that the same change is known again."""
    lines_total: int | None = None
    """Lines of the file, the header not counted; None if they were not counted."""
    line_order: int = AS_THEY_STAND
    is_dry_run: bool = False
    """Whether the file is only worked out, and changes nothing."""


@dataclass(frozen=True, slots=True, order=True)
class RefusedLine:
    """A line that was refused: `line_number` counts the header as 1; `column` may be empty."""

    line_number: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """
    That a cover that was lost is listed with its papers, by state and loss date.

    `state` None: it is not, or no longer.
    """

    insurer_number: InsurerNumber
    enrollee_key: EnrolleeKey
    cover_no: int
    state: CollectionState | None
    loss_date: date | None


@dataclass(frozen=True, slots=True)
class NewCard:
    """That a card is a person's key to their eligibility; replaces what was said of the card."""

    card_key: CardKey
    person_key: PersonKey


@dataclass(slots=True)
class Batch:
    """
    What one transaction writes; all of it or nothing.

    Versions of one cover come in order. `histories` replaces the projection of each person whose
    facts or links changed, so that a lookup after the commit sees the change.
    """

    recorded_time: Instant
    versions: list[NewVersion] = field(default_factory=list)
    links: list[NewLink] = field(default_factory=list)
    lookups: list[LookupRow] = field(default_factory=list)
    histories: list[History] = field(default_factory=list)
    upload: Upload | None = None
    """Inserted or replaced by its key."""
    refused_lines: list[RefusedLine] = field(default_factory=list)
    """Of `upload`."""
    is_upload_begun_anew: bool = False
    """Whether the lines of `upload` that were refused before are forgotten first."""
    checks: list[NumberCheck] = field(default_factory=list)
    """Inserted or replaced by enrollee and received time; in order."""
    cards: list[NewCard] = field(default_factory=list)
    filings: list[Case] = field(default_factory=list)
    """Inserted or replaced by enrollee, cover and kind; links and checks stamp them."""
    overlaps: list[OverlapState] = field(default_factory=list)
    """What is known of people with several insurers; a state that was known is not written anew."""
    inquiries: list[Inquiry] = field(default_factory=list)
    """Inserted or replaced by their ids."""
    collections: list[CollectionRow] = field(default_factory=list)
    """Which covers are listed with their papers; replaced or, without a state, removed."""
    changes: list[EnrolleeChange] = field(default_factory=list)
    """Each changed enrollee once; numbered on in its insurer's stream, see `port_feed`."""


class Loading(Protocol):
    """What working changes out needs."""

    async def load(
        self,
        keys: Collection[LookupKey],
        people: Collection[PersonKey],
        enrollees: Collection[EnrolleeKey] = (),
    ) -> Loaded:
        """Give what changes under these keys, or of these people or enrollees, concern."""

    async def last_recorded_time(self) -> Instant:
        """The latest `recorded_time` ever committed, 0 for an empty store."""


class Writing(Reading, Loading, Protocol):
    """What the one writer needs."""

    async def commit(self, batch: Batch) -> None:
        """
        Write a batch durably. When this returns, a power cut does not lose it.

        Raises:
            Unavailable: `STORE_UNAVAILABLE`; then nothing was written.
        """

    async def forerunners_of(self, person_key: PersonKey, people_max: int) -> Sequence[PersonKey]:
        """
        Give whom a person's enrollees were, each by itself, before a My Number linked them.

        What was recorded about a forerunner was about this person. Another person an enrollee was
        linked to by a number is none.
        """

    async def checks_received(self, checks_max: int) -> Sequence[NumberCheck]:
        """
        Give the checks that wait for the resident register: single changes first, then oldest.

        A single change stands on line 1, where a file has its header.
        """

    async def checks_unstamped(self, checks_max: int) -> Sequence[NumberCheck]:
        """Give checks that linked and are not stamped as projected, as a crash leaves them."""

    async def upload(self, upload_key: UploadKey) -> Upload | None:
        """Give an upload, or None."""

    async def unapplied_uploads(self) -> Sequence[Upload]:
        """Give the uploads that are received and not applied, oldest first."""

    async def lines_disposed_before(self) -> Instant:
        """
        Give up to when refused lines of applied uploads may be gone, inclusive; 0 if none are.

        To be asked after the lines were read, as `Disposing.disposed_before`.
        """

    async def refused_lines(
        self, upload_key: UploadKey, lines_max: int, after: RefusedLine | None = None
    ) -> Sequence[RefusedLine]:
        """
        Give the refused lines of an upload by line number, column and reason.

        Args:
            lines_max: At most so many.

            after: Give those that come after this one only.
        """
