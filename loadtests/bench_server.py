"""
A read worker with two more methods on the same port: `bench.Bare/Echo` and `bench.Planted/Slow`.

`Echo` answers constant bytes without a wrapper around it: the floor of the same grpcio in the
same process. `Slow` is the real lookup with 400 us of work added, the planted defect that the
bench must notice. Run by `loadtests.lookup_ratio`, never in production.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Final, TypeAlias

import grpc

from gateway.app.child import run
from gateway.app.engine import engine_of
from gateway.app.worker import Worker
from gateway.config import Settings, load_settings
from gateway.domain.purpose import Role
from gateway.edges.rpc.server import GrpcContext, Method
from gateway.observe import configure
from gateway.usecases.context import Context

ANSWER: Final = bytes(400)
PLANTED_S: Final = 400e-6
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"


async def echo(_request: bytes, _context: GrpcContext) -> bytes:
    """Answer constant bytes."""
    return ANSWER


async def serve(settings: Settings, port: int, stop: asyncio.Event) -> None:
    """Serve a worker's methods and the two of the bench."""
    worker = Worker(settings, await engine_of(settings).reader())
    confirm = worker.eligibility.confirm_eligibility

    async def slow(request: bytes, context: Context) -> bytes:
        until = time.perf_counter() + PLANTED_S
        while time.perf_counter() < until:
            pass
        return await confirm(request, context)

    planted = Method("Planted/Slow", frozenset({Role.INSTITUTION}), unary=slow)
    bare: Handler = grpc.unary_unary_rpc_method_handler(echo)
    for service, name, handler in (
        ("bench.Bare", "Echo", bare),
        ("bench.Planted", "Slow", worker.front.handler(planted)),
    ):
        worker.server.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {name: handler}),)
        )
    await worker.serve(port, stop)


def main() -> None:
    """Run as `python -m loadtests.bench_server CONFIG PORT`."""
    configure("bench")
    config, port = sys.argv[1:]
    settings = load_settings(Path(config))
    run(lambda stop: serve(settings, int(port), stop))


if __name__ == "__main__":
    main()
