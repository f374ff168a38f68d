"""
What is logged, and the one place that knows what may never be.

Lines are JSON on standard error. Only named fields pass, and of those only what reads like a name
or a count from our own code: never a run of digits, a date, or a text in Japanese. An exception is
logged as its type and where it came from, without its text or any value, because texts may hold
data; so are exceptions nobody caught and what libraries log. A success leaves no line. Sources:
house 3 (no personal data in logs) and 8.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, MutableMapping
from types import TracebackType
from typing import Any, Final

import structlog

FIELDS: Final = frozenset(
    {
        "attempt",
        "bug_id",
        "code",
        "count",
        "errno",
        "exit_code",
        "kind",
        "life",
        "logger",
        "method",
        "process_name",
        "reason",
        "seconds",
        "sequence",
        "status",
    }
)
"""Every name a log call may give; a new one is added here, with a thought."""

ID_FIELDS: Final = frozenset({"bug_id", "life"})
"""Those that hold random hexadecimal digits."""

HIDDEN: Final = "hidden"
FRAMES_MAX: Final = 12
CAUSES_MAX: Final = 5
FRAME_PARTS: Final = 3
COUNT_END: Final = 10**10
"""From here on a number may be a My Number without its leading zero."""

_EVENT: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./:-]{0,99}")
_DATA_LIKE: Final = re.compile(r"\d{6}|\d{4}[-/]\d")
_ID: Final = re.compile(r"[0-9a-f]{16}|[0-9a-f]{32}")

Entry = MutableMapping[str, Any]


class _StandardError:
    """Writes a line to what is standard error at that moment, in one piece."""

    def __init__(self, *_names: object) -> None:
        """Take the names a caller may give a logger; a line has the process's."""

    def msg(self, line: str) -> None:
        """Write a line."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    debug = info = warning = error = critical = msg


def configure(process: str) -> None:
    """
    Set up logging for a process; every line names it.

    Libraries' warnings and exceptions that end a thread or the process become such lines too.
    """
    structlog.configure(
        processors=[
            only_safe,
            structlog.processors.add_log_level,
            # Not a time anything decides by, so it need not be the handed-in one.
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _naming(process),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=_StandardError,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_LibraryHandler()], level=logging.WARNING, force=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def get_logger() -> Any:
    """The process's logger: `get_logger().warning("event_name", field=value)`."""
    return structlog.get_logger()


def log_bug(bug: BaseException, bug_id: str) -> None:
    """Log a bug under the id the caller was told."""
    get_logger().error("bug", bug_id=bug_id, exc_info=bug)


def only_safe(_logger: Any, _method: str, entry: Entry) -> Entry:
    """Let named fields with safe values through, and tell of an exception only what is safe."""
    event = entry.get("event")
    is_name = isinstance(event, str) and _EVENT.fullmatch(event) and not _DATA_LIKE.search(event)
    safe: Entry = {"event": event if is_name else HIDDEN}
    safe.update((name, _safe(name, value)) for name, value in entry.items() if name in FIELDS)
    exception = _exception_in(entry.get("exc_info"))
    if exception is not None:
        safe["exceptions"] = _described(exception)
    return safe


def _safe(name: str, value: object) -> str | int | float | bool | None:
    match value:
        case bool() | None:
            return value
        case int() | float() if type(value) in (int, float):
            return HIDDEN if abs(value) >= COUNT_END else value
        case str() if type(value) is str:
            if name in ID_FIELDS:
                is_safe = _ID.fullmatch(value) is not None
            else:
                is_safe = _WORD.fullmatch(value) is not None and not _DATA_LIKE.search(value)
            return value if is_safe else HIDDEN
        case _:
            return HIDDEN


def _exception_in(info: object) -> BaseException | None:
    """The exception of an `exc_info`, in any of the forms a log call may give it."""
    match info:
        case BaseException():
            return info
        case (_, BaseException() as exception, _):
            return exception
        case None | False | tuple():
            return None
        case _:
            return sys.exception()


def _described(exception: BaseException) -> list[dict[str, Any]]:
    """An exception and what caused it: types and places, the innermost place first."""
    found: list[dict[str, Any]] = []
    cause: BaseException | None = exception
    while cause is not None and len(found) < CAUSES_MAX:
        found.append({"type": type(cause).__name__, "frames": _places(cause.__traceback__)})
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return found


def _places(trace: TracebackType | None) -> list[str]:
    """The latest frames as `file:line function`; no source line and no local is looked at."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(trace), lookup_lines=False)
    return [
        f"{'/'.join(frame.filename.split('/')[-FRAME_PARTS:])}:{frame.lineno} {frame.name}"
        for frame in reversed(frames[-FRAMES_MAX:])
    ]


def _naming(process: str) -> Callable[[Any, str, Entry], Entry]:
    """A processor that adds the process's name."""

    def named(_logger: Any, _method: str, entry: Entry) -> Entry:
        entry["process"] = process
        return entry

    return named


class _LibraryHandler(logging.Handler):
    """Takes what libraries log through the standard library, without the text."""

    def emit(self, record: logging.LogRecord) -> None:
        get_logger().log(
            record.levelno, "library_logged", logger=record.name, exc_info=record.exc_info or None
        )


def _uncaught(
    kind: type[BaseException], exception: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, exception, trace)
    else:
        get_logger().critical("uncaught", exc_info=exception)


def _uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    get_logger().critical("uncaught_in_thread", exc_info=arguments.exc_value)
