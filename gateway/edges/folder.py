"""
The drop folders of one institution: a file into `req` is a question, a file in `res` its answer.

A bridge is a client of the gateway like any other and knows only the wire. Files move through
`work` in the steps of `gateway/edges/folder_files.py`; this module decides who is next and asks.
What cannot be finished now (the gateway is away, a disk is full, a name is locked) gives its slot
back and waits by name only, so memory is bounded by the slots, and what failed before never takes
more than half of them. The official interface specification is not public; the behaviour follows
what independent clients expect, see docs/folders.md.
Nothing here logs a file's name or content. Sources: oqs-interface.md 1.1-1.6, 5.19 and 5.20.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import Final, ParamSpec, TypeVar

import grpc
import structlog

from gateway.config import BridgeSettings
from gateway.domain.errors import Refusal
from gateway.domain.period import Instant
from gateway.edges.folder_ask import Asker, EligibilityStub
from gateway.edges.folder_files import Files
from gateway.edges.folder_left import Answer
from gateway.edges.folder_names import ANSWER, REJECTION, key_of
from gateway.edges.folder_waiting import (
    RETRY_FIRST_S,
    TOUCH_FIRST_S,
    TOUCH_GAPS_S_MAX,
    TOUCHED_FOR_S,
    TOUCHES_WAITING_MAX,
    Agenda,
    pause_s,
)
from gateway.edges.folder_watch import Found, Watch
from gateway.formats.oqs_xml import encode_rejection

READY_PER_SWEEP_MAX: Final = 256
"""Requests one sweep may find; their names wait for a slot."""
WAITING_MAX: Final = 1_024
"""Requests that may wait in `work` for another try before no further one is claimed."""
LOOK_BACK_S: Final = 30.0
"""How often `work` and the answers left in `res` are gone through."""
THREADS_MAX: Final = 4
"""For what blocks; more of them only wait for each other."""
SAME_WARNING_S: Final = 60.0
"""A warning that stays true is logged this often."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE})
"""Troubles of a whole folder, not of one name in it."""

_log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")


class Outcome(Enum):
    """
    How a try ended: the request is done; it alone must wait; or all of them must.

    A deadline is a trouble of one request, because others may still be answered in time.
    """

    DONE = 1
    LATER = 2
    TROUBLE = 3


class FolderBridge:
    """
    Answers one institution's request files until told to stop.

    In trouble (the gateway is away, or a disk full) one request at a time is tried, with a growing
    pause up to `RETRY_MAX_S`. None is lost.

    Args:
        stub: The gateway, on a channel with the institution's certificate.

        settings: Folders, times and limits. The folders must be on one file system.

        now: The time of answers and of results that the gateway did not make.

    Raises:
        ValueError: If two of the folders are one, or they are on more than one file system.
    """

    def __init__(
        self, stub: EligibilityStub, settings: BridgeSettings, now: Callable[[], Instant]
    ) -> None:
        if len({settings.req, settings.res, settings.work}) != len(("req", "res", "work")):
            raise ValueError("req, res and work must be three folders")
        self._settings = settings
        self._now = now
        self._asker = Asker(stub, settings, now)
        self._watch = Watch(settings)
        self._files = Files(settings, now)
        self._pool = ThreadPoolExecutor(THREADS_MAX, "folder")
        self._busy: set[str] = set()
        self._ready: deque[Found] = deque()
        self._waiting: Agenda[tuple[str, int]] = Agenda()
        self._touches: Agenda[tuple[Answer, float]] = Agenda()
        self._in_flight = self._retries = 0
        self._troubles = 0
        self._next_try_s = 0.0
        self._moved = asyncio.Event()
        self._sweep_due_s = self._look_back_due_s = 0.0
        self._warned: dict[tuple[str, str], float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Answer what lies in `work` and whatever comes into `req`, until `stop` is set."""
        try:
            if await self._prepared(stop):
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._wake_at(stop))
                    while not stop.is_set():
                        self._moved.clear()
                        await self._turn(group)
                        await self._rest()
        finally:
            self._pool.shutdown()
            self._watch.close()
            self._files.release()

    async def _prepared(self, stop: asyncio.Event) -> bool:
        """Take hold of the folders, as soon as they are there; False if told to stop before."""
        while not stop.is_set():
            try:
                await self._io(self._files.prepare)
                for answer in await self._io(self._files.left.young, self._now(), TOUCHED_FOR_S):
                    self._touch_later(answer, TOUCH_FIRST_S)
            except OSError as error:
                self._warn("folder_away", error)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), RETRY_FIRST_S)
            else:
                return True
        return False

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._moved.set()

    async def _rest(self) -> None:
        """Wait until a request is finished, or something may have to be done."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._moved.wait(), self._settings.poll_ms / 1000)

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        """Fill the free slots: with what waits and is due, then with new requests."""
        now_s = asyncio.get_running_loop().time()
        try:
            if now_s >= self._look_back_due_s:
                await self._look_back(now_s)
            self._retry(group, now_s)
            await self._claim(group, now_s)
            await self._touch(now_s)
        except OSError as error:
            self._warn("folder_away", error)

    async def _look_back(self, now_s: float) -> None:
        """Find what lies in `work` unanswered, and answers in `res` that were forgotten."""
        self._look_back_due_s = now_s + LOOK_BACK_S
        for name in await self._io(self._files.leftovers, self._is_busy):
            self._busy.add(key_of(name))
            self._waiting.add(now_s, (name, 0))
        now = self._now()
        step_s = await self._io(self._files.left.follow, now, asyncio.get_running_loop().time())
        if step_s:
            _log.warning("folder_clock_set", step_s=step_s)
        count = await self._io(self._files.left.walk, now)
        if count:
            _log.info("folder_answers_forgotten", count=count)

    def _retry(self, group: asyncio.TaskGroup, now_s: float) -> None:
        retries_max = max(1, self._settings.requests_in_flight_max // 2)
        while self._free() > 0 and self._retries < retries_max:
            due = self._waiting.pop(now_s)
            if due is None:
                return
            self._begin(group, *due, is_retry=True)

    async def _claim(self, group: asyncio.TaskGroup, now_s: float) -> None:
        """Claim as many new requests as there are free slots."""
        if self._free() <= 0 or len(self._waiting) >= WAITING_MAX:
            return
        if not self._ready and now_s >= self._sweep_due_s:
            await self._sweep(now_s)
        wanted = self._next_ready()
        if not wanted:
            return
        begun: set[str] = set()
        try:
            claims = await self._io(self._files.claim, wanted)
            for name in claims.refused:
                self._watch.hold(name, now_s)
            if claims.errno is not None:
                self._warn("folder_claim_failed", OSError(claims.errno, ""))
            for name in claims.taken:
                begun.add(name)
                if name in claims.changed:
                    self._waiting.add(now_s + self._settings.settle_ms / 1000, (name, 0))
                else:
                    self._begin(group, name, 0, is_retry=False)
        finally:
            self._busy -= {key_of(found.name) for found in wanted if found.name not in begun}

    def _next_ready(self) -> list[Found]:
        """Take as many of the found as there are free slots; from now on they are busy."""
        wanted: list[Found] = []
        while self._ready and len(wanted) < self._free():
            found = self._ready.popleft()
            if not self._is_busy(found.name):
                self._busy.add(key_of(found.name))
                wanted.append(found)
        return wanted

    async def _sweep(self, now_s: float) -> None:
        """Look into `req` for what may be claimed."""
        self._sweep_due_s = now_s + self._settings.poll_ms / 1000
        ready = await self._io(self._watch.ready, now_s, READY_PER_SWEEP_MAX, self._is_busy)
        self._ready.extend(ready)
        if self._watch.errno is not None:
            self._warn("folder_request_unreadable", OSError(self._watch.errno, ""))

    def _free(self) -> int:
        """How many requests may be begun; in trouble one at a time, after a pause."""
        if not self._troubles:
            return self._settings.requests_in_flight_max - self._in_flight
        is_over = asyncio.get_running_loop().time() >= self._next_try_s
        return 1 if is_over and not self._in_flight else 0

    def _is_busy(self, name: str) -> bool:
        return key_of(name) in self._busy

    def _begin(self, group: asyncio.TaskGroup, name: str, tries: int, *, is_retry: bool) -> None:
        self._in_flight += 1
        self._retries += is_retry
        group.create_task(self._finish(name, tries, is_retry=is_retry))

    async def _finish(self, name: str, tries: int, *, is_retry: bool) -> None:
        """Try a request once; what is not done waits for another try."""
        try:
            outcome = await self._try(name)
        finally:
            self._in_flight -= 1
            self._retries -= is_retry
            self._moved.set()
        now_s = asyncio.get_running_loop().time()
        if outcome is Outcome.DONE:
            self._busy.discard(key_of(name))
            if self._troubles:
                self._troubles = 0
                self._waiting.hurry(now_s)
            return
        if outcome is Outcome.TROUBLE and now_s >= self._next_try_s:
            self._troubles += 1
            self._next_try_s = now_s + pause_s(self._troubles)
        self._waiting.add(now_s + pause_s(tries + 1), (name, tries + 1))

    async def _try(self, name: str) -> Outcome:
        try:
            data = await self._io(self._files.unanswered, name)
            if data is None:
                answer = await self._io(self._files.publish, name)
            else:
                answer = await self._io(self._files.settle, name, *await self._made(data))
        except grpc.aio.AioRpcError as error:
            self._warn("folder_gateway_away", error)
            is_late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            return Outcome.LATER if is_late else Outcome.TROUBLE
        except OSError as error:
            self._warn("folder_unwritable", error)
            return Outcome.TROUBLE if error.errno in _FULL else Outcome.LATER
        except Exception as bug:  # noqa: BLE001  a bug of one request ends no other
            self._warn("folder_bug", bug)
            return Outcome.LATER
        if answer is not None:
            self._touch_later(answer, TOUCH_FIRST_S)
        return Outcome.DONE

    async def _made(self, data: bytes) -> tuple[str, bytes]:
        """Answer a request, or say why it cannot be taken at all."""
        try:
            return ANSWER, await self._asker.answer(data)
        except Refusal as refusal:
            _log.info("folder_request_rejected", reason=refusal.reason)
            return REJECTION, encode_rejection(refusal)

    def _touch_later(self, answer: Answer, gap_s: float) -> None:
        if gap_s <= TOUCH_GAPS_S_MAX and len(self._touches) < TOUCHES_WAITING_MAX:
            due_s = asyncio.get_running_loop().time() + gap_s
            self._touches.add(due_s, (answer, gap_s))

    async def _touch(self, now_s: float) -> None:
        """Touch answers again that nobody took yet, each time after twice the gap."""
        due: list[tuple[Answer, float]] = []
        while (item := self._touches.pop(now_s)) is not None:
            due.append(item)
        if due:
            for answer, gap_s in await self._io(self._touched, due):
                self._touch_later(answer, 2 * gap_s)

    def _touched(self, due: list[tuple[Answer, float]]) -> list[tuple[Answer, float]]:
        return [item for item in due if self._files.left.touch(item[0])]

    def _io(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Do what blocks in a thread."""
        work = partial(function, *args, **kwargs)
        return asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _warn(self, event: str, error: Exception) -> None:
        """Log a trouble once, and again if it is still there much later."""
        fields: dict[str, int | str | None]
        match error:
            case OSError():
                fields = {"errno": error.errno}
            case grpc.aio.AioRpcError():
                fields = {"code": error.code().name}
            case _:
                fields = {"kind": type(error).__name__}
        key = (event, str(fields))
        now_s = asyncio.get_running_loop().time()
        if now_s - self._warned.get(key, -SAME_WARNING_S) >= SAME_WARNING_S:
            self._warned[key] = now_s
            _log.warning(event, **fields)
