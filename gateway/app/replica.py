"""What a read worker reads: the store and, if settings name one, a replica of it for lookups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.app.clock import elapsed_s
from gateway.app.engine import engine_of
from gateway.config import Settings
from gateway.edges.rpc.convert import sheet
from gateway.observe import get_logger
from gateway.store.by_steps import StepReader

if TYPE_CHECKING:
    from gateway.store.postgres_replica import Report


async def reader_of(settings: Settings) -> StepReader:
    """
    Open what a read worker needs.

    With a replica, the log tells each minute how many lookups went where, how old the replica's
    state was at most, and how often the replica failed and why. A cluster has none: it is not used
    there, and the log says so.

    Raises:
        StoreTooOld: As the engine's reader.
        StoreTooNew: As the engine's reader.
        Unavailable: `STORE_UNAVAILABLE` if the store cannot be reached; the replica may be away.
    """
    if settings.replica is None or settings.store is None:
        return await engine_of(settings).reader()
    from gateway.store.postgres_cluster import is_cluster
    from gateway.store.postgres_replica import ReplicaReader, ReplicaRules

    if await is_cluster(settings.store):
        get_logger().warning("replica_not_used", kind="cluster")
        return await engine_of(settings).reader()
    rules = ReplicaRules(settings.limits.replica_staleness_ms_max / 1000, elapsed_s, tell)
    return await ReplicaReader.beside(settings.store, settings.replica, sheet, rules)


def tell(report: Report) -> None:
    """Log what became of lookups since the report before: counts, and names of our own."""
    log = get_logger()
    age_s = None if report.age_s is None else round(report.age_s, 3)
    log.info("replica_lookups", kind="replica", count=report.on_replica, seconds=age_s)
    log.info("replica_lookups", kind="primary", count=report.on_primary)
    for why, count in report.failed.items():
        log.warning("replica_failed", kind=why, count=count)
