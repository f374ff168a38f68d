"""
The individual number (個人番号, My Number): a value that hides itself.

It never travels toward institutions, review bodies, logs or error texts; an import contract
names the few modules that may know it. Sources: insurer-lifecycle.md 1.1 #1, 1.3 #14;
requirements R002-3-2, R003-18.
"""

from __future__ import annotations

import unicodedata
from typing import Final, NoReturn

from gateway.domain.errors import InvalidInput

INDIVIDUAL_NUMBER_DIGITS: Final = 12


def individual_check_digit(body: str) -> str:
    """The digit that checks eleven others: 11 - (sum of P(n) Q(n) mod 11), 0 if that is over 9."""
    total = sum(
        int(digit) * (n + 1 if n <= 6 else n - 5)  # noqa: PLR2004  the ordinance's own bounds
        for n, digit in enumerate(reversed(body), start=1)
    )
    return str(0 if total % 11 <= 1 else 11 - total % 11)


class IndividualNumber:
    """Twelve digits with a check digit; only `reveal` gives them."""

    __slots__ = ("_digits",)

    def __init__(self, digits: str) -> None:
        if len(digits) != INDIVIDUAL_NUMBER_DIGITS:
            raise InvalidInput("LENGTH_WRONG", "individual_number")
        if not (digits.isascii() and digits.isdigit()):
            raise InvalidInput("FORMAT_WRONG", "individual_number")
        if individual_check_digit(digits[:-1]) != digits[-1]:
            raise InvalidInput("CHECK_DIGIT_WRONG", "individual_number")
        self._digits = digits

    @classmethod
    def parse(cls, text: str) -> IndividualNumber:
        """
        Read twelve digits, blanks and hyphens between them allowed, full-width digits too.

        Raises:
            InvalidInput: `FIELD_REQUIRED`, `LENGTH_WRONG`, `FORMAT_WRONG`, `CHECK_DIGIT_WRONG`.
        """
        digits = "".join(unicodedata.normalize("NFKC", text).replace("-", "").split())
        if not digits:
            raise InvalidInput("FIELD_REQUIRED", "individual_number")
        return cls(digits)

    def reveal(self) -> str:
        """The digits. Only the vault and the resident-register adapter have reason to ask."""
        return self._digits

    def __repr__(self) -> str:
        return "IndividualNumber(hidden)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IndividualNumber) and self._digits == other._digits

    def __hash__(self) -> int:
        return hash(self._digits)

    def __reduce__(self) -> NoReturn:
        """Refuse pickling: a number is never written down by accident."""
        raise TypeError("an individual number is not to be serialised")
