"""The claim file's reader as the fuzzer drives it: whole and cut in two."""

from __future__ import annotations

from typing import Final

from gateway.domain.errors import Refusal
from gateway.formats.uke import UkeClaim, UkeItem, UkeLimits, UkeReader
from gateway.formats.uke_edit import MOVED, CheckedIdentity, moved, with_check_code

LIMITS: Final = UkeLimits(
    record_bytes_max=512,
    records_per_claim_max=12,
    claim_bytes_max=2_048,
    claims_max=5,
    errors_per_claim_max=4,
    file_errors_max=6,
)
"""Small, so that a short input goes over each of them."""


def items_of(*pieces: bytes) -> list[UkeItem]:
    """Everything a file is read as."""
    reader = UkeReader(LIMITS)
    items = [item for piece in pieces for item in reader.feed(piece)]
    return items + reader.finish()


def read_uke(data: bytes) -> None:
    """
    Decode a claim file whole and cut in two, and write its good claims again.

    Nothing but a refusal may escape; the two readings are the same.
    """
    whole = items_of(data)
    middle = len(data) // 2
    assert whole == items_of(data[:middle], data[middle:])
    for item in whole:
        if not isinstance(item, UkeClaim):
            continue
        assert item.encoded in data or item.errors
        if item.claim is None:
            continue
        with_check_code(item, "02")
        if item.claim.insured_id is None:
            continue
        to = CheckedIdentity(item.claim.insured_id, item.claim.claim_type, None)
        try:
            written = moved(item, to)
        except Refusal:
            continue
        assert written.count(b"\r\n") >= len(item.records)
        assert f",{MOVED},".encode("ascii") in written
