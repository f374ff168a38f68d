"""
Rounds in which the PostgreSQL goes away: nothing acknowledged may be missing, no answer be wrong.

As `loadtests.kill_rounds`, but it is the server of the facts that is killed, stopped in good order
or cut off, at a random instant of an upload and under lookups, and comes back a moment later. The
gateway's processes are left alone. It prints how long clinics were without an answer.

    python -m loadtests.postgres_kills [--rounds 30] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from functools import partial
from typing import Final

from loadtests.kill_rounds import AFTER_ACK_S, show
from loadtests.kill_world import World
from loadtests.postgres_place import Server, running

AWAY_S_MAX: Final = 1.0
CUT_OFF_S_MAX: Final = 8.0
"""Longer than a statement may take."""


async def break_server(
    server: Server, world: World, rng: random.Random, usual_s: float, round_no: int
) -> None:
    """Have the server go away at a random instant, and come back."""
    await asyncio.sleep(rng.uniform(0, usual_s + AFTER_ACK_S))
    how = rng.choice(["killed", "stopped", "cut off"])
    when = "after" if round_no in world.received else "before"
    world.killed[f"server {how} {when} acknowledgement"] += 1
    if how == "cut off":
        server.freeze()
        await asyncio.sleep(rng.uniform(0, CUT_OFF_S_MAX))
        server.thaw()
        return
    await asyncio.to_thread(server.kill if how == "killed" else server.stop)
    await asyncio.sleep(rng.uniform(0, AWAY_S_MAX))
    await asyncio.to_thread(server.start)


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with running() as server:
        breaking = partial(break_server, server)
        done = show(options.rounds, options.seed, "", breaking, server.url())
        code = asyncio.run(done)
    sys.exit(code)


if __name__ == "__main__":
    main()
