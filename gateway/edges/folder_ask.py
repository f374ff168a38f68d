"""
From a request file's bytes to a result file's: the question, the gateway, and the spelling.

Sources: oqs-interface.md 1.6, 2.1, 2.2 and 4.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import grpc
import structlog

from gateway.config import BridgeSettings
from gateway.domain.errors import InvalidInput, NotPermitted
from gateway.domain.period import Instant, tokyo_time
from gateway.edges.folder_wire import INTERNAL, failure, question, result
from gateway.formats.oqs_order import arrange_by
from gateway.formats.oqs_xml import (
    Envelope,
    Failure,
    decode_envelope,
    encode_confirmation,
    encode_failure,
    read_query,
)
from gateway.formats.text import Encoding
from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest, ConfirmEligibilityResponse

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


class Asker:
    """Makes a result file of a request file, by asking the gateway."""

    def __init__(
        self, stub: EligibilityStub, settings: BridgeSettings, now: Callable[[], Instant]
    ) -> None:
        self._stub = stub
        self._settings = settings
        self._now = now
        self._arrange = arrange_by(settings.element_order)

    async def answer(self, data: bytes) -> bytes:
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
            return encode_confirmation(
                request, result(response), self._encoding(envelope), self._arrange
            )
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
        return encode_failure(envelope, failed, now, self._encoding(envelope), self._arrange)

    def _encoding(self, envelope: Envelope) -> Encoding:
        match self._settings.result_encoding:
            case "utf-8":
                return "utf-8"
            case "shift_jis":
                return "shift_jis"
            case _:
                return envelope.encoding
