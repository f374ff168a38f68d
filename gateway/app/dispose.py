"""
What `onshi dispose` does: order a disposal from the writer, work out what would go, list what went.

An order is a file in the data directory, which only the operator can write, and the writer takes
it up within a second: so there is no call to be let in by, and nothing is done twice.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final

from gateway.app.build import clock_of
from gateway.app.clock import new_key
from gateway.app.disposal_files import (
    ORDER,
    OrderRefusedError,
    certificates,
    is_refused,
    put_order,
)
from gateway.app.engine import engine_of
from gateway.app.layout import DataDir
from gateway.config import Settings
from gateway.domain.period import Instant, tokyo_time
from gateway.domain.retention import Disposal, Order
from gateway.policy.schedule import retention_schedule
from gateway.usecases.dispose import count_due

POLL_S: Final = 0.2

SAY: Final = {
    "dry": {
        "ja": "廃棄の対象（何も変更していません）",
        "en": "due for disposal (nothing was changed)",
    },
    "done": {"ja": "廃棄証明", "en": "certificate of disposal"},
    "before": {"ja": "まで", "en": "up to"},
    "nothing": {"ja": "対象なし", "en": "nothing is due"},
    "rows": {"ja": "件", "en": "rows"},
    "by": {"ja": "指示者", "en": "ordered by"},
    "policy": {"ja": "保存期間表", "en": "schedule"},
    "late": {
        "ja": "まだ廃棄証明がありません。指示は残り、ゲートウェイが実行します。",
        "en": "There is no certificate yet. The order stays and the gateway carries it out.",
    },
    "there": {
        "ja": "別の指示が実行待ちです。",
        "en": "Another order waits to be carried out.",
    },
    "refused": {
        "ja": "実行できない指示でした。理由は writer のログにあります。",
        "en": "The order could not be carried out; the writer's log says why.",
    },
    "none": {"ja": "廃棄証明はありません。", "en": "There are no certificates."},
    "good": {"ja": "廃棄証明のつながりは正常です。", "en": "The chain of certificates is whole."},
    "broken": {
        "ja": "廃棄証明 {number} が壊れているか、欠けています。",
        "en": "Certificate {number} was changed or is missing.",
    },
}
"""What the command says, in Japanese and English."""


def say(name: str, language: str, **values: int) -> str:
    """Spell a sentence."""
    return SAY[name][language].format(**values)


def order_of(settings: Settings, ordered_by: str, before: Instant | None) -> Order:
    """Make an order, as of the gateway's clock."""
    return Order(new_key().hex(), ordered_by, clock_of(settings)(), before)


async def dry_run(settings: Settings, order: Order) -> Disposal:
    """
    Count what an order would take out, and change nothing.

    Raises:
        ValueError: As `retention_schedule`.
        StoreTooOld: As the store.
        StoreTooNew: As the store.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    reader = await engine_of(settings).reader()
    try:
        schedule = retention_schedule(settings.retention)
        return await count_due(reader, schedule, order, clock_of(settings)())
    finally:
        await reader.close()


async def ordered(settings: Settings, order: Order, wait_s: float) -> Disposal | None:
    """
    Leave an order, and wait for its certificate; None if there is none in time.

    Raises:
        OrderWaitsError: Another one waits.
        OrderRefusedError: The writer may not carry it out; its log says why.
    """
    folder = DataDir(settings.data_dir).disposals
    put_order(folder, order)
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        if not (folder / ORDER).exists():
            for one in certificates(folder)[0]:
                if one.order.order_id == order.order_id:
                    return one
            if is_refused(folder, order):
                raise OrderRefusedError
        await asyncio.sleep(POLL_S)
    return None


def listed(data: DataDir) -> tuple[list[Disposal], int | None]:
    """Give the certificates, and the first that is broken; see `certificates`."""
    return certificates(data.disposals)


def as_dict(disposal: Disposal) -> dict[str, Any]:
    """Spell a disposal for JSON, with its times as of Japan."""
    ended = disposal.ended_time
    return {
        "number": disposal.number,
        "ordered_by": disposal.order.ordered_by,
        "policy_version": disposal.policy_version,
        "method": disposal.method,
        "begun_time": _time(disposal.begun_time),
        "ended_time": None if ended is None else _time(ended),
        "access_record_id": disposal.access_record_id,
        "previous": disposal.previous,
        "removed": [
            {"class": one.code, "before": _time(one.before), "rows": one.rows, "digest": one.digest}
            for one in disposal.removed
        ],
    }


def lines_of(disposal: Disposal, language: str, *, is_dry: bool = False) -> list[str]:
    """Spell a disposal for a screen."""
    title = say("dry", language) if is_dry else f"{say('done', language)} {disposal.number}"
    head = (
        f"{title}: {say('by', language)} {disposal.order.ordered_by}, "
        f"{say('policy', language)} {disposal.policy_version}"
    )
    told = [head]
    for one in disposal.removed:
        counts = ", ".join(f"{table} {count}" for table, count in one.rows.items() if count)
        rows = f"{counts} {say('rows', language)}" if counts else say("nothing", language)
        told.append(f"  {one.code}: {say('before', language)} {_time(one.before)}: {rows}")
    return told


def _time(instant: Instant) -> str:
    return tokyo_time(instant).isoformat() if instant else "-"


def config_of(directory: Path, config: Path | None) -> Path:
    """Give the settings file: the one named, or a sandbox's."""
    return directory / "gateway.toml" if config is None else config
