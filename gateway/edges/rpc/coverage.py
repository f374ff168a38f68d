"""CoverageService as the writer serves it: files in streams, single changes, and their reports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from gateway.domain.changes import Change, LinkNumber, Target
from gateway.domain.errors import InvalidInput, Refusal
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.purpose import Role
from gateway.edges.rpc import convert, convert_card, convert_insurers, convert_uploads
from gateway.edges.rpc.server import Method, read
from gateway.formats.coverage_csv import decode_cells
from gateway.store.port import Upload, UploadState
from gateway.store.port_beside import Vault
from gateway.store.port_insurers import Lists
from gateway.usecases.apply_uploads import Applier
from gateway.usecases.context import Context
from gateway.usecases.desk import Desk
from gateway.usecases.door import Door
from gateway.usecases.list_overlaps import list_overlaps
from gateway.usecases.list_refused_lines import list_refused_lines
from gateway.usecases.number_stages import number_stages
from gateway.usecases.register_coverage import Registered, register
from gateway.usecases.upload_coverage import Receiver, Receiving, upload_key_of
from gateway.v1 import coverage_pb2 as pb

INSURERS = frozenset({Role.INSURER})

APPLYING_TOLD_S: Final = 0.5
"""How often a sender that waits for its report is told how far applying is."""


@dataclass(frozen=True, slots=True)
class CoverageService:
    """Takes what insurers say; there is one, in the writer."""

    store: Lists
    vault: Vault
    desk: Desk
    door: Door
    receiver: Receiver
    applier: Applier
    idle_s: float

    def methods(self) -> tuple[Method, ...]:
        """The methods and who may call them."""
        return (
            Method("CoverageService/UploadCoverage", INSURERS, stream=self.upload_coverage),
            Method("CoverageService/GetUpload", INSURERS, unary=self.get_upload),
            Method("CoverageService/ListRefusedLines", INSURERS, unary=self.list_refused_lines),
            Method("CoverageService/RegisterCoverage", INSURERS, unary=self.register_coverage),
            Method(
                "CoverageService/RegisterIndividualNumber",
                INSURERS,
                unary=self.register_individual_number,
            ),
            Method(
                "CoverageService/GetIndividualNumberStages",
                INSURERS,
                unary=self.get_individual_number_stages,
            ),
            Method("CoverageService/ListOverlaps", INSURERS, unary=self.list_overlaps),
        )

    async def upload_coverage(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        """Take a file; see the proto for the order of messages and what is refused."""
        first = await self._next(requests)
        if first is None or first.WhichOneof("step") != "start":
            raise InvalidInput("FIELD_REQUIRED", "start")
        async with self.receiver.receiving(
            context, first.start.request_id, is_dry_run=first.start.is_dry_run
        ) as receiving:
            yield _progress(receiving.durable_offset)
            while True:
                message = await self._next(requests)
                if message is None:
                    return
                match message.WhichOneof("step"):
                    case "chunk":
                        yield _progress(
                            await receiving.append(message.chunk.offset, message.chunk.data)
                        )
                    case "finish":
                        break
                    case _:
                        raise InvalidInput("MESSAGE_MALFORMED", "step")
            yield await _received(receiving, message.finish)
        async for event in self._until_reported(context, first.start.request_id):
            yield event

    async def _next(self, requests: AsyncIterator[bytes]) -> pb.UploadCoverageRequest | None:
        """The next message; None when the sender stopped sending, or was silent too long."""
        try:
            message = await asyncio.wait_for(anext(requests, None), self.idle_s)
        except TimeoutError:
            return None
        return None if message is None else read(pb.UploadCoverageRequest, message)

    async def _until_reported(self, context: Context, request_id: str) -> AsyncIterator[bytes]:
        """Tell now and then how far applying is, then the report."""
        insurer = InsurerNumber(context.caller.code)
        upload_key = upload_key_of(insurer, request_id)
        applied = asyncio.create_task(self.applier.until_applied(upload_key))
        try:
            while not (await asyncio.wait((applied,), timeout=APPLYING_TOLD_S))[0]:
                upload = await self.store.upload(upload_key)
                assert upload is not None
                yield _applying(upload)
            await applied
        finally:
            applied.cancel()
        _, report = await self.receiver.status(insurer, request_id)
        assert report is not None
        yield pb.UploadCoverageResponse(report=convert.report(report)).SerializeToString()

    async def get_upload(self, request: bytes, context: Context) -> bytes:
        """Give the state of an upload of the caller."""
        said = read(pb.GetUploadRequest, request)
        insurer = InsurerNumber(context.caller.code)
        offset, report = await self.receiver.status(insurer, said.request_id)
        if report is None:
            return pb.GetUploadResponse(
                state=pb.UPLOAD_STATE_RECEIVING, durable_offset=offset
            ).SerializeToString()
        upload = report.upload
        is_applied = upload.state is UploadState.APPLIED
        return pb.GetUploadResponse(
            state=pb.UPLOAD_STATE_APPLIED if is_applied else pb.UPLOAD_STATE_RECEIVED,
            durable_offset=offset,
            report=convert.report(report) if is_applied else None,
            lines_read=upload.lines_read,
            lines_total=upload.lines_total or 0,
            is_dry_run=upload.is_dry_run,
        ).SerializeToString()

    async def list_refused_lines(self, request: bytes, context: Context) -> bytes:
        """List the refused lines of an upload of the caller."""
        said = read(pb.ListRefusedLinesRequest, request)
        after, lines_max = convert_uploads.refused_page(said)
        insurer = InsurerNumber(context.caller.code)
        page = await list_refused_lines(insurer, said.request_id, after, lines_max, self.receiver)
        return convert_uploads.refused_lines(page).SerializeToString()

    async def register_coverage(self, request: bytes, context: Context) -> bytes:
        """Register one change, given as cells."""
        said = read(pb.RegisterCoverageRequest, request)
        try:
            change = decode_cells(said.cells)
        except Refusal as refusal:
            raise refusal.within(f"cells.{refusal.field}") from None
        done = await self._register(change, said.request_id, context)
        return pb.RegisterCoverageResponse(
            is_changed=done.is_changed, applied_time=convert.timestamp(done.applied_time)
        ).SerializeToString()

    async def register_individual_number(self, request: bytes, context: Context) -> bytes:
        """Link an enrollee to a person."""
        said = read(pb.RegisterIndividualNumberRequest, request)
        change = LinkNumber(
            Target(convert.insured_id(said.insured_id), convert.day(said.birth_date, "birth_date")),
            convert.individual_number(said.individual_number),
            is_correction=said.is_correction,
        )
        done = await self._register(change, said.request_id, context)
        return pb.RegisterIndividualNumberResponse(
            is_changed=done.is_changed, received_time=convert.timestamp(done.applied_time)
        ).SerializeToString()

    async def get_individual_number_stages(self, request: bytes, context: Context) -> bytes:
        """Tell how far the number of an enrollee has come."""
        said = read(pb.GetIndividualNumberStagesRequest, request)
        target = Target(
            convert.insured_id(said.insured_id), convert.day(said.birth_date, "birth_date")
        )
        check = await number_stages(target, context, self.store, self.door)
        return convert_card.stages(check).SerializeToString()

    async def list_overlaps(self, request: bytes, context: Context) -> bytes:
        """List the caller's enrollees whom another insurer covers too."""
        said = read(pb.ListOverlapsRequest, request)
        after, people_max = convert_insurers.overlap_page(said)
        page = await list_overlaps(after, people_max, context, self.store, self.door)
        return convert_insurers.overlaps(page).SerializeToString()

    async def _register(self, change: Change, request_id: str, context: Context) -> Registered:
        return await register(
            change, request_id, context, self.store, self.vault, self.desk, self.door
        )


def _progress(durable_offset: int) -> bytes:
    return pb.UploadCoverageResponse(
        progress=pb.UploadProgress(durable_offset=durable_offset)
    ).SerializeToString()


async def _received(receiving: Receiving, finish: pb.UploadFinish) -> bytes:
    upload = await receiving.finish(finish.size_bytes, finish.sha256)
    return pb.UploadCoverageResponse(
        received=pb.UploadReceived(
            size_bytes=upload.size_bytes,
            received_time=convert.timestamp(upload.received_time),
            lines_total=upload.lines_total or 0,
        )
    ).SerializeToString()


def _applying(upload: Upload) -> bytes:
    return pb.UploadCoverageResponse(
        applying=pb.UploadApplying(
            lines_read=upload.lines_read, lines_total=upload.lines_total or 0
        )
    ).SerializeToString()
