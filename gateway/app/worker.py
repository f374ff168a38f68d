"""A read worker: answers lookups from the shared database, passes insurers' calls to the writer."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grpc

from gateway.app.build import (
    MESSAGE_OVERHEAD_BYTES,
    Credentials,
    WatchedAuthorities,
    cards_of,
    clock_of,
    lookup_limits_of,
    new_life,
)
from gateway.app.child import run, say_ready
from gateway.app.clock import new_key
from gateway.app.late_claims import LateClaims
from gateway.app.layout import WRITER_SOCKET, DataDir
from gateway.app.replica import reader_of
from gateway.app.tokens import FileTokenKeys, tokens_of
from gateway.config import Settings, load_settings
from gateway.edges.rpc.card import CardReaderService
from gateway.edges.rpc.eligibility import EligibilityService
from gateway.edges.rpc.explanation import CardExplanationService, ExplanationService
from gateway.edges.rpc.forwarding import COVERAGE, FEED, INQUIRY, LAG, PERSON, Forwarded
from gateway.edges.rpc.identity import CertificateIdentity
from gateway.edges.rpc.server import Bounds, Front, Method, build_server
from gateway.observe import configure
from gateway.policy import published_policy
from gateway.store.access_log import AccessLog
from gateway.store.by_steps import StepReader
from gateway.usecases.answer_tokens import Tokens
from gateway.usecases.door import Door
from gateway.usecases.explain_eligibility import ExplainLimits

REFRESH_S: Final = 1.0
"""How often the revocation lists are looked at."""
WRITER_CHANNEL: Final = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
)


class Worker:
    """One read worker, assembled but not yet serving."""

    def __init__(self, settings: Settings, store: StepReader) -> None:
        data = DataDir(settings.data_dir)
        limits = settings.limits
        policy = published_policy()
        self._settings = settings
        self._credentials = Credentials(settings.tls)
        self._accesses = AccessLog(
            data.access,
            new_life(),
            gather_us=limits.access_gather_us,
            group_records_max=limits.access_group_records_max,
            segment_bytes_max=limits.access_segment_bytes_max,
        )
        self._store = store
        self._writer = grpc.aio.insecure_channel(f"unix:{WRITER_SOCKET}", WRITER_CHANNEL)
        # A register that hangs holds people's calls; insurers' have a connection of their own.
        self._portal = grpc.aio.insecure_channel(f"unix:{WRITER_SOCKET}", WRITER_CHANNEL)
        self.front = Front(
            CertificateIdentity(self._credentials.revocations),
            self._accesses,
            clock_of(settings),
            new_key,
            limits.request_bytes_max,
            policy.version,
        )
        door = Door(policy, self._accesses)
        self._token_keys = FileTokenKeys(data.token_keys)
        tokens, lookup_limits = tokens_of(settings, self._token_keys), lookup_limits_of(settings)
        self.eligibility = EligibilityService(self._store, door, tokens, lookup_limits)
        self._watched = WatchedAuthorities(settings)
        self._feed = Forwarded(self._writer, FEED)
        methods = [*self.eligibility.methods(), *_for_insurers(self._writer)]
        methods += self._feed.methods()
        explain_limits = ExplainLimits(lookup_limits, limits.explained_versions_max)
        methods += ExplanationService(self._store, door, tokens, explain_limits).methods()
        methods += LateClaims(settings, self._store, door).methods()
        methods += self._of_cards(door, tokens, explain_limits)
        if self._watched.authorities is not None and settings.resident_register is not None:
            methods += Forwarded(self._portal, PERSON).methods()
        self.server = build_server(
            self.front,
            tuple(methods),
            Bounds(
                limits.chunk_bytes_max + MESSAGE_OVERHEAD_BYTES,
                limits.streams_per_connection_max,
                is_port_shared=True,
            ),
        )

    def _of_cards(self, door: Door, tokens: Tokens, limits: ExplainLimits) -> list[Method]:
        """The methods of visits, which use up the same challenges; none without authorities."""
        authorities = self._watched.authorities
        if authorities is None:
            return []
        cards = cards_of(self._settings, authorities)
        visits = CardReaderService(self._store, door, cards, tokens, limits.lookup)
        whys = CardExplanationService(self._store, door, cards, tokens.rules, limits)
        return [*visits.methods(), *whys.methods()]

    async def serve(self, port: int, stop: asyncio.Event) -> None:
        """
        Serve until told to stop, then let the calls under way end.

        A worker whose access log failed answers nobody any more; it ends, and the supervisor
        starts the next one with a log of its own.
        """
        self.server.server.add_secure_port(
            f"{self._settings.host}:{port}", self._credentials.server()
        )
        await self.server.start()
        say_ready()
        while not (stop.is_set() or self._accesses.has_failed):
            self._credentials.refresh()
            self._watched.refresh()
            self._token_keys.refresh()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), REFRESH_S)
        self._feed.end()
        await self.server.stop(self._settings.limits.drain_s_max)
        await self._writer.close()
        await self._portal.close()
        await self._accesses.close()
        await self._store.close()


def _for_insurers(writer: grpc.aio.Channel) -> Iterator[Method]:
    """What the writer serves insurers."""
    for service in (COVERAGE, LAG, INQUIRY):
        yield from Forwarded(writer, service).methods()


async def serve(settings: Settings, port: int, stop: asyncio.Event) -> None:
    """Assemble a worker inside the event loop it will use, and serve."""
    await Worker(settings, await reader_of(settings)).serve(port, stop)


def main() -> None:
    """Run as `python -m gateway.app.worker CONFIG PORT`."""
    configure("worker")
    config, port = sys.argv[1:]
    settings = load_settings(Path(config))
    run(lambda stop: serve(settings, int(port), stop))


if __name__ == "__main__":
    main()
