"""The scenario about certificates, which moves the clock by years: scenario 18 of the reference."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from typing import Final

import grpc
from cryptography import x509

from gateway.app.ask import refused
from gateway.app.clock import SandboxClock
from gateway.app.visits import set_conditions
from gateway.domain.card import HolderCheck
from gateway.domain.period import TOKYO, tokyo_day
from loadtests.scenario_place import Place, Seen
from loadtests.scenario_tales import Tale, valid
from simulators.cards import SimulatedCard
from simulators.reader import Wallet

PERSON: Final = "same-insurer-again"
REFUSED: Final = 0
"""What is noted as the validity of a refusal."""


def last_day_of(card: SimulatedCard) -> date:
    """The last day of a card's certificate in Japan."""
    certificate = x509.load_der_x509_certificate(card.certificate)
    return certificate.not_valid_after_utc.replace(tzinfo=UTC).astimezone(TOKYO).date()


def move_to(place: Place, day: date) -> None:
    """Move the sandbox's clock forward to a day."""
    clock = SandboxClock(place.sandbox.data.clock)
    try:
        clock.advance(timedelta(days=(day - tokyo_day(clock())).days))
    finally:
        clock.close()


async def certificates(tale: Tale) -> None:
    """18: near its end, in grace, after it, and renewed: alert, answer, refusal, fail once."""
    place = tale.place
    asked = place.asked(PERSON)
    await place.by_card(asked)
    card = await place.card_of(PERSON)
    last = last_day_of(card)
    for what, on, state in (
        ("near its end", last - timedelta(days=60), "NEAR_EXPIRY"),
        ("in grace", last + timedelta(days=20), "IN_GRACE"),
    ):
        move_to(place, on)
        await asks_today(tale, what, card, on, valid(certificate=state))
    after = last + timedelta(days=150)
    move_to(place, after)
    await asks_today(tale, "after grace", card, after, (REFUSED, {"certificate": "CARD_EXPIRED"}))
    await renewed(tale, after)


async def renewed(tale: Tale, on: date) -> None:
    """A new certificate is unknown until registered, which fails while the register is away."""
    place = tale.place
    wallet = Wallet(place.sandbox.root / "renewed")
    place.wallet = wallet
    card = await place.card_of(PERSON)
    await asks_today(tale, "renewed, first visit", card, on, (4, {"certificate": "GOOD"}))
    await set_conditions(place.sandbox.root, 0, 0, 0, is_away=True)
    reason = ""
    try:
        await place.register(card, wallet.pin(PERSON))
    except grpc.aio.AioRpcError as error:
        reason = refused(error).reason
    unavailable = (REFUSED, {"reason": "RESIDENT_REGISTER_UNAVAILABLE"})
    tale.note("renewed, register away", "card", Seen(REFUSED, {"reason": reason}), unavailable)
    await set_conditions(place.sandbox.root, 0, 0, 0, is_away=False)
    await place.register(card, wallet.pin(PERSON))
    await asks_today(tale, "renewed and registered", card, on, valid(certificate="GOOD"))


async def asks_today(
    tale: Tale, what: str, card: SimulatedCard, on: date, by_card: tuple[int, dict[str, str]]
) -> None:
    """Ask all three ways; by number and file a certificate does not matter."""
    place = tale.place
    asked = place.asked(PERSON, on=on)
    tale.note(what, "number", await place.by_number(asked), valid(branch="00"))
    tale.note(what, "folder", await place.by_folder(asked), valid(branch="00"))
    try:
        seen = await place.visit(card, asked, HolderCheck.FACE)
    except grpc.aio.AioRpcError as error:
        tale.note(what, "card", Seen(REFUSED, {"certificate": refused(error).reason}), by_card)
        return
    validity, items = by_card
    tale.note_card(what, seen, (validity, {}))
    tale.says(f"{what}, certificate", "card", seen.certificate, items["certificate"])


CARD_TALES: Final = {"18 certificates": certificates}
