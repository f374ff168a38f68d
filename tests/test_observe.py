"""Nothing personal gets into a log line, whichever way it is tried."""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from gateway.domain.individual_number import IndividualNumber
from gateway.observe import CAUSES_MAX, FRAMES_MAX, HIDDEN, configure, get_logger, log_bug

NUMBER = "123456789018"
NAME = "山田　太郎"
SYMBOL = "千代田-88"
BIRTH_DATE = "1984-02-29"
PERSONAL = [
    NUMBER,
    NAME,
    SYMBOL,
    BIRTH_DATE,
    "19840229",
    "１２３４５６７８９０１８",
    "x123456789018",
]
BUG_ID = "00112233445566778899001122334455"


@pytest.fixture(autouse=True)
def configured(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Logging as a process sets it up, and as it was afterwards."""
    hooks = sys.excepthook, threading.excepthook
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    configure("worker")
    yield
    sys.excepthook, threading.excepthook = hooks
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one line that was logged."""
    out, err = capsys.readouterr()
    assert out == ""
    (text,) = err.splitlines()
    entry: dict[str, Any] = json.loads(text)
    return entry


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one line that was logged, without what every line has."""
    entry = line(capsys)
    for name in ("process", "timestamp", "level"):
        del entry[name]
    return entry


def fail(text: str) -> None:
    """Raise an error that quotes its input, with the input in a local too."""
    local = text
    raise ValueError(f"cannot read {local}")


def error_about(text: str) -> ValueError:
    """An error that was raised."""
    with pytest.raises(ValueError, match="cannot read") as caught:
        fail(text)
    return caught.value


def test_line_names_process_level_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    """A warning is one line of JSON on standard error with its fields."""
    get_logger().warning("process_ended", process_name="writer", exit_code=-9)
    entry = line(capsys)
    assert entry.pop("timestamp").endswith("Z")
    expected = {
        "event": "process_ended",
        "process_name": "writer",
        "exit_code": -9,
        "process": "worker",
        "level": "warning",
    }
    assert expected == entry


def test_what_is_below_info_leaves_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Debugging text never reaches the log."""
    get_logger().debug("looked", count=1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", PERSONAL)
@pytest.mark.parametrize("field", ["reason", "bug_id", "life", "code"])
def test_personal_text_in_an_allowed_field_is_hidden(
    capsys: pytest.CaptureFixture[str], field: str, text: str
) -> None:
    """A number, name, symbol or birth date does not come out of a field that may be logged."""
    get_logger().warning("refused", **{field: text})
    expected = {"event": "refused", field: HIDDEN}
    assert expected == shown(capsys)


@pytest.mark.parametrize("text", PERSONAL)
@pytest.mark.parametrize(
    "field", ["name", "birth_date", "symbol", "exceptions", "process", "level"]
)
def test_field_that_is_not_listed_is_dropped(
    capsys: pytest.CaptureFixture[str], field: str, text: str
) -> None:
    """A field nobody allowed is dropped, or stays what the house says it is."""
    get_logger().warning("refused", **{field: text})
    out, err = capsys.readouterr()
    assert out == ""
    assert text not in json.loads(err).values()
    assert {"process": "worker", "level": "warning"}.items() <= json.loads(err).items()


@pytest.mark.parametrize("text", [*PERSONAL, f"refused {NAME}", "Refused", ""])
def test_event_that_is_not_a_plain_name_is_hidden(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """An event is a name in the code, so text put together at run time does not come out."""
    get_logger().warning(text)
    expected = {"event": HIDDEN}
    assert expected == shown(capsys)


def test_text_filled_into_an_event_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments in the printf manner do not come out either."""
    get_logger().warning("refused_%s", NUMBER)
    expected = {"event": HIDDEN}
    assert expected == shown(capsys)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, True),
        (None, None),
        (0.25, 0.25),
        (-3, -3),
        (9_999_999_999, 9_999_999_999),
        (10_000_000_000, HIDDEN),
        (int(NUMBER), HIDDEN),
        (-int(NUMBER), HIDDEN),
        (float(NUMBER), HIDDEN),
        (math.inf, HIDDEN),
        ("gateway.v1.EligibilityService/ConfirmEligibility",) * 2,
        ("STORE_UNAVAILABLE",) * 2,
        ("", HIDDEN),
        ("a b", HIDDEN),
        (NUMBER.encode(), HIDDEN),
        ([NUMBER], HIDDEN),
        ({"number": NUMBER}, HIDDEN),
        (IndividualNumber(NUMBER), HIDDEN),
    ],
)
def test_only_counts_and_names_from_code_pass(
    capsys: pytest.CaptureFixture[str], value: object, said: object
) -> None:
    """Plain small values are shown; what is no plain value is hidden whatever it spells."""
    get_logger().warning("refused", reason=value)
    expected = {"event": "refused", "reason": said}
    assert expected == shown(capsys)


def test_text_that_is_a_subclass_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    """A type that only looks like plain text is hidden."""

    class Name(str):
        __slots__ = ()

    get_logger().warning("refused", reason=Name("Taro"))
    expected = {"event": "refused", "reason": HIDDEN}
    assert expected == shown(capsys)


@pytest.mark.parametrize("text", PERSONAL)
def test_bug_tells_type_id_and_place_but_no_text(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """The text of an error, its locals and its source lines stay out of the log."""
    log_bug(error_about(text), BUG_ID)
    out, err = capsys.readouterr()
    assert out == ""
    assert text not in err
    assert "cannot read" not in err
    entry = json.loads(err)
    assert [entry["event"], entry["bug_id"]] == ["bug", BUG_ID]
    (exception,) = entry["exceptions"]
    assert exception["type"] == "ValueError"
    place, function = exception["frames"][0].split()
    assert "tests/test_observe.py:" in place
    assert function == "fail"


def test_bug_tells_its_causes(capsys: pytest.CaptureFixture[str]) -> None:
    """What an error was raised from, or while handling what, is told, innermost last."""

    def wrap() -> None:
        try:
            fail(NAME)
        except ValueError as error:
            raise KeyError(NUMBER) from error

    with pytest.raises(KeyError) as caught:
        wrap()
    log_bug(caught.value, BUG_ID)
    assert [e["type"] for e in line(capsys)["exceptions"]] == ["KeyError", "ValueError"]


def test_long_chains_and_deep_stacks_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """A line stays short whatever went wrong."""

    def deep(left: int) -> None:
        try:
            if left:
                deep(left - 1)
            fail(NAME)
        except (ValueError, RuntimeError) as error:
            raise RuntimeError(NUMBER) from error

    with pytest.raises(RuntimeError) as caught:
        deep(40)
    log_bug(caught.value, BUG_ID)
    exceptions = line(capsys)["exceptions"]
    assert len(exceptions) == CAUSES_MAX
    assert max(len(exception["frames"]) for exception in exceptions) <= FRAMES_MAX


@pytest.mark.parametrize("form", ["flag", "tuple", "exception"])
def test_exception_given_to_a_log_call_tells_no_text(
    capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """Each way to attach an exception is told by type and place only."""
    try:
        fail(NUMBER)
    except ValueError as error:
        given = {"flag": True, "tuple": sys.exc_info(), "exception": error}[form]
        get_logger().error("failed", exc_info=given)
    out, err = capsys.readouterr()
    assert out == ""
    assert NUMBER not in err
    assert json.loads(err)["exceptions"][0]["type"] == "ValueError"


def test_library_that_logs_an_exception_tells_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    """What goes through the standard library's logging keeps its logger, level and types only."""
    try:
        fail(NAME)
    except ValueError:
        logging.getLogger("grpc._cython.cygrpc").exception("Unexpected %s", NUMBER)
    entry = line(capsys)
    assert [entry["event"], entry["logger"], entry["level"]] == [
        "library_logged",
        "grpc._cython.cygrpc",
        "error",
    ]
    assert [exception["type"] for exception in entry["exceptions"]] == ["ValueError"]
    assert {NAME, NUMBER}.isdisjoint(json.dumps(entry, ensure_ascii=False).split())
    assert "Unexpected" not in json.dumps(entry)


def test_library_that_logs_a_text_tells_only_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A library's warning is a line without its text; its chatter is none."""
    logging.getLogger("asyncio").info("looked at %s", NAME)
    logging.getLogger("asyncio").warning("looked at %s", NAME)
    expected = {"event": "library_logged", "logger": "asyncio"}
    assert expected == shown(capsys)


def test_uncaught_exception_tells_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    """What ends the process is told like a bug, not by a traceback with its text."""
    error = error_about(NUMBER)
    sys.excepthook(ValueError, error, error.__traceback__)
    out, err = capsys.readouterr()
    assert out == ""
    assert NUMBER not in err
    entry = json.loads(err)
    assert [entry["event"], entry["exceptions"][0]["type"]] == ["uncaught", "ValueError"]


def test_uncaught_exception_of_a_thread_tells_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    """So is what ends a thread."""
    hook = threading.excepthook
    thread = threading.Thread(target=fail, args=(NUMBER,))
    # pytest puts its own hook around a test; the process's is the one to be shown.
    threading.excepthook = hook
    thread.start()
    thread.join()
    out, err = capsys.readouterr()
    assert out == ""
    assert NUMBER not in err
    assert json.loads(err)["event"] == "uncaught_in_thread"


def test_interrupt_is_told_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C is no bug."""
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    expected = "KeyboardInterrupt\n"
    assert expected == capsys.readouterr().err
