"""
One mapping from what can go wrong to a gRPC status, and no other.

A refusal becomes its kind's code with `google.rpc` details: ErrorInfo (reason, domain,
metadata), BadRequest for a field, LocalizedMessage in Japanese and English, RetryInfo where
trying again may help. Anything else is a bug: the caller sees INTERNAL and an id.
"""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from gateway.domain.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    NotPermitted,
    Refusal,
    TooMuch,
    Unavailable,
)

ERROR_DOMAIN: Final = "onshi-gateway"
RETRY_AFTER_S: Final = 1
DETAILS_KEY: Final = "grpc-status-details-bin"

_CODES: Final[dict[type[Refusal], grpc.StatusCode]] = {
    InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    NotPermitted: grpc.StatusCode.PERMISSION_DENIED,
    NotFound: grpc.StatusCode.NOT_FOUND,
    Conflict: grpc.StatusCode.FAILED_PRECONDITION,
    TooMuch: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
}


def code_of(refusal: Refusal) -> grpc.StatusCode:
    """The status code of a refusal's kind."""
    return _CODES[type(refusal)]


def status_of(refusal: Refusal) -> status_pb2.Status:
    """Spell a refusal as `google.rpc.Status`. Holds no value from the input."""
    advice = refusal.advice
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=refusal.reason, domain=ERROR_DOMAIN, metadata=refusal.metadata
        ),
        error_details_pb2.LocalizedMessage(locale="ja", message=advice.ja),
        error_details_pb2.LocalizedMessage(locale="en", message=advice.en),
    ]
    if isinstance(refusal, InvalidInput):
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=refusal.field, reason=refusal.reason, description=advice.technician_en
                    )
                ]
            )
        )
    if isinstance(refusal, Unavailable):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.seconds = RETRY_AFTER_S
        details.append(retry)
    return status_pb2.Status(
        code=code_of(refusal).value[0],
        message=f"{refusal}. {advice.en}",
        details=[_packed(detail) for detail in details],
    )


def status_of_bug(bug_id: str) -> status_pb2.Status:
    """What a caller learns of a bug: that it is ours, and the id under which it is logged."""
    info = error_details_pb2.ErrorInfo(
        reason="INTERNAL", domain=ERROR_DOMAIN, metadata={"bug_id": bug_id}
    )
    return status_pb2.Status(
        code=code_pb2.INTERNAL, message=f"internal error {bug_id}", details=[_packed(info)]
    )


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
