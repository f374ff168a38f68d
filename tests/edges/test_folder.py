"""The drop folders: what is taken when, what appears where, and that nothing is lost."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.type.date_pb2 import Date
from structlog.testing import capture_logs

from gateway.config import BridgeSettings
from gateway.domain.errors import InvalidInput, NotPermitted, Refusal, TooMuch
from gateway.edges.folder import FolderBridge
from gateway.v1 import eligibility_pb2, types_pb2
from tests.edges.folder_stand import (
    NOW,
    Gateway,
    answered,
    appeared,
    away,
    bug,
    empty,
    files_in,
    nobody,
    refused,
    rejected,
    request_file,
    running,
    settings_in,
    until,
)


@pytest.fixture
def settings(tmp_path: Path) -> BridgeSettings:
    """Folders of a made-up institution, with short waits."""
    return settings_in(tmp_path)


async def test_a_request_is_answered_under_its_own_suffix(settings: BridgeSettings) -> None:
    """The answer has the request's suffix; the request leaves `req` and `work`."""
    gateway = Gateway()
    (settings.req / "oqsSIQUC01REQ_2026-04_Ab.XML").write_bytes(request_file())
    async with running(settings, gateway):
        (result,) = await appeared(settings.res / "OQSsiquc01res_2026-04_Ab.xml")
        await empty(settings.work)
    assert b"<QualificationValidity>4</QualificationValidity>" in result
    assert not any(settings.req.iterdir())
    names = [path.name for path in settings.res.iterdir()]
    expected = ["OQSsiquc01res_2026-04_Ab.xml"]
    assert expected == names


async def test_the_question_reaches_the_gateway_whole(settings: BridgeSettings) -> None:
    """Numbers, days and consent are asked as they were written."""
    gateway = Gateway()
    await answered(settings, gateway, request_file(insurer="  130013"))
    expected = eligibility_pb2.ConfirmEligibilityRequest(
        insured_id=types_pb2.InsuredId(insurer_number="00130013", symbol="記号", number="42"),
        birth_date=Date(year=1990, month=1, day=1),
        confirmation_date=Date(year=2026, month=4, day=15),
        is_limit_certificate_consented=True,
    )
    assert [expected] == gateway.asked


async def test_a_full_answer_is_spelt_from_the_wire(settings: BridgeSettings) -> None:
    """Every part of the gateway's answer finds its element."""
    days = {"first_valid_date": Date(year=2026, month=4, day=1)}
    cover = types_pb2.Coverage(
        insured_id=types_pb2.InsuredId(insurer_number="00130013", number="42", branch="01"),
        name="恩資　花子",
        name_kana="オンシ　ハナコ",
        sex=types_pb2.SEX_FEMALE,
        birth_date=Date(year=1990, month=1, day=1),
        card_classification="01",
        acquisition_date=Date(year=2020, month=4, day=1),
        loss_date=Date(year=2026, month=5, day=1),
        loss_reason="03",
        elderly_certificate=types_pb2.ElderlyCertificate(copayment_ratio_percent=30, **days),
        limit_certificate=types_pb2.LimitCertificate(kind="01", limit_class="A03", **days),
        medical_tickets=[types_pb2.MedicalTicket(ticket_type="01", month="202604", **days)],
    )
    response = nobody()
    response.validity = types_pb2.VALIDITY_VALID
    response.coverages.append(cover)
    result = (await answered(settings, Gateway(response), request_file())).decode()
    for part in (
        "<ProcessExecutionTime>20260415093005<",
        "<InsurerNumber>  130013<",
        "<NameKana>ｵﾝｼ ﾊﾅｺ<",
        "<Sex1>2<",
        "<DisqualificationDate>20260501<",
        "<ReasonOfLoss>03<",
        "<ElderlyRecipientContributionRatio>030<",
        "<LimitApplicationCertificateClassificationFlag>A03<",
        "<MedicalTicketValidDate>20260401<",
    ):
        assert part in result


@pytest.mark.parametrize("encoding", ["UTF-8", "Shift_JIS"])
async def test_an_answer_speaks_the_requests_encoding(
    settings: BridgeSettings, encoding: str
) -> None:
    """By default a result is written as its request was, and says so."""
    result = await answered(settings, Gateway(), request_file(encoding))
    text = result.decode("cp932" if encoding == "Shift_JIS" else "utf-8")
    assert f'encoding="{encoding}"' in text
    assert "<InsuredCardSymbol>記号<" in text
    assert f"<CharacterCodeIdentifier>{int(encoding != 'UTF-8')}<" in text


@pytest.mark.parametrize("encoding", ["utf-8", "shift_jis"])
async def test_an_institution_may_fix_the_encoding(tmp_path: Path, encoding: str) -> None:
    """The setting wins over the request's encoding."""
    settings = settings_in(tmp_path, result_encoding=encoding)
    other = "Shift_JIS" if encoding == "utf-8" else "UTF-8"
    result = await answered(settings, Gateway(), request_file(other))
    assert "<InsuredCardSymbol>記号<".encode("utf-8" if encoding == "utf-8" else "cp932") in result


@pytest.mark.parametrize("encoding", ["UTF-8", "Shift_JIS"])
async def test_the_identifier_comes_back_byte_for_byte(
    settings: BridgeSettings, encoding: str
) -> None:
    """Entities and blanks in the identifier are left as they came (oqs-interface.md 5.14)."""
    identifier = " a&amp;b  &#x3042;<![CDATA[<]]> 〒① "
    data = request_file(encoding, identifier=identifier)
    result = await answered(settings, Gateway(), data)
    start, end = data.index(b"<ArbitraryFileId"), data.index(b"\n</MessageHeader>")
    assert data[start:end] in result


async def test_a_file_written_in_pieces_is_taken_only_when_whole(tmp_path: Path) -> None:
    """A half-written request is left alone as long as it grows."""
    settings = settings_in(tmp_path, half_written_wait_ms=5_000)
    data = request_file("Shift_JIS")
    path = settings.req / "OQSsiquc01req_1.xml"
    async with running(settings, Gateway()):
        for start in range(0, len(data), 200):
            with path.open("ab") as file:
                file.write(data[start : start + 200])
            assert not any(settings.res.iterdir())
            await asyncio.sleep(0.06)
        await appeared(settings.res / "OQSsiquc01res_1.xml")


async def test_a_whole_file_is_left_alone_until_it_settles(tmp_path: Path) -> None:
    """A request whose time of writing keeps changing is not taken yet."""
    settings = settings_in(tmp_path, settle_ms=400)
    path = settings.req / "OQSsiquc01req_1.xml"
    path.write_bytes(request_file())
    async with running(settings, Gateway()):
        for tick in range(10):
            os.utime(path, (tick, tick))
            await asyncio.sleep(0.05)
            assert path.exists()
        await appeared(settings.res / "OQSsiquc01res_1.xml")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (request_file()[:-20], "MESSAGE_MALFORMED"),
        (b"", "MESSAGE_MALFORMED"),
        (b"<Other/>", "MESSAGE_MALFORMED"),
        (request_file("Shift_JIS").replace(b"Shift_JIS", b"UTF-8"), "ENCODING_WRONG"),
        (request_file(code="1310000005"), "INSTITUTION_NOT_CALLER"),
        (request_file(code=""), "FIELD_REQUIRED"),
        (request_file(identifier="x" * 70_000), "MESSAGE_TOO_LARGE"),
    ],
)
async def test_a_file_that_is_no_request_of_ours_is_rejected(
    settings: BridgeSettings, data: bytes, reason: str
) -> None:
    """The request appears in `res` with a same-named `.err`; the gateway is not asked."""
    gateway = Gateway()
    assert reason == await rejected(settings, gateway, data)
    assert not gateway.asked


async def test_a_file_over_the_limit_is_rejected_at_once(tmp_path: Path) -> None:
    """It does not wait for a file that is too large already to be completed."""
    settings = settings_in(tmp_path, settle_ms=60_000, half_written_wait_ms=60_000)
    assert await rejected(settings, Gateway(), b"<" * 65_537)


@pytest.mark.parametrize(
    ("error", "code", "segment", "field"),
    [
        (InvalidInput("DATE_OUT_OF_RANGE", "confirmation_date"), "DATE_OUT_OF_RANGE", 1, True),
        (TooMuch("TOO_MANY_MATCHES"), "TOO_MANY_MATCHES", 1, False),
        (NotPermitted("ROLE_NOT_ALLOWED"), "ROLE_NOT_ALLOWED", 9, False),
    ],
)
async def test_the_gateways_refusal_becomes_a_result(
    settings: BridgeSettings, error: Refusal, code: str, segment: int, *, field: bool
) -> None:
    """A refusal is a result with status 2, our code and advice; segment 9 if not about the data."""
    result = (await answered(settings, Gateway(refused(error)), request_file())).decode()
    assert f"<SegmentOfResult>{segment}<" in result
    assert "<ProcessingResultStatus>2<" in result
    assert f"<ProcessingResultCode>SIM-{code}<" in result
    assert f"<ProcessingResultMessage>{error.advice.ja}" in result
    assert field == ("（QualificationConfirmationDate）" in result)


async def test_a_bad_item_becomes_a_result_without_asking(settings: BridgeSettings) -> None:
    """A question that cannot be is answered by the bridge itself, with the echo."""
    gateway = Gateway()
    result = await answered(settings, gateway, request_file(insurer="06130018"))
    assert b"<ProcessingResultCode>SIM-CHECK_DIGIT_WRONG<" in result
    assert b"<InsurerNumber>06130018<" in result
    assert not gateway.asked


@pytest.mark.parametrize(
    "answer",
    [
        bug(),
        away(grpc.StatusCode.INTERNAL),
        ValueError("恩資"),
        eligibility_pb2.ConfirmEligibilityResponse(),
    ],
)
async def test_our_own_bug_still_gives_an_answer(settings: BridgeSettings, answer: Any) -> None:
    """A bug, here or in the gateway, ends in segment 9 and no personal data in the log."""
    with capture_logs() as logs:
        result = await answered(settings, Gateway(answer), request_file())
    assert b"<ErrorCode>SIM-INTERNAL<" in result
    assert "恩資" not in str(logs)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED])
async def test_a_gateway_that_is_away_is_asked_again(
    settings: BridgeSettings, code: grpc.StatusCode
) -> None:
    """The request waits in `work` and is answered once the gateway is back."""
    gateway = Gateway(away(code), away(code))
    result = await answered(settings, gateway, request_file())
    assert b"<QualificationValidity>4<" in result
    expected = 3
    assert expected == len(gateway.asked)


async def test_a_stop_while_the_gateway_is_away_loses_nothing(settings: BridgeSettings) -> None:
    """The request stays in `work`, and the next start answers it."""
    gateway = Gateway(*[away()] * 1000)
    name = "OQSsiquc01req_1.xml"
    (settings.req / name).write_bytes(request_file())
    async with running(settings, gateway):
        await appeared(settings.work / name)
    assert request_file() == (settings.work / name).read_bytes()
    async with running(settings, Gateway()):
        await appeared(settings.res / "OQSsiquc01res_1.xml")
        await empty(settings.work)


async def test_what_a_crash_left_half_written_is_cleared_at_the_start(
    settings: BridgeSettings,
) -> None:
    """Half-written files of the bridge are removed, files of others left alone."""
    half = settings.res / ".OQSsiquc01res_2.xml.onshi-tmp"
    half.write_bytes(b"half")
    (settings.work / ".OQSsiquc01req_2.xml.answer.onshi-tmp").write_bytes(b"half")
    (settings.work / "notes.txt").write_bytes(b"an operator's")
    (settings.res / ".hidden").write_bytes(b"a client's")
    async with running(settings, Gateway()):
        await until(lambda: not half.exists())
    assert files_in(settings.work) == ["notes.txt"]
    assert {".hidden"} == {path.name for path in settings.res.iterdir()}


async def test_files_of_other_names_are_left_alone(settings: BridgeSettings) -> None:
    """Only requests of this kind are taken; folders and links of that name are not."""
    names = ["OQSsiquc01req_.xml", "OQSsiquc01req_ä.xml", "OQSsiimm01req_1.xml", "a.tmp"]
    for name in names:
        (settings.req / name).write_bytes(request_file())
    (settings.req / "OQSsiquc01req_folder.xml").mkdir()
    (settings.req / "OQSsiquc01req_link.xml").symlink_to(settings.req / "a.tmp")
    before = sorted(path.name for path in settings.req.iterdir())
    await answered(settings, Gateway(), request_file())
    assert before == sorted(path.name for path in settings.req.iterdir())


async def test_many_files_at_once_are_all_answered_in_bounded_numbers(tmp_path: Path) -> None:
    """200 requests get 200 answers, never more than the limit at once."""
    settings = settings_in(tmp_path, requests_in_flight_max=7)
    gateway = Gateway()
    gateway.delay_s = 0.002
    for number in range(200):
        data = request_file(identifier=f"id-{number}")
        (settings.req / f"OQSsiquc01req_{number}.xml").write_bytes(data)
    async with running(settings, gateway):
        paths = [settings.res / f"OQSsiquc01res_{number}.xml" for number in range(200)]
        results = await appeared(*paths)
        await empty(settings.work)
    for number, result in enumerate(results):
        assert f">id-{number}</ArbitraryFileIdentifier>".encode() in result
    expected = (200, 7)
    assert expected == (len(gateway.asked), gateway.in_flight_max)


async def test_a_second_request_of_the_same_name_waits_its_turn(settings: BridgeSettings) -> None:
    """A name that is being answered is not claimed again, so neither request is lost."""
    gateway = Gateway(away(), away())
    path = settings.req / "OQSsiquc01req_1.xml"
    path.write_bytes(request_file(identifier="first"))
    async with running(settings, gateway):
        await appeared(settings.work / path.name)
        path.write_bytes(request_file(identifier="second"))
        await empty(settings.req)
        await empty(settings.work)
    assert b">second<" in (settings.res / "OQSsiquc01res_1.xml").read_bytes()
    expected = 4
    assert expected == len(gateway.asked)


async def test_an_answer_that_cannot_be_written_is_tried_again(settings: BridgeSettings) -> None:
    """A result folder that is away for a while loses no answer."""
    gateway = Gateway()
    async with running(settings, gateway):
        await asyncio.sleep(0.05)
        hidden = settings.res.rename(settings.res.with_name("hidden"))
        (settings.req / "OQSsiquc01req_1.xml").write_bytes(request_file())
        await until(lambda: gateway.asked)
        hidden.rename(settings.res)
        await appeared(settings.res / "OQSsiquc01res_1.xml")


async def test_three_folders_are_needed(tmp_path: Path) -> None:
    """A rejected request in `res` must not be taken for a new one."""
    settings = settings_in(tmp_path, res=tmp_path / "req")
    with pytest.raises(ValueError, match="three folders"):
        FolderBridge(Gateway(), settings, lambda: NOW)
