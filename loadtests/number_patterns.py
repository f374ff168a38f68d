"""
The forms in which a My Number could stand in a file, and a search for many numbers in all of them.

A form has one length. Of all its spellings a pattern of byte classes is made, one class a place, so
that one pass of the regular expression engine finds the few places worth looking up.
"""

from __future__ import annotations

import base64
import re
import zlib
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


def _percent(text: str) -> bytes:
    return "".join(f"%{one:02X}" for one in text.encode()).encode()


def _escaped(digits: str) -> bytes:
    return "".join(f"\\u{ord(one):04x}" for one in digits.translate(_FULL_WIDTH)).encode()


def _swapped_nibbles(digits: str) -> bytes:
    return bytes.fromhex("".join(digits[place : place + 2][::-1] for place in range(0, 12, 2)))


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
    "full-width, escaped for JSON": _escaped,
    "full-width, percent-encoded": lambda digits: _percent(digits.translate(_FULL_WIDTH)),
    "percent-encoded": _percent,
    "HTML entities": lambda digits: "".join(f"&#{ord(one)};" for one in digits).encode(),
    "bcd": bytes.fromhex,
    "bcd, nibbles swapped": _swapped_nibbles,
    "packed decimal with a sign": lambda digits: bytes.fromhex(f"0{digits}c"),
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

SHORT_BYTES_MAX: Final = 6
TELLING_BYTES_MIN: Final = 4
"""A short spelling with fewer bytes that are not zero is left out; the number has longer ones."""

STANDING_ALONE: Final = frozenset({"hex", "hex, capitals"})
"""Short too, and only meant where no other hexadecimal digit stands beside."""


STREAM = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
"""How streams of gzip and zlib begin."""
STREAM_BYTES_MAX: Final = 16_000_000
"""Bytes of one stream that are unpacked."""
STREAM_BYTES_MIN: Final = 12
"""Chance makes shorter ones, and no number of ours is shorter unpacked."""


def unpacked(content: bytes) -> Iterator[bytes]:
    """What the compressed streams within a content hold, as far as they can be read."""
    view = memoryview(content)
    for match in STREAM.finditer(content):
        gzip_or_zlib = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            inner = gzip_or_zlib.decompress(view[match.start() :], STREAM_BYTES_MAX)
        except zlib.error:
            continue
        if len(inner) >= STREAM_BYTES_MIN:
            yield inner


@dataclass(slots=True)
class Numbers:
    """Searches for numbers; `found` counts what was found by kind of place, form and number."""

    digits: Iterable[str] = field(repr=False)
    found: Counter[tuple[str, str, str]] = field(default_factory=Counter, repr=False)
    _forms: list[tuple[str, re.Pattern[bytes], dict[bytes, str]]] = field(
        default_factory=list, init=False, repr=False
    )

    def __post_init__(self) -> None:
        known = sorted(set(self.digits))
        for name, spell in FORMS.items():
            spelled = {text: one for one in known if _is_telling(text := spell(one))}
            for length in sorted({len(one) for one in spelled}):
                some = {text: one for text, one in spelled.items() if len(text) == length}
                self._forms.append((name, _pattern(some, length), some))

    def search(self, content: bytes, kind: str = "") -> None:
        """Look through a whole content, and through what is compressed within."""
        for part in (content, *unpacked(content)):
            for name, number in self._hits(part):
                self.found[kind, name, number] += 1

    def leaks(self) -> Counter[tuple[str, str]]:
        """How many numbers were found in each kind of place in each form."""
        times = Counter[tuple[str, str]]()
        for (_, name, number), count in self.found.items():
            times[name, number] += count
        return Counter(
            (kind, name)
            for kind, name, number in self.found
            if name not in WEAK or times[name, number] > 1
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


def _is_telling(text: bytes) -> bool:
    """Whether a spelling is more than a few bytes among zeros, which any header has somewhere."""
    return len(text) > SHORT_BYTES_MAX or len(text) - text.count(0) >= TELLING_BYTES_MIN


def _pattern(spelled: Iterable[bytes], length: int) -> re.Pattern[bytes]:
    """A look ahead, so that places may overlap."""
    classes = b""
    texts = list(spelled)
    for place in range(length):
        used = sorted({text[place] for text in texts})
        classes += b"[" + b"".join(b"\\x%02x" % one for one in used) + b"]"
    return re.compile(b"(?=(" + classes + b"))", re.DOTALL)
