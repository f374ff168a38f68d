"""An enrollee as it stands within a slice of changes, and what a told number does to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from msgspec import structs

from gateway.domain.changes import Change, corrects_number, number_of
from gateway.domain.coverage import Coverage, CoverState
from gateway.domain.errors import Conflict
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, LookupKey, PersonKey
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.residents import Mismatch
from gateway.store.port import CheckState, NumberCheck, UploadKey

WAITING: Final = frozenset({CheckState.RECEIVED, CheckState.WANTED})
"""States in which the register is still to be asked."""
UNTOLD: Final = frozenset({CheckState.WANTED, CheckState.NOT_FOUND})
"""States of a number nobody told."""


@dataclass(slots=True)
class WorkedEnrollee:
    """
    An enrollee as it stands within the slice.

    `number` was brought in this slice and its person is not known yet; it was told at
    `numbered_at` (upload and line). `linked_before` the person the store links it
    to, None for a new enrollee; `told` the latest check of its number.
    """

    key: EnrolleeKey
    insurer_number: InsurerNumber
    person_key: PersonKey
    is_numbered: bool
    covers: tuple[Coverage, ...]
    linked_before: PersonKey | None
    told: NumberCheck | None = None
    number: IndividualNumber | None = field(default=None, repr=False)
    numbered_at: tuple[UploadKey, int] = (UploadKey(b""), 0)
    is_relinked: bool = False
    kinds: int = 0
    """What happened to its covers, as `gateway.domain.feed.ChangeKind`."""
    changed: set[tuple[LookupKey, date]] = field(default_factory=set)

    @property
    def is_suspended(self) -> bool:
        """
        Whether the resident register disagreed with what the insurer registered.

        It stays so while a correction waits for the register's next answer, which the mismatches
        carried along with the check tell.
        """
        if any(cover.state is CoverState.SUSPENDED for cover in self.covers):
            return True
        is_told_so = self.told is not None and bool(self.told.mismatches)
        return is_told_so and not self.is_medical_stopped

    @property
    def is_alive(self) -> bool:
        """Whether a cover of it was not cancelled."""
        return any(cover.state is not CoverState.CANCELLED for cover in self.covers)

    @property
    def is_medical_stopped(self) -> bool:
        """Whether the register disagreed in what stops medical information alone."""
        return any(cover.is_medical_stopped for cover in self.covers)


@dataclass(frozen=True, slots=True)
class Pending:
    """An enrollee whose number was told; `if_new` is its person if nobody has the number yet."""

    enrollee_key: EnrolleeKey
    number: IndividualNumber = field(repr=False)
    if_new: PersonKey


def as_before(enrollee: WorkedEnrollee, after: tuple[Coverage, ...]) -> tuple[Coverage, ...]:
    """The covers after a change: what is new is no more to be seen than what was."""
    if not enrollee.covers:
        return after
    fresh: dict[str, Any] = {}
    if enrollee.is_suspended:
        fresh["state"] = CoverState.SUSPENDED
    if enrollee.is_medical_stopped:
        fresh["is_medical_stopped"] = True
    return tuple(
        structs.replace(cover, **fresh)
        if cover.is_visible and cover not in enrollee.covers
        else cover
        for cover in after
    )


def row_of(cover: Coverage) -> tuple[LookupKey, date]:
    """Under which key and birth date a cover is found."""
    return cover.insured_id.lookup_key, cover.birth_date


def is_linking(
    change: Change, enrollee: WorkedEnrollee | None, *, is_number_held: bool, is_checked: bool
) -> bool:
    """
    Whether a change brings a number that is neither linked nor waiting for the register.

    Another number than the linked one is refused, unless the change corrects it; another than one
    that waits, or that the register did not agree with, takes its place. In place of a number
    that the vault cannot give any is taken, the same one too.

    Args:
        is_checked: Whether a number told earlier in the slice waits for the register.
    """
    number = number_of(change)
    if number is None:
        return False
    if enrollee is None:
        return True
    told = enrollee.told
    if enrollee.number is None:
        if told is not None and _is_unreadable(told):
            return True
        if not enrollee.is_numbered:
            return told is None or told.state is not CheckState.RECEIVED or not is_number_held
    is_same = is_number_held if enrollee.number is None else enrollee.number == number
    is_waiting = is_checked and not enrollee.is_numbered
    if not (is_same or is_waiting or corrects_number(change)):
        raise Conflict("NUMBER_DIFFERS", "individual_number")
    return not is_same


def _is_unreadable(told: NumberCheck) -> bool:
    return told.state is CheckState.SUSPENDED and Mismatch.NUMBER_UNREADABLE in told.mismatches
