"""How every simulator reaches the gateway: one mutual-TLS channel."""

from __future__ import annotations

from pathlib import Path

import grpc


def secure_channel(address: str, ca: Path, certificate: Path, key: Path) -> grpc.aio.Channel:
    """
    Open a channel to the gateway; the certificate says who is calling.

    Args:
        address: Host and port. The host must be one the gateway's certificate names.

        ca: The CA to trust, as a PEM file; `certificate` and `key` are the caller's own.

    Raises:
        OSError: If a file cannot be read.
    """
    credentials = grpc.ssl_channel_credentials(
        root_certificates=ca.read_bytes(),
        private_key=key.read_bytes(),
        certificate_chain=certificate.read_bytes(),
    )
    return grpc.aio.secure_channel(address, credentials)
