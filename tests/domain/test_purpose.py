"""Whether a look is allowed: the checks in their order, on a policy made for the purpose."""

from __future__ import annotations

from datetime import date
from itertools import combinations

import pytest
from msgspec import structs

from gateway.domain.purpose import (
    DataCategory,
    Operation,
    Policy,
    Purpose,
    Request,
    Role,
    denial,
)
from gateway.domain.reasons import REASONS

ON = date(2026, 4, 15)
PURPOSE = Purpose(
    code="T-01",
    title_ja="試験",
    title_en="Test",
    business="保険給付事業",
    kind=Operation.DISCLOSE,
    roles=frozenset({Role.INSURER}),
    recipients=frozenset({Role.OPERATOR}),
    data=frozenset({DataCategory.QUALIFICATION}),
    conditions=frozenset({"contract"}),
    effective_from=date(2026, 4, 1),
    effective_to=date(2026, 5, 1),
)
POLICY = Policy("1", {PURPOSE.code: PURPOSE})
REQUEST = Request(
    purpose=PURPOSE.code,
    role=Role.INSURER,
    operation=Operation.DISCLOSE,
    data=frozenset({DataCategory.QUALIFICATION}),
    recipient=Role.OPERATOR,
    conditions=frozenset({"contract"}),
)

WRONG = {
    "ACTOR_NOT_ALLOWED": {"role": Role.INSTITUTION},
    "KIND_MISMATCH": {"operation": Operation.USE},
    "RECIPIENT_NOT_ALLOWED": {"recipient": Role.PORTAL},
    "DATA_NOT_IN_PURPOSE": {"data": frozenset({DataCategory.CHECK_UP})},
    "CONDITION_MISSING": {"conditions": frozenset()},
    "MYNUMBER_FORBIDDEN": {"data": frozenset({DataCategory.NUMBER})},
}
"""What each reason is given for, in the order of the checks (seed-requirements.md 1.3)."""


def test_a_request_that_passes_every_check_is_allowed() -> None:
    """Listed role, kind, recipient, data and conditions, in force: no reason to deny."""
    assert denial(REQUEST, POLICY, ON) is None


@pytest.mark.parametrize("reason", WRONG)
def test_one_wrong_thing_is_named(reason: str) -> None:
    """A request that fails one check is denied for it, by a reason that has its advice."""
    assert reason == denial(structs.replace(REQUEST, **WRONG[reason]), POLICY, ON)
    assert reason in REASONS


@pytest.mark.parametrize(("first", "second"), list(combinations(WRONG, 2)))
def test_of_two_wrong_things_the_first_check_is_named(first: str, second: str) -> None:
    """The order of the checks decides which reason is recorded."""
    both = WRONG[second] | WRONG[first]
    if "data" in WRONG[first] and "data" in WRONG[second]:
        both["data"] = frozenset({DataCategory.CHECK_UP, DataCategory.NUMBER})
    assert first == denial(structs.replace(REQUEST, **both), POLICY, ON)


def test_an_unpublished_purpose_is_unknown() -> None:
    """Whatever else is right, a purpose nobody published allows nothing."""
    expected = "PURPOSE_UNKNOWN"
    assert expected == denial(structs.replace(REQUEST, purpose="T-02"), POLICY, ON)


@pytest.mark.parametrize(
    ("on", "reason"),
    [
        (date(2026, 3, 31), "PURPOSE_NOT_IN_FORCE"),
        (date(2026, 4, 1), None),
        (date(2026, 4, 30), None),
        (date(2026, 5, 1), "PURPOSE_NOT_IN_FORCE"),
    ],
)
def test_a_purpose_is_in_force_from_and_up_to(on: date, reason: str | None) -> None:
    """In force from the first day on, no longer on the last."""
    assert reason == denial(REQUEST, POLICY, on)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Operation.DISCLOSE, "RECIPIENT_NOT_ALLOWED"),
        (Operation.DISCLOSE_REVIEW, "RECIPIENT_NOT_ALLOWED"),
        (Operation.REGISTER, "RECIPIENT_NOT_ALLOWED"),
        (Operation.USE, None),
        (Operation.RECEIVE, None),
    ],
)
def test_who_hands_data_over_says_to_whom(kind: Operation, reason: str | None) -> None:
    """Disclosing to nobody in particular is denied; using needs no recipient."""
    policy = Policy("1", {PURPOSE.code: structs.replace(PURPOSE, kind=kind)})
    request = structs.replace(REQUEST, operation=kind, recipient=None)
    assert reason == denial(request, policy, ON)


def test_nobody_may_receive_where_no_recipient_is_listed() -> None:
    """An empty list of recipients is nobody, not anybody."""
    use = structs.replace(PURPOSE, kind=Operation.USE, recipients=frozenset())
    request = structs.replace(REQUEST, operation=Operation.USE)
    expected = "RECIPIENT_NOT_ALLOWED"
    assert expected == denial(request, Policy("1", {use.code: use}), ON)


def test_my_number_needs_a_purpose_under_the_number_act() -> None:
    """Only a purpose that says so may handle it, and no condition makes up for that."""
    policy = Policy("1", {PURPOSE.code: structs.replace(PURPOSE, is_number_allowed=True)})
    request = structs.replace(REQUEST, data=REQUEST.data | {DataCategory.NUMBER})
    consented = structs.replace(request, conditions=request.conditions | {"consent"})
    assert denial(request, policy, ON) is None
    expected = "MYNUMBER_FORBIDDEN"
    assert expected == denial(consented, POLICY, ON)
