"""
The face folder: where a terminal puts what a card reader's confirmation gave.

Source: oqs-interface.md 1.2.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway.edges.folder_put import put, touch
from gateway.formats.text import moment_digits

_UNIQUE: Final = re.compile(r"[0-9a-f]{20}")
_INSTITUTION_CODE: Final = re.compile(r"[0-9]{10}")


def put_face(face_dir: Path, institution_code: str, unique: str, at: datetime, data: bytes) -> Path:
    """
    Put the result of a card reader into `face` and give its path; it appears whole.

    It is touched at once. `folder_put.touch` does so again, for clients that look at the folder
    now and then and react only to a change of a file they met before.

    Args:
        face_dir: The folder; it must exist.

        institution_code: Ten digits.

        unique: Twenty lower-case hexadecimal digits that no other file has.

        at: Wall-clock time in Japan.

        data: The whole file.

    Raises:
        ValueError: If the code or `unique` has another form.
        OSError: If the file cannot be written; nothing is left of it then but a hidden file.
    """
    if not _INSTITUTION_CODE.fullmatch(institution_code) or not _UNIQUE.fullmatch(unique):
        raise ValueError("a face file is named by ten digits and twenty hexadecimal digits")
    target = face_dir / (f"OQSsiquc01res_face_{institution_code}{unique}_{moment_digits(at)}.xml")
    put(target, data)
    touch(target)
    return target
