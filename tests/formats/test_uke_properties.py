"""Laws of reading claim files: any cuts, any bytes, anything the tables allow."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.formats.uke_records import read_record
from gateway.formats.uke_tables import LAYOUTS, RANKS, Content, Field, Mode
from loadtests.uke_target import read_uke
from tests.formats.uke_samples import END, HEADER, a_file, claim, only_claim, read, record

GOOD = a_file(claim())
FIXED = {
    "レセプト番号": "123456",
    "レセプト種別": "1116",
    "記号": "",
    "番号": "12",
    "診療識別": "11",
    "29日の情報": "",
    "30日の情報": "",
    "31日の情報": "",
}
"""Cells on which a whole claim depends: a number, a type, an identity, days every month has."""
_CHARACTERS = {
    Mode.DIGITS: "0123456789",
    Mode.ALPHANUMERIC: "09 AZaz()-./ｱﾝﾞ",
    Mode.KANJI: "亜漢字①髙〜－Ａ０　ア".replace("〜", "～"),
}


@settings(deadline=None)
@given(st.lists(st.integers(0, len(GOOD)), max_size=5))
def test_cutting_does_not_matter(places: list[int]) -> None:
    """The items are the same however the file is cut."""
    assert read(GOOD) == read(GOOD, places)


@settings(deadline=None)
@given(st.binary(max_size=300) | st.lists(st.sampled_from(sorted(
    {*GOOD.splitlines(keepends=True), b"\r\n", END, b'"', b"\x81", b"SN,1,04", b"GR,\r\n"}
)), max_size=40).map(b"".join))  # fmt: skip
def test_any_bytes_are_read(data: bytes) -> None:
    """No bytes make the reader raise, whole or cut in two."""
    read_uke(data)


def texts_of(field: Field) -> st.SearchStrategy[str]:
    """Texts a field may hold, by its mode, length and content."""
    if field.codes:
        filled: st.SearchStrategy[str] = st.sampled_from(field.codes)
    elif field.content in (Content.NUMBER, Content.DECIMAL):
        filled = st.integers(0, 10**field.bytes_max - 1).map(str)
    elif field.content is Content.DAY:
        filled = st.dates().filter(lambda day: day.year > 1868).map("{:%Y%m%d}".format)
    elif field.content is Content.MONTH:
        filled = st.sampled_from(["202109", "202402", "202603"])
    elif field.content is Content.INSURER:
        filled = st.sampled_from(["01130012", "  138016", "00138016", "39131016"])
    else:
        modes = [Mode.ALPHANUMERIC, Mode.KANJI] if field.mode is Mode.EITHER else [field.mode]
        filled = st.sampled_from(modes).flatmap(lambda mode: _runs(field, mode))
    return filled if field.is_required else st.just("") | filled


def _runs(field: Field, mode: Mode) -> st.SearchStrategy[str]:
    most = field.bytes_max // (2 if mode is Mode.KANJI else 1) // field.group
    least = most if field.is_fixed else 1
    one = st.text(_CHARACTERS[mode], min_size=field.group, max_size=field.group)
    return st.lists(one, min_size=least, max_size=min(most, least + 8)).map("".join)


@settings(deadline=None)
@given(st.data(), st.sampled_from(sorted(LAYOUTS)))
def test_any_record_of_the_tables_reads_back(data: st.DataObject, kind: str) -> None:
    """Whatever the table of a record allows is read without an error, cell for cell."""
    cells = tuple(data.draw(texts_of(field), label=field.label) for field in LAYOUTS[kind].fields)
    raw = ",".join(cells).encode("cp932")
    found, errors = read_record(1, raw)
    assert not errors
    assert (1, kind, raw, cells) == found


@settings(deadline=None)
@given(st.data())
def test_any_claim_of_the_tables_reads_back(data: st.DataObject) -> None:
    """A claim of records the tables allow, in their order, is read and written as it was."""
    treatments = st.lists(st.sampled_from(["SI", "IY", "TO"]), min_size=1, max_size=3)
    others = st.lists(st.sampled_from(["KO", "CO", "SJ"]), max_size=3)
    kinds = ["RE", "HO", "SY", *data.draw(treatments), *data.draw(others)]
    rows = []
    for kind in sorted(kinds, key=RANKS.__getitem__):
        cells = [
            FIXED[field.label] if field.label in FIXED else data.draw(texts_of(field))
            for field in LAYOUTS[kind].fields
        ]
        rows.append(",".join(cells))
    body = "".join(f"{row}\r\n" for row in rows).encode("cp932")
    found = only_claim(record("IR", HEADER) + body)
    assert not found.errors
    assert body == found.encoded
    assert found.claim is not None
    assert found.number == found.claim.number == 123_456
