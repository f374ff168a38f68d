"""
A state machine over the model in memory, SQLite and PostgreSQL: told the same, they tell the same.

Each example is a run of steps that Hypothesis draws, taken on all three at once, on a real server:
whole uploads, single changes, corrections of the past, losses, cancellations, links and moved
links, cards, restarts, disposals; and lookups by key and by card as of random pairs of a day and a
known time, which follow every step as well. The stores must answer as the model, and keep what a
rebuild from the facts would write. First each defect of `state_plants` is planted in one of them
and must be noticed.

    python -m loadtests.state_machine [--examples 200] [--steps 30] [--seed 1]

Prints examples, steps by rule, comparisons and differences; a difference comes with the shortest
run that shows it. Exits 1 if there is one, or if a defect is not noticed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hypothesis import Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from gateway.store.by_steps import StepStore
from gateway.store.postgres import PostgresStore
from gateway.store.sqlite import SqliteStore
from loadtests.postgres_place import Server, running
from loadtests.state_engines import Engine, OnPostgres, OnSqlite, prepare
from loadtests.state_plants import PLANTS, Plant
from loadtests.state_rules import machine, steadily
from loadtests.state_world import DifferenceError, Tally

EXAMPLES: Final = 200
STEPS: Final = 30
PLANTED_EXAMPLES_MAX: Final = 200
"""Examples within which a planted defect must be noticed."""

Engines = dict[type[StepStore], Callable[[], Engine]]


def engines_on(server: Server) -> Engines:
    """Where each store is; files are in memory if they can be, as the server syncs nothing."""
    shared = Path("/dev/shm")  # noqa: S108  a disk would only make it slower
    within = shared if shared.is_dir() else None
    return {SqliteStore: lambda: OnSqlite(within), PostgresStore: lambda: OnPostgres(server)}


def run(tally: Tally, engines: list[Callable[[], Engine]], number: int, how: settings) -> None:
    """Run a machine; raises `DifferenceError`, if it was shortened with its steps as notes."""
    run_state_machine_as_test(seed(number)(machine(tally, *engines)), settings=how)


def noticed(plant: Plant, engines: Engines, number: int, steps: int) -> bool:
    """Whether a defect, planted in one engine beside the model, is noticed, and after how long."""
    tally, began = Tally(), time.perf_counter()
    how = settings(
        steadily(PLANTED_EXAMPLES_MAX, steps), phases=[Phase.generate], verbosity=Verbosity.quiet
    )
    with plant.planted():
        try:
            run(tally, [engines[plant.engine]], number, how)
        except DifferenceError as difference:
            what = str(difference).partition(":")[0]
            after = f"{tally.examples} examples, {time.perf_counter() - began:.1f} s"
            print(f"planted defect noticed: {plant.name} (by {what}; {after})")
            return True
    print(f"planted defect NOT noticed in {tally.examples} examples: {plant.name}")
    return False


def said(counts: Counter[str]) -> str:
    """Counts for people, one a line."""
    return "".join(f"\n  {count:>7} {what}" for what, count in counts.most_common())


def show(server: Server, examples: int, steps: int, number: int) -> bool:
    """Run everything and print it; whether all is as it must be."""
    engines = engines_on(server)
    found = [noticed(plant, engines, number, steps) for plant in PLANTS]
    tally, began, differences = Tally(), time.perf_counter(), 0
    try:
        run(tally, list(engines.values()), number, steadily(examples, steps))
    except Exception:  # noqa: BLE001  whatever a store raises, it is not what the model does
        traceback.print_exc()
        differences = 1
    print(f"examples {tally.examples} of at most {steps} steps, seed {number}")
    print(f"steps {tally.steps.total()}:{said(tally.steps)}")
    print(f"  changes and lines refused among them {tally.refused}")
    print(f"comparisons {tally.comparisons.total()}:{said(tally.comparisons)}")
    print(f"differences {differences} ({time.perf_counter() - began:.0f} s)")
    return all(found) and not differences


def main() -> None:
    """Parse the options and run; exit 1 if anything differs."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.state_machine")
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--steps", type=int, default=STEPS, help="at most, in each example")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with running(is_synced=False) as server:
        asyncio.run(prepare(server))
        is_good = show(server, options.examples, options.steps, options.seed)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
