"""
The drop folders of one institution: a file into `req` is a question, a file in `res` its answer.

A bridge is a client of the gateway like any other and knows only the wire. A request is claimed
by renaming it into `work`, and leaves `work` only after its answer is durable in `res`; whatever
a crash leaves in `work` is answered at the next start. The official interface specification is
not public; the behaviour follows what independent clients expect, see docs/folders.md.
Nothing here logs a file's name or content. Sources: oqs-interface.md 1.1-1.6, 5.19 and 5.20.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

import grpc
import structlog

from gateway.config import BridgeSettings
from gateway.domain.errors import InvalidInput, NotPermitted, Refusal
from gateway.domain.period import Instant, tokyo_time
from gateway.edges.folder_files import Files, Watch, key_of
from gateway.edges.folder_wire import INTERNAL, failure, question, result
from gateway.formats.oqs_xml import (
    Envelope,
    Failure,
    decode_envelope,
    encode_confirmation,
    encode_failure,
    encode_rejection,
    read_query,
)
from gateway.formats.text import Encoding
from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest, ConfirmEligibilityResponse

RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 5.0

_AWAY: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
    }
)

_log = structlog.get_logger()


class Confirm(Protocol):
    """The one method of the gateway the bridge calls; `timeout` in seconds."""

    def __call__(
        self, request: ConfirmEligibilityRequest, /, *, timeout: float | None = None
    ) -> Awaitable[ConfirmEligibilityResponse]:
        """Ask."""


class EligibilityStub(Protocol):
    """What the bridge needs of an `EligibilityServiceStub` on a `grpc.aio` channel."""

    @property
    def ConfirmEligibility(self) -> Confirm:  # noqa: N802  the name is the contract's
        """Confirm eligibility."""


class FolderBridge:
    """
    Answers one institution's request files until told to stop.

    While the gateway is away, at most `requests_in_flight_max` requests wait in `work` and are
    asked again with a growing pause; the others wait in `req`. None is lost.

    Args:
        stub: The gateway, on a channel with the institution's certificate.

        settings: Folders, times and limits. `work` must be on the file system of `req`.

        now: The time of results that the gateway did not make.
    """

    def __init__(
        self, stub: EligibilityStub, settings: BridgeSettings, now: Callable[[], Instant]
    ) -> None:
        if len({settings.req, settings.res, settings.work}) != len(("req", "res", "work")):
            raise ValueError("req, res and work must be three folders")
        self._stub = stub
        self._settings = settings
        self._now = now
        self._watch = Watch(settings)
        self._files = Files(settings)
        self._slots = asyncio.Semaphore(settings.requests_in_flight_max)
        self._busy: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Answer what lies in `work` and whatever comes into `req`, until `stop` is set."""
        leftovers = await asyncio.to_thread(self._files.prepare)
        async with asyncio.TaskGroup() as group:
            for name in leftovers:
                await self._slots.acquire()
                if stop.is_set():
                    break
                self._begin(group, name, stop)
            while not stop.is_set():
                await self._sweep(group, stop)
                await _is_stopped(stop, self._settings.poll_ms / 1000)

    async def _sweep(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        """Claim what is written to its end, one by one, as far as slots are free."""
        try:
            ready = await asyncio.to_thread(self._watch.ready, asyncio.get_running_loop().time())
        except OSError as error:
            _log.warning("folder_unreadable", errno=error.errno)
            return
        for found in ready:
            await self._slots.acquire()
            if stop.is_set():
                return
            if key_of(found.name) in self._busy or not await asyncio.to_thread(
                self._files.claim, found
            ):
                self._slots.release()
                continue
            self._begin(group, found.name, stop)

    def _begin(self, group: asyncio.TaskGroup, name: str, stop: asyncio.Event) -> None:
        self._busy.add(key_of(name))
        group.create_task(self._finish(name, stop))

    async def _finish(self, name: str, stop: asyncio.Event) -> None:
        """See a claimed request to its end, or leave it in `work` when told to stop."""
        pause_s = RETRY_FIRST_S
        try:
            while not await self._is_done(name):
                if await _is_stopped(stop, pause_s):
                    return
                pause_s = min(2 * pause_s, RETRY_MAX_S)
        finally:
            self._busy.discard(key_of(name))
            self._slots.release()

    async def _is_done(self, name: str) -> bool:
        try:
            data = await asyncio.to_thread(self._files.read, name)
            if data is None:
                return True
            try:
                answer = await self._answer(data)
            except Refusal as refusal:
                _log.info("folder_request_rejected", reason=refusal.reason)
                await asyncio.to_thread(self._files.reject, name, encode_rejection(refusal))
            else:
                await asyncio.to_thread(self._files.deliver, name, answer)
        except grpc.aio.AioRpcError as error:
            _log.warning("folder_gateway_away", code=error.code().name)
            return False
        except OSError as error:
            _log.warning("folder_unwritable", errno=error.errno)
            return False
        return True

    async def _answer(self, data: bytes) -> bytes:
        """
        Give the result file for a request file.

        Raises:
            Refusal: If there is nobody to give a result to: the file is rejected.
            grpc.aio.AioRpcError: If the gateway cannot be reached; try again.
        """
        envelope = decode_envelope(data, self._settings.request_bytes_max)
        if envelope.institution_code != self._settings.institution_code:
            raise NotPermitted("INSTITUTION_NOT_CALLER", "MedicalInstitutionCode")
        try:
            request = read_query(envelope)
        except InvalidInput as refusal:
            return self._failed(envelope, Failure.of(refusal))
        try:
            response = await self._stub.ConfirmEligibility(
                question(request), timeout=self._settings.confirm_deadline_ms / 1000
            )
            return encode_confirmation(request, result(response), self._encoding(envelope))
        except grpc.aio.AioRpcError as error:
            if error.code() in _AWAY:
                raise
            return self._failed(envelope, failure(error))
        except Exception as bug:  # noqa: BLE001  the clinic gets an answer even to our bug
            _log.error("folder_bug", kind=type(bug).__name__)
            return self._failed(envelope, INTERNAL)

    def _failed(self, envelope: Envelope, failed: Failure) -> bytes:
        if failed.is_whole:
            _log.warning("folder_request_failed", reason=failed.reason)
        now = tokyo_time(self._now())
        return encode_failure(envelope, failed, now, self._encoding(envelope))

    def _encoding(self, envelope: Envelope) -> Encoding:
        match self._settings.result_encoding:
            case "utf-8":
                return "utf-8"
            case "shift_jis":
                return "shift_jis"
            case _:
                return envelope.encoding


async def _is_stopped(stop: asyncio.Event, seconds: float) -> bool:
    """Wait for so long, or until told to stop, and tell whether that happened."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
