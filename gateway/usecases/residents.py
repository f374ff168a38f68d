"""What the gateway asks of the resident register: the one party it calls by itself (house 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.domain.individual_number import IndividualNumber
from gateway.domain.residents import Finding, FiveItems

CHECKS_AT_ONCE_MAX: Final = 200
"""Registrations asked about in one call, and linked in one transaction."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A registration to compare: what the insurer said of whom."""

    number: IndividualNumber = field(repr=False)
    items: FiveItems


class ResidentRegister(Protocol):
    """The register, wherever it is."""

    async def findings(self, asked: Sequence[Asked]) -> Sequence[Finding]:
        """
        Compare up to `CHECKS_AT_ONCE_MAX` registrations, in their order.

        Raises:
            Unavailable: `RESIDENT_REGISTER_UNAVAILABLE`.
        """

    async def numbers_of(self, people: Sequence[FiveItems]) -> Sequence[IndividualNumber | None]:
        """
        Find up to `CHECKS_AT_ONCE_MAX` numbers by all five items, in their order.

        None unless exactly one resident matches.

        Raises:
            Unavailable: `RESIDENT_REGISTER_UNAVAILABLE`.
        """

    async def holder_of(self, certificate: bytes) -> IndividualNumber | None:
        """
        Give the number of a certificate's holder; None if the register does not know it.

        Raises:
            Unavailable: `RESIDENT_REGISTER_UNAVAILABLE`.
        """


class NoRegister:
    """Where the settings name no register: every number is taken for right, no card for known."""

    async def findings(self, asked: Sequence[Asked]) -> Sequence[Finding]:
        """See `ResidentRegister`."""
        return [Finding(is_known=True) for _ in asked]

    async def numbers_of(self, people: Sequence[FiveItems]) -> Sequence[IndividualNumber | None]:
        """See `ResidentRegister`."""
        return [None for _ in people]

    async def holder_of(self, certificate: bytes) -> IndividualNumber | None:  # noqa: ARG002  its shape
        """See `ResidentRegister`."""
        return None
