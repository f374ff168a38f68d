"""A crowd in `req`: a sweep has bounded work, and no request is hidden by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import BridgeSettings
from gateway.edges import folder_watch
from gateway.edges.folder_watch import Watch
from tests.edges.folder_stand import request_file, settings_in


@pytest.fixture
def settings(tmp_path: Path) -> BridgeSettings:
    """Folders of a made-up institution, with short waits."""
    return settings_in(tmp_path)


def nobody_is_busy(_: str) -> bool:
    """No request is being answered."""
    return False


def looks_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write down every name a sweep looks at."""
    looked: list[str] = []
    real = folder_watch.is_request

    def is_request(name: str) -> bool:
        looked.append(name)
        return real(name)

    monkeypatch.setattr(folder_watch, "is_request", is_request)
    return looked


def test_a_sweep_looks_at_a_bounded_number_of_names_and_goes_on_there(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crowd of foreign files costs a sweep no more, and hides no request."""
    monkeypatch.setattr(folder_watch, "NAMES_PER_SWEEP_MAX", 10)
    looked = looks_at(monkeypatch)
    for number in range(55):
        (settings.req / f"OQSsiimm01req_{number}.xml").write_bytes(b"another application's")
    for number in range(5):
        (settings.req / f"OQSsiquc01req_{number}.xml").write_bytes(request_file())
    watch = Watch(settings)
    found: set[str] = set()
    for sweep in range(14):
        looked.clear()
        found |= {ready.name for ready in watch.ready(sweep / 10, 256, nobody_is_busy)}
        assert len(looked) <= 10
        assert sweep >= 6 or not found
    assert found == {f"OQSsiquc01req_{number}.xml" for number in range(5)}
    watch.close()


def test_a_sweep_opens_no_more_files_than_are_wanted(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half-written files are looked into a few at a time, and a whole one among them is found."""
    opened: list[str] = []
    real = folder_watch.read_request

    def read_request(path: Path, bytes_max: int) -> bytes | None:
        opened.append(path.name)
        return real(path, bytes_max)

    monkeypatch.setattr(folder_watch, "read_request", read_request)
    for number in range(20):
        data = request_file() if number == 7 else b"<half"
        (settings.req / f"OQSsiquc01req_{number}.xml").write_bytes(data)
    watch = Watch(settings)
    watch.ready(0.0, 4, nobody_is_busy)
    found: set[str] = set()
    for _ in range(6):
        opened.clear()
        found |= {ready.name for ready in watch.ready(0.1, 4, nobody_is_busy)}
        assert len(opened) <= 4
    assert found == {"OQSsiquc01req_7.xml"}


def test_requests_beyond_those_remembered_have_their_turn_later(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded, and nothing is forgotten."""
    monkeypatch.setattr(folder_watch, "WATCHED_MAX", 3)
    for number in range(8):
        (settings.req / f"OQSsiquc01req_{number}.xml").write_bytes(request_file())
    watch = Watch(settings)
    counts = []
    for sweep in range(8):
        ready = watch.ready(sweep, 256, nobody_is_busy)
        counts.append(len(ready))
        for found in ready:
            (settings.req / found.name).unlink()
    assert counts == [0, 3, 0, 3, 0, 2, 0, 0]


def test_a_folder_away_in_the_middle_of_a_round_is_looked_through_anew(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is told, and what was seen before need not settle again."""
    monkeypatch.setattr(folder_watch, "NAMES_PER_SWEEP_MAX", 8)
    for number in range(5):
        (settings.req / f"OQSsiquc01req_{number}.xml").write_bytes(request_file())
    watch = Watch(settings)
    assert watch.ready(0.0, 256, nobody_is_busy) == []
    hidden = settings.req.rename(settings.req.with_name("hidden"))
    with pytest.raises(FileNotFoundError):
        watch.ready(0.1, 256, nobody_is_busy)
    hidden.rename(settings.req)
    assert len(watch.ready(0.2, 256, nobody_is_busy)) == 5
