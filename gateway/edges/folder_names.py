"""
The names of files in the drop folders: whose they are, and what belongs together.

Names that begin with a dot and end in `.onshi-tmp` are half-written files of this bridge. The
rest of a name is the client's own words, so nothing here is logged. Source: oqs-interface.md 1.2.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ANSWER: Final = ".answer"
REJECTION: Final = ".rejection"
"""In `work`, behind a request's name: what is going to be put into `res`."""

_REQUEST: Final = re.compile(
    r"OQSsiquc01req_(?P<suffix>[A-Za-z0-9_-]{1,200})\.xml", re.IGNORECASE | re.ASCII
)
_TEMPORARY: Final = ".onshi-tmp"


def is_request(name: str) -> bool:
    """Whether a name is a request's."""
    return _REQUEST.fullmatch(name) is not None


def key_of(name: str) -> str:
    """Names that differ by case only are one file to most clients."""
    return name.lower()


def result_name(request: str) -> str:
    """
    Name the result of a request.

    Raises:
        ValueError: If the name is no request's.
    """
    found = _REQUEST.fullmatch(request)
    if found is None:
        raise ValueError("not a request's name")
    return f"OQSsiquc01res_{found['suffix']}.xml"


def request_of(name: str) -> str | None:
    """Give the request that a file in `work` belongs to, or None for a file that is not ours."""
    request = name.removesuffix(ANSWER).removesuffix(REJECTION)
    return request if is_request(request) else None


def temporary(target: Path) -> Path:
    """Where a file is written before it appears whole."""
    return target.with_name(f".{target.name}{_TEMPORARY}")


def is_temporary(name: str) -> bool:
    """Whether a name is one `temporary` gives."""
    return name.startswith(".") and name.endswith(_TEMPORARY)
