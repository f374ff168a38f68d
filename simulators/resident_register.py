"""
A simulated resident register (住民基本台帳) as a process of its own.

    python -m simulators.resident_register DIR PORT

Serves on loopback with mutual TLS; only a certificate of the role operator gets in. It says
`ready` on its standard output and ends on SIGTERM, SIGINT or when its standard input does. The
conditions (slow, wrong, away) hold for the gateway's questions only and end with the process.
Nothing is logged. The real register's interface is not public; this one is our own.

In DIR stands `register.json` with paths relative to DIR, see `simulators.resident_book.Config`.
Beside it the register keeps `added.jsonl` and `cards.jsonl`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any, Final, TypeAlias

import grpc
import msgspec

from gateway.domain.errors import NotPermitted
from gateway.domain.purpose import Role
from gateway.pki import parse_identity
from gateway.v1 import resident_register_pb2 as pb
from gateway.v1 import resident_register_pb2_grpc as pb_grpc
from simulators.resident_book import Config, Register, Resident
from simulators.resident_search import Search, three_items_only, whole

CHECKS_MAX: Final = 500
"""People in one question."""
RESIDENTS_ADDED_MAX: Final = 1_000
"""Residents in one call."""
MESSAGE_BYTES_MAX: Final = 4 * 1024**2
CALLS_AT_ONCE_MAX: Final = 256
DELAY_MS_MAX: Final = 60_000
DRAIN_S: Final = 2

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class Conditions:
    """How slow and how wrong the register is, shared by its two services."""

    def __init__(self) -> None:
        self.said = pb.SetConditionsRequest()

    async def hold_back(self, context: Context) -> None:
        """Let a question of the gateway in, after the wait; refuse it if the register is away."""
        await require_operator(context)
        if self.said.is_away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the register is away")
        wait_ms = self.said.delay_ms + random.uniform(0, self.said.delay_spread_ms)
        if wait_ms:
            await asyncio.sleep(wait_ms / 1_000)


async def require_operator(context: Context) -> None:
    """Refuse everybody whose certificate does not name an operator."""
    names = context.auth_context().get("x509_subject_alternative_name", ())
    try:
        role, _ = parse_identity([name.decode(errors="replace") for name in names])
    except NotPermitted:
        role = None
    if role is not Role.OPERATOR:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "operators only")


async def _require(context: Context, holds: bool, sentence: str) -> None:  # noqa: FBT001
    if not holds:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, sentence)


class RegisterService(pb_grpc.ResidentRegisterServiceServicer):
    """What the gateway asks."""

    def __init__(self, register: Register, conditions: Conditions) -> None:
        self._register = register
        self._search = Search(register.residents, register.known)
        self._conditions = conditions

    async def CheckResidents(  # noqa: N802  the contract's name
        self, request: pb.CheckResidentsRequest, context: Context
    ) -> pb.CheckResidentsResponse:
        """Compare what insurers registered, in the order asked."""
        await self._conditions.hold_back(context)
        await _require(context, len(request.checks) <= CHECKS_MAX, "too many checks")
        said = self._conditions.said
        compare = three_items_only if said.is_three_items_enough else whole
        return pb.CheckResidentsResponse(
            findings=[
                compare(self._register.finding(check, said.mismatch_per_mille))
                for check in request.checks
            ]
        )

    async def FindNumber(  # noqa: N802  the contract's name
        self, request: pb.FindNumberRequest, context: Context
    ) -> pb.FindNumberResponse:
        """Find numbers by five items, or by three where that fault is planted."""
        await self._conditions.hold_back(context)
        await _require(context, len(request.people) <= CHECKS_MAX, "too many people")
        is_enough = self._conditions.said.is_three_items_enough
        return pb.FindNumberResponse(
            individual_numbers=[
                self._search.number_of(items, is_three_items_enough=is_enough)
                for items in request.people
            ]
        )

    async def FindHolder(  # noqa: N802  the contract's name
        self, request: pb.FindHolderRequest, context: Context
    ) -> pb.FindHolderResponse:
        """Tell whose a certificate is; nobody's if it is unknown or another replaced it."""
        await self._conditions.hold_back(context)
        return pb.FindHolderResponse(individual_number=self._register.holder(request.certificate))


class SimulationService(pb_grpc.ResidentRegisterSimulationServiceServicer):
    """What a simulation sets."""

    def __init__(self, register: Register, conditions: Conditions) -> None:
        self._register = register
        self._conditions = conditions

    async def SetConditions(  # noqa: N802  the contract's name
        self, request: pb.SetConditionsRequest, context: Context
    ) -> pb.SetConditionsResponse:
        """Set how slow and how wrong the register is."""
        await require_operator(context)
        waits = (request.delay_ms, request.delay_spread_ms)
        await _require(context, 0 <= min(waits) <= max(waits) <= DELAY_MS_MAX, "no such delay")
        await _require(context, 0 <= request.mismatch_per_mille <= 1_000, "no such share")  # noqa: PLR2004  per mille
        self._conditions.said = request
        return pb.SetConditionsResponse()

    async def AddResidents(  # noqa: N802  the contract's name
        self, request: pb.AddResidentsRequest, context: Context
    ) -> pb.AddResidentsResponse:
        """Add residents; all of them or none."""
        await require_operator(context)
        count = len(request.residents)
        await _require(context, count <= RESIDENTS_ADDED_MAX, "too many residents")
        try:
            self._register.add([Resident.of(one) for one in request.residents])
        except ValueError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a resident is not in form")
        except OverflowError:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the register is full")
        return pb.AddResidentsResponse()

    async def IssueCard(  # noqa: N802  the contract's name
        self, request: pb.IssueCardRequest, context: Context
    ) -> pb.IssueCardResponse:
        """Issue a new card; the one before, if there is one, is revoked."""
        await require_operator(context)
        number = self._register.number_of(request.resident_id)
        if number is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such resident")
        return await self._register.issue(number)


async def serve(folder: Path, port: int, stop: asyncio.Event) -> None:
    """
    Serve on loopback until told to stop.

    Raises:
        OSError, ValueError, msgspec.MsgspecError: If a file of the register is missing or unsound.
        RuntimeError: If the port is taken.
    """
    config = msgspec.json.decode((folder / "register.json").read_bytes(), type=Config)
    with contextlib.closing(Register(folder, config)) as register:
        server = _server(register)
        server.add_secure_port(f"127.0.0.1:{port}", _credentials(folder, config))
        await server.start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await stop.wait()
        await server.stop(DRAIN_S)


def _server(register: Register) -> grpc.aio.Server:
    server = grpc.aio.server(
        maximum_concurrent_rpcs=CALLS_AT_ONCE_MAX,
        options=(
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.so_reuseport", 0),
        ),
    )
    conditions = Conditions()
    questions, simulation = (
        RegisterService(register, conditions),
        SimulationService(register, conditions),
    )
    pb_grpc.add_ResidentRegisterServiceServicer_to_server(questions, server)
    pb_grpc.add_ResidentRegisterSimulationServiceServicer_to_server(simulation, server)
    return server


def _credentials(folder: Path, config: Config) -> grpc.ServerCredentials:
    key, certificate, ca = (
        (folder / name).read_bytes() for name in (config.key, config.certificate, config.ca)
    )
    return grpc.ssl_server_credentials([(key, certificate)], ca, require_client_auth=True)


async def _run(folder: Path, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def on_input() -> None:
        if not os.read(sys.stdin.fileno(), 64):
            loop.remove_reader(sys.stdin.fileno())
            stop.set()

    loop.add_reader(sys.stdin.fileno(), on_input)
    await serve(folder, port, stop)


def main() -> None:
    """Run as `python -m simulators.resident_register DIR PORT`."""
    folder, port = sys.argv[1:]
    asyncio.run(_run(Path(folder), int(port)))


if __name__ == "__main__":
    main()
