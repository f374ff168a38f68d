"""
The numbers people, insurers and institutions are known by; none can exist in a bad state.

`parse` takes every spelling seen in the wild and refuses the rest; the value keeps one form.
It does not judge whether a number was ever issued. Sources: oqs-interface.md 2.1, 5.1-5.5 and
5.18; insurer-lifecycle.md 1.1 (items 2-5), 1.3 #15, 1.4; requirement R003-02.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from enum import Enum
from functools import lru_cache
from typing import Final, NewType

from msgspec import Struct

from gateway.domain.errors import InvalidInput

PersonKey = NewType("PersonKey", bytes)
"""Our own key of a person, 16 bytes; says nothing about the person."""

EnrolleeKey = NewType("EnrolleeKey", bytes)
"""Our own key of one insurer's enrollee, 16 bytes; it never changes."""

LookupKey = NewType("LookupKey", bytes)
"""Digest of insurer number, symbol and number as they are compared, 16 bytes."""

SYMBOL_CHARACTERS_MAX: Final = 20
NUMBER_CHARACTERS_MAX: Final = 20
INSURER_NUMBER_LENGTHS: Final = (6, 8)
INSTITUTION_CODE_DIGITS: Final = 10


@lru_cache(maxsize=16_384)
def check_digit_holds(digits: str) -> bool:
    """
    Whether the last digit checks the others (weights 2, 1, 2 ... from the right, digit sums).

    Leading zeros do not change the outcome, so 6- and 8-digit insurer numbers share the rule.
    """
    total = 0
    for place, character in enumerate(reversed(digits)):
        value = int(character)
        if place % 2:
            value = value * 2 - 9 if value > 4 else value * 2  # noqa: PLR2004
        total += value
    return total % 10 == 0


def with_check_digit(body: str) -> str:
    """Append the digit that makes `check_digit_holds` true."""
    return next(body + str(d) for d in range(10) if check_digit_holds(body + str(d)))


class InsurerKind(Enum):
    """What sort of insurer the first two digits name (法別番号)."""

    NATIONAL = "国民健康保険"
    ASSOCIATION = "全国健康保険協会"
    SEAMEN = "船員保険"
    DAY_LABOURERS = "日雇特例"
    SOCIETY = "健康保険組合"
    SELF_DEFENCE = "自衛官等"
    MUTUAL_AID = "共済組合"
    LATTER_STAGE_ELDERLY = "後期高齢者医療"
    SPECIAL_RETIREE = "特例退職"
    NATIONAL_RETIREE = "国民健康保険（退職）"
    MEDICAL_ASSISTANCE = "医療扶助"
    OTHER = "その他"


_KINDS: Final = {
    "00": InsurerKind.NATIONAL,
    "01": InsurerKind.ASSOCIATION,
    "02": InsurerKind.SEAMEN,
    "03": InsurerKind.DAY_LABOURERS,
    "04": InsurerKind.DAY_LABOURERS,
    "06": InsurerKind.SOCIETY,
    "07": InsurerKind.SELF_DEFENCE,
    "12": InsurerKind.MEDICAL_ASSISTANCE,
    "31": InsurerKind.MUTUAL_AID,
    "32": InsurerKind.MUTUAL_AID,
    "33": InsurerKind.MUTUAL_AID,
    "34": InsurerKind.MUTUAL_AID,
    "39": InsurerKind.LATTER_STAGE_ELDERLY,
    "63": InsurerKind.SPECIAL_RETIREE,
    "67": InsurerKind.NATIONAL_RETIREE,
    "72": InsurerKind.SPECIAL_RETIREE,
    "73": InsurerKind.SPECIAL_RETIREE,
    "74": InsurerKind.SPECIAL_RETIREE,
    "75": InsurerKind.SPECIAL_RETIREE,
}


_MEDICAL_ASSISTANCE: Final = tuple(
    digits for digits, kind in _KINDS.items() if kind is InsurerKind.MEDICAL_ASSISTANCE
)


class InsurerNumber(Struct, frozen=True, array_like=True, order=True):
    """
    An insurer's number (保険者番号), or a medical assistance payer's (公費負担者番号).

    One value, three surface forms: `zero_padded` (8 digits, canonical), `space_padded`
    (8 characters) and `bare` (6 digits for a national health insurance number).
    """

    zero_padded: str

    def __post_init__(self) -> None:
        if len(self.zero_padded) != max(INSURER_NUMBER_LENGTHS):
            raise InvalidInput("LENGTH_WRONG", "insurer_number")
        if not (self.zero_padded.isascii() and self.zero_padded.isdigit()):
            raise InvalidInput("FORMAT_WRONG", "insurer_number")
        if not check_digit_holds(self.zero_padded):
            raise InvalidInput("CHECK_DIGIT_WRONG", "insurer_number")

    @classmethod
    def parse(cls, text: str) -> InsurerNumber:
        """
        Read 6 or 8 digits, blanks around them allowed, full-width digits too.

        Raises:
            InvalidInput: `FIELD_REQUIRED`, `FORMAT_WRONG`, `LENGTH_WRONG`,
                `CHECK_DIGIT_WRONG`; `INSURER_UNIDENTIFIED` for 77777777 (see `parse_insurer`).
        """
        match parse_insurer(text):
            case InsurerNumber() as number:
                return number
            case UnidentifiedInsurer():
                raise InvalidInput("INSURER_UNIDENTIFIED", "insurer_number")

    @property
    def bare(self) -> str:
        """Without padding: 6 digits where the number has no 法別番号, else 8."""
        return self.zero_padded.removeprefix("00")

    @property
    def space_padded(self) -> str:
        """Eight characters, blanks on the left, as results spell it (oqs-interface.md 5.2)."""
        return self.bare.rjust(8)

    @property
    def kind(self) -> InsurerKind:
        """The sort of insurer, by the first two digits."""
        return _KINDS.get(self.zero_padded[:2], InsurerKind.OTHER)

    @property
    def is_medical_assistance(self) -> bool:
        """Whether this is a payer of medical assistance (医療扶助)."""
        return self.zero_padded.startswith(_MEDICAL_ASSISTANCE)


class UnidentifiedInsurer(Struct, frozen=True):
    """The number 77777777 (不詳), which fails the check digit and is no insurer's."""

    zero_padded: str = "77777777"


@lru_cache(maxsize=64)
def parse_insurer(text: str) -> InsurerNumber | UnidentifiedInsurer:
    """
    Read an insurer number, or the number that says it is not known.

    Raises:
        InvalidInput: As `InsurerNumber.parse`, but for 77777777.
    """
    digits = (text if text.isascii() else unicodedata.normalize("NFKC", text)).strip()
    if not digits:
        raise InvalidInput("FIELD_REQUIRED", "insurer_number")
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidInput("FORMAT_WRONG", "insurer_number")
    if len(digits) not in INSURER_NUMBER_LENGTHS:
        raise InvalidInput("LENGTH_WRONG", "insurer_number")
    if digits == UnidentifiedInsurer().zero_padded:
        return UnidentifiedInsurer()
    return InsurerNumber(digits.rjust(8, "0"))


class InstitutionCode(Struct, frozen=True, array_like=True, order=True):
    """
    A medical institution's code (医療機関コード): prefecture 2, points table 1, number 7.

    The last digit checks all before it. The third says 1 medical, 3 dental, 4 pharmacy.
    """

    digits: str

    def __post_init__(self) -> None:
        if not (self.digits.isascii() and self.digits.isdigit()):
            raise InvalidInput("FORMAT_WRONG", "institution_code")
        if len(self.digits) != INSTITUTION_CODE_DIGITS:
            raise InvalidInput("LENGTH_WRONG", "institution_code")
        if not check_digit_holds(self.digits):
            raise InvalidInput("CHECK_DIGIT_WRONG", "institution_code")

    @classmethod
    def parse(cls, text: str) -> InstitutionCode:
        """
        Read ten digits, blanks around them allowed.

        Raises:
            InvalidInput: `FIELD_REQUIRED`, `FORMAT_WRONG`, `LENGTH_WRONG`, `CHECK_DIGIT_WRONG`.
        """
        digits = unicodedata.normalize("NFKC", text).strip()
        if not digits:
            raise InvalidInput("FIELD_REQUIRED", "institution_code")
        return cls(digits)


def parse_branch(text: str) -> str | None:
    """
    Read a branch number (枝番): two digits, or nothing.

    One digit is read as zero-padded, as some clients send it (oqs-interface.md 5.4). The value
    never tells who is insured and who is family.

    Raises:
        InvalidInput: `FORMAT_WRONG` or `LENGTH_WRONG`.
    """
    digits = (text if text.isascii() else unicodedata.normalize("NFKC", text)).strip()
    if not digits:
        return None
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidInput("FORMAT_WRONG", "branch")
    if len(digits) > len("00"):
        raise InvalidInput("LENGTH_WRONG", "branch")
    return digits.rjust(2, "0")


_HYPHENS: Final = dict.fromkeys(map(ord, "‐‑‒–—―−─━⁃﹣"), "-")
_LONG_MARKS_AS_HYPHENS: Final = re.compile(r"(?<![ぁ-ゖァ-ヺー])ー+")


def match_text(raw: str) -> str:
    """
    Spell a symbol or number as it is compared.

    Width is folded (NFKC), blanks go, every hyphen-like stroke is one hyphen, and long-vowel
    marks that follow no kana are hyphens too. Leading zeros stay, and so does case.
    """
    if raw.isascii() and raw.isalnum():
        return raw
    return _folded(raw)


@lru_cache(maxsize=1024)
def _folded(raw: str) -> str:
    """Symbols repeat: an insurer's enrollees share a few."""
    text = unicodedata.normalize("NFKC", raw).translate(_HYPHENS)
    return _LONG_MARKS_AS_HYPHENS.sub(lambda marks: "-" * len(marks[0]), "".join(text.split()))


_WIDE_BLANK: Final = "\u3000"


def _checked_text(raw: str, field: str, characters_max: int) -> str:
    if len(raw) > characters_max:
        raise InvalidInput("TOO_LONG", field, characters_max=str(characters_max))
    if not raw.replace(_WIDE_BLANK, " ").isprintable():
        raise InvalidInput("FORMAT_WRONG", field)
    return raw


@lru_cache(maxsize=2_048)
def _lookup_key(insurer_number: str, symbol: str, number: str) -> LookupKey:
    """A slice of changes asks for the key of each id several times."""
    text = "\x1f".join((insurer_number, match_text(symbol), match_text(number)))
    return LookupKey(hashlib.blake2b(text.encode(), digest_size=16).digest())


class InsuredId(Struct, frozen=True, array_like=True):
    """
    What a card shows: insurer number, symbol, number and branch (保険者番号・記号・番号・枝番).

    Symbol and number keep the text as it came; `lookup_key` and `names` compare them by
    `match_text`. The symbol may be empty (後期高齢者 have none), the number may not.
    """

    insurer_number: InsurerNumber
    symbol: str
    number: str
    branch: str | None = None

    @classmethod
    def parse(cls, insurer_number: str, symbol: str, number: str, branch: str) -> InsuredId:
        """
        Read the four parts; the field named in a refusal is the part's.

        Raises:
            InvalidInput: As the parts; `TOO_LONG` over 20 characters; `FIELD_REQUIRED` for an
                empty number; `FORMAT_WRONG` for a control character or an invisible one; blanks of
                either width within are text.
        """
        symbol = _checked_text(symbol.strip(), "symbol", SYMBOL_CHARACTERS_MAX)
        number = _checked_text(number.strip(), "number", NUMBER_CHARACTERS_MAX)
        if not number:
            raise InvalidInput("FIELD_REQUIRED", "number")
        return cls(InsurerNumber.parse(insurer_number), symbol, number, parse_branch(branch))

    @property
    def lookup_key(self) -> LookupKey:
        """The key under which covers with this insurer, symbol and number are found."""
        return _lookup_key(self.insurer_number.zero_padded, self.symbol, self.number)

    def names(self, other: InsuredId) -> bool:
        """
        Whether a question with this id may mean a cover with the other.

        Without a branch the question matches any (R003-03); a cover whose branch the insurer
        has not assigned matches any question.
        """
        return (
            self.insurer_number == other.insurer_number
            and (self.branch is None or other.branch is None or self.branch == other.branch)
            and match_text(self.number) == match_text(other.number)
            and match_text(self.symbol) == match_text(other.symbol)
        )
