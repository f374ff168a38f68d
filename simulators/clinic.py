"""
A simulated clinic: asks by gRPC, and by dropping files as receipt computers do.

It reads results with a small reader of its own and not with `gateway.formats`, so that a mistake
there is seen here. Habits: oqs-interface.md 1.2, 1.5, 1.6, 2.1 and 5.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import jaconv
from google.type import date_pb2

from gateway.v1 import eligibility_pb2, types_pb2
from simulators.people import Card

if TYPE_CHECKING:
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

FileEncoding = Literal["utf-8", "shift_jis"]
"""As a client is set up; Shift_JIS means code page 932."""

POLL_S: Final = 0.05
_RECORD: Final = "ResultOfQualificationConfirmation"
_DECLARATION: Final = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<\?xml\s[^>]*?\?>")
_DECLARED_ENCODING: Final = re.compile(rb"encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")


@dataclass(frozen=True, slots=True)
class FolderAnswer:
    """
    What a result file says, element by element.

    `validity` is absent on an error; `error` is the text of the error file, or codes and messages
    of the result. Each of `coverages` maps an element to its text; elements of certificates
    stand beside the others, and of a list the last. `encoding` is the declared one, in lower case.
    """

    validity: int | None
    error: str
    coverages: tuple[dict[str, str], ...]
    header: dict[str, str]
    encoding: str


async def ask(
    stub: EligibilityServiceAsyncStub,
    card: Card,
    birth_date: date,
    on: date | None = None,
    *,
    is_limit_certificate_consented: bool = False,
    deadline_s: float | None = None,
) -> eligibility_pb2.ConfirmEligibilityResponse:
    """
    Confirm eligibility by gRPC; without a day, for today in Japan.

    Raises:
        grpc.aio.AioRpcError: For a refusal. A person without cover is an answer.
    """
    request = eligibility_pb2.ConfirmEligibilityRequest(
        insured_id=types_pb2.InsuredId(**card.cells()),
        birth_date=_proto_date(birth_date),
        confirmation_date=None if on is None else _proto_date(on),
        is_limit_certificate_consented=is_limit_certificate_consented,
    )
    return await stub.ConfirmEligibility(request, timeout=deadline_s)


def _proto_date(value: date) -> date_pb2.Date:
    return date_pb2.Date(year=value.year, month=value.month, day=value.day)


@dataclass(frozen=True, slots=True)
class Folders:
    """
    Where and how a clinic's receipt computer exchanges files.

    `outbox` is a folder on the same file system where requests are written before they are moved
    in; None writes them in place, as some clients do, so that they may be met half-written.
    """

    req: Path
    res: Path
    institution_code: str
    outbox: Path | None = None
    encoding: FileEncoding = "utf-8"


async def ask_by_folder(
    folders: Folders,
    suffix: str,
    card: Card,
    birth_date: date,
    on: date,
    *,
    is_limit_certificate_consented: bool = False,
    timeout_s: float = 30.0,
) -> FolderAnswer:
    """
    Drop a request, wait for its result or its error file, read it and delete it.

    Args:
        suffix: Twelve digits that no other request of the clinic has.

    Raises:
        TimeoutError: If nothing readable came in time.
        UnicodeEncodeError: If the card has a character the encoding lacks.
    """
    text = request_xml(
        folders.institution_code, suffix, card, birth_date, on, is_limit_certificate_consented
    )
    name = f"OQSsiquc01req_{suffix}.xml"
    _drop(folders, name, encoded_xml(text, folders.encoding))
    async with asyncio.timeout(timeout_s):
        while True:
            answer = _taken(folders.res, name)
            if answer is not None:
                return answer
            await asyncio.sleep(POLL_S)


def _drop(folders: Folders, name: str, data: bytes) -> None:
    if folders.outbox is None:
        (folders.req / name).write_bytes(data)
        return
    written = folders.outbox / name
    written.write_bytes(data)
    written.rename(folders.req / name)


def _taken(res: Path, name: str) -> FolderAnswer | None:
    """The answer to a request if it is there and whole; its files are then deleted."""
    rejected = (res / name).with_suffix(".err")
    if rejected.exists():
        error = rejected.read_text("utf-8")
        rejected.unlink()
        (res / name).unlink(missing_ok=True)
        return FolderAnswer(None, error, (), {}, "utf-8")
    result = res / name.replace("01req_", "01res_")
    if not result.exists():
        return None
    try:
        answer = read_result(result.read_bytes())
    except (ET.ParseError, UnicodeDecodeError):
        return None
    result.unlink()
    return answer


def request_xml(
    institution_code: str,
    identifier: str,
    card: Card,
    birth_date: date,
    on: date,
    is_limit_certificate_consented: bool,  # noqa: FBT001  a cell of the message
) -> str:
    """
    Spell a request without its declaration: insurer number blank-padded, symbol in full width.

    `identifier` is the file identifier the result must repeat.
    """
    symbol = jaconv.h2z(card.symbol, kana=True, ascii=True, digit=True)
    fields = (
        ("InsurerNumber", card.insurer_number.removeprefix("00").rjust(8)),
        ("InsuredCardSymbol", symbol),
        ("InsuredIdentificationNumber", card.number),
        ("InsuredBranchNumber", card.branch),
        ("Birthdate", f"{birth_date:%Y%m%d}"),
        ("LimitApplicationCertificateRelatedConsFlg", str(int(is_limit_certificate_consented))),
    )
    info = "".join(f"      <{name}>{escape(text)}</{name}>\r\n" for name, text in fields)
    return (
        "<XmlMsg>\r\n  <MessageHeader>\r\n"
        f"    <QualificationConfirmationDate>{on:%Y%m%d}</QualificationConfirmationDate>\r\n"
        f"    <MedicalInstitutionCode>{institution_code}</MedicalInstitutionCode>\r\n"
        f"    <ArbitraryFileIdentifier>{escape(identifier)}</ArbitraryFileIdentifier>\r\n"
        "  </MessageHeader>\r\n  <MessageBody>\r\n    <QualificationConfirmSearchInfo>\r\n"
        f"{info}"
        "    </QualificationConfirmSearchInfo>\r\n  </MessageBody>\r\n</XmlMsg>\r\n"
    )


def encoded_xml(text: str, encoding: FileEncoding) -> bytes:
    """Declare and encode; Shift_JIS is cp932. Raises `UnicodeEncodeError`."""
    label, codec = ("UTF-8", "utf-8") if encoding == "utf-8" else ("Shift_JIS", "cp932")
    declaration = f'<?xml version="1.0" encoding="{label}" standalone="no"?>\r\n'
    return (declaration + text).encode(codec)


def read_result(data: bytes) -> FolderAnswer:
    """
    Read a result file in any order of elements.

    The XML parser knows no Shift_JIS, so text is decoded first and the declaration dropped
    (oqs-interface.md 5.16).

    Raises:
        ET.ParseError: If it is not well formed, such as a file that is half written.
        UnicodeDecodeError: If it is not in the encoding it declares.
    """
    declaration = _DECLARATION.match(data)
    declared = _DECLARED_ENCODING.search(declaration[0]) if declaration else None
    label = declared[1].decode("ascii").lower() if declared else "utf-8"
    codec = "cp932" if label in ("shift_jis", "windows-31j", "cp932") else "utf-8-sig"
    text = (data[declaration.end() :] if declaration else data).decode(codec)
    root = ET.fromstring(text)  # noqa: S314  written by the gateway under test
    header = {element.tag: element.text or "" for element in root.iterfind("MessageHeader/*")}
    body = root.find("MessageBody")
    if body is None:
        raise ET.ParseError("no MessageBody")
    said = {element.tag: element.text or "" for element in body}
    validity = said.get("QualificationValidity", "")
    parts = (
        header.get("ErrorCode", ""),
        header.get("ErrorMessage", ""),
        said.get("ProcessingResultCode", ""),
        said.get("ProcessingResultMessage", ""),
    )
    return FolderAnswer(
        validity=int(validity) if validity else None,
        error=" ".join(part for part in parts if part),
        coverages=tuple(
            {leaf.tag: leaf.text or "" for leaf in record.iter() if not len(leaf)}
            for record in body.iter(_RECORD)
        ),
        header=header,
        encoding=label,
    )
