"""
Answers asked for again with their tokens, after a month of corrections: each must be the same.

A gateway of real processes. Each day both insurers send their corrections while clinics ask; the
keys of tokens are rotated in the middle of the month, and at its end the gateway is started anew.
Then every question is asked with its token, and without it to show that the corrections
mattered. Forged tokens must be refused, all of them. First the comparison is shown an answer that
changed, and the search for forgeries a genuine token.

At the end what was replaced in the first half of the month is disposed of, and the gateway killed
meanwhile. Tokens of before must be refused with the reason, those of after get the same answer
again, and what is known last must not change. See `loadtests.token_disposal`.

    python -m loadtests.token_check [--answers 10000] [--days 30] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc

from gateway.app.ask import refused
from gateway.app.certificates import issue_all
from gateway.app.keys import rotate_keys
from gateway.domain.period import Instant
from gateway.v1 import coverage_pb2 as cov
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest, ConfirmEligibilityResponse
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.types_pb2 import VALIDITY_INVALID, VALIDITY_VALID
from loadtests.kill_world import INSTITUTION, World
from loadtests.places import channel_to, free_port, write_config
from loadtests.token_disposal import Kept, disposed_of, keep_nothing, told_apart
from loadtests.token_month import INSURER, INSURERS, OTHER_INSURER, Month, Row, file_of

if TYPE_CHECKING:
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

ASKED_A_MEMBER: Final = 4
CHANNELS: Final = 4
IN_FLIGHT: Final = 32
DEADLINE_S: Final = 60.0
TRIES_MAX: Final = 20
TRY_AGAIN_S: Final = 0.25
MARGIN_S: Final = 2.5
"""A little more than the gateway's `known_time_margin_ms`."""
LAST_ASKED: Final = 2_000
"""Questions asked without a token after the disposal."""
FORGED_OF: Final = 20
"""Genuine tokens that forgeries are made of."""


def lasting(answer: ConfirmEligibilityResponse) -> bytes:
    """All of an answer but when it was made and its access record."""
    kept = ConfirmEligibilityResponse()
    kept.CopyFrom(answer)
    kept.ClearField("process_time")
    kept.ClearField("access_record_id")
    return kept.SerializeToString(deterministic=True)


def with_token(question: ConfirmEligibilityRequest, token: str) -> ConfirmEligibilityRequest:
    """The same question, asked again."""
    again = ConfirmEligibilityRequest()
    again.CopyFrom(question)
    again.answer_token = token
    return again


def identical(kept: Sequence[Kept], again: Sequence[Kept | str]) -> int:
    """How many answers are the same as then, byte for byte."""
    return sum(
        isinstance(now, Kept) and then.said == now.said
        for then, now in zip(kept, again, strict=True)
    )


@dataclass(slots=True)
class Asked(World):
    """A gateway under questions, and how often it was away when one came, which then came again."""

    retried: int = 0


async def asked(
    stub: EligibilityServiceAsyncStub, question: ConfirmEligibilityRequest, world: Asked
) -> Kept | str:
    """
    Ask, again after a moment if a connection broke; give the answer, or why there is none.

    Each time it is asked again counts as `retried`.
    """
    for _ in range(TRIES_MAX):
        try:
            answer = await stub.ConfirmEligibility(question, timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                return refused(error).reason or error.code().name
            world.retried += 1
            await asyncio.sleep(TRY_AGAIN_S)
        else:
            return Kept(question, lasting(answer), answer.answer_token)
    return "UNAVAILABLE"


async def ask_all(world: Asked, questions: Iterable[ConfirmEligibilityRequest]) -> list[Kept | str]:
    """Ask, many at once; give answers, or the reasons of refusals, in order."""
    waiting = iter(list(enumerate(questions)))
    found: dict[int, Kept | str] = {}

    async def ask(stub: EligibilityServiceAsyncStub) -> None:
        for place, question in waiting:
            found[place] = await asked(stub, question, world)

    channels = [channel_to(world.root, world.port, "institution") for _ in range(CHANNELS)]
    try:
        stubs = [EligibilityServiceStub(channel) for channel in channels]
        await asyncio.gather(*(ask(stubs[n % CHANNELS]) for n in range(IN_FLIGHT)))
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))
    return [found[place] for place in sorted(found)]


async def upload(
    world: World, insurer: str, request_id: str, rows: Sequence[Row]
) -> cov.UploadReport:
    """Send a file and wait for its report."""
    data = file_of(rows)

    async def requests() -> AsyncIterator[cov.UploadCoverageRequest]:
        yield cov.UploadCoverageRequest(start=cov.UploadStart(request_id=request_id))
        yield cov.UploadCoverageRequest(chunk=cov.UploadChunk(offset=0, data=data))
        yield cov.UploadCoverageRequest(finish=cov.UploadFinish(size_bytes=len(data)))

    async with channel_to(world.root, world.port, f"insurer-{insurer}") as channel:
        async for answer in CoverageServiceStub(channel).UploadCoverage(
            requests(), timeout=DEADLINE_S * 10, wait_for_ready=True
        ):
            if answer.HasField("report"):
                return answer.report
    raise RuntimeError("the stream ended without a report")


@asynccontextmanager
async def running(root: Path) -> AsyncIterator[Asked]:
    """Run a gateway with two insurers in a folder."""
    issue_all(root / "certs", INSTITUTION, INSURERS)
    world = Asked(root, free_port())
    keep_nothing(root, write_config(root, world.port))
    await world.start()
    try:
        yield world
    finally:
        await stopped(world)


async def stopped(world: World) -> None:
    """Stop the gateway, which drains."""
    assert world.supervisor is not None
    with contextlib.suppress(ProcessLookupError):
        world.supervisor.terminate()
    await world.supervisor.wait()


async def lived_through(
    world: Asked, month: Month, answers: int, days: int
) -> tuple[list[Kept], Instant]:
    """
    Ask while the month passes; the keys are rotated in its middle.

    Returns:
        The answers, and the instant of the latest one in the middle of the month.
    """
    opened = await upload(world, INSURER, "opening", month.opening())
    kept: list[Kept | str] = []
    counts: Counter[str] = Counter(lines_of_opening=opened.lines_applied)
    middle = Instant(0)
    for day in range(days):
        rows, others = month.day()
        share = answers * (day + 1) // days - len(kept)
        *reports, answered = await asyncio.gather(
            upload(world, INSURER, f"day-{day}", rows),
            upload(world, OTHER_INSURER, f"day-{day}", others),
            ask_all(world, list(month.questions(share))),
        )
        kept += answered
        for report in reports:
            counts["corrections applied"] += report.lines_applied
            counts["refused"] += report.lines_refused
        if day == days // 2:
            await asyncio.to_thread(rotate_keys, world.data)
            middle = Instant(max(one.known for one in kept if isinstance(one, Kept)))
    print(f"a month of {days} days: {dict(counts)}")
    good = [one for one in kept if isinstance(one, Kept)]
    if len(good) < len(kept):
        print(f"not answered: {Counter(one for one in kept if isinstance(one, str))}")
    return good, middle


def forgeries(tokens: Sequence[str], rng: random.Random) -> Iterator[str]:
    """Tokens nobody was given: bits turned, ends cut, parts of two put together, MACs made up."""
    wholes = [urlsafe_b64decode(token) for token in tokens]
    for whole, other in zip(wholes, [*wholes[1:], wholes[0]], strict=True):
        for _ in range(8):
            bit = rng.randrange(8 * len(whole))
            turned = bytearray(whole)
            turned[bit // 8] ^= 1 << bit % 8
            yield urlsafe_b64encode(turned).decode()
        for cut in (3, 11, 15, 23, 35):
            mixed = whole[:cut] + other[cut:]
            if mixed not in wholes:
                yield urlsafe_b64encode(mixed).decode()
        yield urlsafe_b64encode(whole[:35] + rng.randbytes(16)).decode()
        yield urlsafe_b64encode(whole[:-3]).decode()
        yield urlsafe_b64encode(whole).decode() + "AAAA"


async def accepted(
    world: Asked, kept: Sequence[Kept], tokens: Iterable[str]
) -> tuple[int, Counter[str]]:
    """How many tokens get an answer to any of the questions, and why the others do not."""
    again = [with_token(one.question, token) for token in tokens for one in kept[:2]]
    outcomes = await ask_all(world, again)
    reasons = Counter(one for one in outcomes if isinstance(one, str))
    return len(outcomes) - reasons.total(), reasons


async def planted(world: Asked, kept: Sequence[Kept], again: Sequence[Kept | str]) -> bool:
    """Show that a changed answer and an accepted forgery would be noticed."""
    one = again[0]
    assert isinstance(one, Kept)
    changed = ConfirmEligibilityResponse.FromString(one.said)
    changed.validity = VALIDITY_INVALID if changed.validity == VALIDITY_VALID else VALIDITY_VALID
    defect = [Kept(one.question, lasting(changed), one.token), *again[1:]]
    is_change_noticed = identical(kept, defect) == identical(kept, again) - 1
    genuine, _ = await accepted(world, kept, [kept[0].token])
    print(f"planted defect noticed: one answer changed {is_change_noticed}")
    print(f"planted defect noticed: a token accepted as forged {genuine == 1}")
    return is_change_noticed and genuine == 1


async def show(answers: int, days: int, seed: int) -> int:
    """Live through a month, ask again, and print what came of it."""
    month = Month(max(20, answers // ASKED_A_MEMBER), seed)
    with tempfile.TemporaryDirectory(prefix="onshi-tokens-") as scratch:
        async with running(Path(scratch)) as world:
            kept, middle = await lived_through(world, month, answers, days)
            await stopped(world)
            await world.start()
            await asyncio.sleep(MARGIN_S)
            now = await ask_all(world, (one.question for one in kept))
            again, rates = [], []
            for batch in range(0, len(kept), 1_000):
                began = time.perf_counter()
                some = kept[batch : batch + 1_000]
                again += await ask_all(world, (with_token(one.question, one.token) for one in some))
                rates.append(len(some) / (time.perf_counter() - began))
            forged = list(forgeries([one.token for one in kept[:FORGED_OF]], month.rng))
            is_noticed = await planted(world, kept, again)
            taken, reasons = await accepted(world, kept, forged)
            before = await disposed_of(world, middle)
            gone = await ask_all(world, (with_token(one.question, one.token) for one in kept))
            last = await ask_all(world, (one.question for one in kept[:LAST_ASKED]))
    same = identical(kept, again)
    differ_now = sum(
        isinstance(one, Kept) and stripped(one.said) != stripped(then.said)
        for then, one in zip(kept, now, strict=True)
    )
    print(f"tokens: {len(kept)} answers, identical {same}")
    print(f"without the token {differ_now} of them would be others by now")
    print(f"asked once more because the gateway was away (UNAVAILABLE): {world.retried}")
    print(f"asked again at {statistics.median(rates):.0f} a second")
    print(f"forged tokens: {len(forged)}, accepted {taken}, refused {dict(reasons)}")
    is_lawful = told_apart(kept, gone, before)
    unchanged = sum(
        isinstance(one, Kept)
        and isinstance(then, Kept)
        and stripped(one.said) == stripped(then.said)
        for then, one in zip(now, last, strict=False)
    )
    print(f"known last after the disposal: {len(last)} asked, {unchanged} unchanged")
    is_lawful = is_lawful and unchanged == len(last)
    is_good = len(kept) == answers == same and differ_now and not taken
    return 0 if is_good and is_noticed and is_lawful else 1


def stripped(said: bytes) -> bytes:
    """An answer without its token, which tells as of when it is."""
    answer = ConfirmEligibilityResponse.FromString(said)
    answer.ClearField("answer_token")
    return answer.SerializeToString(deterministic=True)


def main() -> None:
    """Run as `python -m loadtests.token_check`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    said = parser.parse_args()
    sys.exit(asyncio.run(show(said.answers, said.days, said.seed)))


if __name__ == "__main__":
    main()
