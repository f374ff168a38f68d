"""
A sender that goes away while its file is committed: the file is received and gets applied.

Found by killing processes at random: the commit was durable, but nobody told the task that
applies, so an acknowledged file waited for the next one.
"""

from __future__ import annotations

import asyncio

from gateway.store.port import Batch, UploadState
from gateway.usecases.upload_coverage import upload_key_of
from tests.usecases.registration import INSURER, Stand, a_file, new

TIMEOUT_S = 5


async def test_a_sender_gone_in_mid_commit_leaves_a_file_that_is_applied() -> None:
    """What became durable is applied though the stream that brought it is gone."""
    stand = Stand()
    commit, reached, may_go = stand.store.commit, asyncio.Event(), asyncio.Event()

    async def slow_commit(batch: Batch) -> None:
        reached.set()
        await may_go.wait()
        await commit(batch)

    stop = asyncio.Event()
    applying = asyncio.create_task(stand.applier.run(stop))
    stand.store.commit = slow_commit  # type: ignore[method-assign]
    sender = asyncio.create_task(stand.receive(a_file(new())))
    await reached.wait()
    sender.cancel()
    await asyncio.wait([sender])
    may_go.set()

    async with asyncio.timeout(TIMEOUT_S):
        while (  # noqa: ASYNC110  a store has no event
            upload := await stand.store.upload(upload_key_of(INSURER, "file-1"))
        ) is None or upload.state is not UploadState.APPLIED:
            await asyncio.sleep(0.01)
    stop.set()
    await applying
    assert upload.lines_applied == 1


async def test_waiting_for_a_report_ends_when_applying_ends() -> None:
    """A stream that waits for its report is let go, so that a draining writer ends at once."""
    stand = Stand()
    await stand.receive(a_file(new()))
    stop = asyncio.Event()
    stop.set()
    waiting = asyncio.create_task(stand.applier.until_applied(upload_key_of(INSURER, "file-1")))
    await asyncio.sleep(0)
    await stand.applier.run(stop)
    done, _ = await asyncio.wait([waiting], timeout=TIMEOUT_S)

    assert "WRITER_UNAVAILABLE" in str(next(iter(done)).exception())
