"""Orders of lines: bytes that compare as the rules say."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.identifiers import LookupKey
from gateway.domain.line_order import (
    ORDER_BYTES,
    Moves,
    Named,
    OnDay,
    Place,
    Rank,
    digest_of,
    line_number_of,
    order_of,
)

BORN = date(1984, 2, 29)


def named(number: int, branch: str | None = None) -> Named:
    """Somebody."""
    return Named(LookupKey(bytes([number] * 16)), BORN, branch)


def place(
    rank: Rank = Rank.SPAN,
    who: Named | None = None,
    moved: Named | None = None,
    day: date | None = None,
    on_day: OnDay = OnDay.LOSS,
    text: str = "",
) -> Place:
    """A line."""
    return Place(rank, who or named(1), moved, day, on_day, digest_of([text]))


people = st.builds(named, st.integers(0, 3), st.sampled_from([None, "01", "02"]))
places = st.builds(
    place,
    st.sampled_from(Rank),
    people,
    st.none() | people,
    st.none() | st.dates(),
    st.sampled_from(OnDay),
    st.sampled_from("ab"),
)


@given(st.none() | places, st.integers(1, 2**60))
def test_an_order_has_its_length_and_tells_the_line(said: Place | None, number: int) -> None:
    """Every order is as long, so that none is the beginning of another."""
    order = order_of(said, number)
    assert len(order) == ORDER_BYTES
    assert line_number_of(order) == number


def test_ranks_days_and_what_comes_on_a_day() -> None:
    """CANCEL, CORRECT, spans by day, changes with and without a day, numbers."""
    day, next_day = date(2025, 4, 1), date(2025, 4, 2)
    in_order = [
        place(Rank.CANCEL, day=next_day),
        place(Rank.CORRECT),
        place(Rank.CORRECT, day=day),
        place(day=day, on_day=OnDay.LOSS),
        place(day=day, on_day=OnDay.NEW),
        place(day=day, on_day=OnDay.LOSS_AT_ONCE),
        place(day=next_day, on_day=OnDay.LOSS),
        place(Rank.CHANGE, day=next_day),
        place(Rank.CHANGE),
        place(Rank.NUMBER),
        place(who=named(2)),
        place(Rank.CORRECT, named(1), named(3)),
    ]
    orders = [order_of(said, 9 - n % 9) for n, said in enumerate(in_order)]
    assert orders == sorted(orders)
    assert order_of(None, 1) > max(orders)


def test_equal_lines_are_neighbours() -> None:
    """Only their numbers tell them apart; another line of the same rank and day is not between."""
    orders = sorted(order_of(place(text=text), n) for n, text in enumerate("abab"))
    numbers = [line_number_of(order) for order in orders]
    assert numbers in ([0, 2, 1, 3], [1, 3, 0, 2])


def settled(moves: Moves, said: Place) -> bytes:
    """The last word on a line's order."""
    order = order_of(said, 1)
    return moves.settled(order) or order


def test_a_chain_of_moves_begins_at_its_end() -> None:
    """Whoever stands in the way goes first; then the lines that name the new identifiers."""
    moves = Moves(10)
    chain = [place(Rank.CORRECT, named(n), named(n + 1)) for n in (5, 3, 4)]
    for said in chain:
        moves.note(said)
    in_order = [
        place(who=named(3)),
        place(who=named(9)),
        chain[0],
        chain[2],
        chain[1],
        place(who=named(4)),
        place(who=named(6)),
    ]
    orders = [settled(moves, said) for said in in_order]
    assert orders == sorted(orders)


def test_branches_move_before_numbers() -> None:
    """A branch assigned late comes before a move that names it, and lines with branches wait."""
    moves = Moves(10)
    assigned = place(Rank.CHANGE, named(1), named(1, "01"))
    across = place(Rank.CORRECT, named(1, "01"), named(0, "01"))
    moves.note(assigned)
    moves.note(across)
    in_order = [
        place(who=named(1)),
        assigned,
        across,
        place(who=named(0)),
        place(who=named(1, "02")),
    ]
    orders = [settled(moves, said) for said in in_order]
    assert orders == sorted(orders)


@given(st.lists(places.filter(lambda said: said.moved not in (None, said.named)), max_size=12))
def test_moves_are_ordered_the_same_whatever_came_first(drawn: list[Place]) -> None:
    """Circles included, and never does a move stand before the one that makes room for it."""
    one, other = Moves(100), Moves(100)
    for said in drawn:
        one.note(said)
    for said in reversed(drawn):
        other.note(said)
    assert [settled(one, said) for said in drawn] == [settled(other, said) for said in drawn]


def test_too_many_moves_are_not_waited_for() -> None:
    """At the limit lines wait, over it none does."""
    first, second = (place(Rank.CORRECT, named(n), named(n + 5)) for n in (1, 2))
    moves = Moves(1)
    moves.note(first)
    waits = order_of(place(who=named(6)), 1)
    assert moves.settled(waits) is not None
    moves.note(second)
    assert moves.settled(waits) is None
    assert moves.is_any
