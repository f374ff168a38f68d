"""
How Locust speaks gRPC: one mutual-TLS connection for each party, every call timed and judged.

gRPC waits in threads of its own, which Locust's greenlets cannot; `init_gevent` bridges the two
and must come after Locust has patched Python and before any gRPC object. The bridge waits for
each call in a thread of gevent's pool, so the pool must be as large as there may be calls at
once: a call that waits for a thread would be charged to the gateway. An answer that differs from
the truth is a failure, and so is a refusal, unless it was expected by its reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Final, TypeVar

import grpc
import grpc.experimental.gevent as grpc_gevent
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from locust import User
from locust.env import Environment

from loadtests.load_figures import Ledger
from loadtests.load_places import CHANNEL, Party, Plan, Question
from simulators.cards import SimulatedCard

grpc_gevent.init_gevent()

DEADLINE_S: Final = 10.0
WAITING_THREADS_MAX: Final = 512
"""Calls under way at once in one process; a thread is made when it is first needed."""

Asked = TypeVar("Asked")
Answered = TypeVar("Answered", bound=Message)


def widen_bridge() -> None:
    """Let as many calls wait at once as `WAITING_THREADS_MAX`; once in each process."""
    gevent: Any = import_module("gevent")  # It has no types of its own.
    gevent.get_hub().threadpool.maxsize = WAITING_THREADS_MAX


class Problem(Exception):  # noqa: N818  Locust calls it so
    """What was wrong with a request, in words that hold nothing of a person."""


def reason_of(error: grpc.RpcError) -> str:
    """The reason of a refusal, else the name of its code."""
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return error.code().name


def _right(_answer: Any) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Expectation:
    """
    What must come back: an answer in which `judge` finds nothing wrong, or a refusal.

    Args:
        route: The name under which the request is counted.

        judge: Says what is wrong with an answer; empty if nothing is.

        refusal: The reason that must be given; empty if an answer must come.
    """

    route: str
    judge: Callable[[Any], str] = _right
    refusal: str = ""

    def problem_with(self, call: grpc.Future[Any]) -> str:
        """Wait for a call and say what is wrong with its end; empty if nothing is."""
        try:
            answer = call.result()
        except grpc.RpcError as error:
            reason = reason_of(error)
            return "" if reason == self.refusal else f"refused: {reason}"
        return f"not refused: {self.refusal}" if self.refusal else self.judge(answer)


class Timing(grpc.UnaryUnaryClientInterceptor):
    """Times each call of a connection and reports it with what was wrong."""

    expectation: Expectation

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.ClientCallDetails, Asked], Any],
        client_call_details: grpc.ClientCallDetails,
        request: Asked,
    ) -> Any:
        """Call, wait, report."""
        expectation = self.expectation
        began = time.perf_counter()
        call = continuation(client_call_details, request)
        problem = expectation.problem_with(call)
        report(self.environment, "grpc", expectation.route, began, problem)
        return call


def report(environment: Environment, kind: str, route: str, began: float, problem: str) -> None:
    """Tell Locust, and whoever listens, of a request that ends now; `began` by `perf_counter`."""
    fire: Callable[..., None] = environment.events.request.fire
    fire(
        request_type=kind,
        name=route,
        response_time=(time.perf_counter() - began) * 1000,
        response_length=0,
        exception=Problem(problem) if problem else None,
        context={},
    )


class Connection:
    """A party's own connection, for one greenlet at a time."""

    def __init__(self, environment: Environment, address: str, party: Party) -> None:
        self.timing = Timing(environment)
        self._plain = grpc.secure_channel(address, party.credentials(), CHANNEL)
        self.channel = grpc.intercept_channel(self._plain, self.timing)

    def open(self) -> None:
        """Connect by a call nobody counts, so that no request is charged with the handshake."""
        health_pb2_grpc.HealthStub(self._plain).Check(
            health_pb2.HealthCheckRequest(), timeout=DEADLINE_S, wait_for_ready=True
        )

    def close(self) -> None:
        """Hang up."""
        self._plain.close()

    def call(
        self,
        method: Callable[..., Answered],
        request: Message,
        expectation: Expectation,
    ) -> Answered | None:
        """Call a method of a stub on `channel`; None, and a failure counted, for no answer."""
        self.timing.expectation = expectation
        try:
            return method(request, timeout=DEADLINE_S)
        except grpc.RpcError:
            return None


class GrpcUser(User):
    """
    A user with a connection; what all users of a process share stands on the class.

    `cards` are those of the plan, by path. `ends` is the monotonic second at which the run is over,
    counted from the first user, because a worker is told of no start.
    """

    abstract = True
    plan: ClassVar[Plan]
    ledger: ClassVar[Ledger]
    questions: ClassVar[list[Question]]
    cards: ClassVar[dict[str, SimulatedCard]]
    ends: ClassVar[float]

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        GrpcUser.ends = min(self.ends, time.monotonic() + self.plan.seconds)
        self.connection = self.connected(self.plan.institution)

    def connected(self, party: Party) -> Connection:
        """Make another connection."""
        return Connection(self.environment, self.plan.address, party)

    def on_start(self) -> None:
        """Connect."""
        self.connection.open()

    def on_stop(self) -> None:
        """Hang up."""
        self.connection.close()
