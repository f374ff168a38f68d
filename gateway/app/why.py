"""Ask a running sandbox how an answer came about, and show it on one screen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table

from gateway.app.ask import DEADLINE_S, Outcome, Question, described, not_running, refused
from gateway.app.ask import request_of as question_of
from gateway.app.channel import secure_channel
from gateway.app.screen import TABLE_WIDTH_MIN, VALIDITY_NAMES, day_text
from gateway.app.visits import Wish, explained_visit
from gateway.config import Tls
from gateway.domain.errors import InvalidInput
from gateway.domain.period import Instant, tokyo_time
from gateway.v1 import eligibility_pb2 as pb
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub

KINDS: Final = {
    pb.VERSION_KIND_ACQUIRED: ("資格取得", "acquired"),
    pb.VERSION_KIND_CHANGED: ("異動", "changed"),
    pb.VERSION_KIND_LOST: ("資格喪失", "lost"),
    pb.VERSION_KIND_CORRECTED: ("訂正", "corrected"),
    pb.VERSION_KIND_CANCELLED: ("取消", "cancelled"),
    pb.VERSION_KIND_SUSPENDED: ("閲覧停止", "suspended"),
    pb.VERSION_KIND_RESTORED: ("閲覧停止の解除", "restored"),
}
HEADINGS: Final = {
    "ja": ("登録日時", "保険者", "内容", "資格取得日", "資格喪失日", "受付と行", ""),
    "en": ("learned", "insurer", "what", "acquired", "lost", "upload and line", ""),
}
WITHOUT: Final = {"ja": "もし届いていなければ", "en": "Had it not arrived"}
NOTHING: Final = {"ja": "お知らせできる登録はありません。", "en": "There is nothing to tell of."}
RECORD: Final = {"ja": "アクセス記録", "en": "access record"}
CUT: Final = {"ja": "古い版は省略しました。", "en": "Older versions were left out."}
LINKED: Final = {
    "ja": ("個人番号なし（人物{}）", "個人番号で人物{}に紐付け"),
    "en": ("no My Number yet (person {})", "linked by My Number to person {}"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """An explained answer, or the refusal."""

    explained: pb.ExplainEligibilityResponse | None
    refusal: Outcome | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: as proto JSON, with `validity` as its official number."""
        if self.explained is None:
            assert self.refusal is not None
            return self.refusal.as_dict()
        spelled = MessageToDict(self.explained, preserving_proto_field_name=True)
        return {**spelled, "validity": int(self.explained.validity)}


async def ask_why_by_card(root: Path, wish: Wish) -> Told:
    """Read a person's card at the sandbox's clinic, and ask how the answer comes about."""
    visited = await explained_visit(root, wish)
    if isinstance(visited, Outcome):
        return Told(None, visited)
    return Told(visited.explained)


async def ask_why(root: Path, question: Question) -> Told:
    """Ask the sandbox in `root` with its institution's certificate."""
    description = described(root)
    if description is None:
        return Told(None, not_running(root))
    party = description["certificates"]["institution"]
    tls = Tls(Path(party["certificate"]), Path(party["key"]), Path(party["ca"]))
    try:
        asked = question_of(question)
        async with secure_channel(description["address"], tls) as channel:
            stub = EligibilityServiceStub(channel)
            request = pb.ExplainEligibilityRequest(question=asked)
            return Told(await stub.ExplainEligibility(request, timeout=DEADLINE_S))
    except InvalidInput as refusal:
        advice = refusal.advice
        return Told(None, Outcome(None, "INVALID_ARGUMENT", str(refusal), advice.ja, advice.en))
    except grpc.aio.AioRpcError as error:
        return Told(None, refused(error))


def print_why(said: pb.ExplainEligibilityResponse, language: str) -> None:
    """Show an explained answer: the answer, what was learned in order, and what each changed."""
    console = Console(soft_wrap=True, highlight=False)
    console.width = max(console.width, TABLE_WIDTH_MIN)
    is_ja = language == "ja"
    name_ja, _, name_en = VALIDITY_NAMES[said.validity].partition(" ")
    console.print(f"{said.validity}  {name_ja if is_ja else name_en}", style="bold")
    console.print(said.explanation_ja if is_ja else said.explanation_en)
    if said.versions:
        console.print(timeline(said, language))
    else:
        console.print(NOTHING[language])
    if said.is_cut:
        console.print(CUT[language])
    if said.counter_facts:
        console.print(f"{WITHOUT[language]}:", style="bold")
    for one in said.counter_facts:
        sentence = one.sentence_ja if is_ja else one.sentence_en
        console.print(f"  {sentence}{_origin(one)}", markup=False)
    console.print(f"{RECORD[language]}: {said.access_record_id}")


def _origin(one: pb.CounterFact) -> str:
    """Where what a counter-fact leaves out was said; several may have come on one day."""
    if not one.HasField("version"):
        return ""
    version = one.version
    return f"  ({version.insurer_number}, {version.request_id} : {version.line_number})"


def timeline(said: pb.ExplainEligibilityResponse, language: str) -> Table:
    """What was learned, as rows in the order it was learned; what decided is marked."""
    table = Table(*HEADINGS[language])
    rows = [*_version_rows(said.versions, language), *_link_rows(said.links, language)]
    for at, cells in sorted(rows, key=lambda row: row[0]):
        table.add_row(f"{tokyo_time(at):%Y-%m-%d %H:%M:%S}", *cells)
    return table


def _version_rows(
    versions: Iterable[pb.LearnedVersion], language: str
) -> list[tuple[Instant, list[str]]]:
    place = 0 if language == "ja" else 1
    return [
        (
            _instant(one.recorded_time),
            [
                one.insurer_number,
                KINDS[one.kind][place],
                day_text(one.acquisition_date),
                f"{day_text(one.loss_date)} {one.loss_reason}" if one.HasField("loss_date") else "",
                f"{one.request_id} : {one.line_number}" if one.request_id else "",
                "←" if one.is_deciding else "",
            ],
        )
        for one in versions
    ]


def _link_rows(links: Iterable[pb.LearnedLink], language: str) -> list[tuple[Instant, list[str]]]:
    return [
        (
            _instant(one.recorded_time),
            [
                one.insurer_number,
                LINKED[language][int(one.is_numbered)].format(one.person_ordinal),
                *[""] * 4,
            ],
        )
        for one in links
    ]


def _instant(at: Timestamp) -> Instant:
    return Instant(at.seconds * 1_000_000 + at.nanos // 1000)
