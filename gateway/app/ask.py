"""Ask a running sandbox as its clinic would: one question over mutual TLS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo, LocalizedMessage
from google.type.date_pb2 import Date
from grpc_status import rpc_status

from gateway.app.channel import secure_channel
from gateway.app.sandbox import read_description
from gateway.config import Tls
from gateway.domain.errors import InvalidInput
from gateway.domain.period import TOKYO, Instant, instant_of, parse_day
from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest, ConfirmEligibilityResponse
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.types_pb2 import InsuredId

DEADLINE_S: Final = 10


@dataclass(frozen=True, slots=True)
class Question:
    """
    What the command line was given; `on` empty is today or, with a token, the token's day.

    `known` asks what would have been answered then; `token` asks again for an answer.
    """

    insurer_number: str
    symbol: str
    number: str
    branch: str
    birth_date: str
    on: str
    is_limit_consented: bool
    known: Instant | None = None
    token: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer, or the status and details of a refusal."""

    answer: ConfirmEligibilityResponse | None
    status: str = "OK"
    reason: str = ""
    advice_ja: str = ""
    advice_en: str = ""

    @property
    def is_answer(self) -> bool:
        """Whether the gateway answered; 'not insured' is an answer too."""
        return self.answer is not None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the answer as proto JSON with `validity` as its official number first."""
        if self.answer is None:
            return {
                "status": self.status,
                "reason": self.reason,
                "advice_ja": self.advice_ja,
                "advice_en": self.advice_en,
            }
        spelled = MessageToDict(self.answer, preserving_proto_field_name=True)
        return {**spelled, "validity": int(self.answer.validity)}


def described(root: Path) -> dict[str, Any] | None:
    """What a running sandbox says of itself, or None."""
    try:
        return read_description(root)
    except FileNotFoundError:
        return None


def not_running(root: Path) -> Outcome:
    """What is said where no sandbox runs."""
    return Outcome(
        None,
        "UNAVAILABLE",
        "SANDBOX_NOT_RUNNING",
        f"{root} のサンドボックスは停止中です。onshi sandbox --dir {root} で起動してください。",
        f"No sandbox is running in {root}. Start one: onshi sandbox --dir {root}",
    )


def insurer_unknown(named: str, insurers: Iterable[str]) -> Outcome:
    """What is said where a sandbox has no certificate for an insurer."""
    known = ", ".join(sorted(insurers))
    return Outcome(
        None,
        "NOT_FOUND",
        "INSURER_UNKNOWN",
        f"保険者 {named} の証明書がありません。--insurer に指定できる保険者: {known}",
        f"There is no certificate for insurer {named}. --insurer may be one of: {known}",
    )


async def ask_sandbox(root: Path, question: Question) -> Outcome:
    """Ask the sandbox in `root` with its institution's certificate."""
    description = described(root)
    if description is None:
        return not_running(root)
    party = description["certificates"]["institution"]
    tls = Tls(Path(party["certificate"]), Path(party["key"]), Path(party["ca"]))
    try:
        request = request_of(question)
        async with secure_channel(description["address"], tls) as channel:
            stub = EligibilityServiceStub(channel)
            return Outcome(await stub.ConfirmEligibility(request, timeout=DEADLINE_S))
    except InvalidInput as refusal:
        advice = refusal.advice
        return Outcome(None, "INVALID_ARGUMENT", str(refusal), advice.ja, advice.en)
    except grpc.aio.AioRpcError as error:
        return refused(error)


def request_of(question: Question) -> ConfirmEligibilityRequest:
    """Spell a question. Raises `InvalidInput` for a day that is none."""
    return ConfirmEligibilityRequest(
        insured_id=InsuredId(
            insurer_number=question.insurer_number,
            symbol=question.symbol,
            number=question.number,
            branch=question.branch,
        ),
        birth_date=_day(question.birth_date, "birth_date"),
        confirmation_date=_day(question.on, "on") if question.on else None,
        is_limit_certificate_consented=question.is_limit_consented,
        known_time=None if question.known is None else _timestamp(question.known),
        answer_token=question.token,
    )


def known_at(text: str) -> Instant:
    """
    Read a moment of the command line, in Japan unless it names a zone.

    Raises:
        ValueError: If it is none.
    """
    moment = datetime.fromisoformat(text)
    return instant_of(moment if moment.tzinfo is not None else moment.replace(tzinfo=TOKYO))


def _timestamp(at: Instant) -> Timestamp:
    return Timestamp(seconds=at // 1_000_000, nanos=at % 1_000_000 * 1000)


def _day(text: str, field: str) -> Date:
    try:
        day = parse_day(text)
    except InvalidInput as refusal:
        raise refusal.within(field) from None
    return Date(year=day.year, month=day.month, day=day.day)


def refused(error: grpc.aio.AioRpcError) -> Outcome:
    """Read a refusal: its status, its reason and the advice in both languages."""
    reason, texts = "", {"ja": "", "en": error.details() or ""}
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info, text = ErrorInfo(), LocalizedMessage()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(text):
            texts[text.locale] = text.message
    return Outcome(None, error.code().name, reason, texts["ja"], texts["en"])
