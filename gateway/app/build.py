"""What worker and writer build alike from settings: clock, rules, limits, credentials."""

from __future__ import annotations

import secrets
from typing import Any, Final

import grpc

from gateway.app.clock import SandboxClock, real_clock
from gateway.app.layout import DataDir
from gateway.card_pki import CardAuthorities
from gateway.config import Register, Settings, Tls
from gateway.domain import eligibility
from gateway.domain.card import CHALLENGE_BYTES, CardRules
from gateway.domain.residents import ResidentRules
from gateway.observe import get_logger
from gateway.pki import RevocationList
from gateway.usecases.challenges import Challenges
from gateway.usecases.confirm_eligibility import LookupLimits
from gateway.usecases.context import Clock
from gateway.usecases.visit import Cards


def clock_of(settings: Settings) -> Clock:
    """The real clock, or the sandbox's where the settings allow it."""
    return SandboxClock(DataDir(settings.data_dir).clock) if settings.is_sandbox else real_clock


def rules_of(settings: Settings) -> eligibility.Rules:
    """The named settings for what the references leave open."""
    said = settings.rules
    return eligibility.Rules(
        is_unnumbered_found_by_number=said.is_unnumbered_found_by_number,
        is_unnumbered_found_by_card=said.is_unnumbered_found_by_card,
        are_several_people_listed=said.are_several_people_listed,
        is_ticket_of_another_institution_enough=said.is_ticket_of_another_institution_enough,
    )


def lookup_limits_of(settings: Settings) -> LookupLimits:
    """The limits of a lookup."""
    limits = settings.limits
    return LookupLimits(
        limits.confirmation_days_back_max,
        limits.confirmation_days_ahead_max,
        limits.matches_max,
        limits.known_time_margin_ms,
    )


def resident_rules_of(said: Register) -> ResidentRules:
    """The named settings for what the references leave open about My Numbers."""
    return ResidentRules(
        is_address_compared=said.is_address_compared,
        are_mismatches_classed=said.are_mismatches_classed,
        is_number_searched=said.is_number_searched,
    )


def is_number_searched(settings: Settings) -> bool:
    """Whether the register is asked for numbers nobody told."""
    said = settings.resident_register
    return said is not None and said.is_number_searched


def cards_of(settings: Settings, authorities: CardAuthorities) -> Cards:
    """What a process needs to believe a card; each process has challenges of its own."""
    limits, said = settings.limits, settings.cards
    assert said is not None
    return Cards(
        Challenges(
            limits.challenge_lifetime_ms,
            limits.challenges_open_max,
            limits.challenges_a_caller_max,
            lambda: secrets.token_bytes(CHALLENGE_BYTES),
        ),
        authorities.genuine,
        CardRules(said.face_score_min, said.is_visual_allowed),
    )


class WatchedAuthorities:
    """The card authorities, read again when the revocation list changes; None if there are none."""

    def __init__(self, settings: Settings) -> None:
        said = settings.cards
        self.authorities: CardAuthorities | None = None
        if said is not None:
            self.authorities = CardAuthorities.load(said.anchors, said.revocation_list)

    def refresh(self) -> None:
        """Take a new list; one that is unsound is told of, and the one before stays in force."""
        try:
            if self.authorities is not None:
                self.authorities.refresh()
        except (OSError, ValueError) as error:
            get_logger().warning("card_revocation_list_refused", kind=type(error).__name__)


def new_life() -> str:
    """A name for one run of one process; its access records carry it."""
    return secrets.token_hex(8)


MESSAGE_OVERHEAD_BYTES: Final = 4096
"""What an upload message may add to its chunk."""


class Credentials:
    """
    Server credentials that are read again when their files change, and the revocation list.

    A new certificate or list takes effect with the next handshake or call, without a restart.
    """

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._stamp = self._stamps()
        self._revocations: RevocationList | None = None
        self._revocations_stamp = 0
        self.refresh()

    def server(self) -> grpc.ServerCredentials:
        """Mutual TLS only: a caller without a certificate of our CA never reaches a method."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), self._fetch, require_client_authentication=True
        )

    def revocations(self) -> RevocationList | None:
        """The list in force; None if the settings name none."""
        return self._revocations

    def refresh(self) -> None:
        """Read the revocation list again if its file changed."""
        path = self._tls.revocation_list
        if path is None:
            return
        stamp = path.stat().st_mtime_ns
        if stamp != self._revocations_stamp:
            self._revocations = RevocationList.load(path)
            self._revocations_stamp = stamp

    def _stamps(self) -> tuple[int, ...]:
        tls = self._tls
        return tuple(path.stat().st_mtime_ns for path in (tls.certificate, tls.key, tls.ca))

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        tls = self._tls
        pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], tls.ca.read_bytes())

    def _fetch(self) -> Any:
        """What grpc asks before each handshake: a new configuration, or None for the old one."""
        stamp = self._stamps()
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        return self._configuration()
