"""
How each attack of `loadtests.card_attacks` is prepared and made; what it must see stands there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding

from gateway.app.clock import real_clock
from gateway.app.sandbox import advance_clock
from gateway.domain.card import GRACE_MONTHS, HolderCheck
from gateway.domain.period import month_end, months_after, tokyo_time
from gateway.v1 import card_pb2, person_pb2
from loadtests.card_attack_stand import (
    DEADLINE_S,
    AttackStand,
    Holder,
    Session,
    certified_anew,
    changed,
    days_until,
    signed,
)
from simulators.cards import UserAuthenticationAuthority, new_key

FACE, PIN, VISUAL = HolderCheck.FACE, HolderCheck.PIN, HolderCheck.VISUAL
REVOKED_S_MAX: Final = 10.0
POLL_S: Final = 0.2

Call = Awaitable[Any]
Case = Callable[[], Awaitable[Call]]
"""Prepares an attack and gives the call that is to be looked at."""


@dataclass(slots=True)
class Attacks:
    """
    The cards and sessions, and every case.

    `here` and `beside` reach one worker, `away` another, `stranger` is another institution on the
    first worker.
    """

    stand: AttackStand
    ann: Holder
    bob: Holder
    cec: Holder
    unregistered: Holder
    people: dict[str, bytes]
    here: Session
    beside: Session
    away: Session
    stranger: Session
    home: Session
    folder: Path
    foreign: UserAuthenticationAuthority = field(
        default_factory=lambda: UserAuthenticationAuthority.make(tokyo_time(real_clock()))
    )
    sent: list[card_pb2.CardProof] = field(default_factory=list)

    @classmethod
    async def prepared(cls, stand: AttackStand, folder: Path) -> Attacks:
        """Have cards issued and registered, and connect."""
        ann, bob, cec, unregistered = [
            await stand.issue(one, folder)
            for one in (
                "society-insured",
                "society-family",
                "association-insured",
                "card-without-end",
            )
        ]
        home = stand.connect("portal")
        for holder in (ann, bob, cec):
            await home.portal.register(holder.chip, holder.pin)
        here = await stand.session("institution", ann)
        return cls(
            stand,
            ann,
            bob,
            cec,
            unregistered,
            {
                name: await stand.person_of(here, holder)
                for name, holder in (("ann", ann), ("bob", bob), ("cec", cec))
            },
            here,
            beside=await stand.session("institution", ann, on=here.life),
            away=await stand.session("institution", ann, off=here.life),
            stranger=await stand.session(stand.found_institution(), ann, on=here.life),
            home=home,
            folder=folder,
        )

    async def proof(self, holder: Holder | None = None, **how: Any) -> card_pb2.CardProof:
        """A proof for a fresh challenge, by sight or as told."""
        return (holder or self.ann).proof(await self.here.reader.challenge(), **how)

    def send(self, proof: card_pb2.CardProof, session: Session | None = None) -> Call:
        """Send a proof, remembered so that it can be searched for a PIN."""
        self.sent.append(proof)
        return (session or self.here).reader.confirm(proof)

    def visit(self, holder: Holder | None = None, **how: Any) -> Case:
        """An honest visit."""

        async def case() -> Call:
            return self.send(await self.proof(holder, **how))

        return case

    def spoilt(self, how: dict[str, Any] | None = None, **changes: Any) -> Case:
        """A proof changed after it was signed."""

        async def case() -> Call:
            return self.send(changed(await self.proof(**(how or {})), **changes))

        return case

    def replayed(self, session: Session) -> Case:
        """A proof that was answered, sent again in a session."""

        async def case() -> Call:
            proof = await self.proof()
            await self.send(proof)
            return self.send(proof, session)

        return case

    def misplaced(self, session: Session) -> Case:
        """The challenge of a session answered to another one."""

        async def case() -> Call:
            proof = self.ann.proof(await self.here.reader.challenge())
            return self.send(proof, session)

        return case

    async def nonce_of_another_session(self) -> Call:
        """Ann's card signs the challenge of a visit on another connection of the same clinic."""
        return self.send(self.ann.proof(await self.beside.reader.challenge()))

    async def nonce_put_into_a_proof(self) -> Call:
        """A proof gets the challenge of another visit here after it was signed."""
        other = await self.here.reader.challenge()
        return self.send(changed(await self.proof(), challenge=other))

    async def nonce_of_the_portal(self) -> Call:
        """The portal's challenge at a reader."""
        return self.send(self.ann.proof(await self._at_home()))

    async def another_key(self) -> Call:
        """The right certificate, a signature by another card's key."""
        return self.send(signed(await self.proof(), self.bob.key))

    async def foreign_authority(self) -> Call:
        """A whole card of another authority with the same name."""
        key = new_key()
        issued = self.foreign.issue(key.public_key(), tokyo_time(real_clock()))
        certificate = issued.public_bytes(Encoding.DER)
        return self.send(signed(await self.proof(), key, certificate=certificate))

    async def forged_certificate(self) -> Call:
        """The card's own certificate, key ids and all, signed by that other authority."""
        certificate = certified_anew(self.ann.chip.certificate, self.foreign.key)
        return self.send(signed(await self.proof(), self.ann.key, certificate=certificate))

    async def a_role(self, session: Session, method: str) -> Call:
        """A service of the other role."""
        proof = await self.proof(check=PIN, pin=self.ann.pin)
        self.sent.append(proof)
        call: Call
        match method:
            case "ConfirmByCard":
                confirm = card_pb2.ConfirmByCardRequest(proof=proof)
                call = session.cards.ConfirmByCard(confirm, timeout=DEADLINE_S)
            case "RegisterCard":
                register = person_pb2.RegisterCardRequest(proof=proof)
                call = session.person.RegisterCard(register, timeout=DEADLINE_S)
            case _:
                ask = person_pb2.ListOwnAccessesRequest(proof=proof)
                call = session.person.ListOwnAccesses(ask, timeout=DEADLINE_S)
        return call

    def of_role(self, session: Session, method: str) -> Case:
        """As `a_role`."""

        async def case() -> Call:
            return await self.a_role(session, method)

        return case

    async def _at_home(self) -> bytes:
        """A challenge of the portal's."""
        request = person_pb2.BeginSessionRequest()
        begun = await self.home.person.BeginSession(request, timeout=DEADLINE_S)
        challenge: bytes = begun.challenge
        return challenge

    async def portal_by_face(self) -> Call:
        """The portal wants the PIN."""
        proof = self.ann.proof(await self._at_home(), check=FACE, face_score=100)
        request = person_pb2.ListOwnAccessesRequest(proof=proof)
        call: Call = self.home.person.ListOwnAccesses(request, timeout=DEADLINE_S)
        return call

    async def replaced_card(self) -> Call:
        """Bob gets another card; his old one is on the list a moment later."""
        await self.stand.issue("society-family", self.folder)
        until = asyncio.get_running_loop().time() + REVOKED_S_MAX
        while asyncio.get_running_loop().time() < until:
            seen = await self.stand.seen(await self.visit(self.bob)(), b"")
            if seen.reason == "CARD_REVOKED":
                break
            await asyncio.sleep(POLL_S)
        return await self.visit(self.bob)()

    async def stale(self) -> Call:
        """A challenge of yesterday."""
        proof = await self.proof()
        advance_clock(self.stand.sandbox.root, 1)
        return self.send(proof)

    async def in_grace(self) -> Call:
        """The day after the certificate's last."""
        return await self._visit_on(self.ann.last_day + timedelta(days=1))

    async def after_the_grace(self) -> Call:
        """The day after the third month's end."""
        end = month_end(months_after(self.ann.last_day, GRACE_MONTHS))
        return await self._visit_on(end + timedelta(days=1))

    async def _visit_on(self, day: date) -> Call:
        root = self.stand.sandbox.root
        today = advance_clock(root, 0).date()
        advance_clock(root, days_until(today, day))
        return await self.visit()()

    async def score_changed_and_signed(self) -> Call:
        """What a real card would do for no attacker: sign the raised score."""
        proof = await self.proof(check=FACE, face_score=10)
        return self.send(signed(proof, self.ann.key, face_score=99))
