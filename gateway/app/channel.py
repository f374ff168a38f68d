"""How our own processes and commands reach a gRPC server: one mutual-TLS channel."""

from __future__ import annotations

from typing import Final

import grpc

from gateway.config import Tls

CHANNEL: Final = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


def secure_channel(address: str, tls: Tls) -> grpc.aio.Channel:
    """Open a channel with mutual TLS."""
    credentials = grpc.ssl_channel_credentials(
        tls.ca.read_bytes(), tls.key.read_bytes(), tls.certificate.read_bytes()
    )
    return grpc.aio.secure_channel(address, credentials, CHANNEL)
