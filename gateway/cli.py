"""
The command `onshi`: sandbox, demo, confirm, visit, portal, claims, people and the rest.

Commands import late, so that each starts as fast as what it does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

app = typer.Typer(
    name="onshi",
    help="オンライン資格確認の模擬環境 / a stand-in for Japan's online eligibility confirmation. "
    "A simulator: it never contacts the live system.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
certs = typer.Typer(help="Certificates of the simulation.", no_args_is_help=True)
trail = typer.Typer(help="Who looked at whom.", no_args_is_help=True)
app.add_typer(certs, name="certs")
app.add_typer(trail, name="trail")
register = typer.Typer(help="The simulated resident register.", no_args_is_help=True)
app.add_typer(register, name="register")
claims = typer.Typer(help="Claims (レセプト).", no_args_is_help=True)
app.add_typer(claims, name="claims")
portal = typer.Typer(help="What a person does on the portal.", no_args_is_help=True)
app.add_typer(portal, name="portal")
lag = typer.Typer(
    help="How long facts take to become an answer (タイムラグ).", no_args_is_help=True
)
app.add_typer(lag, name="lag")

Settings = TypeVar("Settings")


class Language(StrEnum):
    """In which language the demo speaks."""

    JA = "ja"
    EN = "en"


class ReaderMode(StrEnum):
    """How a reader checks who holds a card."""

    FACE = "face"
    PIN = "pin"
    VISUAL = "visual"


DirOption = Annotated[Path, typer.Option("--dir", help="The sandbox's directory.")]
ConfigOption = Annotated[Path, typer.Option("--config", help="The settings file (TOML).")]


def main() -> None:
    """Run a command; what the user cannot use ends with one sentence and exit code 1."""
    app()


@app.command()
def sandbox(
    directory: DirOption = Path(".sandbox"),
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.")] = 0,
    people: Annotated[int, typer.Option(min=0, max=1_000_000, help="How many more people.")] = 500,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people.")] = 1,
) -> None:
    """Run the whole sandbox until Ctrl-C: gateway, folders, test persons."""
    from gateway.app.processes import StartFailedError
    from gateway.app.sandbox import running_sandbox
    from gateway.app.screen import print_ready
    from gateway.app.supervisor import stop_on_signals
    from gateway.observe import configure

    configure("sandbox")

    async def run() -> None:
        stop = stop_on_signals()
        async with running_sandbox(directory, port=port, people=people, seed=seed) as (place, up):
            print_ready(place, up)
            await stop.wait()
        sys.stdout.write("stopped\n")

    try:
        asyncio.run(run())
    except StartFailedError as error:
        _fail(str(error))


@app.command()
def serve(config: ConfigOption) -> None:
    """Run a gateway until SIGTERM."""
    from gateway.app.processes import StartFailedError
    from gateway.app.supervisor import serve as run
    from gateway.config import load_settings
    from gateway.observe import configure

    configure("supervisor")
    path = config.resolve()
    settings = _settings(load_settings, path)
    try:
        asyncio.run(run(settings, path))
    except StartFailedError as error:
        _fail(str(error))


@app.command()
def bridge(config: ConfigOption) -> None:
    """Serve one institution's req/ res/ face/ folders until SIGTERM."""
    from gateway.app.bridge import run_alone
    from gateway.config import load_bridge_settings

    run_alone(_settings(load_bridge_settings, config.resolve()))


@app.command()
def demo(
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where to work; a scratch folder if not given.")
    ] = None,
    language: Annotated[Language, typer.Option(help="Of what it says.")] = Language.EN,
) -> None:
    """Tell the whole circle on one screen: a job change, the lag, the claim, who looked."""
    from gateway.app.demo import run_demo

    raise typer.Exit(run_demo(directory, language.value))


@app.command()
def confirm(
    insurer: Annotated[str, typer.Option(help="Insurer number (保険者番号).")],
    number: Annotated[str, typer.Option(help="Number (番号).")],
    birth_date: Annotated[str, typer.Option(help="YYYY-MM-DD or YYYYMMDD.")],
    symbol: Annotated[str, typer.Option(help="Symbol (記号).")] = "",
    branch: Annotated[str, typer.Option(help="Branch (枝番).")] = "",
    on: Annotated[str, typer.Option(help="Day to confirm; today if not given.")] = "",
    consent: Annotated[
        bool, typer.Option("--consent", help="The person consents to show the limit certificate.")
    ] = False,
    directory: DirOption = Path(".sandbox"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask as a clinic would, and show the answer and why."""
    from gateway.app.ask import Question, ask_sandbox
    from gateway.app.screen import print_answer

    question = Question(insurer, symbol, number, branch, birth_date, on, consent)
    outcome = asyncio.run(ask_sandbox(directory, question))
    if as_json:
        _print_json(outcome.as_dict())
    else:
        print_answer(outcome)
    raise typer.Exit(0 if outcome.is_answer else 1)


@app.command()
def why(
    insurer: Annotated[str, typer.Option(help="Insurer number (保険者番号).")],
    number: Annotated[str, typer.Option(help="Number (番号).")],
    birth_date: Annotated[str, typer.Option(help="YYYY-MM-DD or YYYYMMDD.")],
    symbol: Annotated[str, typer.Option(help="Symbol (記号).")] = "",
    branch: Annotated[str, typer.Option(help="Branch (枝番).")] = "",
    on: Annotated[str, typer.Option(help="Day to confirm; today if not given.")] = "",
    known_at: Annotated[
        str, typer.Option(help="As known at this moment, 2026-04-20T12:00; now if not given.")
    ] = "",
    directory: DirOption = Path(".sandbox"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    language: Annotated[Language, typer.Option(help="Of what it says.")] = Language.EN,
) -> None:
    """Tell how an answer came about, and what it would be without each thing learned."""
    from gateway.app.ask import Question
    from gateway.app.screen import print_answer
    from gateway.app.why import ask_why, print_why
    from gateway.app.why import known_at as moment

    try:
        known = moment(known_at) if known_at else None
    except ValueError:
        _fail(f"{known_at}: not a moment such as 2026-04-20T12:00")
    question = Question(insurer, symbol, number, branch, birth_date, on, is_limit_consented=False)
    told = asyncio.run(ask_why(directory, question, known))
    if as_json:
        _print_json(told.as_dict())
    elif told.explained is not None:
        print_why(told.explained, language.value)
    elif told.refusal is not None:
        print_answer(told.refusal)
    raise typer.Exit(0 if told.explained is not None else 1)


@app.command()
def visit(
    person: Annotated[str, typer.Option(help="Test person's id, see onshi people; or p1, p2 ...")],
    reader: Annotated[ReaderMode, typer.Option(help="How the holder is checked.")],
    pin: Annotated[str, typer.Option(help="PIN typed; the right one if not given.")] = "",
    face_score: Annotated[int, typer.Option(min=0, max=100, help="How alike the face is.")] = 95,
    on: Annotated[str, typer.Option(help="Day to confirm; today if not given.")] = "",
    consent: Annotated[
        bool, typer.Option("--consent", help="The person consents to show certificates.")
    ] = False,
    directory: DirOption = Path(".sandbox"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read a My Number card at the clinic's reader; the answer also goes into face/."""
    from gateway.app.screen import print_visit
    from gateway.app.visits import CHECKS, Wish, touch_again
    from gateway.app.visits import visit as run

    wish = Wish(person, CHECKS[reader.value], pin, face_score, _day(on), consent)
    gave = asyncio.run(run(directory, wish))
    if as_json:
        _print_json(gave.outcome.as_dict())
    else:
        print_visit(gave)
    if gave.face_file is not None:
        asyncio.run(touch_again(gave.face_file))
    raise typer.Exit(0 if gave.outcome.is_answer else 1)


@portal.command("register")
def portal_register(
    person: Annotated[str, typer.Option(help="Test person's id.")],
    directory: DirOption = Path(".sandbox"),
) -> None:
    """Register a person's card, without which it finds nothing (初回登録)."""
    from gateway.app.screen import print_answer
    from gateway.app.visits import register_card

    refusal, is_changed = asyncio.run(register_card(directory, person))
    if refusal is not None:
        print_answer(refusal)
        raise typer.Exit(1)
    sys.stdout.write("registered\n" if is_changed else "registered already\n")


@portal.command("accesses")
def portal_accesses(
    person: Annotated[str, typer.Option(help="Test person's id.")],
    directory: DirOption = Path(".sandbox"),
) -> None:
    """Show a person who looked, newest first."""
    from gateway.app.screen import print_accesses, print_answer
    from gateway.app.visits import own_accesses

    refusal, looks = asyncio.run(own_accesses(directory, person))
    if refusal is not None:
        print_answer(refusal)
        raise typer.Exit(1)
    print_accesses(looks)


@register.command("conditions")
def register_conditions(
    delay_ms: Annotated[int, typer.Option(min=0, max=60_000, help="Wait of each answer.")] = 0,
    spread_ms: Annotated[int, typer.Option(min=0, max=60_000, help="More of it, at random.")] = 0,
    mismatch: Annotated[
        int, typer.Option(min=0, max=1000, help="Residents of a thousand that read as mismatched.")
    ] = 0,
    away: Annotated[bool, typer.Option("--away", help="Refuse every call.")] = False,
    directory: DirOption = Path(".sandbox"),
) -> None:
    """Set how slow and how wrong the resident register is, until it is set again."""
    from gateway.app.screen import print_answer
    from gateway.app.visits import set_conditions

    refusal = asyncio.run(set_conditions(directory, delay_ms, spread_ms, mismatch, is_away=away))
    if refusal is not None:
        print_answer(refusal)
        raise typer.Exit(1)
    sys.stdout.write("set\n")


@claims.command("check")
def claims_check(
    file: Annotated[Path, typer.Argument(help="A claim file (RECEIPTC.UKE).")],
    out: Annotated[Path, typer.Option(help="The folder to write; new or empty.")],
    directory: DirOption = Path(".sandbox"),
) -> None:
    """Check the insurer behind each claim and sort the claims by whom to bill (振替)."""
    from gateway.app.claims import check_file, table_of

    checked = asyncio.run(check_file(file, out, directory))
    if checked.refusal:
        _fail(checked.refusal)
    sys.stdout.write(table_of(checked))


@lag.command("report")
def lag_report(
    directory: DirOption = Path(".sandbox"),
    insurer: Annotated[str, typer.Option(help="Insurer number; every insurer if empty.")] = "",
    first: Annotated[str, typer.Option("--from", help="First day of registration.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last day; today if not given.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts here too.")] = None,
    language: Annotated[Language, typer.Option(help="Of what it says.")] = Language.EN,
) -> None:
    """Show an insurer's lag: stages, open cases by age, employers that file late."""
    from gateway.app.lag_ask import as_json as spelled
    from gateway.app.lag_ask import lag_reports
    from gateway.app.screen import print_answer

    reports, refusal = asyncio.run(lag_reports(directory, insurer, _day(first), _day(last)))
    if refusal is not None:
        print_answer(refusal)
        raise typer.Exit(1)
    if html is not None:
        from gateway.app.lag_page import page

        html.write_text(page(reports, language.value), encoding="utf-8")
    if as_json:
        _print_json(spelled(reports))
    else:
        from gateway.app.lag_screen import print_lag

        print_lag(reports, language.value)


@app.command()
def people(
    directory: DirOption = Path(".sandbox"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the named test persons and the answer each should get."""
    from gateway.app.sandbox import institution_code_of
    from gateway.app.screen import print_people
    from simulators.catalogue import as_json as spelled
    from simulators.catalogue import catalogue

    persons = spelled(catalogue(institution_code_of(directory)).people)
    if as_json:
        _print_json(persons)
    else:
        print_people(persons)


@app.command()
def clock(
    directory: DirOption = Path(".sandbox"),
    advance_days: Annotated[int, typer.Option(min=0, help="Days to move forward.")] = 0,
) -> None:
    """Show the sandbox's clock, or move it forward."""
    from gateway.app.sandbox import advance_clock

    sys.stdout.write(f"{advance_clock(directory, advance_days).isoformat()}\n")


@certs.command("issue")
def certs_issue(
    directory: Annotated[Path, typer.Option("--dir", help="Where to write.")],
    insurer: Annotated[
        str, typer.Option(help="Insurer number of the insurer's leaf.")
    ] = "06139992",
    institution: Annotated[
        str, typer.Option(help="Code of the institution's leaf.")
    ] = "1319999999",
) -> None:
    """Issue a CA and one leaf for the gateway and for each role; what is there stays."""
    from gateway.app.certificates import issue_all

    for path in issue_all(directory, institution, [insurer]):
        sys.stdout.write(f"{path}\n")


@trail.command("verify")
def trail_verify(directory: DirOption = Path(".sandbox")) -> None:
    """Check that no access record was changed, dropped or inserted; exit 1 if one was."""
    from gateway.app.sandbox import Sandbox
    from gateway.app.screen import print_trail
    from gateway.store.trail import verify

    data = Sandbox(directory).data
    raise typer.Exit(0 if print_trail(verify(data.access, data.trail)) else 1)


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, default=_plain)
    sys.stdout.write("\n")


def _plain(value: object) -> str:
    assert isinstance(value, date)
    return value.isoformat()


def _settings(load: Callable[[Path], Settings], path: Path) -> Settings:
    """Read settings; say what is wrong with them rather than call it a bug."""
    import msgspec

    try:
        return load(path)
    except (OSError, msgspec.MsgspecError) as error:
        _fail(f"{path}: {error}")


def _day(text: str) -> date | None:
    """Read a day of the command line; empty is None."""
    from gateway.domain.errors import InvalidInput
    from gateway.domain.period import parse_day

    try:
        return parse_day(text) if text else None
    except InvalidInput as refusal:
        _fail(f"{text}: {refusal.advice.en}")


def _fail(sentence: str) -> NoReturn:
    sys.stderr.write(f"onshi: {sentence}\n")
    raise typer.Exit(1)
