"""Lines come out the same however the bytes come in."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.formats.lines import LineSplitter, RawLine

files = st.text('ab,"\r\n表ｱ', max_size=60).map(lambda text: text.encode("cp932"))


def split(data: bytes, line_bytes_max: int = 1000, cuts: tuple[int, ...] = ()) -> list[RawLine]:
    """Feed a file in pieces that end at the cuts."""
    splitter = LineSplitter(line_bytes_max)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    lines = [line for first, last in pairwise(places) for line in splitter.feed(data[first:last])]
    return lines + splitter.finish()


def bodies(lines: list[RawLine]) -> list[bytes | None]:
    """What the lines hold."""
    return [line.body for line in lines]


def test_line_ends_are_lf_or_crlf() -> None:
    """Each line says where it begins, where the next begins, and its number in the file."""
    assert split(b"ab\r\n\nc") == [
        RawLine(1, 0, 4, b"ab"),
        RawLine(2, 4, 5, b""),
        RawLine(3, 5, 6, b"c"),
    ]


def test_quotes_do_not_hold_a_line_open() -> None:
    """A quote somebody forgot harms its own line only."""
    expected = [b'"a,b', b"c,d"]
    assert expected == bodies(split(b'"a,b\nc,d\n'))


def test_a_lone_cr_is_no_line_end() -> None:
    """A carriage return alone stays in the line."""
    expected = [b"a\rb"]
    assert expected == bodies(split(b"a\rb\n"))


def test_no_line_after_the_last_line_end() -> None:
    """A file that ends in a line end has no empty line after it, and an empty file has none."""
    expected: list[list[bytes | None]] = [[b"a"], []]
    assert expected == [bodies(split(b"a\n")), bodies(split(b""))]


def test_a_line_too_long_is_dropped_and_the_next_is_read() -> None:
    """The bound counts the line without its end, CR included or not."""
    expected = [b"1234", None, b"1234", b"x"]
    assert expected == bodies(split(b"1234\r\n12345\n1234\nx", line_bytes_max=4))


def test_memory_stays_bounded() -> None:
    """A line without end is not kept."""
    splitter = LineSplitter(10)
    for _ in range(100):
        splitter.feed(b"x" * 1000)
    held_bytes_max, fed_bytes = 11, 100_000
    assert held_bytes_max == len(splitter._held)
    assert fed_bytes == splitter.offset


@given(files, st.integers(1, 8), st.lists(st.integers(0, 60), max_size=8).map(tuple))
def test_pieces_do_not_matter(data: bytes, line_bytes_max: int, cuts: tuple[int, ...]) -> None:
    """However a file is cut into pieces, its lines are the same."""
    assert split(data, line_bytes_max) == split(data, line_bytes_max, cuts)


@given(files, st.integers(1, 8))
def test_lines_cover_the_file(data: bytes, line_bytes_max: int) -> None:
    """Offsets join without a gap, and reading from any line on gives the rest."""
    lines = split(data, line_bytes_max)
    assert [line.next_offset for line in lines[:-1]] == [line.offset for line in lines[1:]]
    assert len(data) == (lines[-1].next_offset if lines else 0)
    for index, line in enumerate(lines):
        splitter = LineSplitter(line_bytes_max, line.offset, line.line_number)
        assert lines[index:] == splitter.feed(data[line.offset :]) + splitter.finish()
