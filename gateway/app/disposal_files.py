"""
A disposal's files under the data directory: the order that waits, and the certificates.

Whoever may write here may order a disposal, as with keys: the operator, on the machine. The
store's own table is what certificates are made from; a lost file is written again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from gateway.domain.retention import Disposal, Order, certificate_digest, first_broken
from gateway.store.keyring import sync_directory

ORDER: Final = "order.json"
REFUSED: Final = "order.refused.json"
CERTIFICATES: Final = "[0-9]*.json"


class OrderWaitsError(Exception):
    """Another order waits to be carried out."""


class OrderRefusedError(Exception):
    """The order could not be carried out and was put aside."""


class Certificate(Struct, frozen=True, forbid_unknown_fields=True):
    """A certificate as a file holds it; the digest is what the next one names as `previous`."""

    certificate: Disposal
    digest: str


def put_order(folder: Path, order: Order) -> None:
    """
    Leave an order for the writer, durably.

    Raises:
        OrderWaitsError: There is one already.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    half = _half(folder, f"{order.order_id}.order", msgspec.json.encode(order))
    try:
        os.link(half, folder / ORDER)
    except FileExistsError:
        raise OrderWaitsError from None
    finally:
        half.unlink()
    sync_directory(folder)


def waiting_order(folder: Path) -> Order | None:
    """
    Read the order that waits, or None.

    Raises:
        msgspec.MsgspecError: It is no order.
    """
    try:
        body = (folder / ORDER).read_bytes()
    except FileNotFoundError:
        return None
    return msgspec.json.decode(body, type=Order)


def drop_order(folder: Path) -> None:
    """Forget the order, which was carried out."""
    (folder / ORDER).unlink(missing_ok=True)
    sync_directory(folder)


def refuse_order(folder: Path) -> None:
    """Put the order aside, which cannot be carried out."""
    (folder / ORDER).replace(folder / REFUSED)
    sync_directory(folder)


def is_refused(folder: Path, order: Order) -> bool:
    """Whether an order was put aside."""
    try:
        return (folder / REFUSED).read_bytes() == msgspec.json.encode(order)
    except FileNotFoundError:
        return False


def publish(folder: Path, disposals: list[Disposal]) -> None:
    """Write the certificates that are not there, durably."""
    if not disposals:
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    for one in disposals:
        path = folder / f"{one.number:06}.json"
        if not path.exists():
            told = msgspec.json.encode(Certificate(one, certificate_digest(one)))
            _half(folder, path.name, msgspec.json.format(told, indent=2) + b"\n").replace(path)
    sync_directory(folder)


def certificates(folder: Path) -> tuple[list[Disposal], int | None]:
    """
    Read the certificates, and the number of the first that is broken or missing before another.

    Raises:
        msgspec.MsgspecError: A file is no certificate.
    """
    found = [
        msgspec.json.decode(path.read_bytes(), type=Certificate)
        for path in sorted(folder.glob(CERTIFICATES))
    ]
    changed = [
        one.certificate.number for one in found if one.digest != certificate_digest(one.certificate)
    ]
    disposals = [one.certificate for one in found]
    broken = first_broken(disposals)
    return disposals, min([*changed, *([] if broken is None else [broken])], default=None)


def _half(folder: Path, name: str, body: bytes) -> Path:
    half = folder / f".{name}.new"
    with half.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    return half
