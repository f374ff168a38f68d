"""
What the simulated resident register knows: residents, whose card is whose, and how items compare.

What is added or issued is on the disk before it is answered. My Numbers are plain strings of
twelve digits here; none stands in an error. The process that serves it is
`simulators.resident_register`. Sources: insurer-lifecycle.md 1.3 #2, #6, #12 and 4.3;
health-info.md D.6.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from google.type import date_pb2
from msgspec import Struct

from gateway.domain.coverage import Sex
from gateway.domain.errors import Refusal
from gateway.domain.period import parse_day
from gateway.v1 import resident_register_pb2 as pb
from simulators.cards import (
    REVOKED_FILE,
    UserAuthenticationAuthority,
    new_key,
    new_pin,
    private_key_der,
    replace_file,
)

RESIDENTS_MAX: Final = 3_000_000
"""Names of residents the register knows in all."""
TEXT_LENGTH_MAX: Final = 300
"""Characters of one item."""

_NUMBER: Final = re.compile("[0-9]{12}")
_SEXES: Final = frozenset(map(int, Sex))
_IGNORED: Final = re.compile("[\\s\ufe00-\ufe0f\U000e0100-\U000e01ef]+")
"""Blanks, and the selectors that choose between shapes of one character."""
_UNKNOWN_CHARACTER: Final = "●"
_VARIANTS: Final = str.maketrans("髙﨑栁𠮷德", "高崎柳吉徳")
"""Spellings insurers replace on the way in (insurer-lifecycle.md 4.3)."""
_HIRAGANA: Final = {code: code + 0x60 for code in range(0x3041, 0x3097)}
_SMALL_KANA: Final = str.maketrans("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ")


class Resident(Struct, frozen=True, kw_only=True):
    """A line of the residents' file; `birth_date` is `YYYY-MM-DD` or `YYYYMMDD`."""

    ids: tuple[str, ...]
    individual_number: str
    name: str
    name_kana: str
    birth_date: str
    sex: int
    address: str = ""

    def __post_init__(self) -> None:
        texts = (*self.ids, self.name, self.name_kana, self.address)
        if not (_NUMBER.fullmatch(self.individual_number) and self.sex in _SEXES):
            raise ValueError("a resident needs a number of twelve digits and a sex")
        if any(len(text) > TEXT_LENGTH_MAX for text in texts):
            raise ValueError("an item of a resident is too long")
        try:
            parse_day(self.birth_date)
        except Refusal:
            raise ValueError("a resident's birth date is no day") from None

    @classmethod
    def of(cls, message: pb.Resident) -> Resident:
        """
        The resident a message describes.

        Raises:
            ValueError: If an item is not in its form.
        """
        items = message.items
        return cls(
            ids=(message.resident_id,),
            individual_number=message.individual_number,
            name=items.name,
            name_kana=items.name_kana,
            birth_date=spelled(items.birth_date),
            sex=items.sex,
            address=items.address,
        )


class IssuedCard(Struct, frozen=True):
    """A line of the cards' file: whose certificate a serial number (hexadecimal) is."""

    serial: str
    individual_number: str


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """
    What `register.json` says, with paths relative to its folder.

    `certificate`, `key` and `ca` are PEM files; `residents` is only read, a `Resident` in JSON a
    line; `authority` is a folder as `simulators.cards` keeps it. `clock`, if given, is the
    sandbox clock's offset; `seed` decides whose birth dates are wrong.
    """

    certificate: str
    key: str
    ca: str
    residents: str
    authority: str
    clock: str = ""
    seed: int = 0


_Line = TypeVar("_Line", Resident, IssuedCard)


class JsonLines:
    """A file that only grows; a line is on the disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        """Open it, made if absent; a last line that a crash cut off is dropped."""
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content or not path.exists():
            replace_file(path, whole)
        self.lines = whole.splitlines()
        self._size = len(whole)
        self._file = path.open("r+b", buffering=0)

    def append(self, rows: Iterable[Struct]) -> None:
        """
        Write lines and sync.

        Raises:
            OSError: If that failed; what was written of them is overwritten by the next.
        """
        content = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
        self._file.truncate(self._size)
        self._file.seek(self._size)
        if self._file.write(content) != len(content):
            raise OSError("the disk took a part of the lines only")
        os.fsync(self._file.fileno())
        self._size += len(content)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class Register:
    """
    The residents and their cards.

    A resident has one card: another card revokes the one before, as at a municipality. Cards are
    remembered by serial number and their keys are not, so no card can be given twice.
    """

    def __init__(self, folder: Path, config: Config) -> None:
        """
        Read everything.

        Raises:
            OSError: If a file cannot be read.
            ValueError: If a line is not what it should be; the line's number is told, no more.
        """
        self._clock = folder / config.clock if config.clock else None
        self._seed = config.seed
        self._folder = folder / config.authority
        self._authority = UserAuthenticationAuthority.open(self._folder, self.now())
        self.residents: dict[str, Resident] = {}
        """By My Number."""
        self.known: list[str] = []
        """Numbers as residents were added or replaced."""
        self._numbers: dict[str, str] = {}
        self._holders: dict[int, str] = {}
        self._cards: dict[str, int] = {}
        with (folder / config.residents).open("rb") as lines:
            self._know(_decoded(config.residents, lines, Resident))
        self._added = JsonLines(folder / "added.jsonl")
        self._know(_decoded("added.jsonl", self._added.lines, Resident))
        self._issued = JsonLines(folder / "cards.jsonl")
        for card in _decoded("cards.jsonl", self._issued.lines, IssuedCard):
            self._give(int(card.serial, 16), card.individual_number)
        self._publish_revocations()

    def now(self) -> datetime:
        """The time, moved on like the sandbox's if there is one."""
        offset_us = 0
        if self._clock is not None and self._clock.exists():
            offset_us = int.from_bytes(self._clock.read_bytes()[:8], "little", signed=True)
        return datetime.fromtimestamp((time.time_ns() // 1_000 + offset_us) / 1_000_000, UTC)

    def add(self, residents: list[Resident]) -> None:
        """
        Add residents, or replace them by My Number; names given before stay.

        Raises:
            OverflowError: If there would be too many.
        """
        if len(self._numbers) + len(residents) > RESIDENTS_MAX:
            raise OverflowError
        self._added.append(residents)
        self._know(residents)

    def number_of(self, resident_id: str) -> str | None:
        """The number of a resident by the simulation's name, or None."""
        return self._numbers.get(resident_id)

    def finding(self, check: pb.ResidentCheck, mismatch_per_mille: int) -> pb.ResidentFinding:
        """Compare the five items (5情報); of an unknown number nothing else is said."""
        held = self.residents.get(check.individual_number)
        if held is None:
            return pb.ResidentFinding(is_known=False)
        said = check.registered
        born = held.birth_date.replace("-", "")
        is_planted = self._draw(check.individual_number) < mismatch_per_mille
        return pb.ResidentFinding(
            is_known=True,
            is_name_different=not is_alike(held.name, said.name),
            is_name_kana_different=not is_alike(held.name_kana, said.name_kana),
            is_birth_date_different=is_planted or born != spelled(said.birth_date),
            is_sex_different=said.sex not in (held.sex, int(Sex.UNSET)),
            is_address_different=said.address != "" and not is_alike(held.address, said.address),
        )

    def holder(self, certificate: bytes) -> str:
        """The number of a certificate's holder; empty unless it is ours and not revoked."""
        try:
            read = x509.load_der_x509_certificate(certificate)
            read.verify_directly_issued_by(self._authority.certificate)
        except (ValueError, TypeError, x509.InvalidVersion, InvalidSignature):
            return ""
        number = self._holders.get(read.serial_number, "")
        return number if self._cards.get(number) == read.serial_number else ""

    async def issue(self, individual_number: str) -> pb.IssueCardResponse:
        """Issue a card; the making of its key does not keep other calls waiting."""
        key = await asyncio.to_thread(new_key)
        certificate = self._authority.issue(key.public_key(), self.now())
        serial = certificate.serial_number
        self._issued.append([IssuedCard(f"{serial:x}", individual_number)])
        is_first = individual_number not in self._cards
        self._give(serial, individual_number)
        if not is_first:
            self._publish_revocations()
        return pb.IssueCardResponse(
            certificate=certificate.public_bytes(Encoding.DER),
            private_key=private_key_der(key),
            pin=new_pin(),
        )

    def close(self) -> None:
        """Let go of the files."""
        self._added.close()
        self._issued.close()

    def _know(self, residents: Iterable[Resident]) -> None:
        for resident in residents:
            self.residents[resident.individual_number] = resident
            self.known.append(resident.individual_number)
            self._numbers.update(dict.fromkeys(resident.ids, resident.individual_number))

    def _give(self, serial: int, individual_number: str) -> None:
        self._holders[serial] = individual_number
        self._cards[individual_number] = serial

    def _publish_revocations(self) -> None:
        """List every card that another replaced; the number grows with every card issued."""
        revoked = set(self._holders) - set(self._cards.values())
        content = self._authority.revocation_list(sorted(revoked), len(self._holders), self.now())
        replace_file(self._folder / REVOKED_FILE, content)

    def _draw(self, individual_number: str) -> int:
        """A number from 0 to 999 that is always the same for a resident and a seed."""
        drawn = hashlib.blake2b(f"{self._seed}:{individual_number}".encode(), digest_size=8)
        return int.from_bytes(drawn.digest()) % 1_000


def is_alike(held: str, said: str) -> bool:
    """
    Whether two spellings of a name or an address count as one.

    Width, blanks, the usual variants, hiragana and small kana do not count; a single ● stands for
    any one character (insurer-lifecycle.md 1.3 #12).
    """
    ours, theirs = folded(held), folded(said)
    if len(ours) != len(theirs):
        return False
    unlike = [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]
    return not unlike or (len(unlike) == 1 and _UNKNOWN_CHARACTER in unlike[0])


def spelled(day: date_pb2.Date) -> str:
    """Spell a day as eight digits."""
    return f"{day.year:04}{day.month:02}{day.day:02}"


def folded(text: str) -> str:
    """Give what counts of a spelling."""
    plain = _IGNORED.sub("", unicodedata.normalize("NFKC", text))
    return plain.translate(_VARIANTS).translate(_HIRAGANA).translate(_SMALL_KANA)


def _decoded(name: str, lines: Iterable[bytes], kind: type[_Line]) -> Iterator[_Line]:
    decoder = msgspec.json.Decoder(kind, strict=False)
    for place, line in enumerate(lines, start=1):
        try:
            yield decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeError):
            raise ValueError(f"{name}, line {place}, is not what it should be") from None
