"""
What is logged, and the one place that knows what may never be.

Lines are JSON on standard error. Only named fields pass, only plain values, and a run of twelve
digits never does. A bug is logged with an id, its type and where it happened, without its text,
because texts may hold data. A success leaves no line.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

FIELDS: Final = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "process",
        "process_name",
        "exit_code",
        "bug_id",
        "error_type",
        "frames",
        "reason",
        "method",
        "status",
        "count",
        "seconds",
        "attempt",
        "life",
        "sequence",
    }
)
"""Every name a log line may carry; a new one is added here, with a thought."""

FRAMES_MAX: Final = 12
_NUMBER_LIKE: Final = re.compile(r"\d{12}")
HIDDEN: Final = "hidden"


def configure(process: str) -> None:
    """Set up logging for a process; every line names it."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            only_plain,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)


def get_logger() -> Any:
    """The process's logger: `get_logger().warning("event_name", field=value)`."""
    return structlog.get_logger()


def log_bug(bug: BaseException, bug_id: str) -> None:
    """Log a bug under the id the caller was told."""
    frames = traceback.extract_tb(bug.__traceback__)[-FRAMES_MAX:]
    places = [
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames
    ]
    get_logger().error(
        "bug", bug_id=bug_id, error_type=type(bug).__name__, frames=" < ".join(reversed(places))
    )


def only_plain(
    _logger: Any, _method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Let named fields with plain values through; hide everything else."""
    return {name: _plain(value) for name, value in entry.items() if name in FIELDS}


def _plain(value: object) -> str | int | float | bool | None:
    match value:
        case bool() | float() | None:
            return value
        case int():
            return HIDDEN if _NUMBER_LIKE.search(str(value)) else value
        case str():
            return _NUMBER_LIKE.sub(HIDDEN, value)
        case _:
            return HIDDEN
