"""Where a gateway under measurement lives, and how to connect to it as one of its parties."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

import grpc

CHANNEL: Final = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
)


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_config(root: Path, port: int, store: str | None = None) -> Path:
    """Settings of a gateway in `root`, with its certificates under `root/certs`."""
    path = root / "gateway.toml"
    kept = "" if store is None else f'store = "{store}"\n'
    path.write_text(
        f'data_dir = "data"\nport = {port}\n{kept}[tls]\n'
        'certificate = "certs/gateway/certificate.pem"\n'
        'key = "certs/gateway/key.pem"\nca = "certs/ca.pem"\n'
    )
    return path


def channel_to(root: Path, port: int, party: str) -> grpc.aio.Channel:
    """Open a connection of its own with a party's certificate."""
    folder = root / "certs" / party
    credentials = grpc.ssl_channel_credentials(
        (root / "certs" / "ca.pem").read_bytes(),
        (folder / "key.pem").read_bytes(),
        (folder / "certificate.pem").read_bytes(),
    )
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, CHANNEL)
