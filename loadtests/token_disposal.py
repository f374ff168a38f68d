"""
The disposal at the end of `loadtests.token_check`: ordered, killed, ended; and what came of it.

A token must be refused with the reason if it is of before the instant of the disposal, and get the
same answer again otherwise; nothing else will do. First the comparison is shown an answer where a
refusal must be, a refusal where an answer must be, and a refusal for another reason.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.app.clock import new_key, real_clock
from gateway.app.disposal_files import certificates, put_order
from gateway.app.engine import engine_of
from gateway.app.layout import DataDir
from gateway.config import load_settings
from gateway.domain.period import Instant
from gateway.domain.retention import SUPERSEDED, Disposal, Order
from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest
from loadtests.kill_world import World

DISPOSED: Final = "FACTS_DISPOSED"
KNOWN: Final = slice(3, 11)
"""The bytes of a token that say as of when its answer is."""
DISPOSAL_S_MAX: Final = 120.0
POLL_S: Final = 0.1
SOON_S: Final = 0.005
"""Between looks for a disposal that begins, to kill its writer while it is under way."""
SHIPPED: Final = Path(__file__).parents[1] / "gateway" / "policy" / "retention.toml"


@dataclass(frozen=True, slots=True)
class Kept:
    """A question, and what came of it: the answer's lasting part and its token."""

    question: ConfirmEligibilityRequest
    said: bytes
    token: str

    @property
    def known(self) -> int:
        """As of when the answer is."""
        return int.from_bytes(urlsafe_b64decode(self.token)[KNOWN], "big")


def keep_nothing(root: Path, config: Path) -> None:
    """Put a schedule by which all that may go may go at once into a gateway's settings."""
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    at_once = ["days_kept = 0" if one.startswith("days_kept") else one for one in lines]
    (root / "retention.toml").write_text("\n".join(at_once) + "\n", encoding="utf-8")
    config.write_text(f'retention = "retention.toml"\n{config.read_text(encoding="utf-8")}')


async def disposed_of(world: World, middle: Instant) -> Instant:
    """Dispose of what was replaced up to the middle, killed once; give the instant it came to."""
    order = Order(new_key().hex(), "token-check", real_clock(), middle)
    folder = DataDir(world.data).disposals
    writer = await world.process("writer")
    put_order(folder, order)
    removed = await _begun(world)
    os.kill(writer, signal.SIGKILL)
    done = await _certified(folder)
    rows = {table: count for one in done.removed for table, count in one.rows.items()}
    print(f"disposal {done.number}: its writer killed after {removed} rows, then ended: {rows}")
    return done.before(SUPERSEDED)


async def _begun(world: World) -> int:
    """Wait until a disposal has taken something out; give how many rows are gone."""
    reader = await engine_of(load_settings(world.root / "gateway.toml")).reader()
    try:
        for _ in range(int(DISPOSAL_S_MAX / SOON_S)):
            for one in await reader.disposals():
                rows = sum(sum(gone.rows.values()) for gone in one.disposal.removed)
                if rows or one.disposal.ended_time is not None:
                    return rows
            await asyncio.sleep(SOON_S)
    finally:
        await reader.close()
    raise RuntimeError("the disposal did not begin")


async def _certified(folder: Path) -> Disposal:
    until = time.monotonic() + DISPOSAL_S_MAX
    while time.monotonic() < until:
        found, broken = certificates(folder)
        if found and broken is None:
            return found[-1]
        await asyncio.sleep(POLL_S)
    raise RuntimeError("the disposal left no certificate")


def wrong(kept: Sequence[Kept], again: Sequence[Kept | str], before: Instant) -> int:
    """How many tokens were not treated as the disposal's instant says."""
    return sum(
        now != DISPOSED
        if then.known < before
        else not isinstance(now, Kept) or then.said != now.said
        for then, now in zip(kept, again, strict=True)
    )


def told_apart(kept: Sequence[Kept], again: Sequence[Kept | str], before: Instant) -> bool:
    """Show planted defects, then what came of each token; whether all is as it must be."""
    old = [place for place, one in enumerate(kept) if one.known < before]
    new = [place for place, one in enumerate(kept) if one.known >= before]
    found = wrong(kept, again, before)
    if not (old and new):
        print("the disposal's instant parts nothing")
        return False
    are_noticed = True
    for name, place, planted in (
        ("a disposed answer given", old[0], kept[old[0]]),
        ("a refusal for another reason", old[0], "TOKEN_WRONG"),
        ("a kept answer refused", new[0], DISPOSED),
        ("a kept answer changed", new[0], Kept(kept[new[0]].question, b"", kept[new[0]].token)),
    ):
        defect = [*again[:place], planted, *again[place + 1 :]]
        is_noticed = wrong(kept, defect, before) == found + 1
        print(f"planted defect noticed: {name} {is_noticed}")
        are_noticed = are_noticed and is_noticed
    print(f"after disposal: {len(old)} tokens of before refused with {DISPOSED}, ", end="")
    print(f"{len(new)} of after identical; wrong {found}")
    return are_noticed and not found
