"""
Who is calling: read from the certificate at the front, from the worker's word behind it.

The parsed caller is cached by certificate and forgotten when the revocation list changes
(house 11). Behind the front only the Unix socket, closed to other users, leads to the writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

import grpc

from gateway.domain.errors import NotPermitted
from gateway.domain.purpose import Role
from gateway.pki import RevocationList, parse_identity, serial_of
from gateway.usecases.context import Caller

ROLE_KEY: Final = "onshi-role"
CODE_KEY: Final = "onshi-code"
CALLERS_CACHED_MAX: Final = 16_384


PeerContext: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"

Identify = Callable[[PeerContext], Caller]


class CertificateIdentity:
    """Reads the caller from the client certificate of the connection."""

    def __init__(self, revocations: Callable[[], RevocationList | None]) -> None:
        self._revocations = revocations
        self._version: int | None = None
        self._callers: dict[bytes, Caller] = {}

    def __call__(self, context: PeerContext) -> Caller:
        """
        Give the caller.

        Raises:
            NotPermitted: `CERTIFICATE_ROLE_UNKNOWN`, `CERTIFICATE_REVOKED`.
        """
        properties = context.auth_context()
        pem = next(iter(properties.get("x509_pem_cert", ())), b"")
        revoked = self._revocations()
        version = None if revoked is None else revoked.version
        if version != self._version or len(self._callers) >= CALLERS_CACHED_MAX:
            self._callers.clear()
            self._version = version
        caller = self._callers.get(pem)
        if caller is None:
            caller = self._callers[pem] = _caller(properties, pem, revoked)
        return caller


def _caller(
    properties: Mapping[str, Iterable[bytes]], pem: bytes, revoked: RevocationList | None
) -> Caller:
    if revoked is not None and serial_of(pem) in revoked.serials:
        raise NotPermitted("CERTIFICATE_REVOKED")
    names = properties.get("x509_subject_alternative_name", ())
    role, code = parse_identity([name.decode(errors="replace") for name in names])
    return Caller(role, code)


def forwarded_identity(context: PeerContext) -> Caller:
    """
    Give the caller a worker vouches for.

    Raises:
        NotPermitted: `CERTIFICATE_ROLE_UNKNOWN` for a call that no worker forwarded.
    """
    said = {
        key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)
    }
    try:
        return Caller(Role(said[ROLE_KEY]), said[CODE_KEY])
    except (KeyError, ValueError):
        raise NotPermitted("CERTIFICATE_ROLE_UNKNOWN") from None


def forwarding_metadata(caller: Caller) -> tuple[tuple[str, str], ...]:
    """The metadata by which a worker vouches for a caller."""
    return ((ROLE_KEY, caller.role.value), (CODE_KEY, caller.code))
