"""CoverageService's history of an insurer's own member; the writer serves it."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.changes import Target
from gateway.domain.purpose import Role
from gateway.edges.rpc import convert, convert_history
from gateway.edges.rpc.server import Method, read
from gateway.usecases.context import Context
from gateway.usecases.door import Door
from gateway.usecases.enrollee_history import HistoryStore, enrollee_history
from gateway.v1 import coverage_pb2 as pb


@dataclass(frozen=True, slots=True)
class HistoryMethods:
    """Serves insurers; there is one, in the writer."""

    store: HistoryStore
    door: Door
    versions_max: int

    def methods(self) -> tuple[Method, ...]:
        """The methods and who may call them."""
        return (
            Method(
                "CoverageService/GetEnrolleeHistory",
                frozenset({Role.INSURER}),
                unary=self.get_enrollee_history,
            ),
        )

    async def get_enrollee_history(self, request: bytes, context: Context) -> bytes:
        """Tell what was learned of an enrollee."""
        said = read(pb.GetEnrolleeHistoryRequest, request)
        target = Target(
            convert.insured_id(said.insured_id), convert.day(said.birth_date, "birth_date")
        )
        told = await enrollee_history(target, context, self.store, self.door, self.versions_max)
        return convert_history.enrollee_history(told).SerializeToString()
