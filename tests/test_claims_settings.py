"""The check of claims as settings: what an operator may set, and that it is used."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import msgspec
import pytest

from gateway.app.late_claims import LateClaims
from gateway.config import Claims, Settings, Tls
from gateway.domain.reassignment import ReassignmentRules
from gateway.formats.uke import UkeLimits
from gateway.policy import published_policy
from gateway.store.memory import MemoryAccesses, MemoryStore
from gateway.store.records import encode_coverage
from gateway.usecases.door import Door

TLS = Tls(Path("c.pem"), Path("k.pem"), Path("ca.pem"))


def said(claims: Claims) -> tuple[ReassignmentRules, UkeLimits, int]:
    """The rules, the limits of a file and its bytes a worker checks claims with."""
    settings = Settings(data_dir=Path("data"), tls=TLS, claims=claims)
    door = Door(published_policy(), MemoryAccesses())
    service = LateClaims(settings, MemoryStore(encode_coverage), door).made()
    return service.checking.rules, service.file_limits, service.limits.file_bytes_max


def test_what_is_not_set_is_as_the_rules_and_the_reader_have_it() -> None:
    """The table says the same as the two it fills, where nothing is set."""
    expected = (ReassignmentRules(), UkeLimits(), 8 * 1024**3)
    assert expected == said(Claims())


@pytest.mark.parametrize(
    "name", [name for name in Claims.__struct_fields__ if name != "file_bytes_max"]
)
def test_every_setting_is_used(name: str) -> None:
    """What an operator sets reaches the check, each setting by itself."""
    old = getattr(Claims(), name)
    new = not old if isinstance(old, bool) else old - 1
    rules, limits, _ = said(Claims(**{name: new}))
    changes = {name: new}
    if name in {field.name for field in fields(UkeLimits)}:
        assert (rules, limits) == (ReassignmentRules(), replace(UkeLimits(), **changes))
    else:
        assert (rules, limits) == (replace(ReassignmentRules(), **changes), UkeLimits())


def test_bytes_of_a_file_may_be_set() -> None:
    """How much a stream may send is a setting."""
    *_, file_bytes_max = said(Claims(file_bytes_max=1_000))
    assert file_bytes_max == 1_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"claim_bytes_max": 3 * 1024**2 + 1},
        {"errors_per_claim_max": 0},
        {"preschool_points_max": -1},
        {"first_month": "202109"},
    ],
)
def test_value_out_of_bounds_is_refused(wrong: dict[str, object]) -> None:
    """No setting makes an outcome too large to receive, and no name is misspelt in silence."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Claims)
