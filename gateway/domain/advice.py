"""What is said to people about a reason; the reasons themselves stand in `reasons`."""

from typing import NamedTuple


class Advice(NamedTuple):
    """What a reason means and what to do, for the two readers."""

    ja: str
    en: str
    technician_ja: str
    technician_en: str


def advise(ja: str, en: str, technician_ja: str, technician_en: str) -> Advice:
    """Put an advice together."""
    return Advice(ja, en, technician_ja, technician_en)
