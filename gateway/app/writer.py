"""
The one writer: owns the main database, the vault and the spool, and feeds the access trail.

It is niced, so that bulk work never takes the CPU from lookups. Workers reach it over a Unix
socket that only this user can open. A second writer waits until the first is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from gateway.app.build import (
    MESSAGE_OVERHEAD_BYTES,
    WatchedAuthorities,
    cards_of,
    clock_of,
    is_number_searched,
    new_life,
    resident_rules_of,
)
from gateway.app.channel import secure_channel
from gateway.app.child import run, say_ready
from gateway.app.clock import new_key
from gateway.app.disposing import Disposing
from gateway.app.engine import Engine, engine_of
from gateway.app.feeding import Feed
from gateway.app.key_renewal import KeyRenewal
from gateway.app.lag import Lag
from gateway.app.layout import WRITER_SOCKET, DataDir
from gateway.app.standstill import is_closed, may_write
from gateway.app.tokens import note_rules
from gateway.app.trailing import LiveTrail
from gateway.config import Limits, Settings, load_settings
from gateway.domain.residents import ResidentRules
from gateway.edges.residents import GrpcResidentRegister
from gateway.edges.rpc.coverage import CoverageService
from gateway.edges.rpc.coverage_changes import ChangeMethods
from gateway.edges.rpc.history import HistoryMethods
from gateway.edges.rpc.identity import forwarded_identity
from gateway.edges.rpc.inquiry import InquiryService
from gateway.edges.rpc.oversight import OversightMethods
from gateway.edges.rpc.person import PersonService
from gateway.edges.rpc.server import Bounds, Front, Method, RpcServer, build_server
from gateway.formats.coverage_file import CoverageReader
from gateway.observe import configure, log_bug
from gateway.policy import published_policy
from gateway.policy.schedule import retention_schedule
from gateway.store.access_log import AccessLog
from gateway.store.by_steps import StepStore
from gateway.store.scratch import SqliteScratch
from gateway.store.spool_frames import KeptSpool
from gateway.store.trail import Trail
from gateway.store.vault import RehearsedVault, StepVault
from gateway.usecases.apply_uploads import Applier
from gateway.usecases.check_numbers import NumberChecker
from gateway.usecases.context import Clock, first_of
from gateway.usecases.desk import Desk
from gateway.usecases.dispose import Disposer
from gateway.usecases.door import Door
from gateway.usecases.inquiries import InquiryDesk
from gateway.usecases.number_oversight import NumberOversight
from gateway.usecases.portal import Portal
from gateway.usecases.rehearsal import Rehearsal
from gateway.usecases.residents import NoRegister
from gateway.usecases.upload_coverage import Receiver, UploadLimits

NICENESS: Final = 10
WATCH_S: Final = 1.0
"""How often the access log, the revocation list of cards and a move are looked at."""


class Closing(Protocol):
    """What must be closed at the end."""

    async def close(self) -> Any:
        """Close."""


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until told to stop; ends between two slices of a file."""
    data, limits, clock = DataDir(settings.data_dir), settings.limits, clock_of(settings)
    engine = engine_of(settings)
    if not await may_write(data, engine.name, stop):
        return
    note_rules(settings)
    if (store := await _store(engine, data, stop)) is None:
        return
    accesses = _access_log(data, limits)
    vault, spool = await engine.vault(data), await engine.spool(data, limits.sort_bytes_max)
    numbers_told = None if settings.resident_register is None else asyncio.Event()
    desk = _desk(settings, store, vault, clock, numbers_told)
    door = Door(published_policy(), accesses)
    files = Files(limits, data, store, vault, spool, desk, door)
    trail = LiveTrail(Trail(data.trail, data.access), clock)
    watched = WatchedAuthorities(settings)
    filings, changes = await engine.filings(), await engine.changes()
    lag = Lag(settings, store, filings, engine.case_counter(filings), door)
    feed = Feed(settings, store, changes, door, trail, clock, stop)
    methods = [
        *files.coverage.methods(),
        *ChangeMethods(store, vault, desk, door).methods(),
        *lag.methods(),
        *feed.methods(),
        *InquiryService(InquiryDesk(store, desk, door)).methods(),
        *OversightMethods(NumberOversight(store, desk, door, trail)).methods(),
        *HistoryMethods(store, door, limits.history_versions_max).methods(),
    ]
    renewal = KeyRenewal(vault, spool, desk, data.keys_in_use, engine.kept_in)
    jobs = [
        asyncio.create_task(_watch(accesses, watched, data, engine.name, stop)),
        asyncio.create_task(first_of(store.deposed, stop)),
        asyncio.create_task(files.run(stop)),
        asyncio.create_task(trail.run(stop)),
        asyncio.create_task(feed.run()),
        asyncio.create_task(renewal.run(stop)),
        asyncio.create_task(_disposing(settings, store, desk, door, clock, feed).run(stop)),
    ]
    closing: list[Closing] = [lag, feed, trail, accesses, files, spool, vault, store]
    if numbers_told is not None:
        road = NumberRoad(settings, clock, store, vault, desk, door, trail, numbers_told)
        jobs.append(asyncio.create_task(road.checker.run(stop)))
        methods += road.methods(watched)
        closing.append(road.channel)
    else:
        await _link_unchecked(store, vault, desk, clock)
    await _until_stopped(_server(tuple(methods), accesses, clock, limits), jobs, stop, limits)
    for part in closing:
        await part.close()


def _disposing(
    settings: Settings, store: StepStore, desk: Desk, door: Door, clock: Clock, feed: Feed
) -> Disposing:
    schedule = retention_schedule(settings.retention)
    disposer = Disposer(store, desk, door, schedule, clock, feed.needed_from)
    return Disposing(DataDir(settings.data_dir).disposals, disposer, store, feed.needed_from)


async def _store(engine: Engine, data: DataDir, stop: asyncio.Event) -> StepStore | None:
    """Open the store once this is the writer; None if told to stop, or to leave it, before."""
    await engine.require_keys(data)
    opening = asyncio.create_task(engine.store(on_waiting=say_ready))
    stopped = asyncio.create_task(stop.wait())
    while not (opening.done() or stop.is_set() or is_closed(data, engine.name)):
        await asyncio.wait([opening, stopped], timeout=WATCH_S, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not opening.done():
        opening.cancel()
        return None
    return opening.result()


async def _until_stopped(
    server: RpcServer, jobs: Sequence[asyncio.Task[None]], stop: asyncio.Event, limits: Limits
) -> None:
    """Serve until told to stop or a job ends, then let the calls under way end, and the jobs."""
    await server.start()
    say_ready()
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([stopped, *jobs], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await server.stop(limits.drain_s_max)
    await asyncio.gather(stopped, *jobs)


class Files:
    """What insurers send as files: received, rehearsed if it is a dry run, or applied."""

    def __init__(
        self,
        limits: Limits,
        data: DataDir,
        store: StepStore,
        vault: StepVault,
        spool: KeptSpool,
        desk: Desk,
        door: Door,
    ) -> None:
        bounds = _upload_limits(limits)
        self._scratch = SqliteScratch(data.scratch)
        rehearsal = Rehearsal(desk, store, self._scratch, RehearsedVault(vault))
        self._applier = Applier(store, spool, desk, CoverageReader, bounds, rehearsal)
        receiver = Receiver(store, spool, desk, door, bounds, self._applier.wake)
        self.coverage = CoverageService(
            store, vault, desk, door, receiver, self._applier, float(limits.upload_idle_s)
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Forget what a dry run left that was killed, then apply what comes until told to stop."""
        await self._scratch.end()
        await self._applier.run(stop)

    async def close(self) -> None:
        """Close."""
        await self._scratch.close()


class NumberRoad:
    """What a gateway with a resident register has besides: checked numbers, and the portal."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        store: StepStore,
        vault: StepVault,
        desk: Desk,
        door: Door,
        trail: LiveTrail,
        numbers_told: asyncio.Event,
    ) -> None:
        said = settings.resident_register
        assert said is not None
        self.channel = secure_channel(said.address, said.tls)
        register = GrpcResidentRegister(self.channel)
        rules = resident_rules_of(said)
        self.checker = NumberChecker(
            store, vault, desk, register, rules, clock, numbers_told, _log_bug, new_key=new_key
        )
        self._settings = settings
        self._portal = partial(
            Portal,
            store=store,
            vault=vault,
            register=register,
            desk=desk,
            door=door,
            looks=trail,
            new_key=new_key,
            clock=clock,
        )

    def methods(self, watched: WatchedAuthorities) -> tuple[Method, ...]:
        """The portal's methods; none where no cards are accepted."""
        if watched.authorities is None:
            return ()
        cards = cards_of(self._settings, watched.authorities)
        versions_max = self._settings.limits.history_versions_max
        return PersonService(self._portal(cards=cards), versions_max).methods()


async def _link_unchecked(store: StepStore, vault: StepVault, desk: Desk, clock: Clock) -> None:
    """Link what still waits for a register the settings no longer name."""
    checker = NumberChecker(
        store,
        vault,
        desk,
        NoRegister(),
        ResidentRules(),
        clock,
        asyncio.Event(),
        _log_bug,
        new_key=new_key,
    )
    while await checker.check_some():
        pass


def _log_bug(bug: Exception) -> None:
    log_bug(bug, new_key().hex())


async def _watch(
    accesses: AccessLog,
    watched: WatchedAuthorities,
    data: DataDir,
    engine: str,
    stop: asyncio.Event,
) -> None:
    """
    Take new revocation lists of cards.

    Ends with the access log: the supervisor starts the next writer with a log of its own. Ends
    too when a move asks that nobody writes.
    """
    while not (stop.is_set() or accesses.has_failed or is_closed(data, engine)):
        watched.refresh()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), WATCH_S)


def _server(
    methods: tuple[Method, ...], accesses: AccessLog, clock: Clock, limits: Limits
) -> RpcServer:
    front = Front(
        forwarded_identity,
        accesses,
        clock,
        new_key,
        limits.request_bytes_max,
        published_policy().version,
    )
    server = build_server(
        front,
        methods,
        Bounds(
            limits.chunk_bytes_max + MESSAGE_OVERHEAD_BYTES,
            limits.streams_per_connection_max,
            is_port_shared=False,
        ),
    )
    server.server.add_insecure_port(f"unix:{WRITER_SOCKET}")
    return server


def _access_log(data: DataDir, limits: Limits) -> AccessLog:
    return AccessLog(
        data.access,
        new_life(),
        gather_us=limits.access_gather_us,
        group_records_max=limits.access_group_records_max,
        segment_bytes_max=limits.access_segment_bytes_max,
    )


def _desk(
    settings: Settings,
    store: StepStore,
    vault: StepVault,
    clock: Clock,
    numbers_told: asyncio.Event | None,
) -> Desk:
    is_searched = is_number_searched(settings)
    return Desk(store, vault, new_key, clock, numbers_told=numbers_told, is_searched=is_searched)


def _upload_limits(limits: Limits) -> UploadLimits:
    return UploadLimits(
        upload_bytes_max=limits.upload_bytes_max,
        chunk_bytes_max=limits.chunk_bytes_max,
        line_bytes_max=limits.line_bytes_max,
        slice_lines_max=limits.slice_lines_max,
        slice_ms_max=limits.slice_ms_max,
        refused_lines_reported_max=limits.refused_lines_reported_max,
        refused_lines_kept_max=limits.refused_lines_kept_max,
        moves_ordered_max=limits.moves_ordered_max,
    )


def main() -> None:
    """Run as `python -m gateway.app.writer CONFIG`."""
    configure("writer")
    os.nice(NICENESS)
    settings = load_settings(Path(sys.argv[1]))
    run(lambda stop: serve(settings, stop))


if __name__ == "__main__":
    main()
