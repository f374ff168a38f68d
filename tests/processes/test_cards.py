"""A card through a whole sandbox: before and after registration, and over killed processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import grpc
import pytest

from gateway.app.sandbox import Sandbox, read_description, running_sandbox
from gateway.app.supervisor import Gateway
from gateway.domain.card import HolderCheck
from gateway.store.trail import verify
from gateway.v1.card_pb2 import ConfirmByCardResponse
from loadtests.places import channel_to
from simulators.reader import PortalVisitor, Reader, Wallet

pytestmark = pytest.mark.processes
PERSON = "job-changed"
TRIES = 100
PAUSE_S = 0.1
RETRIED = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    # A worker that was killed takes its challenges with it.
    grpc.StatusCode.PERMISSION_DENIED,
)

Got = TypeVar("Got")


async def in_the_end(call: Callable[[], Awaitable[Got]]) -> Got:
    """Call again, each time anew, while processes restart."""
    for _ in range(TRIES):
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() not in RETRIED:
                raise
        await asyncio.sleep(PAUSE_S)
    pytest.fail("the gateway did not come back")


async def visited(sandbox: Sandbox, gateway: Gateway, check: HolderCheck) -> ConfirmByCardResponse:
    """A visit on a connection of its own."""
    wallet = Wallet(sandbox.root / "cards")
    card = await wallet.issued(PERSON, read_description(sandbox.root)["register"])
    pin = wallet.pin(PERSON) if check is HolderCheck.PIN else ""
    async with channel_to(sandbox.root, gateway.port, "institution") as channel:
        return await Reader(channel).visit(card, check, pin=pin)


async def listed(sandbox: Sandbox, gateway: Gateway) -> list[tuple[str, str, str]]:
    """Who looked, oldest first: record, method, outcome and detail."""
    wallet = Wallet(sandbox.root / "cards")
    card = wallet.card(PERSON)
    assert card is not None
    async with channel_to(sandbox.root, gateway.port, "portal") as channel:
        looks = await PortalVisitor(channel).accesses(card, wallet.pin(PERSON))
    return [
        (look.access_record_id, look.method.rpartition("/")[2], f"{look.outcome} {look.detail}")
        for look in reversed(looks)
    ]


async def registered(sandbox: Sandbox, gateway: Gateway) -> bool:
    """Register the card; whether something changed."""
    wallet = Wallet(sandbox.root / "cards")
    card = wallet.card(PERSON)
    assert card is not None
    async with channel_to(sandbox.root, gateway.port, "portal") as channel:
        done = await PortalVisitor(channel).register(card, wallet.pin(PERSON))
    return bool(done.is_changed)


def stamps(sandbox: Sandbox) -> tuple[int, int]:
    """How many numbers are linked, and how many of their covers are visible by card."""
    with closing(sqlite3.connect(f"file:{sandbox.data.database}?mode=ro", uri=True)) as database:
        linked, visible = database.execute(
            "SELECT count(linked_time), count(visible_time) FROM number_checks"
        ).fetchone()
    return linked, visible


async def killed(gateway: Gateway) -> None:
    """Kill the writer and every worker at once, and wait until others stand in their place."""
    before = [child.pid for child in gateway.children]
    for pid in before:
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    for _ in range(TRIES):
        now = [child.pid for child in gateway.children]
        if None not in now and not set(now) & set(before):
            return
        await asyncio.sleep(PAUSE_S)
    pytest.fail("a process was not started again")


async def test_a_card_counts_from_its_registration_on_and_over_a_kill(tmp_path: Path) -> None:
    """Nothing registered, answered or recorded is lost with the processes that did it."""
    async with running_sandbox(tmp_path, port=0, people=0, seed=1) as (sandbox, gateway):
        before = await visited(sandbox, gateway, HolderCheck.PIN)
        linked, invisible = stamps(sandbox)
        assert before.confirmation.validity == 4
        assert before.confirmation.reason == "CARD_NOT_REGISTERED"
        assert linked > 0
        assert invisible == 0

        assert await registered(sandbox, gateway)
        _, visible = stamps(sandbox)
        first = await visited(sandbox, gateway, HolderCheck.FACE)
        assert first.confirmation.validity == 1
        assert visible >= 1

        await killed(gateway)
        second = await in_the_end(lambda: visited(sandbox, gateway, HolderCheck.VISUAL))
        assert first.confirmation.coverages == second.confirmation.coverages
        assert not await in_the_end(lambda: registered(sandbox, gateway))

        looks = await in_the_end(lambda: listed(sandbox, gateway))
        ids = [record_id for record_id, _, _ in looks]
        visits = [(record_id, said) for record_id, name, said in looks if name == "ConfirmByCard"]
        assert visits == [
            (answer.confirmation.access_record_id, "ANSWERED 1") for answer in (first, second)
        ]
        assert [said for _, name, said in looks if name == "RegisterCard"] == [
            "REGISTERED ",
            "REGISTERED UNCHANGED",
        ]
        assert before.confirmation.access_record_id not in ids
        assert stamps(sandbox) == (linked, visible)
    assert verify(sandbox.data.access, sandbox.data.trail).problems == ()
