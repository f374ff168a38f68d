"""The folder process of one institution: a client of the gateway with the institution's key."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from gateway.app.channel import secure_channel
from gateway.app.child import run, say_ready
from gateway.app.clock import real_clock
from gateway.app.supervisor import stop_on_signals
from gateway.config import BridgeSettings, load_bridge_settings
from gateway.edges.folder import FolderBridge
from gateway.observe import configure
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub


async def serve(settings: BridgeSettings, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Answer what is dropped into the folders until told to stop."""
    async with secure_channel(settings.gateway, settings.tls) as channel:
        bridge = FolderBridge(EligibilityServiceStub(channel), settings, real_clock)
        ready()
        await bridge.run(stop)


def run_alone(settings: BridgeSettings) -> None:
    """Run as a service of its own, until SIGTERM or SIGINT."""
    configure("bridge")

    async def main() -> None:
        await serve(settings, stop_on_signals(), lambda: None)

    asyncio.run(main())


def main() -> None:
    """Run as `python -m gateway.app.bridge CONFIG`."""
    configure("bridge")
    settings = load_bridge_settings(Path(sys.argv[1]))
    run(lambda stop: serve(settings, stop, say_ready))


if __name__ == "__main__":
    main()
