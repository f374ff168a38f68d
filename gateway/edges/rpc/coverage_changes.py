"""CoverageService's typed changes, and its list of what is to be collected, in the writer."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import Message

from gateway.domain.errors import Refusal
from gateway.domain.purpose import Role
from gateway.edges.rpc import convert_changes, convert_collections
from gateway.edges.rpc.convert import timestamp
from gateway.edges.rpc.server import Method, read
from gateway.formats.coverage_columns import Action
from gateway.store.port_beside import Vault
from gateway.store.port_insurers import Lists
from gateway.usecases.context import Context
from gateway.usecases.desk import Desk
from gateway.usecases.door import Door
from gateway.usecases.list_collections import list_collections
from gateway.usecases.register_coverage import register
from gateway.v1 import coverage_changes_pb2 as pb

INSURERS = frozenset({Role.INSURER})


@dataclass(frozen=True, slots=True)
class ChangeMethods:
    """Serves insurers; there is one, in the writer."""

    store: Lists
    vault: Vault
    desk: Desk
    door: Door

    def methods(self) -> tuple[Method, ...]:
        """The methods and who may call them."""
        handlers = {
            "RegisterAcquisition": self.register_acquisition,
            "ChangeItems": self.change_items,
            "RegisterLoss": self.register_loss,
            "CorrectCoverage": self.correct_coverage,
            "CancelCoverage": self.cancel_coverage,
            "ListCollections": self.list_collections,
        }
        return tuple(
            Method(f"CoverageService/{name}", INSURERS, unary=handler)
            for name, handler in handlers.items()
        )

    async def register_acquisition(self, request: bytes, context: Context) -> bytes:
        """Let cover begin."""
        said = read(pb.RegisterAcquisitionRequest, request)
        done = pb.RegisterAcquisitionResponse()
        return await self._answered(Action.NEW, said, said.request_id, context, done)

    async def change_items(self, request: bytes, context: Context) -> bytes:
        """Change items."""
        said = read(pb.ChangeItemsRequest, request)
        done = pb.ChangeItemsResponse()
        return await self._answered(Action.CHANGE, said, said.request_id, context, done)

    async def register_loss(self, request: bytes, context: Context) -> bytes:
        """Let cover end."""
        said = read(pb.RegisterLossRequest, request)
        done = pb.RegisterLossResponse()
        return await self._answered(Action.LOSS, said, said.request_id, context, done)

    async def correct_coverage(self, request: bytes, context: Context) -> bytes:
        """Correct what was registered."""
        said = read(pb.CorrectCoverageRequest, request)
        done = pb.CorrectCoverageResponse()
        return await self._answered(Action.CORRECT, said, said.request_id, context, done)

    async def cancel_coverage(self, request: bytes, context: Context) -> bytes:
        """Take a cover back."""
        said = read(pb.CancelCoverageRequest, request)
        done = pb.CancelCoverageResponse()
        return await self._answered(Action.CANCEL, said, said.request_id, context, done)

    async def list_collections(self, request: bytes, context: Context) -> bytes:
        """List the caller's covers that ended by where their papers are."""
        said = read(pb.ListCollectionsRequest, request)
        state, after, covers_max = convert_collections.page_asked(said)
        page = await list_collections(state, after, covers_max, context, self.store, self.door)
        return convert_collections.collections(page).SerializeToString()

    async def _answered(
        self, action: Action, said: Message, request_id: str, context: Context, done: _Response
    ) -> bytes:
        change = convert_changes.change(action, said)
        try:
            registered = await register(
                change, request_id, context, self.store, self.vault, self.desk, self.door
            )
        except Refusal as refusal:
            raise convert_changes.named(refusal, said) from None
        done.is_changed = registered.is_changed
        done.applied_time.CopyFrom(timestamp(registered.applied_time))
        return done.SerializeToString()


_Response = (
    pb.RegisterAcquisitionResponse
    | pb.ChangeItemsResponse
    | pb.RegisterLossResponse
    | pb.CorrectCoverageResponse
    | pb.CancelCoverageResponse
)
