"""The tables of claim records: their sizes, and the forms their patterns take and refuse."""

from __future__ import annotations

import re

import pytest

from gateway.formats.uke_tables import LAYOUTS, Content, Field, Mode, pattern_of

COUNTS = {
    "IR": 10, "RE": 38, "HO": 15, "KO": 12, "SN": 9, "JD": 33, "MF": 33, "SY": 8, "SI": 44,
    "IY": 44, "TO": 48, "CO": 5, "SJ": 3, "GO": 4,
}  # fmt: skip

AMOUNT = Field("量", Mode.DIGITS, 5, content=Content.DECIMAL)
NUMBER = Field("数", Mode.DIGITS, 3, content=Content.NUMBER)
EITHER = Field("記号", Mode.EITHER, 6)
NOTES = Field("特記", Mode.ALPHANUMERIC, 6, group=2)
INSURER = Field("保険者番号", Mode.ALPHANUMERIC, 8, is_fixed=True, content=Content.INSURER)


def test_layouts_have_the_published_field_counts() -> None:
    """Each record has as many fields as claims-furikae.md 1.1 counts, its id included."""
    counts = {kind: len(layout.fields) for kind, layout in LAYOUTS.items()}
    assert counts == COUNTS


@pytest.mark.parametrize("kind", LAYOUTS)
def test_field_bounds_can_be_met(kind: str) -> None:
    """Codes and groups fit their field's length, full-width lengths are even."""
    for field in LAYOUTS[kind].fields:
        assert all(len(code) <= field.bytes_max for code in field.codes), field.label
        assert field.bytes_max % field.group == 0, field.label
        assert field.mode is not Mode.KANJI or field.bytes_max % 2 == 0, field.label


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        (AMOUNT, ["", "0", "1", "0.5", "1.1", "10000"], ["001", "1.10", "0.00", "1.", "100000"]),
        (NUMBER, ["", "0", "7", "100", "999"], ["00", "07", "1000", "-1", "１"]),
        (EITHER, ["", "ab-c", "ｱｲ", "あいう"], ["あa", "あいうえ", "1234567", "a,", 'a"']),
        (NOTES, ["", "26", "262902"], ["2", "262", "26290226"]),
        (INSURER, ["01130012", "  138016", "00138016"], ["138016", "138016  ", "   13801"]),
    ],
)
def test_pattern_takes_what_the_rules_allow(field: Field, good: list[str], bad: list[str]) -> None:
    """The recording rules of claims-furikae.md 1.1: zeros, widths that never mix, lengths."""
    pattern = re.compile(pattern_of(field))
    assert good == [text for text in (*good, *bad) if pattern.fullmatch(text)]
