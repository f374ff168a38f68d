"""
The retention schedule as data: reading `retention.toml`, or an operator's own file, of one form.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import msgspec

from gateway.domain.retention import DISPOSABLE, RetentionClass, Schedule


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"classes": "class"}):
    version: str
    classes: tuple[RetentionClass, ...]


def retention_schedule(path: Path | None = None) -> Schedule:
    """
    Read the schedule shipped with the package, or the file an operator put in its place.

    Raises:
        OSError: The file cannot be read.
        ValueError: It leaves out a class, or keeps another one for a time only.
        msgspec.ValidationError: For a value outside the tables.
    """
    if path is None:
        text = resources.files("gateway.policy").joinpath("retention.toml").read_bytes()
    else:
        text = path.read_bytes()
    file = msgspec.toml.decode(text, type=_File)
    codes = {one.code for one in file.classes}
    if not set(DISPOSABLE) <= codes:
        raise ValueError("RETENTION_CLASS_REQUIRED")
    timed = {one.code for one in file.classes if one.days_kept is not None}
    if not timed <= set(DISPOSABLE):
        raise ValueError("RETENTION_CLASS_NOT_DISPOSABLE")
    return Schedule(file.version, file.classes)
