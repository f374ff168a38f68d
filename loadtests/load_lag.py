"""
Lag: from an acknowledged My Number to the first positive answer, by each route at once.

The clock starts when the acknowledgement is back and stops when a desk is told so, so a lag
covers the real stages: the register's check, the link, the projection, and a look from outside
over another connection. Its resolution is noted with it. Source: insurer-lifecycle.md 7.3.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from gateway.v1 import coverage_pb2
from loadtests.load_figures import STAGES, Lag, Ledger

Ask = Callable[[], "int | None"]
"""Asks once; gives the validity that was told, None if there was no answer."""

Clock = Callable[[], float]


def follow(
    waits: Mapping[str, tuple[int, Ask]], ledger: Ledger, probe_s: float, give_up_s: float
) -> None:
    """
    Ask by every route side by side until each gave its positive answer, or gave up.

    Args:
        waits: By route, the validity to wait for and how to ask.

        probe_s: A route is asked so often, or as often as answers allow.
    """
    acknowledged = time.monotonic()

    def wait(route: str, positive: int, ask: Ask) -> None:
        lag = waited(route, positive, ask, acknowledged, probe_s, give_up_s)
        ledger.waits += 1
        if lag is not None:
            ledger.lags.append(lag)

    threads = [
        threading.Thread(target=wait, args=(route, positive, ask), daemon=True)
        for route, (positive, ask) in waits.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def waited(
    route: str,
    positive: int,
    ask: Ask,
    acknowledged: float,
    probe_s: float,
    give_up_s: float,
    clock: Clock = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Lag | None:
    """Ask by one route until the positive answer; None if it does not come in time."""
    gap: dict[int, int] = {}
    earlier = acknowledged
    while True:
        began = clock()
        told = ask()
        ended = clock()
        if told == positive:
            return Lag(
                route,
                round(ended, 3),
                round((ended - acknowledged) * 1000, 3),
                round((ended - earlier) * 1000, 3),
                gap,
            )
        if told is not None:
            gap[told] = gap.get(told, 0) + 1
        if ended - acknowledged > give_up_s:
            return None
        earlier = began
        sleep(max(began + probe_s - clock(), 0.0))


def stage_row(said: coverage_pb2.GetIndividualNumberStagesResponse) -> dict[str, float]:
    """Milliseconds from `received` to each stage that was stamped."""
    received = said.received_time.ToNanoseconds()
    stamps = {field.name.removesuffix("_time"): value for field, value in said.ListFields()}
    return {
        stage: (stamps[stage].ToNanoseconds() - received) / 1e6
        for stage in STAGES
        if stage in stamps
    }
