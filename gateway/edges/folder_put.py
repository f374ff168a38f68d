"""
How a file comes to lie in a folder whole, durable, and seen by every kind of client.

Clients that wait for a settled file need it to appear at once; clients that wait for a change of
an existing file need it touched later. Others may write into these folders too, so no link that
lies in the way is followed. Sources: oqs-interface.md 5.19 and 5.20.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.edges.folder_names import temporary

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_MODE: Final = 0o666
"""Less what the umask takes away, as for any new file."""


def put(target: Path, data: bytes) -> None:
    """
    Make a file appear whole under its name, in place of any file or link there, and stay.

    Raises:
        OSError: If that cannot be done; the name is as it was.
    """
    hidden = temporary(target)
    try:
        hidden.unlink(missing_ok=True)
        with open(os.open(hidden, _NEW, _MODE), "wb") as file:  # noqa: PTH123  a descriptor
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(target)
    except OSError:
        with suppress(OSError):
            hidden.unlink()
        raise
    sync_folder(target.parent)


def touch(target: Path) -> None:
    """Change the time of a file, or of a link itself; one that is gone was taken already."""
    with suppress(FileNotFoundError):
        os.utime(target, follow_symlinks=False)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
