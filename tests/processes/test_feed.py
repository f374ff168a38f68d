"""The feed over real processes: the command, who may not watch, a consumer that takes nothing."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from gateway.app.certificates import issue_all
from gateway.app.sandbox import running_sandbox
from gateway.app.supervisor import running
from gateway.config import load_settings
from gateway.v1 import feed_pb2 as pb
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.feed_pb2_grpc import FeedServiceStub
from loadtests.places import channel_to, free_port, write_config
from simulators.catalogue import catalogue
from simulators.channel import secure_channel
from simulators.clinic import ask
from simulators.feed import watch
from simulators.insurer import register

pytestmark = pytest.mark.processes
TIMEOUT_S = 60
INSURER = "06139992"


async def onshi(*arguments: str) -> str:
    """What the command prints; it must exit 0."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "gateway", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_the_command_shows_insurer_and_clinic_what_concerns_them(tmp_path: Path) -> None:
    """A change of address is told to its insurer whole, to a clinic that asked as a record's id."""
    root = tmp_path / "sandbox"
    person = catalogue("1319999999").people[0]
    insurer = person.card.insurer_number
    async with running_sandbox(root, port=0, people=0, seed=1) as (sandbox, gateway):
        async with secure_channel(gateway.address, **sandbox.party("institution")) as channel:
            answer = await ask(
                EligibilityServiceStub(channel), person.card, person.birth_date, person.on
            )
        row = {
            "action": "CHANGE",
            "birth_date": f"{person.birth_date:%Y%m%d}",
            "name_of_other": "見本　通称",
            **person.card.cells(),
        }
        async with secure_channel(
            gateway.address, **sandbox.party(f"insurer-{insurer}")
        ) as channel:
            await register(CoverageServiceStub(channel), "another-name", row)
        shown, told = await asyncio.gather(
            onshi("watch", "--dir", str(root), "--insurer", insurer, "--for", "2"),
            onshi("watch", "--dir", str(root), "--as", "clinic", "--json", "--for", "8"),
        )
    last = [line for line in shown.splitlines() if "another-name:1" in line]
    assert len(last) == 1
    assert "items changed" in last[0]
    messages = [json.loads(line) for line in told.splitlines()]
    news = [one for message in messages for one in message.get("outdated_confirmations", ())]
    assert news == [{"sequence": "1", "access_record_id": answer.access_record_id}]
    assert not any(part in told for part in (person.card.number, "changes", insurer))


async def test_a_watcher_is_told_that_the_gateway_ends(tmp_path: Path) -> None:
    """The stream ends at once with a reason to come back, and holds up nobody's end."""
    issue_all(tmp_path / "certs", "1319999999", [INSURER])
    config = write_config(tmp_path, free_port())
    loop = asyncio.get_running_loop()
    async with running(load_settings(config), config) as gateway:
        channel = channel_to(tmp_path, gateway.port, f"insurer-{INSURER}")
        feed = watch(channel)
        await anext(feed)
        ending = loop.time()
    with pytest.raises(grpc.aio.AioRpcError, match="WRITER_UNAVAILABLE"):
        await anext(feed)
    await channel.close()
    assert loop.time() - ending < load_settings(config).limits.drain_s_max


async def test_a_stalled_consumer_holds_nobody_up(tmp_path: Path) -> None:
    """It takes nothing and the next watcher is told; a role without a stream is refused."""
    issue_all(tmp_path / "certs", "1319999999", [INSURER])
    config = write_config(tmp_path, free_port())
    with config.open("a", encoding="utf-8") as settings:
        settings.write("[limits]\nfeed_page_events_max = 1\nfeed_watchers_a_caller_max = 2\n")
    async with running(load_settings(config), config) as gateway:
        async with channel_to(tmp_path, gateway.port, f"insurer-{INSURER}") as channel:
            stub = FeedServiceStub(channel)
            stalled = stub.WatchChanges(pb.WatchChangesRequest())
            await stalled.read()
            for number in range(3):
                await register(CoverageServiceStub(channel), f"new-{number}", a_cover(number))
            seen: list[int] = []
            async for message in watch(channel):
                seen += [one.sequence for one in message.changes]
                if len(seen) == 3:
                    break
            assert seen == [1, 2, 3]
            stalled.cancel()
        async with channel_to(tmp_path, gateway.port, "review-body") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await anext(watch(channel))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "ROLE_NOT_ALLOWED" in (refused.value.details() or "")


def a_cover(number: int) -> dict[str, str]:
    """A new cover."""
    return {
        "action": "NEW",
        "insurer_number": INSURER,
        "symbol": "1",
        "number": f"{number}",
        "birth_date": "19900101",
        "acquisition_date": "20260401",
        "name": "架空　太郎",
        "sex": "1",
        "insurer_name": "架空組合",
    }
