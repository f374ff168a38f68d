"""Which uploads of the spool still need an older key, for who wants to retire it."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.store.keyring import Secret
from gateway.store.spool import FRAME, SUFFIX, spool_key


def old_uploads(directory: Path, secret: Secret) -> int:
    """How many uploads begin with a frame of another key; may run beside the gateway."""
    key = spool_key(secret)
    paths = list(directory.glob(f"*{SUFFIX}")) if directory.exists() else []
    return sum(_begins_with_another(path, key) for path in paths)


def _begins_with_another(path: Path, key: AESGCM) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(FRAME.size)
            if len(head) < FRAME.size:
                return False
            length, offset, nonce = FRAME.unpack(head)
            ciphertext = file.read(length)
    except FileNotFoundError:
        return False
    if len(ciphertext) < length:
        return False
    bound = bytes.fromhex(path.stem) + offset.to_bytes(8, "big")
    try:
        key.decrypt(nonce, ciphertext, bound)
    except InvalidTag:
        return True
    return False
