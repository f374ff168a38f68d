"""Every refusal has one status, with details every language can decode, and no value in it."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from gateway.domain.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    NotPermitted,
    Refusal,
    TooMuch,
    Unavailable,
)
from gateway.edges.rpc.status import ERROR_DOMAIN, code_of, status_of, status_of_bug

CODES = [
    (InvalidInput("CHECK_DIGIT_WRONG", "insurer_number"), grpc.StatusCode.INVALID_ARGUMENT),
    (NotPermitted("ROLE_NOT_ALLOWED"), grpc.StatusCode.PERMISSION_DENIED),
    (NotFound("UPLOAD_UNKNOWN"), grpc.StatusCode.NOT_FOUND),
    (Conflict("COVERAGE_EXISTS"), grpc.StatusCode.FAILED_PRECONDITION),
    (TooMuch("MESSAGE_TOO_LARGE"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Unavailable("WRITER_UNAVAILABLE"), grpc.StatusCode.UNAVAILABLE),
]


def detail(status: status_pb2.Status, kind: type) -> list[object]:
    """The details of a kind."""
    found = []
    for packed in status.details:
        message = kind()
        if packed.Unpack(message):
            found.append(message)
    return found


@pytest.mark.parametrize(("refusal", "code"), CODES)
def test_each_kind_of_refusal_has_its_code(refusal: Refusal, code: grpc.StatusCode) -> None:
    """The status code follows from whose fault it is."""
    assert code == code_of(refusal)
    assert code.value[0] == status_of(refusal).code


@pytest.mark.parametrize(("refusal", "_code"), CODES)
def test_each_refusal_names_reason_and_advice_in_two_languages(
    refusal: Refusal, _code: grpc.StatusCode
) -> None:
    """A program reads the reason, the desk reads the advice."""
    status = status_of(refusal)
    (info,) = detail(status, error_details_pb2.ErrorInfo)
    texts = detail(status, error_details_pb2.LocalizedMessage)

    assert (refusal.reason, ERROR_DOMAIN) == (info.reason, info.domain)
    assert {"ja": refusal.advice.ja, "en": refusal.advice.en} == {
        text.locale: text.message for text in texts
    }


def test_a_bad_field_is_a_field_violation() -> None:
    """The field is named by its path, without its value."""
    (request,) = detail(
        status_of(InvalidInput("LENGTH_WRONG", "insured_id.branch")), error_details_pb2.BadRequest
    )
    (violation,) = request.field_violations

    assert (violation.field, violation.reason) == ("insured_id.branch", "LENGTH_WRONG")


def test_what_may_help_to_try_again_says_when() -> None:
    """Only an unavailable part carries a retry hint."""
    for refusal, _ in CODES:
        hints = detail(status_of(refusal), error_details_pb2.RetryInfo)
        assert isinstance(refusal, Unavailable) == bool(hints)


def test_a_bug_shows_its_id_only() -> None:
    """A caller learns that it is ours and under which id it is logged."""
    status = status_of_bug("abc123")
    (info,) = detail(status, error_details_pb2.ErrorInfo)

    assert (grpc.StatusCode.INTERNAL.value[0], {"bug_id": "abc123"}) == (
        status.code,
        dict(info.metadata),
    )
