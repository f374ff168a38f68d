"""An enrollee as it stands within a slice of changes, and what a told number does to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from msgspec import structs

from gateway.domain.changes import Change, LinkNumber, NewCover
from gateway.domain.coverage import Coverage, CoverState
from gateway.domain.errors import Conflict
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, LookupKey, PersonKey
from gateway.store.port import CheckState, NumberCheck, UploadKey


@dataclass(slots=True)
class WorkedEnrollee:
    """
    An enrollee as it stands within the slice.

    `numbered_by` is the change that brought its number in this slice, whose person is not known
    yet, told at `numbered_at` (upload and line); `linked_before` the person the store links it
    to, None for a new enrollee; `told` the latest check of its number.
    """

    key: EnrolleeKey
    insurer_number: InsurerNumber
    person_key: PersonKey
    is_numbered: bool
    covers: tuple[Coverage, ...]
    linked_before: PersonKey | None
    told: NumberCheck | None = None
    numbered_by: NewCover | LinkNumber | None = None
    numbered_at: tuple[UploadKey, int] = (UploadKey(b""), 0)
    is_relinked: bool = False
    changed: set[tuple[LookupKey, date]] = field(default_factory=set)

    @property
    def is_suspended(self) -> bool:
        """
        Whether the resident register disagreed with what the insurer registered.

        It stays so while a correction waits for the register's next answer, which the mismatches
        carried along with the check tell.
        """
        is_told_so = self.told is not None and bool(self.told.mismatches)
        return is_told_so or any(cover.state is CoverState.SUSPENDED for cover in self.covers)


@dataclass(frozen=True, slots=True)
class Pending:
    """An enrollee whose number was told; `if_new` is its person if nobody has the number yet."""

    enrollee_key: EnrolleeKey
    change: NewCover | LinkNumber
    if_new: PersonKey


def out_of_sight(before: tuple[Coverage, ...], after: tuple[Coverage, ...]) -> tuple[Coverage, ...]:
    """The covers after a change of a suspended enrollee: none that is new may be seen."""
    return tuple(
        structs.replace(cover, state=CoverState.SUSPENDED)
        if cover.is_visible and cover not in before
        else cover
        for cover in after
    )


def row_of(cover: Coverage) -> tuple[LookupKey, date]:
    """Under which key and birth date a cover is found."""
    return cover.insured_id.lookup_key, cover.birth_date


def is_linking(change: Change, enrollee: WorkedEnrollee | None, *, is_number_held: bool) -> bool:
    """
    Whether a change brings a number that is neither linked nor waiting for the register.

    Another number than the linked one is refused; another than one that waits, or that the
    register did not agree with, takes its place.
    """
    if not isinstance(change, NewCover | LinkNumber) or change.number is None:
        return False
    if enrollee is None:
        return True
    in_slice = enrollee.numbered_by
    if not enrollee.is_numbered and in_slice is None:
        told = enrollee.told
        return told is None or told.state is not CheckState.RECEIVED or not is_number_held
    is_same = is_number_held if in_slice is None else in_slice.number == change.number
    if not is_same:
        raise Conflict("NUMBER_DIFFERS", "individual_number")
    return False
