"""
The two orders a result's elements may stand in: the layout's, and that of a Java hash map.

Results of the real application stand in the iteration order of `java.util.HashMap`, which no
client may depend on and every client must bear. How many names the map was made for is inferred
(a record of 24 elements stood as in a table of 64), so is the order of insertion.
Source: oqs-interface.md 1.5.
"""

from __future__ import annotations

from typing import Final, Literal

from gateway.formats.oqs_elements import Arrange, Children, in_layout_order

ElementOrder = Literal["layout", "hashmap"]

_TABLE_SIZE: Final = 16
"""Of a new map; it doubles when more than three quarters of it are names."""


def arrange_by(order: str) -> Arrange:
    """
    Give the arrangement of an `ElementOrder`.

    Raises:
        KeyError: For another word.
    """
    return _ARRANGEMENTS[order]


def in_hash_map_order(children: Children, names_count: int) -> Children:
    """
    Put children as a hash map of `names_count` names would give them.

    Children of one name stay together and in their order, as a list under its name.
    """
    named = list(dict.fromkeys(child.name for child in children))
    size = table_size(max(names_count, len(named)))
    place = {name: bucket(name, size) for name in named}
    first = {name: number for number, name in enumerate(named)}
    return sorted(children, key=lambda child: (place[child.name], first[child.name]))


def table_size(names_count: int) -> int:
    """How many buckets a map has after so many names were put into it."""
    size = _TABLE_SIZE
    while names_count > size * 3 // 4:
        size *= 2
    return size


def bucket(name: str, size: int) -> int:
    """In which of `size` buckets, a power of two, a name lies."""
    spread = string_hash(name)
    return (spread ^ spread >> 16) & (size - 1)


def string_hash(text: str) -> int:
    """The hash of a Java string of characters below U+10000, as 32 bits without a sign."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFF_FFFF
    return value


_ARRANGEMENTS: Final[dict[str, Arrange]] = {
    "layout": in_layout_order,
    "hashmap": in_hash_map_order,
}
