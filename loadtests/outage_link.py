"""A line between a party and the gateway that can be cut and mended."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

PIECE_BYTES = 64 * 1024


@dataclass(slots=True)
class Link:
    """
    Carries bytes to the gateway's port from a port of its own, as long as it is whole.

    `port` stays the same over cuts, as an address book would have it.
    """

    to_port: int
    port: int = 0
    refused: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def mend(self) -> None:
        """Let calls through from now on."""
        self._server = await asyncio.start_server(
            self._carry, "127.0.0.1", self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break every connection and let none through."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()
        self._open.clear()

    async def _carry(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._open.add(back)
        far, to = await asyncio.open_connection("127.0.0.1", self.to_port)
        self._open.add(to)
        try:
            await asyncio.gather(_pass_on(near, to), _pass_on(far, back))
        finally:
            for writer in (to, back):
                self._open.discard(writer)
                writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(PIECE_BYTES):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
