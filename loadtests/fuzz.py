"""
Coverage-guided fuzzing of what reads bytes from outside: XML, files, claims, cards, requests.

A decoder may refuse (`Refusal`) and nothing else. Each target runs in a process of its own for a
share of the time; a planted crash is found first, so that silence means something.

    python -m loadtests.fuzz [--minutes 10] [--targets uke,card]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

GOLDEN: Final = Path(__file__).parent.parent / "tests" / "formats" / "golden"
INPUT_BYTES_MAX: Final = 4096
NOW: Final = 1_776_000_000_000_000
Target = Callable[[bytes], None]


def read_xml(data: bytes) -> None:
    """The folder bridge's request decoder."""
    from gateway.domain.errors import Refusal
    from gateway.formats.oqs_xml import decode_query, is_complete

    is_complete(data)
    try:
        decode_query(data)
    except Refusal:
        return


def read_coverage(data: bytes) -> None:
    """The coverage file's decoder, whole and cut in two."""
    from loadtests.coverage_target import decode_all

    whole = decode_all([data])
    cut = decode_all([data[: len(data) // 2], data[len(data) // 2 :]])
    assert whole == cut


def read_request(data: bytes) -> None:
    """The wire's request decoders."""
    from google.protobuf.message import DecodeError

    from gateway.domain.eligibility import Rules
    from gateway.domain.errors import Refusal
    from gateway.domain.period import Instant
    from gateway.domain.purpose import Role
    from gateway.edges.rpc import convert
    from gateway.usecases.context import Caller, Context
    from gateway.v1 import coverage_pb2, eligibility_pb2
    from loadtests.one_key import tokens_of_one_key

    context = Context(Caller(Role.INSTITUTION, "1319999999"), Instant(NOW), "fuzz")
    try:
        request = eligibility_pb2.ConfirmEligibilityRequest.FromString(data)
        convert.query(request, context, tokens_of_one_key(Rules()))
    except (DecodeError, Refusal):
        pass
    try:
        number = coverage_pb2.RegisterIndividualNumberRequest.FromString(data)
        convert.insured_id(number.insured_id)
        convert.day(number.birth_date, "birth_date")
        convert.individual_number(number.individual_number)
    except (DecodeError, Refusal):
        pass


def read_claims(data: bytes) -> None:
    """The claim file's decoder, and what writes its claims again."""
    from loadtests.uke_target import read_uke

    read_uke(data)


def read_cards(data: bytes) -> None:
    """A card's proof and its certificate."""
    from loadtests.card_target import read_card

    read_card(data)


def planted(data: bytes) -> None:
    """A decoder with a defect behind a two-byte door: fuzzing must find it."""
    if data[:1] == b"<" and data[1:2] == b"X":
        raise RuntimeError("planted")


TARGETS: Final[dict[str, tuple[Target, str]]] = {
    "xml": (read_xml, "oqs"),
    "coverage": (read_coverage, "coverage"),
    "request": (read_request, ""),
    "uke": (read_claims, "uke"),
    "card": (read_cards, ""),
    "planted": (planted, ""),
}


def fuzz_here(name: str, seconds: int, corpus: str) -> None:
    """Hand this process to the fuzzer; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["gateway"]):
        import gateway.card_pki
        import gateway.domain.errors
        import gateway.edges.rpc.convert
        import gateway.formats.coverage_csv
        import gateway.formats.oqs_xml
        import gateway.formats.uke_edit  # noqa: F401  instrumented by importing

    target, _ = TARGETS[name]
    atheris.Setup(
        [
            sys.argv[0],
            corpus,
            f"-max_total_time={seconds}",
            f"-max_len={INPUT_BYTES_MAX}",
            f"-artifact_prefix={corpus}/",
            "-print_final_stats=1",
            "-timeout=10",
        ],
        atheris.instrument_func(target),
    )
    atheris.Fuzz()


def run(name: str, seconds: int) -> tuple[int, bool]:
    """Fuzz a target in a process of its own; give inputs tried and whether it crashed."""
    _, folder = TARGETS[name]
    with tempfile.TemporaryDirectory(prefix="onshi-fuzz-") as corpus:
        if folder:
            for number, seed in enumerate(sorted((GOLDEN / folder).rglob("*.in.*"))):
                (Path(corpus) / f"seed-{number}").write_bytes(seed.read_bytes())
        done = subprocess.run(
            [sys.executable, "-m", "loadtests.fuzz", "--target", name, str(seconds), corpus],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds + 120,
        )
        tried = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
        if done.returncode != 0 and name != "planted":
            sys.stderr.write(done.stderr[-4000:])
        return int(tried[-1]) if tried else 0, done.returncode != 0


def main() -> None:
    """Find the planted crash, then share the minutes among the decoders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--targets", default="xml,coverage,request,uke,card")
    parser.add_argument("--target", nargs=3, metavar=("NAME", "SECONDS", "CORPUS"))
    options = parser.parse_args()
    if options.target:
        name, seconds, corpus = options.target
        fuzz_here(name, int(seconds), corpus)
        return
    tried, crashed = run("planted", 30)
    print(f"planted: {tried} inputs, {'found' if crashed else 'NOT FOUND'}", flush=True)
    good = crashed
    names = options.targets.split(",")
    seconds = int(options.minutes * 60 / len(names))
    for name in names:
        tried, crashed = run(name, seconds)
        print(f"{name}: {tried} inputs in {seconds} s, crashes {int(crashed)}", flush=True)
        good = good and not crashed and tried > 0
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
