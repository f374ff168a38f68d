"""Which uploads of the spool still need an older key, for who wants to retire it."""

from __future__ import annotations

from pathlib import Path

from gateway.store.keyring import Secret
from gateway.store.port import UploadKey
from gateway.store.spool import FRAME, SUFFIX
from gateway.store.spool_frames import SpoolKeys


def old_uploads(directory: Path, secret: Secret) -> int:
    """How many uploads begin with a frame of another key; may run beside the gateway."""
    keys = SpoolKeys([secret])
    paths = list(directory.glob(f"*{SUFFIX}")) if directory.exists() else []
    return sum(_begins_with_another(path, keys) for path in paths)


def _begins_with_another(path: Path, keys: SpoolKeys) -> bool:
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
    upload_key = UploadKey(bytes.fromhex(path.stem))
    return not keys.is_current(upload_key, offset, nonce, ciphertext)
