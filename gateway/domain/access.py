"""
The record of a look at personal data, and the chain that shows no record was changed.

A record says who looked at whom, for what purpose, at which data and with what outcome. It
holds our own keys, never a name, birth date, symbol or number. Each record's digest covers the
record before it; a chain begins with the life (one run of one process) it belongs to.
Sources: seed-requirements.md 1.3 and 7.5 (R002-12-6); house 11.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from msgspec import Struct

from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant

RECORD_FORMAT: Final = 1


class AccessRecord(Struct, frozen=True):
    """
    One look, allowed or denied.

    `outcome` is `ANSWERED`, `REGISTERED`, `DISPOSED` or `DENIED`; `detail` is the validity, the
    count of registered lines, the number of the certificate or the reason of the denial. `people`
    may be empty: a look that found nobody is still a look.
    """

    at: Instant
    role: str
    code: str
    method: str
    purpose: str
    policy_version: str
    operation: str
    data: tuple[str, ...]
    outcome: str
    detail: str
    people: tuple[PersonKey, ...] = ()


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(AccessRecord)


def encode_record(record: AccessRecord) -> bytes:
    """Spell a record as one line of JSON without the line end."""
    return _encoder.encode(record)


def decode_record(body: bytes) -> AccessRecord:
    """Read a record back. Raises `msgspec.MsgspecError` for anything else."""
    return _decoder.decode(body)


def first_digest(life: str) -> bytes:
    """The digest a chain begins with: it binds the chain to one process life."""
    return hashlib.sha256(f"onshi-access:{RECORD_FORMAT}:{life}".encode()).digest()


def next_digest(previous: bytes, body: bytes) -> bytes:
    """The digest of a record that follows the record with digest `previous`."""
    return hashlib.sha256(previous + body).digest()


def record_id(life: str, sequence: int) -> str:
    """The name of a record: the life it was written in and its place there, from 1."""
    return f"{life}-{sequence}"
