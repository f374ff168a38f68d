"""What `onshi visit`, `portal` and `register` do in a running sandbox: a card and its resident."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc

from gateway.app.ask import Outcome, described, not_running, refused
from gateway.domain.card import HolderCheck
from gateway.edges.folder_face import put_face
from gateway.edges.folder_put import touch
from gateway.edges.folder_wire import result
from gateway.formats.oqs_xml import encode_face
from gateway.v1 import resident_register_pb2 as register_pb2
from gateway.v1.card_pb2 import ConfirmByCardResponse, ExplainByCardResponse
from gateway.v1.person_pb2 import OwnAccess
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterSimulationServiceStub
from simulators.cards import PinFormError
from simulators.channel import secure_channel
from simulators.reader import FACE_SCORE, PortalVisitor, Reader, Wallet

Answer = TypeVar("Answer", ConfirmByCardResponse, ExplainByCardResponse)

CHECKS: Final = {"face": HolderCheck.FACE, "pin": HolderCheck.PIN, "visual": HolderCheck.VISUAL}
TOUCH_AGAIN_S: Final = 1.0
"""Clients look at the folder about so often (oqs-interface.md 1.4)."""
UNIQUE_BYTES: Final = 10
"""Makes the twenty hexadecimal digits in a face file's name."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How to visit; no `pin` is the letter's one, a `token` asks for its answer again."""

    person: str
    check: HolderCheck
    pin: str = ""
    face_score: int = FACE_SCORE
    on: date | None = None
    is_limit_consented: bool = False
    token: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a visit gave, and the file that appeared in `face`."""

    outcome: Outcome
    face_file: Path | None = None


def wallet_of(root: Path) -> Wallet:
    """Where a sandbox's cards are."""
    return Wallet(root / "cards")


def party_of(description: dict[str, Any], name: str) -> dict[str, Path]:
    """Certificate, key and CA of a party."""
    party = description["certificates"][name]
    return {part: Path(party[part]) for part in ("certificate", "key", "ca")}


async def visit(root: Path, wish: Wish) -> Visit:
    """Read a person's card at the sandbox's clinic; the answer also goes into `face`."""
    description = described(root)
    if description is None:
        return Visit(not_running(root))
    answer = await _at_reader(root, description, wish, Reader.visit)
    if isinstance(answer, Outcome):
        return Visit(answer)
    face = put_answer(Path(description["folders"]["face"]), description["institution_code"], answer)
    return Visit(Outcome(answer.confirmation), face)


async def explained_visit(root: Path, wish: Wish) -> ExplainByCardResponse | Outcome:
    """Read a person's card as `visit` does, and ask how the answer came about."""
    description = described(root)
    if description is None:
        return not_running(root)
    return await _at_reader(root, description, wish, Reader.explained)


async def _at_reader(
    root: Path, description: dict[str, Any], wish: Wish, ask: Callable[..., Awaitable[Answer]]
) -> Answer | Outcome:
    """Hold a person's card to the clinic's reader; a refusal if there is one."""
    try:
        card = await wallet_of(root).issued(wish.person, description["register"])
        pin = wish.pin or wallet_of(root).pin(wish.person)
        party = party_of(description, "institution")
        async with secure_channel(description["address"], **party) as channel:
            return await ask(
                Reader(channel),
                card,
                wish.check,
                pin=pin if wish.check is HolderCheck.PIN else "",
                face_score=wish.face_score,
                on=wish.on,
                is_limit_consented=wish.is_limit_consented,
                token=wish.token,
            )
    except PinFormError:
        return _pin_form()
    except grpc.aio.AioRpcError as error:
        return _unknown_or_refused(error, wish.person)


async def touch_again(face: Path) -> None:
    """Touch a face file once more, for clients that met it and wait for a change of it."""
    await asyncio.sleep(TOUCH_AGAIN_S)
    touch(face)


def put_answer(folder: Path, institution_code: str, answer: ConfirmByCardResponse) -> Path:
    """Put the answer of a visit into a face folder, as the terminal beside the reader does."""
    said = result(answer.confirmation)
    data = encode_face(said, institution_code, "utf-8")
    unique = secrets.token_hex(UNIQUE_BYTES)
    return put_face(folder, institution_code, unique, said.process_time, data)


async def register_card(root: Path, person: str) -> tuple[Outcome | None, bool]:
    """Register a person's card on the portal; a refusal if there is one, and what changed."""
    description = described(root)
    if description is None:
        return not_running(root), False
    try:
        card = await wallet_of(root).issued(person, description["register"])
        party = party_of(description, "portal")
        async with secure_channel(description["address"], **party) as channel:
            done = await PortalVisitor(channel).register(card, wallet_of(root).pin(person))
    except grpc.aio.AioRpcError as error:
        return _unknown_or_refused(error, person), False
    return None, done.is_changed


async def own_accesses(root: Path, person: str) -> tuple[Outcome | None, Sequence[OwnAccess]]:
    """List who looked at a person, newest first; or a refusal."""
    description = described(root)
    if description is None:
        return not_running(root), ()
    try:
        card = await wallet_of(root).issued(person, description["register"])
        party = party_of(description, "portal")
        async with secure_channel(description["address"], **party) as channel:
            looks = await PortalVisitor(channel).accesses(card, wallet_of(root).pin(person))
    except grpc.aio.AioRpcError as error:
        return _unknown_or_refused(error, person), ()
    return None, looks


async def set_conditions(
    root: Path, delay_ms: int, spread_ms: int, mismatch_per_mille: int, *, is_away: bool
) -> Outcome | None:
    """Set what the sandbox's resident register does; a refusal if there is one."""
    description = described(root)
    if description is None:
        return not_running(root)
    at = description["register"]
    party = {part: Path(at[part]) for part in ("certificate", "key", "ca")}
    request = register_pb2.SetConditionsRequest(
        delay_ms=delay_ms,
        delay_spread_ms=spread_ms,
        mismatch_per_mille=mismatch_per_mille,
        is_away=is_away,
    )
    try:
        async with secure_channel(at["address"], **party) as channel:
            await ResidentRegisterSimulationServiceStub(channel).SetConditions(request)
    except grpc.aio.AioRpcError as error:
        return refused(error)
    return None


def _unknown_or_refused(error: grpc.aio.AioRpcError, person: str) -> Outcome:
    """The register says NOT_FOUND without details; the gateway's refusals have them."""
    outcome = refused(error)
    if outcome.reason or error.code() is not grpc.StatusCode.NOT_FOUND:
        return outcome
    return Outcome(
        None,
        "NOT_FOUND",
        "PERSON_UNKNOWN",
        f"{person} という人物はいません。onshi people で一覧を表示できます。",
        f"There is no person {person}. See: onshi people",
    )


def _pin_form() -> Outcome:
    return Outcome(
        None, "", "PIN_FORM", "暗証番号は数字4桁です。", "A PIN has four digits; no try was lost."
    )
