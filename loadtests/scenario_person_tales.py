"""Scenarios about a person's own part: who must not be found (20), papers, and ways to ask."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import grpc

from gateway.app.ask import refused
from gateway.domain.card import HolderCheck
from loadtests.scenario_place import Asked, Place
from loadtests.scenario_register_tales import Enrolled, resident
from loadtests.scenario_tales import Said, Tale, valid
from simulators.catalogue import ON
from simulators.channel import secure_channel
from simulators.people import Row, loss_row
from simulators.reader import PortalVisitor

HOME: Final = "見本県架空市中央1番地"
KEPT: Final = ("insurer_number", "symbol", "number", "branch", "birth_date")


async def changed(place: Place, person: Enrolled, **cells: str) -> str:
    """Send a CHANGE of one person; the reason if it was refused."""
    row = person.row()
    report = await place.upload({name: row[name] for name in KEPT} | {"action": "CHANGE"} | cells)
    return report.refused_lines[0].reason if report.refused_lines else ""


async def enrolled(place: Place, person: Enrolled, **cells: str) -> Asked:
    """Make somebody the register and the insurer agree about; the question about them."""
    await resident(place, person)
    await place.upload(person.row() | cells)
    return person.asked()


async def portal_says(place: Place, asked: Asked) -> dict[str, str]:
    """What the portal refuses a card: its registration, and the list of who looked."""
    card = await place.card_of(asked.person)
    pin = place.wallet.pin(asked.person)
    said = {"register": "", "looks": ""}
    async with secure_channel(place.address, **place.sandbox.party("portal")) as channel:
        visitor = PortalVisitor(channel)
        for name, call in (("register", visitor.register), ("looks", visitor.accesses)):
            try:
                await call(card, pin)
            except grpc.aio.AioRpcError as error:
                said[name] = refused(error).reason
    return said


async def nondisclosed(tale: Tale) -> None:
    """20, 不開示: by number no address, and the portal does not tell who looked."""
    place, person = tale.place, Enrolled(31)
    asked = await enrolled(place, person)
    await tale.asks("before the flag", asked, valid(address=HOME))
    assert await changed(place, person, is_nondisclosed="1") == ""
    await tale.asks("with the flag", asked, valid(address=""), valid(address=HOME))
    said = await portal_says(place, asked)
    tale.says("may register", "portal", said["register"], "")
    tale.says("sees who looked", "portal", said["looks"], "NOT_DISCLOSED")
    assert await changed(place, person, is_nondisclosed="0") == ""
    await tale.asks("taken away", asked, valid(address=HOME))
    tale.says("sees who looked again", "portal", (await portal_says(place, asked))["looks"], "")


async def withheld(tale: Tale) -> None:
    """20, 自己情報提供不可: the card finds nothing and opens nothing; by number no address."""
    place, person = tale.place, Enrolled(32)
    asked = await enrolled(place, person, is_self_information_withheld="1")
    refusal = "SELF_INFORMATION_WITHHELD"
    said = await portal_says(place, asked)
    tale.says("first registration", "portal", said["register"], refusal)
    assert await changed(place, person, is_self_information_withheld="0") == ""
    await tale.asks("without the flag", asked, valid(address=HOME))
    assert await changed(place, person, is_self_information_withheld="1") == ""
    await tale.asks("with the flag", asked, valid(address=""), (4, {}))
    said = await portal_says(place, asked)
    tale.says("registration", "portal", said["register"], refusal)
    tale.says("sees who looked", "portal", said["looks"], refusal)
    assert await changed(place, person, is_self_information_withheld="0") == ""
    await tale.asks("taken away", asked, valid(address=HOME))


async def certificate(tale: Tale) -> None:
    """KP1-I-01: a 資格確認書 for who has no card in use; after the loss it is collected."""
    place, person = tale.place, Enrolled(33)
    asked = await enrolled(place, person)
    card = await place.card_of(asked.person)
    await changed(
        place, person, certificate_issue_date="20260401", certificate_last_valid_date="20310331"
    )
    tale.note("certificate issued", "number", await place.by_number(asked), valid(branch="01"))
    tale.note("certificate issued", "folder", await place.by_folder(asked), valid(branch="01"))
    seen = await place.visit(card, asked, HolderCheck.FACE)
    tale.note_card("card not in use", seen, (4, {}))
    tale.says("and why", "card", seen.reason, "CARD_NOT_REGISTERED")
    too_early = await changed(place, person, certificate_collected_date="20260331")
    tale.says("collected before its issue", "insurer", too_early, "DATE_ORDER_WRONG")
    await place.upload(loss_row(person.row(), "20260410", "99"))
    lost: Said = (2, {"lost": "20260410"})
    await tale.asks("lost, to collect", asked, lost)
    collected = await changed(place, person, certificate_collected_date="20260414")
    tale.says("collected", "insurer", collected, "")
    await tale.asks("lost, collected", asked, lost)


LIMIT: Final[Row] = {
    "limit_kind": "03",
    "limit_class": "A05",
    "limit_issue_date": "20260401",
    "limit_first_valid_date": "20260401",
    "limit_last_valid_date": "20260731",
}
DISEASE: Final[Row] = {
    "disease_category": "1",
    "disease_issue_date": "20260401",
    "disease_first_valid_date": "20260401",
    "disease_self_pay": "10000",
}


async def documents(tale: Tale) -> None:
    """KP1-I-02: without the documents a certificate needs it is refused and nobody sees it."""
    place, person = tale.place, Enrolled(34)
    asked = await enrolled(place, person)
    asked = Asked(asked.person, asked.card, asked.birth_date, asked.on, is_consented=True)
    for what, cells, missing, enough, shown in (
        ("standard charge reduced", LIMIT, "1", "1+2", {"limit_kind": "03", "limit_class": "A05"}),
        ("specific disease", DISEASE, "1+2", "1+3", {"disease": "1"}),
    ):
        for seen in ("", missing):
            reason = await changed(place, person, **cells, documents_seen=seen)
            tale.says(f"{what}, documents {seen or 'none'}", "insurer", reason, "DOC_MISSING")
        await tale.asks(f"{what}, refused", asked, valid(**dict.fromkeys(shown, "")))
        reason = await changed(place, person, **cells, documents_seen=enough)
        tale.says(f"{what}, documents {enough}", "insurer", reason, "")
        await tale.asks(f"{what}, issued", asked, valid(**shown))


async def three_ways(tale: Tale) -> None:
    """R003-08: face, PIN, sight and what is typed: each finds the same person and cover."""
    place, person = tale.place, Enrolled(35)
    asked = await enrolled(place, person)
    shown = valid(insurer=person.card.insurer_number, branch="01", name="仮名　巡")
    await tale.asks("face", asked, shown)
    for name, check in (("PIN", HolderCheck.PIN), ("sight", HolderCheck.VISUAL)):
        tale.note_card(name, await place.by_card(asked, check), shown)


async def number_registered_later(tale: Tale) -> None:
    """R003-27: a new job whose My Number is not registered: ask for a certificate; then found."""
    place, person = tale.place, Enrolled(36)
    began = date(2026, 4, 1)
    await resident(place, person)
    row = person.row() | {"acquisition_date": f"{began:%Y%m%d}"}
    await place.upload(row | {"individual_number": "", "address": ""})
    asked = person.asked()
    await tale.asks("number not registered", asked, valid(branch="01"), (4, {}))
    tale.says("advice", "card", (await place.by_card(asked)).reason, "CARD_UNKNOWN")
    told = {name: row[name] for name in (*KEPT, "individual_number")} | {"action": "NUMBER"}
    await place.upload(told)
    await tale.asks("registered", asked, valid(acquired="20260401"))
    first = Asked(asked.person, asked.card, asked.birth_date, began)
    await tale.asks("the first day, afterwards", first, valid(acquired="20260401"))
    before = Asked(asked.person, asked.card, asked.birth_date, began - timedelta(days=1))
    await tale.asks("the day before", before, (2, {"acquired": "20260401"}))


PERSON_TALES: Final = {
    "20 nondisclosed": nondisclosed,
    "20 self-information withheld": withheld,
    "KP1-I-01": certificate,
    "KP1-I-02": documents,
    "R003-08": three_ways,
    "R003-27": number_registered_later,
}

assert date(2026, 4, 15) == ON
