"""
Where a registration stands: the states of insurer-lifecycle.md 7.2, from an enrollee's facts.

Pure; the state of an enrollee is nothing that is stored. What a clinic is told in each state stands
in docs/numbers.md and is `gateway.domain.eligibility.confirm`'s to decide.
"""

from __future__ import annotations

from datetime import date
from enum import Enum

from gateway.domain.coverage import CoverState, Enrolment


class RegistrationState(Enum):
    """How far an enrollee's registration is, and whether it may be seen."""

    REGISTERED_NO_NUMBER = "REGISTERED_NO_NUMBER"
    CHECKING = "CHECKING"
    """A number waits for the resident register, and links nobody yet."""
    SUSPENDED = "SUSPENDED"
    """The register disagrees, or a wrong number is being corrected: out of sight."""
    MEDICAL_STOPPED = "MEDICAL_STOPPED"
    """The register disagrees about a name or an address: the cover answers, no more."""
    ACTIVE = "ACTIVE"
    LOST = "LOST"
    CANCELLED = "CANCELLED"


def registration_state(
    enrolment: Enrolment, on: date, *, is_number_waiting: bool
) -> RegistrationState:
    """
    Give the state of an enrollee on a day.

    Args:
        enrolment: Its covers as last known, at least one.

        is_number_waiting: Whether its number waits for the register's answer.
    """
    alive = [cover for cover in enrolment.covers if cover.state is not CoverState.CANCELLED]
    if not alive:
        return RegistrationState.CANCELLED
    cover = max(
        alive,
        key=lambda one: (one.period.holds_on(on), one.period.start.toordinal(), one.cover_no),
    )
    if cover.state is CoverState.SUSPENDED:
        return RegistrationState.SUSPENDED
    if not (cover.period.holds_on(on) or cover.period.begins_after(on)):
        return RegistrationState.LOST
    if not enrolment.is_numbered:
        return (
            RegistrationState.CHECKING
            if is_number_waiting
            else RegistrationState.REGISTERED_NO_NUMBER
        )
    if cover.is_medical_stopped:
        return RegistrationState.MEDICAL_STOPPED
    return RegistrationState.ACTIVE
