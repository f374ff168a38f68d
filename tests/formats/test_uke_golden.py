"""The golden claim files: each is read as its text says, and written as it came."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.formats.uke import UkeClaim, UkeError, UkeHeader, UkeItem, UkeTotal
from gateway.formats.uke_edit import file_of, totals_of
from tests.formats.uke_samples import read

GOLDEN = Path(__file__).parent / "golden" / "uke"
CASES = sorted(GOLDEN.glob("*.in.uke"))


def spelled(items: list[UkeItem]) -> str:
    """What a file was read as, a line for each header, claim, total and error."""
    lines: list[str] = []
    for item in items:
        match item:
            case UkeHeader():
                lines.append(f"header {item.institution_code} {item.billing_month}")
            case UkeTotal():
                lines.append(f"total {item.claims} {item.points}")
            case UkeError():
                lines.append("error " + " ".join(str(part or "-") for part in item))
            case UkeClaim():
                kinds = " ".join(record.kind or "?" for record in item.records)
                lines.append(f"claim {item.number}: {kinds}")
                said = item.claim.__struct_fields__ if item.claim else ()
                lines.extend(f"  {name} {getattr(item.claim, name)}" for name in said)
                lines.extend(
                    "  error " + " ".join(str(part or "-") for part in error)
                    for error in item.errors
                )
    return "\n".join(lines) + "\n"


def test_there_are_golden_files() -> None:
    """A folder that lost its files would let the other tests pass over nothing."""
    expected = ["made-bad-claims", "made-every-kind", "made-moved", "made-torn"]
    assert expected == [path.name.removesuffix(".in.uke") for path in CASES]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_file_is_read_as_its_text_says(path: Path) -> None:
    """Every item of the file, in its order, with its errors."""
    text = path.with_name(path.name.replace(".in.uke", ".out.txt")).read_text(encoding="utf-8")
    assert text == spelled(read(path.read_bytes()))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_good_claims_keep_their_bytes(path: Path) -> None:
    """A claim without errors is found in its file byte for byte."""
    data = path.read_bytes()
    claims = [item for item in read(data) if isinstance(item, UkeClaim) and item.claim]
    assert claims
    assert not [claim.number for claim in claims if claim.encoded not in data]


@pytest.mark.parametrize("name", ["made-every-kind", "made-moved"])
def test_untouched_file_is_written_as_it_came(name: str) -> None:
    """Reading a file and writing it again gives the same bytes, GO and end mark included."""
    data = (GOLDEN / f"{name}.in.uke").read_bytes()
    items = read(data)
    header, *claims, total = items
    assert isinstance(header, UkeHeader)
    assert isinstance(total, UkeTotal)
    read_claims = [claim for claim in claims if isinstance(claim, UkeClaim)]
    count, points = (0, 0) if name == "made-moved" else totals_of(read_claims)
    written = file_of(
        header, (claim.encoded for claim in read_claims), claim_count=count, points=points
    )
    assert data == b"".join(written)
