"""
The users of a load run, for Locust; `python -m loadtests.load` starts it and reads what it leaves.

Every answer is compared with the truth about the made-up population, and desks mistype now and
then, as real ones do. Any process may be alone, a master or a worker: each keeps a ledger and
leaves it when it quits. Locust has patched Python, so sleeps and threads here are greenlets'.
"""

from __future__ import annotations

import math
import random
import threading
import time
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from locust import User, between, events, task
from locust.env import Environment
from locust.runners import MasterRunner, Runner, WorkerRunner

from gateway.v1 import coverage_pb2, coverage_pb2_grpc, types_pb2
from loadtests.grpc_user import Expectation, GrpcUser, widen_bridge
from loadtests.load_desks import CardDesk, FolderDesk, NumberDesk
from loadtests.load_figures import Cpu, Ledger
from loadtests.load_lag import follow, stage_row
from loadtests.load_people import (
    CHANGES_MAX,
    MOVERS_INSURERS,
    cover_card,
    lost_row,
    new_row,
)
from loadtests.load_places import Mover, Plan, Question, date_message, questions
from simulators.cards import SimulatedCard
from simulators.people import Card, Row

MISTYPED_SHARE: Final = 0.01
PIN_SHARE: Final = 0.2
STRANGER_SHARE: Final = 0.01
PLANTED_SHARE: Final = 0.05
TAIL_S: Final = 4.0
"""Nobody moves so shortly before the end, because the number could not be followed."""


def _options(parser: ArgumentParser) -> None:
    # A str, because a master sends its options to its workers.
    parser.add_argument("--plan", required=True, help="file written by loadtests.load")


def _begin(environment: Environment, runner: Runner, **_: Any) -> None:
    """Read the plan, keep a ledger, and watch this process's own share of its core."""
    assert environment.parsed_options is not None
    widen_bridge()
    plan = Plan.read(Path(environment.parsed_options.plan))
    is_master = isinstance(runner, MasterRunner)
    kind = "master" if is_master else "worker" if isinstance(runner, WorkerRunner) else "locust"
    ledger = Ledger(f"{kind}-{plan.claim('process')}")
    GrpcUser.plan, GrpcUser.ledger = plan, ledger
    GrpcUser.questions, GrpcUser.cards, GrpcUser.ends = [], {}, math.inf
    if not is_master:
        GrpcUser.questions = questions(plan.people)
        held = [*plan.cards, *(mover.card for mover in plan.movers)]
        # Taking up a card checks its key, which is slow: not while load is made.
        GrpcUser.cards = {card.path: SimulatedCard(Path(card.path)) for card in held}
    threading.Thread(target=_watch, args=(ledger,), daemon=True).start()

    def noted(name: str, response_time: float, exception: object, **_: Any) -> None:
        ledger.add(name, time.monotonic(), response_time, str(exception) if exception else "")

    def failed(user_instance: User, exception: BaseException, **_: Any) -> None:
        ledger.note(f"{type(exception).__name__} in {type(user_instance).__name__}")

    def ended(**_: Any) -> None:
        plan.keep(ledger)

    hooks: Any = environment.events
    hooks.request.add_listener(noted)
    hooks.user_error.add_listener(failed)
    hooks.quitting.add_listener(ended)


def _watch(ledger: Ledger) -> None:
    while True:
        at, used = time.monotonic(), time.process_time()
        time.sleep(1)
        now = time.monotonic()
        share = (time.process_time() - used) / (now - at)
        ledger.cpu.append(Cpu(ledger.process, round(now, 3), round(share, 4)))


class NumberUser(GrpcUser):
    """A desk that asks by what the card shows."""

    weight = 63
    wait_time = between(0.1, 0.3)

    @task
    def ask(self) -> None:
        """Ask about somebody; seldom with a mistyped insurer number, which must be refused."""
        desk = NumberDesk(self.connection)
        question = random.choice(self.questions)
        if random.random() < MISTYPED_SHARE:
            mistyped = question._replace(card=_mistyped(question.card))
            desk.ask("number", mistyped, "CHECK_DIGIT_WRONG")
            return
        if self.plan.is_answer_planted and random.random() < PLANTED_SHARE:
            question = question._replace(expected=(question.expected[0] + 1,))
        desk.ask("number", question)


def _mistyped(card: Card) -> Card:
    """The card with another last digit of the insurer number, so that its check fails."""
    kept, last = card.insurer_number[:-1], card.insurer_number[-1]
    return replace(card, insurer_number=f"{kept}{(int(last) + 1) % 10}")


class CardUser(GrpcUser):
    """A desk with a card reader."""

    weight = 37
    wait_time = between(0.2, 0.6)

    @task
    def visit(self) -> None:
        """Take a visit: most by face, some by PIN; seldom it is somebody else's face."""
        held = random.choice(self.plan.cards)
        CardDesk(self.connection).ask(
            "card",
            self.cards[held.path],
            (held.expected,),
            held.pin if (is_by_pin := random.random() < PIN_SHARE) else "",
            is_alike=is_by_pin or random.random() >= STRANGER_SHARE,
        )


class FolderUser(GrpcUser):
    """A desk whose receipt computer drops files and waits for their answers."""

    fixed_count = 4
    wait_time = between(0.2, 0.6)

    def on_start(self) -> None:
        """Take a place; the connection is not needed."""
        self.desk = FolderDesk(self.environment, self.plan)

    @task
    def ask(self) -> None:
        """Ask about somebody."""
        self.desk.ask("folder", random.choice(self.questions))


class InsurerUser(GrpcUser):
    """
    An insurer that registers covers of movers and tells their numbers, and desks that wait.

    The desks ask over connections of their own until the number has come through.
    """

    fixed_count = 2
    wait_time = between(0.2, 0.8)

    def on_start(self) -> None:
        """Connect the insurers and the waiting desks."""
        super().on_start()
        self.insurers = {
            number: self.connected(self.plan.insurers[number]) for number in MOVERS_INSURERS
        }
        self.reader = self.connected(self.plan.institution)
        for connection in (self.reader, *self.insurers.values()):
            connection.open()
        self.folder = FolderDesk(self.environment, self.plan)
        self.mover: Mover | None = None
        self.change = CHANGES_MAX

    def on_stop(self) -> None:
        """Hang up."""
        for connection in (self.reader, *self.insurers.values()):
            connection.close()
        super().on_stop()

    @task
    def move(self) -> None:
        """Let somebody change insurers, and follow their number; not in the last seconds."""
        if time.monotonic() > self.ends - TAIL_S:
            return
        if self.change == CHANGES_MAX:
            self.mover, self.change = self._next_mover(), 0
        if self.mover is None:
            self.change = CHANGES_MAX
            self.ledger.note("no mover left")
            return
        self.change += 1
        self._move(self.mover, self.change)

    def _next_mover(self) -> Mover | None:
        place = self.plan.claim("mover")
        return self.plan.movers[place] if place < len(self.plan.movers) else None

    def _move(self, mover: Mover, change: int) -> None:
        before, card = cover_card(mover.serial, change - 1), cover_card(mover.serial, change)
        self._register(lost_row(mover.serial, mover.birth_date, change - 1), f"lost {change}")
        self._register(new_row(mover.serial, mover.birth_date, change), f"new {change}")
        in_gap = Question(before, mover.birth_date, (2,))
        waiting = Question(before, mover.birth_date, (2, 3))
        held = self.cards[mover.card.path]
        number, reader = NumberDesk(self.connection), CardDesk(self.reader)
        number.ask("number before", in_gap)
        reader.ask("card before", held, (2,))
        insured_id = types_pb2.InsuredId(**card.cells())
        birth_date = date_message(mover.birth_date)
        insurer = self.insurers[card.insurer_number]
        stub = coverage_pb2_grpc.CoverageServiceStub(insurer.channel)
        acknowledged = insurer.call(
            stub.RegisterIndividualNumber,
            coverage_pb2.RegisterIndividualNumberRequest(
                request_id=f"load-{mover.serial}-{change}",
                insured_id=insured_id,
                birth_date=birth_date,
                individual_number=mover.number,
            ),
            Expectation("tell number"),
        )
        if acknowledged is None:
            return
        follow(
            {
                "number": (3, lambda: number.ask("number waiting", waiting)),
                "card": (1, lambda: reader.ask("card waiting", held, (1, 2))),
                "folder": (3, lambda: self.folder.ask("folder waiting", waiting)),
            },
            self.ledger,
            self.plan.probe_ms / 1000,
            self.plan.lag_s_max,
        )
        stages = insurer.call(
            stub.GetIndividualNumberStages,
            coverage_pb2.GetIndividualNumberStagesRequest(
                insured_id=insured_id, birth_date=birth_date
            ),
            Expectation("ask stages"),
        )
        if stages is not None:
            self.ledger.stages.append(stage_row(stages))

    def _register(self, row: Row, what: str) -> None:
        insurer = self.insurers[row["insurer_number"]]
        insurer.call(
            coverage_pb2_grpc.CoverageServiceStub(insurer.channel).RegisterCoverage,
            coverage_pb2.RegisterCoverageRequest(
                request_id=f"load-{row['number']}-{what.replace(' ', '-')}", cells=row
            ),
            Expectation("register cover"),
        )


_hooks: Any = events
_hooks.init_command_line_parser.add_listener(_options)
_hooks.init.add_listener(_begin)
