"""The coverage file: what each action says, what is refused and where, in both encodings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.changes import (
    CancelCover,
    Change,
    ChangeItems,
    CorrectCover,
    LinkNumber,
    LoseCover,
    NewCover,
    Target,
)
from gateway.domain.coverage import (
    CardClassification,
    ElderlyCertificate,
    LimitCertificate,
    LimitClass,
    LimitKind,
    LossReason,
    MedicalTicket,
    Relationship,
    Sex,
)
from gateway.domain.coverage_lines import DecodedLine, LineError
from gateway.domain.errors import Refusal
from gateway.domain.identifiers import InsuredId, InsurerNumber
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import Period
from gateway.domain.reasons import REASONS
from gateway.formats.coverage_columns import COLUMNS, REQUIRED_COLUMNS, Action
from gateway.formats.coverage_csv import decode_cells, encode_header, encode_line
from gateway.formats.coverage_file import CoverageReader

GOLDEN = Path(__file__).parent / "golden" / "coverage"
DOCS = Path(__file__).parents[2] / "docs" / "coverage-file.md"

WHO = {
    "insurer_number": "01130012",
    "symbol": "記号",
    "number": "0012",
    "branch": "01",
    "birth_date": "1984-02-29",
}
NEW = {
    **WHO,
    "action": "NEW",
    "acquisition_date": "20250401",
    "name": "架空　太郎",
    "sex": "1",
    "insurer_name": "架空健康保険組合",
}
TARGET = Target(InsuredId(InsurerNumber("01130012"), "記号", "0012", "01"), date(1984, 2, 29))
NUMBER = "123456789018"


def read(data: bytes, line_bytes_max: int = 4096, piece_bytes: int = 1 << 20) -> list[DecodedLine]:
    """Read a whole file in pieces; a bad header is line 1."""
    reader = CoverageReader(line_bytes_max)
    for start in range(0, len(data), piece_bytes):
        reader.feed(data[start : start + piece_bytes])
    reader.finish()
    if reader.header_error is not None:
        return [DecodedLine(1, 0, reader.header_error)]
    return reader.take(1_000_000)


def refusal_of(cells: Mapping[str, str]) -> tuple[str, str]:
    """The column and reason a line is refused with."""
    with pytest.raises(Refusal) as caught:
        decode_cells(cells)
    return caught.value.field, caught.value.reason


def test_new_with_the_least_and_with_everything() -> None:
    """NEW gives a cover its required items, and every other item that is said."""
    least = decode_cells(NEW)
    target = Target(TARGET.insured_id, TARGET.birth_date, date(2025, 4, 1))
    items = {"name": "架空　太郎", "sex": Sex.MALE, "insurer_name": "架空健康保険組合"}
    assert NewCover(target, items) == least
    more = decode_cells(
        {
            **NEW,
            "name_kana": "ｶｸｳ ﾀﾛｳ",
            "sex_on_reverse": "2",
            "post_number": "1000001",
            "relationship": "2",
            "card_classification": "02",
            "card_first_valid_date": "2025-04-01",
            "card_last_valid_date": "2026-03-31",
            "copayment_ratio": "030",
            "is_preschool": "1",
            "elderly_first_valid_date": "20250401",
            "elderly_copayment_ratio": "20",
            "limit_kind": "01",
            "limit_class": "A03",
            "limit_first_valid_date": "20250401",
            "limit_last_valid_date": "20250731",
            "individual_number": NUMBER,
        }
    )
    more_items = items | {
        "name_kana": "ｶｸｳ ﾀﾛｳ",
        "sex_on_reverse": Sex.FEMALE,
        "post_number": "100-0001",
        "relationship": Relationship.FAMILY,
        "card_classification": CardClassification.RETIREE,
        "card_validity": Period(date(2025, 4, 1), date(2026, 4, 1)),
        "copayment_ratio": 30,
        "is_preschool": True,
        "elderly": (ElderlyCertificate(Period(date(2025, 4, 1)), 20),),
        "limits": (
            LimitCertificate(
                Period(date(2025, 4, 1), date(2025, 8, 1)), LimitKind.LIMIT, LimitClass.A03
            ),
        ),
    }
    assert NewCover(target, more_items, IndividualNumber(NUMBER)) == more


def test_change_sets_clears_and_adds_a_ticket() -> None:
    """CHANGE sets what is said, `-` clears an optional item, an empty cell says nothing."""
    change = decode_cells(
        {
            **WHO,
            "action": "CHANGE",
            "name": "架空　花子",
            "address": "-",
            "copayment_ratio": "-",
            "card_first_valid_date": "-",
            "sex": "",
            "ticket_type": "01",
            "ticket_month": "202504",
            "ticket_issue_number": "12345678",
            "ticket_first_valid_date": "20250401",
            "ticket_last_valid_date": "20250430",
        }
    )
    ticket = MedicalTicket("202504", "01", "12345678", Period(date(2025, 4, 1), date(2025, 5, 1)))
    assert (
        ChangeItems(
            TARGET,
            {
                "name": "架空　花子",
                "address": "",
                "copayment_ratio": None,
                "card_validity": None,
                "tickets": (ticket,),
            },
        )
        == change
    )


def test_loss_cancel_and_number() -> None:
    """LOSS, CANCEL and NUMBER name a cover and little else."""
    loss = {**WHO, "action": "LOSS", "loss_date": "20250701", "loss_reason": "03"}
    assert LoseCover(TARGET, date(2025, 7, 1), LossReason.OTHER_INSURANCE) == decode_cells(loss)
    assert CancelCover(TARGET) == decode_cells({**WHO, "action": "CANCEL"})
    number = {**WHO, "action": "NUMBER", "individual_number": NUMBER}
    assert LinkNumber(TARGET, IndividualNumber(NUMBER)) == decode_cells(number)


def test_correct_moves_identifiers_and_days() -> None:
    """CORRECT may give new identifiers, new days and another loss, each by its own column."""
    correction = decode_cells(
        {
            **WHO,
            "action": "CORRECT",
            "new_number": "0013",
            "new_branch": "-",
            "new_birth_date": "19840301",
            "new_acquisition_date": "20250402",
            "loss_date": "20250801",
            "loss_reason": "99",
        }
    )
    moved = InsuredId(InsurerNumber("01130012"), "記号", "0013", None)
    assert (
        CorrectCover(
            TARGET,
            {
                "insured_id": moved,
                "birth_date": date(1984, 3, 1),
                "loss_reason": LossReason.OTHER,
            },
            date(2025, 4, 2),
            date(2025, 8, 1),
        )
        == correction
    )


def test_correct_withdraws_a_loss() -> None:
    """A loss date of `-` takes the loss back and asks for nothing else."""
    cells = {**WHO, "action": "CORRECT", "loss_date": "-"}
    assert CorrectCover(TARGET, {}, is_loss_withdrawn=True) == decode_cells(cells)


def test_change_assigns_a_branch_late() -> None:
    """CHANGE may give a branch to a cover that had none."""
    change = decode_cells({**WHO, "branch": "", "action": "CHANGE", "new_branch": "2"})
    assert isinstance(change, ChangeItems)
    assert {"insured_id": InsuredId(InsurerNumber("01130012"), "記号", "0012", "02")} == (
        change.items
    )


CORRECT = {**WHO, "action": "CORRECT"}
CHANGE = {**WHO, "action": "CHANGE"}


@pytest.mark.parametrize(
    ("cells", "column", "reason"),
    [
        ({**NEW, "action": ""}, "action", "FIELD_REQUIRED"),
        ({**NEW, "action": "new"}, "action", "ACTION_UNKNOWN"),
        ({**NEW, "insurer_number": "01130013"}, "insurer_number", "CHECK_DIGIT_WRONG"),
        ({**NEW, "insurer_number": "77777777"}, "insurer_number", "INSURER_UNIDENTIFIED"),
        ({**NEW, "number": " "}, "number", "FIELD_REQUIRED"),
        ({**NEW, "number": "1" * 21}, "number", "TOO_LONG"),
        ({**NEW, "branch": "123"}, "branch", "LENGTH_WRONG"),
        ({**NEW, "birth_date": "20250229"}, "birth_date", "DATE_WRONG"),
        ({**NEW, "birth_date": "S59.2.29"}, "birth_date", "FORMAT_WRONG"),
        ({**NEW, "acquisition_date": ""}, "acquisition_date", "FIELD_REQUIRED"),
        ({**NEW, "sex": "4"}, "sex", "CODE_UNKNOWN"),
        ({**NEW, "name": ""}, "name", "FIELD_REQUIRED"),
        ({**NEW, "name": "あ" * 101}, "name", "TOO_LONG"),
        ({**NEW, "name": "a\x07b"}, "name", "FORMAT_WRONG"),
        ({**NEW, "address": "-"}, "address", "FORMAT_WRONG"),
        ({**NEW, "loss_date": "20250701"}, "loss_date", "CELL_NOT_TAKEN"),
        ({**NEW, "individual_number": "123456789012"}, "individual_number", "CHECK_DIGIT_WRONG"),
        ({**NEW, "post_number": "123"}, "post_number", "FORMAT_WRONG"),
        ({**NEW, "copayment_ratio": "3割"}, "copayment_ratio", "FORMAT_WRONG"),
        ({**NEW, "copayment_ratio": "300"}, "copayment_ratio", "CODE_UNKNOWN"),
        ({**NEW, "is_preschool": "2"}, "is_preschool", "CODE_UNKNOWN"),
        ({**NEW, "card_last_valid_date": "20250401"}, "card_first_valid_date", "FIELD_REQUIRED"),
        (
            {
                **NEW,
                "card_first_valid_date": "20250401",
                "card_last_valid_date": "20250331",
            },
            "card_last_valid_date",
            "DATE_WRONG",
        ),
        ({**NEW, "limit_class": "A01"}, "limit_first_valid_date", "FIELD_REQUIRED"),
        ({**NEW, "unknown": "1"}, "", "HEADER_WRONG"),
        ({**CHANGE, "action": "LOSS"}, "loss_date", "FIELD_REQUIRED"),
        ({**CHANGE, "action": "NUMBER"}, "individual_number", "FIELD_REQUIRED"),
        ({**CHANGE, "individual_number": NUMBER}, "individual_number", "CELL_NOT_TAKEN"),
        (CHANGE, "", "NOTHING_TO_CHANGE"),
        ({**CHANGE, "name": "-"}, "name", "FIELD_REQUIRED"),
        ({**CHANGE, "acquisition_date": "-"}, "acquisition_date", "FORMAT_WRONG"),
        ({**CHANGE, "new_number": "1"}, "new_number", "CELL_NOT_TAKEN"),
        (CORRECT, "", "NOTHING_TO_CHANGE"),
        ({**CORRECT, "loss_date": "-", "loss_reason": "01"}, "loss_reason", "FORMAT_WRONG"),
        ({**CORRECT, "loss_reason": "-"}, "loss_reason", "FORMAT_WRONG"),
        ({**CORRECT, "new_number": "-"}, "new_number", "FIELD_REQUIRED"),
        ({**CORRECT, "branch": "", "new_branch": "-"}, "branch", "FIELD_REQUIRED"),
        ({**CORRECT, "new_branch": "x"}, "new_branch", "FORMAT_WRONG"),
        ({**CORRECT, "new_birth_date": "-"}, "new_birth_date", "FIELD_REQUIRED"),
        ({**CORRECT, "new_acquisition_date": "-"}, "new_acquisition_date", "FORMAT_WRONG"),
    ],
)
def test_refusals_name_the_column(cells: dict[str, str], column: str, reason: str) -> None:
    """Each refused line names the column and the reason."""
    assert (column, reason) == refusal_of(cells)


def test_header_names_columns_in_any_order() -> None:
    """The order of columns is the sender's; optional ones may be missing."""
    header = "number,symbol,action,birth_date,insurer_number"
    (line,) = read(f"{header}\n0012,記号,CANCEL,19840229,01130012\n".encode())
    insured_id = InsuredId(InsurerNumber("01130012"), "記号", "0012")
    assert CancelCover(Target(insured_id, date(1984, 2, 29))) == line.said


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("", "action"),
        ("action,insurer_number,symbol,number", "birth_date"),
        ("action,insurer_number,symbol,number,birth_date,number", "number"),
        ("action,insurer_number,symbol,number,birth_date,山田太郎", ""),
        ("action,insurer_number,symbol,number,taro", "birth_date"),
        ("action;insurer_number;symbol;number;birth_date", "action"),
        ('"action,insurer_number', "action"),
        ("x" * 5000, "action"),
    ],
)
def test_a_wrong_header_refuses_the_file(header: str, column: str) -> None:
    """A header that is not the layout's is one error on line 1; it never repeats what it says."""
    lines = read(f"{header}\r\nNEW,01130012,,1,20000101\r\n".encode())
    assert [LineError(1, column, "HEADER_WRONG")] == [line.said for line in lines]


def a_file(*lines: str, encoding: str = "utf-8") -> bytes:
    """A file with every column."""
    return (encode_header() + "".join(lines)).encode(encoding)


def test_lines_that_cannot_be_read_are_each_reported() -> None:
    """A bad line is an error with its number, and the lines after it are read."""
    good = encode_line("NEW", NEW)
    lines = read(a_file(good, "NEW,1\r\n", '"NEW\r\n', "\r\n", "x" * 5000 + "\n", good))
    assert [
        None,
        LineError(3, "", "COLUMN_COUNT_WRONG"),
        LineError(4, "", "COLUMN_COUNT_WRONG"),
        None,
        LineError(6, "", "LINE_TOO_LONG"),
        None,
    ] == [line.said if isinstance(line.said, LineError) else None for line in lines]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_both_encodings_say_the_same(encoding: str) -> None:
    """UTF-8, with a byte order mark or not, and cp932 give the same change."""
    reader = CoverageReader(4096)
    reader.feed(a_file(encode_line("NEW", {**NEW, "name": "髙﨑　表"}), encoding=encoding))
    (line,) = reader.take(1)
    assert isinstance(line.said, NewCover)
    assert ("髙﨑　表", encoding.removesuffix("-sig")) == (line.said.items["name"], reader.encoding)


def test_kana_pairs_of_cp932_are_not_taken_for_utf_8() -> None:
    """Half-width kana whose bytes happen to be UTF-8 are read as cp932."""
    kana = "ﾃｽ"
    assert kana != kana.encode("cp932").decode()
    cells = {**WHO, "symbol": kana, "action": "CANCEL"}
    (line,) = read(a_file(encode_line("CANCEL", cells), encoding="cp932"))
    assert isinstance(line.said, CancelCover)
    assert kana == line.said.target.insured_id.symbol


def test_a_line_in_another_encoding_is_refused() -> None:
    """The first line that is not ASCII decides; a line in the other encoding is refused."""
    line = encode_line("NEW", NEW)
    data = a_file(line, encoding="cp932") + line.encode() + line.encode("cp932")
    errors = [line.said for line in read(data) if isinstance(line.said, LineError)]
    assert [LineError(3, "", "ENCODING_WRONG")] == errors


def test_a_line_in_no_encoding_decides_nothing() -> None:
    """A line that is neither UTF-8 nor cp932 is refused, and the next one may decide."""
    reader = CoverageReader(4096)
    reader.feed(a_file() + b"\x81\x20\xff\r\n" + encode_line("NEW", NEW).encode())
    first, second = reader.take(2)
    assert LineError(2, "", "ENCODING_WRONG") == first.said
    assert isinstance(second.said, NewCover)


some_lines = st.lists(
    st.one_of(
        st.sampled_from([encode_line("NEW", NEW), encode_line("CANCEL", WHO), "\r\n", '"\n']),
        st.text('NEW,"記ﾃ\n', max_size=20),
    ),
    max_size=8,
)
some_files = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda lines, encoding, extra, at: (
            (whole := (encode_header() + "".join(lines)).encode(encoding))[: at % (len(whole) + 1)]
            + extra
            + whole[at % (len(whole) + 1) :]
        ),
        some_lines,
        st.sampled_from(["utf-8", "utf-8-sig", "cp932"]),
        st.binary(max_size=3),
        st.integers(0, 5000),
    ),
)


@given(some_files, st.integers(1, 400))
def test_no_bytes_make_reading_raise(data: bytes, piece_bytes: int) -> None:
    """Whatever the bytes, each line is a change, a known error or empty, in any pieces."""
    lines = read(data, piece_bytes=piece_bytes)
    assert lines == read(data)
    for line in lines:
        assert line.said is None or isinstance(line.said, LineError | Change)
        if isinstance(line.said, LineError):
            assert line.said.reason in REASONS
            assert line.said.column in {"", *COLUMNS}


cells_of_a_line = st.dictionaries(
    st.sampled_from([*COLUMNS]), st.text(max_size=30) | st.sampled_from(["-", "01", "20250401"])
)


@given(cells_of_a_line, st.sampled_from(Action))
def test_no_cells_make_decoding_raise(cells: dict[str, str], action: Action) -> None:
    """Whatever the cells, there is a change or a refusal that names a column or the line."""
    column = ""
    try:
        decode_cells(NEW | cells | {"action": action})
    except Refusal as refusal:
        column = refusal.field
    assert column in {"", *COLUMNS}


@given(some_files)
def test_lines_are_read_the_same_in_any_order(data: bytes) -> None:
    """Once each line was asked for its place, the encoding is settled, and lines stand alone."""
    first, second = CoverageReader(4096), CoverageReader(4096)
    for reader in (first, second):
        reader.feed(data)
        reader.finish()
    if first.header_error is not None:
        return
    raw = second.take_raw(1000)
    for line in raw:
        second.place(line)
    assert first.take(1000) == [second.decoded(line) for line in reversed(raw)][::-1]


@given(some_files)
def test_only_what_can_be_read_has_a_place(data: bytes) -> None:
    """A line that says something has its place; one without a place is refused or empty."""
    reader = CoverageReader(4096)
    reader.feed(data)
    reader.finish()
    for line in () if reader.header_error is not None else reader.take_raw(1000):
        said = reader.decoded(line).said
        if reader.place(line) is None:
            assert said is None or isinstance(said, LineError)


@pytest.mark.parametrize("hyphen", ["symbol", "number"])
def test_a_mere_hyphen_may_identify(hyphen: str) -> None:
    """A symbol that is a hyphen is kept by a line that gives another number, and not cleared."""
    columns = ["action", "insurer_number", "symbol", "number", "birth_date", "name", "new_symbol"]
    cells = {"insurer_number": "01130012", "symbol": "12", "number": "7", "birth_date": "19800101"}
    row = encode_line("CORRECT", cells | {hyphen: "-", "name": "架空"}, columns)
    reader = CoverageReader(4096)
    reader.feed((encode_header(columns) + row).encode())
    (line,) = reader.take_raw(10)
    assert isinstance(reader.decoded(line).said, CorrectCover)
    place = reader.place(line)
    assert place is not None
    assert place.moved is None


def spelt(line: DecodedLine) -> str:
    """A decoded line as the golden files spell it; a My Number hides itself."""
    said = line.said
    if isinstance(said, LineError):
        return f"{line.line_number} refused {said.column or '(line)'} {said.reason}"
    return f"{line.line_number} {said!r}"


@pytest.mark.parametrize("case", sorted(path.stem[:-3] for path in GOLDEN.glob("*.in.csv")))
def test_golden_files(case: str) -> None:
    """Each golden file decodes to what stands beside it."""
    expected = (GOLDEN / f"{case}.out.txt").read_text(encoding="utf-8").splitlines()
    assert expected == [spelt(line) for line in read((GOLDEN / f"{case}.in.csv").read_bytes())]
    assert (GOLDEN / f"{case}.notes.md").read_text(encoding="utf-8").strip()


def test_the_docs_describe_every_column() -> None:
    """Each column stands in the docs with its label, its kind and the actions that fill it."""
    text = DOCS.read_text(encoding="utf-8")
    for column in COLUMNS.values():
        marks = (
            ("◎" if action in column.required else "○" if action in column.allowed else "")
            for action in Action
        )
        row = f"| `{column.name}` | {column.label_ja} | {column.kind.name} | {' | '.join(marks)} |"
        assert row in text
    assert all(f"`{name}`" in text for name in REQUIRED_COLUMNS)
