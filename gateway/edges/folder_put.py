"""
How a file comes to lie in a folder whole, durable, and seen by every kind of client.

Clients that wait for a settled file need it to appear at once; clients that wait for a change of
an existing file need it touched later. Sources: oqs-interface.md 5.19 and 5.20.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from gateway.edges.folder_names import temporary


def put(target: Path, data: bytes) -> None:
    """
    Make a file appear whole under its name, in place of any file there, and stay.

    Raises:
        OSError: If that cannot be done; the name is as it was.
    """
    hidden = temporary(target)
    try:
        with hidden.open("wb") as file:
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
    """Change the time of a file; one that is gone was taken already."""
    with suppress(FileNotFoundError):
        os.utime(target)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
