"""What a person sees on the terminal; data goes to standard output as it is, tables by rich."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from gateway.app.ask import Outcome
from gateway.app.keys import KeyStatus
from gateway.app.sandbox import INSTITUTION_CODE, Sandbox
from gateway.app.supervisor import Gateway
from gateway.app.visits import Visit
from gateway.domain.period import Instant, tokyo_time
from gateway.store.trail import TrailReport
from gateway.v1.person_pb2 import OwnAccess
from gateway.v1.types_pb2 import Coverage
from simulators.catalogue import catalogue

TABLE_WIDTH_MIN = 160
VALIDITY_METHODS = ("Confirm", "Explain")
"""How the methods begin whose access records tell a validity."""
VALIDITY_NAMES = {
    1: "有効 valid",
    2: "無効 invalid",
    3: "無効・新しい資格あり newer cover",
    4: "該当資格なし no such cover",
    5: "複数該当 several people",
    6: "有効・未登録 ticket missing",
}


def print_ready(sandbox: Sandbox, gateway: Gateway) -> None:
    """Say where everything is, and three commands to try."""
    root = sandbox.root
    person = catalogue(INSTITUTION_CODE).people[0]
    example = (
        f"--insurer {person.insurer_number} --symbol {person.symbol} --number {person.number} "
        f"--branch {person.branch} --birth-date {person.birth_date}"
    )
    institution = sandbox.party("institution")
    Console(soft_wrap=True, highlight=False).print(
        f"""
Onshi Gateway sandbox (模擬環境 / a simulation: no live system, no real person)
  gateway       {gateway.address}  (gRPC, mutual TLS, health, reflection)
  certificates  {sandbox.certificates}
  folders       {sandbox.folders}/req  res  face   (institution {INSTITUTION_CODE})
  description   {sandbox.description}

Try, in another terminal:
  onshi people --dir {root}
  onshi confirm --dir {root} {example}
  onshi portal register --dir {root} --person job-changed
  onshi visit --dir {root} --person job-changed --reader face
  buf curl --protocol grpc --cacert {institution["ca"]} --cert {institution["certificate"]} \
--key {institution["key"]} https://{gateway.address} --list-methods

Ctrl-C stops it."""
    )


def print_answer(outcome: Outcome) -> None:
    """Show an answer as a clinic would read it, or why there is none."""
    console = Console(soft_wrap=True, highlight=False)
    answer = outcome.answer
    if answer is None:
        console.print(
            f"{outcome.status} {outcome.reason}\n{outcome.advice_ja}\n{outcome.advice_en}"
        )
        return
    console.print(f"資格有効性 {answer.validity}  {VALIDITY_NAMES[answer.validity]}", style="bold")
    console.print(f"{answer.explanation_ja}\n{answer.explanation_en}")
    for cover in answer.coverages:
        console.print(_cover_table(cover))
    versions = ", ".join(
        f"cover {ref.cover_number} version {ref.version_number}" for ref in answer.decided_by
    )
    console.print(f"decided by: {versions or 'nothing on record'}")
    console.print(f"access record: {answer.access_record_id}")
    if answer.answer_token:
        console.print(
            f"token: {answer.answer_token}  (同じ照会の再現 / asks for it again: --token)"
        )


def print_visit(visit: Visit) -> None:
    """Show what a visit gave."""
    print_answer(visit.outcome)
    if visit.face_file is not None:
        Console(soft_wrap=True, highlight=False).print(f"face file: {visit.face_file}")


def print_accesses(looks: Sequence[OwnAccess]) -> None:
    """Show a person who looked."""
    console = Console()
    console.width = max(console.width, TABLE_WIDTH_MIN)
    console.print(accesses_table(looks))


def accesses_table(looks: Sequence[OwnAccess]) -> Table:
    """Who looked, as rows."""
    table = Table("when 日時", "who 照会者", "why 目的", "what came of it 結果")
    for look in looks:
        at = tokyo_time(Instant(look.access_time.seconds * 1_000_000))
        purpose = look.purpose_ja or look.purpose or "-"
        table.add_row(
            f"{at:%Y-%m-%d %H:%M:%S}",
            f"{look.role} {look.code}",
            purpose,
            _what_came(look),
        )
    return table


def _what_came(look: OwnAccess) -> str:
    """Tell the detail where it is a validity or a reason; a count of others says nothing."""
    is_validity = look.method.rpartition("/")[2].startswith(VALIDITY_METHODS)
    is_told = is_validity or look.outcome == "DENIED"
    return f"{look.outcome} {look.detail}" if is_told else look.outcome


def _cover_table(cover: Coverage) -> Table:
    table = Table(show_header=False)
    card = cover.insured_id
    loss = day_text(cover.loss_date) if cover.HasField("loss_date") else ""
    for label, value in (
        ("保険者 insurer", f"{card.insurer_number} {cover.insurer_name}"),
        ("記号・番号・枝番", f"{card.symbol}・{card.number} ({card.branch})"),
        ("氏名 name", f"{cover.name} {cover.name_kana}"),
        ("生年月日 birth date", day_text(cover.birth_date)),
        ("資格取得 acquired", day_text(cover.acquisition_date)),
        ("資格喪失 lost", f"{loss} {cover.loss_reason}".strip()),
        ("負担割合 ratio", f"{cover.copayment_ratio_percent} %"),
        *_certificates(cover),
    ):
        if value and value != "0 %":
            table.add_row(label, value)
    return table


def _certificates(cover: Coverage) -> list[tuple[str, str]]:
    """The certificates shown, each with its last valid day."""
    rows = []
    if cover.HasField("elderly_certificate"):
        elderly = cover.elderly_certificate
        rows.append(("高齢受給者証", f"{elderly.copayment_ratio_percent} % {_until(elderly)}"))
    if cover.HasField("limit_certificate"):
        limit = cover.limit_certificate
        rows.append(("限度額 limit", f"{limit.kind} {limit.limit_class} {_until(limit)}"))
    for disease in cover.specific_disease_certificates:
        amount = f"{disease.disease_category} ({disease.self_pay_yen:,} 円/月)"
        rows.append(("特定疾病 disease", f"{amount} {_until(disease)}"))
    tickets = [f"{ticket.month} {ticket.institution_name}" for ticket in cover.medical_tickets]
    return [*rows, *(("医療券 ticket", ticket) for ticket in tickets)]


def _until(certificate: Any) -> str:
    if not certificate.HasField("last_valid_date"):
        return ""
    return f"～ {day_text(certificate.last_valid_date)}"


def day_text(day: Any) -> str:
    """A day of an answer as YYYY-MM-DD."""
    return f"{day.year:04}-{day.month:02}-{day.day:02}"


def print_people(persons: Sequence[Mapping[str, Any]]) -> None:
    """List test persons."""
    table = Table()
    for heading in (
        "id",
        "insurer",
        "symbol",
        "number",
        "br.",
        "birth date",
        "on",
        "answer",
        "note",
    ):
        table.add_column(heading, no_wrap=heading != "note")
    keys = ("id", "insurer_number", "symbol", "number", "branch", "birth_date", "on")
    for person in persons:
        cells = [str(person[key]) for key in keys]
        table.add_row(*cells, str(person["expected_validity"]), str(person["note"]))
    console = Console()
    console.width = max(console.width, TABLE_WIDTH_MIN)
    console.print(table)


def print_keys(statuses: Sequence[KeyStatus]) -> None:
    """Show each key file: its keys, what older ones hold, whether they may be retired."""
    console = Console(highlight=False)
    for status in statuses:
        older = ", ".join(status.older) or "none"
        console.print(
            f"{status.name}: current key {status.current}, older {older}, "
            + ("which stay" if status.is_older_kept else f"{status.left} still of older keys")
            + ("" if status.is_in_use else ", the writer has not taken the current key yet")
        )


def print_trail(report: TrailReport) -> bool:
    """Say whether the chains hold."""
    console = Console(highlight=False)
    for problem in report.problems:
        console.print(f"BROKEN {problem}")
    console.print(f"{report.lives} chains, {report.records} records")
    return not report.problems
