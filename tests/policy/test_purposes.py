"""Test vectors of the published purposes: each code allowed once, and denied for each reason."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec import structs

from gateway.domain.purpose import DataCategory, Operation, Purpose, Request, Role, denial
from gateway.policy import published_policy
from gateway.usecases import (
    check_claims,
    confirm_eligibility,
    dispose,
    enrollee_history,
    inquiries,
    list_collections,
    list_overlaps,
    number_oversight,
    number_stages,
    portal,
    register_coverage,
    upload_coverage,
    watch_changes,
)
from gateway.usecases.door import Errand

ON = date(2026, 4, 15)
QUALIFICATION, CERTIFICATE = DataCategory.QUALIFICATION, DataCategory.CERTIFICATE

ALLOWED = {
    "KP7-OR-01": Request(
        "KP7-OR-01",
        Role.INSURER,
        Operation.REGISTER,
        frozenset({QUALIFICATION, CERTIFICATE, DataCategory.NUMBER}),
        Role.OPERATOR,
    ),
    "OQS-MED-01": Request(
        "OQS-MED-01",
        Role.INSTITUTION,
        Operation.DISCLOSE,
        frozenset({QUALIFICATION, CERTIFICATE}),
        Role.INSTITUTION,
    ),
    "KP4-R-01": Request(
        "KP4-R-01",
        Role.REVIEW_BODY,
        Operation.DISCLOSE_REVIEW,
        frozenset({QUALIFICATION}),
        Role.REVIEW_BODY,
    ),
    "OQS-PER-01": Request(
        "OQS-PER-01",
        Role.PORTAL,
        Operation.REGISTER,
        frozenset({QUALIFICATION}),
        Role.OPERATOR,
    ),
    "OQS-PER-02": Request(
        "OQS-PER-02",
        Role.PORTAL,
        Operation.DISCLOSE,
        frozenset({QUALIFICATION}),
        Role.PORTAL,
    ),
    "OQS-PER-03": Request(
        "OQS-PER-03",
        Role.PORTAL,
        Operation.DISCLOSE,
        frozenset({QUALIFICATION}),
        Role.PORTAL,
    ),
    "KP1-D-08": Request(
        "KP1-D-08",
        Role.INSURER,
        Operation.DISCLOSE,
        frozenset({QUALIFICATION, DataCategory.BENEFIT}),
        Role.INSURER,
    ),
    "KP1-I-01": Request(
        "KP1-I-01",
        Role.INSURER,
        Operation.USE,
        frozenset({QUALIFICATION, CERTIFICATE}),
    ),
    "OQS-INS-01": Request(
        "OQS-INS-01",
        Role.INSURER,
        Operation.DISCLOSE,
        frozenset({QUALIFICATION}),
        Role.INSURER,
    ),
    "OQS-INS-02": Request(
        "OQS-INS-02",
        Role.INSURER,
        Operation.DISCLOSE,
        frozenset({QUALIFICATION}),
        Role.INSURER,
    ),
    "OQS-GOV-01": Request("OQS-GOV-01", Role.OPERATOR, Operation.USE, frozenset({QUALIFICATION})),
    "OQS-MED-02": Request(
        "OQS-MED-02",
        Role.INSTITUTION,
        Operation.DISCLOSE,
        frozenset({QUALIFICATION}),
        Role.INSTITUTION,
    ),
    "OQS-LNK-01": Request(
        "OQS-LNK-01",
        Role.INSURER,
        Operation.DISCLOSE,
        frozenset({QUALIFICATION}),
        Role.INSURER,
    ),
}
"""One request for each published code that is allowed; a new code adds its own."""

DENIED = {
    "KP7-OR-01": [
        ({"role": Role.INSTITUTION}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.OPERATOR}, "ACTOR_NOT_ALLOWED"),
        ({"operation": Operation.DISCLOSE}, "KIND_MISMATCH"),
        ({"recipient": Role.INSTITUTION}, "RECIPIENT_NOT_ALLOWED"),
        ({"recipient": None}, "RECIPIENT_NOT_ALLOWED"),
    ],
    "OQS-MED-01": [
        ({"role": Role.INSURER}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.REVIEW_BODY}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.PORTAL}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.OPERATOR}, "ACTOR_NOT_ALLOWED"),
        ({"operation": Operation.REGISTER}, "KIND_MISMATCH"),
        ({"recipient": Role.INSURER}, "RECIPIENT_NOT_ALLOWED"),
        ({"recipient": None}, "RECIPIENT_NOT_ALLOWED"),
        ({"data": frozenset({DataCategory.CHECK_UP})}, "DATA_NOT_IN_PURPOSE"),
        ({"data": frozenset({QUALIFICATION, DataCategory.NUMBER})}, "MYNUMBER_FORBIDDEN"),
        (
            {"role": Role.INSURER, "data": frozenset({DataCategory.NUMBER})},
            "ACTOR_NOT_ALLOWED",
        ),
    ],
    "KP4-R-01": [
        ({"role": Role.INSTITUTION}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.INSURER}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.PORTAL}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.OPERATOR}, "ACTOR_NOT_ALLOWED"),
        ({"operation": Operation.DISCLOSE}, "KIND_MISMATCH"),
        ({"recipient": Role.INSURER}, "RECIPIENT_NOT_ALLOWED"),
        ({"recipient": None}, "RECIPIENT_NOT_ALLOWED"),
        ({"data": frozenset({QUALIFICATION, CERTIFICATE})}, "DATA_NOT_IN_PURPOSE"),
        ({"data": frozenset({QUALIFICATION, DataCategory.NUMBER})}, "MYNUMBER_FORBIDDEN"),
    ],
    "OQS-PER-01": [
        ({"role": Role.INSTITUTION}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.INSURER}, "ACTOR_NOT_ALLOWED"),
        ({"operation": Operation.DISCLOSE}, "KIND_MISMATCH"),
        ({"recipient": Role.PORTAL}, "RECIPIENT_NOT_ALLOWED"),
        ({"data": frozenset({CERTIFICATE})}, "DATA_NOT_IN_PURPOSE"),
        ({"data": frozenset({QUALIFICATION, DataCategory.NUMBER})}, "MYNUMBER_FORBIDDEN"),
    ],
    "OQS-PER-02": [
        ({"role": Role.INSTITUTION}, "ACTOR_NOT_ALLOWED"),
        ({"operation": Operation.REGISTER}, "KIND_MISMATCH"),
        ({"recipient": Role.INSTITUTION}, "RECIPIENT_NOT_ALLOWED"),
        ({"data": frozenset({CERTIFICATE})}, "DATA_NOT_IN_PURPOSE"),
    ],
    "OQS-PER-03": [
        ({"role": Role.INSTITUTION}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.INSURER}, "ACTOR_NOT_ALLOWED"),
        ({"operation": Operation.REGISTER}, "KIND_MISMATCH"),
        ({"recipient": Role.INSURER}, "RECIPIENT_NOT_ALLOWED"),
        ({"data": frozenset({CERTIFICATE})}, "DATA_NOT_IN_PURPOSE"),
    ],
    "KP1-D-08": [
        ({"role": Role.INSTITUTION}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.PORTAL}, "ACTOR_NOT_ALLOWED"),
        ({"operation": Operation.REGISTER}, "KIND_MISMATCH"),
        ({"recipient": Role.INSTITUTION}, "RECIPIENT_NOT_ALLOWED"),
        ({"recipient": None}, "RECIPIENT_NOT_ALLOWED"),
        ({"data": frozenset({CERTIFICATE})}, "DATA_NOT_IN_PURPOSE"),
        ({"data": frozenset({DataCategory.CHECK_UP})}, "DATA_NOT_IN_PURPOSE"),
        ({"data": frozenset({QUALIFICATION, DataCategory.NUMBER})}, "MYNUMBER_FORBIDDEN"),
    ],
    "KP1-I-01": [
        ({"role": Role.INSTITUTION}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.PORTAL}, "ACTOR_NOT_ALLOWED"),
        ({"operation": Operation.DISCLOSE}, "KIND_MISMATCH"),
        ({"recipient": Role.INSURER}, "RECIPIENT_NOT_ALLOWED"),
        ({"data": frozenset({DataCategory.BENEFIT})}, "DATA_NOT_IN_PURPOSE"),
        ({"data": frozenset({QUALIFICATION, DataCategory.NUMBER})}, "MYNUMBER_FORBIDDEN"),
    ],
    "OQS-INS-01": [
        ({"role": Role.INSTITUTION}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.REVIEW_BODY}, "ACTOR_NOT_ALLOWED"),
        ({"operation": Operation.REGISTER}, "KIND_MISMATCH"),
        ({"recipient": Role.INSTITUTION}, "RECIPIENT_NOT_ALLOWED"),
        ({"data": frozenset({QUALIFICATION, DataCategory.BENEFIT})}, "DATA_NOT_IN_PURPOSE"),
        ({"data": frozenset({QUALIFICATION, DataCategory.NUMBER})}, "MYNUMBER_FORBIDDEN"),
    ],
    "OQS-INS-02": [
        ({"role": Role.INSTITUTION}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.REVIEW_BODY}, "ACTOR_NOT_ALLOWED"),
        ({"operation": Operation.REGISTER}, "KIND_MISMATCH"),
        ({"recipient": Role.INSTITUTION}, "RECIPIENT_NOT_ALLOWED"),
        ({"recipient": None}, "RECIPIENT_NOT_ALLOWED"),
        ({"data": frozenset({CERTIFICATE})}, "DATA_NOT_IN_PURPOSE"),
        ({"data": frozenset({QUALIFICATION, DataCategory.NUMBER})}, "MYNUMBER_FORBIDDEN"),
    ],
    "OQS-GOV-01": [
        ({"role": Role.INSURER}, "ACTOR_NOT_ALLOWED"),
        ({"operation": Operation.DISCLOSE}, "KIND_MISMATCH"),
        ({"recipient": Role.INSTITUTION}, "RECIPIENT_NOT_ALLOWED"),
        ({"data": frozenset({CERTIFICATE})}, "DATA_NOT_IN_PURPOSE"),
        ({"data": frozenset({QUALIFICATION, DataCategory.NUMBER})}, "MYNUMBER_FORBIDDEN"),
    ],
    "OQS-MED-02": [
        ({"role": Role.INSURER}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.PORTAL}, "ACTOR_NOT_ALLOWED"),
        ({"operation": Operation.USE}, "KIND_MISMATCH"),
        ({"recipient": Role.INSURER}, "RECIPIENT_NOT_ALLOWED"),
        ({"data": frozenset({CERTIFICATE})}, "DATA_NOT_IN_PURPOSE"),
        ({"data": frozenset({QUALIFICATION, DataCategory.NUMBER})}, "MYNUMBER_FORBIDDEN"),
    ],
    "OQS-LNK-01": [
        ({"role": Role.INSTITUTION}, "ACTOR_NOT_ALLOWED"),
        ({"role": Role.PORTAL}, "ACTOR_NOT_ALLOWED"),
        ({"operation": Operation.REGISTER}, "KIND_MISMATCH"),
        ({"recipient": Role.OPERATOR}, "RECIPIENT_NOT_ALLOWED"),
        ({"data": frozenset({CERTIFICATE})}, "DATA_NOT_IN_PURPOSE"),
        ({"data": frozenset({QUALIFICATION, DataCategory.NUMBER})}, "MYNUMBER_FORBIDDEN"),
    ],
}
"""For each published code, what is changed about the allowed request and the first reason."""


def test_every_published_code_has_its_vectors() -> None:
    """A code without an allowed and a denied request here is not published."""
    codes = set(published_policy().purposes)
    assert codes == set(ALLOWED)
    assert codes == set(DENIED)


@pytest.mark.parametrize("code", ALLOWED)
def test_code_is_allowed(code: str) -> None:
    """The published roles, kind, recipients and data pass."""
    assert denial(ALLOWED[code], published_policy(), ON) is None


@pytest.mark.parametrize(
    ("code", "change", "reason"),
    [(code, change, reason) for code, vectors in DENIED.items() for change, reason in vectors],
)
def test_code_is_denied_with_the_first_reason(
    code: str, change: dict[str, object], reason: str
) -> None:
    """Anything outside what was published is denied for the first check it fails."""
    request = structs.replace(ALLOWED[code], **change)
    assert reason == denial(request, published_policy(), ON)


@pytest.mark.parametrize("code", ALLOWED)
def test_code_is_not_in_force_before_its_day(code: str) -> None:
    """On the day before its publication took effect, the same request is denied."""
    before = date.fromordinal(published_policy().purposes[code].effective_from.toordinal() - 1)
    expected = "PURPOSE_NOT_IN_FORCE"
    assert expected == denial(ALLOWED[code], published_policy(), before)


@pytest.mark.parametrize("purpose", published_policy().purposes.values(), ids=lambda p: p.code)
def test_purpose_serves_a_statutory_business(purpose: Purpose) -> None:
    """Each purpose names its business and both titles, and hands nothing to nobody (R000-G2)."""
    assert purpose.business
    assert purpose.title_ja
    assert purpose.title_en.isascii()
    assert purpose.roles
    assert purpose.recipients or purpose.kind is Operation.USE


@pytest.mark.parametrize("code", sorted(ALLOWED))
def test_a_my_number_is_used_for_its_own_purpose_alone(code: str) -> None:
    """R002-18: with any purpose but an insurer's registration a My Number is denied."""
    request = structs.replace(ALLOWED[code], data=ALLOWED[code].data | {DataCategory.NUMBER})
    expected = None if code == "KP7-OR-01" else "MYNUMBER_FORBIDDEN"
    assert denial(request, published_policy(), ON) == expected


@pytest.mark.parametrize("role", Role)
def test_no_institution_can_reach_a_my_number(role: Role) -> None:
    """No published purpose hands a My Number to an institution or a review body (R003-18)."""
    numbered = [p for p in published_policy().purposes.values() if p.is_number_allowed]
    assert all(purpose.recipients == {Role.OPERATOR} for purpose in numbered)
    assert (role is Role.INSURER) == any(role in purpose.roles for purpose in numbered)


@pytest.mark.parametrize(
    ("errand", "role"),
    [
        (confirm_eligibility.ERRAND, Role.INSTITUTION),
        (register_coverage.ERRAND, Role.INSURER),
        (register_coverage.ERRAND_WITH_NUMBER, Role.INSURER),
        (upload_coverage.ERRAND, Role.INSURER),
        (number_oversight.LOOKS, Role.INSURER),
        (number_oversight.RECHECK, Role.INSURER),
        (number_stages.ERRAND, Role.INSURER),
        (portal.REGISTERING, Role.PORTAL),
        (portal.OWN_ACCESSES, Role.PORTAL),
        (portal.OWN_HISTORY, Role.PORTAL),
        (dispose.ERRAND, Role.OPERATOR),
        (enrollee_history.ERRAND, Role.INSURER),
        (check_claims.ERRAND, Role.REVIEW_BODY),
        (inquiries.ERRAND, Role.INSURER),
        (inquiries.ERRAND_WITH_BENEFITS, Role.INSURER),
        (list_collections.ERRAND, Role.INSURER),
        (list_overlaps.ERRAND, Role.INSURER),
        *((errand, role) for role, errand in watch_changes.ERRANDS.items()),
    ],
)
def test_every_errand_of_the_house_is_allowed_to_its_role_only(errand: Errand, role: Role) -> None:
    """What our own use cases ask for is published, for one role and no other."""
    allowed = [
        each
        for each in Role
        if denial(
            Request(errand.purpose, each, errand.operation, errand.data, errand.recipient),
            published_policy(),
            ON,
        )
        is None
    ]
    expected = [role]
    assert expected == allowed
