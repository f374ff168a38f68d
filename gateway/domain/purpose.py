"""
For what a look at personal data is allowed: the decision over the published purposes.

Policy is data (`gateway/policy/purposes.toml`); this module only decides. Checks run in the
order of seed-requirements.md 1.3 and the first that fails names the denial.
"""

from __future__ import annotations

from datetime import date
from enum import Enum

from msgspec import Struct

from gateway.domain.period import Period


class Role(Enum):
    """Who a certificate says its holder is."""

    INSTITUTION = "institution"
    INSURER = "insurer"
    REVIEW_BODY = "review-body"
    PORTAL = "portal"
    OPERATOR = "operator"


class Operation(Enum):
    """What is done with the data (seed-requirements.md 1.4)."""

    USE = "USE"
    DISCLOSE = "DISCLOSE"
    DISCLOSE_REVIEW = "DISCLOSE_REVIEW"
    REGISTER = "REGISTER"
    RECEIVE = "RECEIVE"


_TO_ANOTHER = frozenset({Operation.DISCLOSE, Operation.DISCLOSE_REVIEW, Operation.REGISTER})
"""Operations that hand data over, so that a request must say to whom."""


class DataCategory(Enum):
    """What is looked at (seed-requirements.md 1.2); those in use so far."""

    QUALIFICATION = "D-QUAL"
    CERTIFICATE = "D-CERT"
    NUMBER = "D-NUM"
    CHECK_UP = "D-TOKUTEI"
    BENEFIT = "D-BENEFIT"


class Purpose(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One published purpose (利用目的).

    `roles` may act, `recipients` may receive (empty: nobody beside the actor). In force from
    `effective_from` up to, not including, `effective_to`. `conditions` must each be shown to
    hold. `business` is the statutory business it serves (R000-G2).
    """

    code: str
    title_ja: str
    title_en: str
    business: str
    kind: Operation
    roles: frozenset[Role]
    data: frozenset[DataCategory]
    recipients: frozenset[Role] = frozenset()
    conditions: frozenset[str] = frozenset()
    is_number_allowed: bool = False
    effective_from: date
    effective_to: date | None = None


class Policy(Struct, frozen=True):
    """A version of the published list."""

    version: str
    purposes: dict[str, Purpose]


class Request(Struct, frozen=True):
    """A wish to look at personal data, or to register it."""

    purpose: str
    role: Role
    operation: Operation
    data: frozenset[DataCategory]
    recipient: Role | None = None
    conditions: frozenset[str] = frozenset()


def denial(request: Request, policy: Policy, on: date) -> str | None:
    """
    Why a request is denied on a day, or None if it is allowed.

    Returns:
        A reason of `gateway.domain.reasons`, the first check that fails.
    """
    purpose = policy.purposes.get(request.purpose)
    if purpose is None:
        return "PURPOSE_UNKNOWN"
    checks = (
        (Period(purpose.effective_from, purpose.effective_to).holds_on(on), "PURPOSE_NOT_IN_FORCE"),
        (request.role in purpose.roles, "ACTOR_NOT_ALLOWED"),
        (request.operation is purpose.kind, "KIND_MISMATCH"),
        (
            request.recipient in purpose.recipients
            or (request.recipient is None and purpose.kind not in _TO_ANOTHER),
            "RECIPIENT_NOT_ALLOWED",
        ),
        (request.data - {DataCategory.NUMBER} <= purpose.data, "DATA_NOT_IN_PURPOSE"),
        (purpose.conditions <= request.conditions, "CONDITION_MISSING"),
        (
            DataCategory.NUMBER not in request.data or purpose.is_number_allowed,
            "MYNUMBER_FORBIDDEN",
        ),
    )
    return next((reason for holds, reason in checks if not holds), None)
