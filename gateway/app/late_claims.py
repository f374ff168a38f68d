"""
ClaimService in a worker, put together with its first call.

The tables of claim files take longer to read in than the rest of a worker, and most starts need
none of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from gateway.app.build import clock_of
from gateway.config import Claims, Settings
from gateway.domain.purpose import Role
from gateway.edges.rpc.server import Method
from gateway.store.port import Reading
from gateway.usecases.context import Context
from gateway.usecases.door import Door
from gateway.v1 import claims_pb2  # noqa: F401  reflection tells of the service from the start

if TYPE_CHECKING:
    from gateway.domain.reassignment import ReassignmentRules
    from gateway.edges.rpc.claims import ClaimService
    from gateway.formats.uke import UkeLimits

REVIEW_BODIES: Final = frozenset({Role.REVIEW_BODY})


class LateClaims:
    """Answers review bodies."""

    def __init__(self, settings: Settings, store: Reading, door: Door) -> None:
        self._settings = settings
        self._store = store
        self._door = door
        self._service: ClaimService | None = None

    def methods(self) -> tuple[Method, ...]:
        """The methods and who may call them."""
        return (Method("ClaimService/CheckClaims", REVIEW_BODIES, stream=self._check_claims),)

    async def _check_claims(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        if self._service is None:
            self._service = await asyncio.to_thread(self.made)
        async for answer in self._service.check_claims(requests, context):
            yield answer

    def made(self) -> ClaimService:
        """Read the tables in and put the service together."""
        from gateway.edges.rpc.claims import ClaimLimits, ClaimService, is_writable
        from gateway.usecases.check_claims import Checking, CheckLimits

        limits, said = self._settings.limits, self._settings.claims
        checking = Checking(
            self._store,
            self._door,
            reassignment_rules_of(said),
            CheckLimits(limits.matches_max, limits.claims_in_flight_max),
            is_writable,
        )
        return ClaimService(
            checking,
            clock_of(self._settings),
            ClaimLimits(limits.chunk_bytes_max, said.file_bytes_max, limits.upload_idle_s),
            uke_limits_of(said),
        )


def reassignment_rules_of(said: Claims) -> ReassignmentRules:
    """Which claims may move."""
    from gateway.domain.reassignment import ReassignmentRules

    return ReassignmentRules(
        is_public_expense_moved=said.is_public_expense_moved,
        self_or_family_points_max=said.self_or_family_points_max,
        preschool_points_max=said.preschool_points_max,
        elderly_points_max=said.elderly_points_max,
        latter_stage_points_max=said.latter_stage_points_max,
        is_limit_class_change_moved=said.is_limit_class_change_moved,
        is_repeated_high_cost_moved=said.is_repeated_high_cost_moved,
        is_ratio_change_moved=said.is_ratio_change_moved,
        is_family_class_repaired=said.is_family_class_repaired,
    )


def uke_limits_of(said: Claims) -> UkeLimits:
    """How much of a claim file is held at a time."""
    from gateway.formats.uke import UkeLimits

    return UkeLimits(
        record_bytes_max=said.record_bytes_max,
        records_per_claim_max=said.records_per_claim_max,
        claim_bytes_max=said.claim_bytes_max,
        claims_max=said.claims_max,
        errors_per_claim_max=said.errors_per_claim_max,
        file_errors_max=said.file_errors_max,
    )
