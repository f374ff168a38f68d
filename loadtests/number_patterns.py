"""
The forms in which a My Number could stand in a file, and a search for many numbers in all of them.

A form has one length. Of all its spellings a pattern of byte classes is made, one class a place, so
that one pass of the regular expression engine finds the few places worth looking up.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

HEX_DIGITS: Final = b"0123456789abcdefABCDEF"
_FULL_WIDTH: Final = str.maketrans("0123456789", "０１２３４５６７８９")


def _in_base64(before: int) -> Callable[[str], bytes]:
    """What base64 makes of twelve digits after so many unknown bytes, as far as they decide it."""
    first = -(-8 * before // 6)
    last = 8 * (before + 12) // 6

    def spelled(digits: str) -> bytes:
        return base64.b64encode(b"\0" * before + digits.encode() + b"\0\0")[first:last]

    return spelled


def _grouped(separator: str) -> Callable[[str], bytes]:
    return lambda digits: separator.join((digits[:4], digits[4:8], digits[8:])).encode()


def _varint(digits: str) -> bytes:
    value, spelled = int(digits), bytearray()
    while value:
        spelled.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
    return bytes(spelled)


FORMS: Final[dict[str, Callable[[str], bytes]]] = {
    "ascii": str.encode,
    "grouped by hyphens": _grouped("-"),
    "grouped by blanks": _grouped(" "),
    "reversed": lambda digits: digits[::-1].encode(),
    "utf-16-le": lambda digits: digits.encode("utf-16-le"),
    "utf-16-be": lambda digits: digits.encode("utf-16-be"),
    "full-width": lambda digits: digits.translate(_FULL_WIDTH).encode(),
    "full-width utf-16-le": lambda digits: digits.translate(_FULL_WIDTH).encode("utf-16-le"),
    "full-width utf-16-be": lambda digits: digits.translate(_FULL_WIDTH).encode("utf-16-be"),
    "full-width cp932": lambda digits: digits.translate(_FULL_WIDTH).encode("cp932"),
    "bcd": bytes.fromhex,
    "digits as bytes": lambda digits: bytes(map(int, digits)),
    "base64": _in_base64(0),
    "base64, one byte before": _in_base64(1),
    "base64, two bytes before": _in_base64(2),
    "hex of the digits": lambda digits: digits.encode().hex().encode(),
    "hex": lambda digits: f"{int(digits):x}".encode(),
    "hex, capitals": lambda digits: f"{int(digits):X}".encode(),
    "varint": _varint,
    "integer, big endian, 5 bytes": lambda digits: int(digits).to_bytes(5, "big"),
    "integer, little endian, 5 bytes": lambda digits: int(digits).to_bytes(5, "little"),
    "integer, big endian, 6 bytes": lambda digits: int(digits).to_bytes(6, "big"),
    "integer, little endian, 6 bytes": lambda digits: int(digits).to_bytes(6, "little"),
    "integer, big endian, 8 bytes": lambda digits: int(digits).to_bytes(8, "big"),
    "integer, little endian, 8 bytes": lambda digits: int(digits).to_bytes(8, "little"),
}
"""Seven bytes are six with a zero beside them."""

WEAK: Final = frozenset(name for name in FORMS if name.endswith("5 bytes"))
"""So short that keys and ciphertext hold some by chance: they count where one comes twice."""

STANDING_ALONE: Final = frozenset({"hex", "hex, capitals"})
"""Short too, and only meant where no other hexadecimal digit stands beside."""


@dataclass(slots=True)
class Numbers:
    """Searches for numbers; `found` counts what was found by form and number."""

    digits: Iterable[str] = field(repr=False)
    found: Counter[tuple[str, str]] = field(default_factory=Counter, repr=False)
    _forms: list[tuple[str, re.Pattern[bytes], dict[bytes, str]]] = field(
        default_factory=list, init=False, repr=False
    )

    def __post_init__(self) -> None:
        known = sorted(set(self.digits))
        for name, spell in FORMS.items():
            spelled = {spell(one): one for one in known}
            for length in sorted({len(one) for one in spelled}):
                some = {text: one for text, one in spelled.items() if len(text) == length}
                self._forms.append((name, _pattern(some, length), some))

    def search(self, content: bytes) -> None:
        """Look through a whole content."""
        for name, number in self._hits(content):
            self.found[name, number] += 1

    def leaks(self) -> Counter[str]:
        """How many numbers were found in each form."""
        return Counter(
            name for (name, _), count in self.found.items() if name not in WEAK or count > 1
        )

    def _hits(self, content: bytes) -> Iterator[tuple[str, str]]:
        for name, pattern, spelled in self._forms:
            for match in pattern.finditer(content):
                number = spelled.get(match[1])
                if number is None:
                    continue
                beside = (
                    content[max(match.start() - 1, 0) : match.start()]
                    + content[match.end(1) : match.end(1) + 1]
                )
                if name not in STANDING_ALONE or not any(one in HEX_DIGITS for one in beside):
                    yield name, number


def _pattern(spelled: Iterable[bytes], length: int) -> re.Pattern[bytes]:
    """A look ahead, so that places may overlap."""
    classes = b""
    texts = list(spelled)
    for place in range(length):
        used = sorted({text[place] for text in texts})
        classes += b"[" + b"".join(b"\\x%02x" % one for one in used) + b"]"
    return re.compile(b"(?=(" + classes + b"))", re.DOTALL)
