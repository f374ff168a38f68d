"""What a worker's log tells of a replica, and which reader settings make."""

from __future__ import annotations

from pathlib import Path

import structlog

from gateway.app.clock import elapsed_s
from gateway.app.replica import reader_of, tell
from gateway.config import Settings, Tls
from gateway.observe import only_safe
from gateway.store.migrate import migrate
from gateway.store.postgres_replica import BEHIND, Report
from gateway.store.records import encode_coverage
from gateway.store.sqlite import SqliteReader


def test_the_log_tells_counts_and_reasons() -> None:
    """Each passes what may be logged as it is."""
    with structlog.testing.capture_logs() as logged:
        tell(Report(7, 2, {BEHIND: 1, "ConnectionRefusedError": 3}, 0.25))
    told = [(one["event"], one["kind"], one["count"], one.get("seconds")) for one in logged]
    assert told == [
        ("replica_lookups", "replica", 7, 0.25),
        ("replica_lookups", "primary", 2, None),
        ("replica_failed", BEHIND, 1, None),
        ("replica_failed", "ConnectionRefusedError", 3, None),
    ]
    for one in logged:
        entry = {name: value for name, value in one.items() if name != "log_level"}
        assert only_safe(None, "info", dict(entry)) == entry


async def test_without_a_replica_the_store_alone_is_read(tmp_path: Path) -> None:
    """Nothing else is opened."""
    migrate(tmp_path / "gateway.db", encode_coverage)
    tls = Tls(Path("certificate"), Path("key"), Path("ca"))
    reader = await reader_of(Settings(data_dir=tmp_path, tls=tls))
    assert type(reader) is SqliteReader
    await reader.close()


def test_elapsed_time_never_goes_back() -> None:
    """It is asked twice in a row."""
    assert elapsed_s() <= elapsed_s()
