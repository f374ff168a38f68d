"""
A month of insurers' traffic, then a search for every My Number said, where none may be.

A sandbox runs for thirty of its days (`loadtests.number_month`). Then every place where a number
could lie (`loadtests.number_places`) is searched for each number that was issued or said wrongly,
in every form of `loadtests.number_patterns`. First a number is planted in each kind of place in
each form, and each must be found.

    python -m loadtests.number_leaks [--people 3000] [--days 30] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final

from gateway.app.sandbox import Sandbox
from gateway.store.keyring import load_keyring
from loadtests.facts import facts_of
from loadtests.number_month import RETIRED_DAY, Month, live
from loadtests.number_patterns import FORMS, Numbers
from loadtests.number_places import PLANTED_KINDS, Heard, Places, planted, port_free
from simulators.catalogue import ON, catalogue
from simulators.population import made_up_individual_number, population, rows_of

READY_S_MAX: Final = 180.0
STOP_S_MAX: Final = 60.0
POLL_S: Final = 0.1

FOUND_AS: Final = {"freed page": "database page", "compressed": "access record"}
"""Kinds of plant that are no kind of place of their own."""
NO_NUL: Final = frozenset({"arguments", "environment"})
ONLY_TEXT: Final = frozenset({"dump"})


def forms_in(kind: str, number: str) -> list[str]:
    """The forms that can lie in a kind of place: some take no NUL, a dump is text."""
    spelled = {name: spell(number) for name, spell in FORMS.items()}
    return [
        name
        for name, text in spelled.items()
        if not (kind in NO_NUL and b"\0" in text)
        and not (kind in ONLY_TEXT and (b"\0" in text or not text.isascii()))
    ]


def plants_missed(scratch: Path) -> list[str]:
    """Kinds of place and forms whose planted number is not found; none, if the search is good."""
    numbers = {
        kind: made_up_individual_number(18_765_400 + place)
        for place, kind in enumerate(PLANTED_KINDS)
    }
    texts = {
        kind: 2 * b"".join(b"\xff:" + FORMS[form](number) for form in forms_in(kind, number))
        + b"\xff:"
        for kind, number in numbers.items()
    }
    texts["dump"] = texts["dump"].replace(b"\xff", b"\n")
    with ExitStack() as opened:
        search, _, _ = searched(numbers.values(), planted(scratch, texts, opened))
    return [
        f"{kind}: {form}"
        for kind, number in numbers.items()
        for form in forms_in(kind, number)
        if search.found[FOUND_AS.get(kind, kind), form, number] < 2
    ]


def searched(numbers: Iterable[str], places: Places) -> tuple[Numbers, Mapping[str, int], int]:
    """Search every place; give what was found, how many contents of each kind, and their bytes."""
    search, kinds, size = Numbers(numbers), Counter[str](), 0
    for kind, content in places.contents():
        search.search(content, kind)
        kinds[kind] += 1
        size += len(content)
    return search, kinds, size


def issued_at_start(people: int, seed: int) -> set[str]:
    """The numbers of the test persons and of the population."""
    named = catalogue("1319999999").rows_by_insurer.values()
    rows = [row for some in named for row in some]
    rows += [row for household in population(people, seed, ON) for row in rows_of(household)]
    return {row["individual_number"] for row in rows if row.get("individual_number")}


def started(
    root: Path, people: int, seed: int, metrics_port: int, printed: BinaryIO
) -> subprocess.Popen[bytes]:
    """Start a sandbox of its own and wait until it is ready."""
    command = [sys.executable, "-m", "gateway", "sandbox", "--dir", str(root)]
    command += ["--people", str(people), "--seed", str(seed), "--metrics-port", str(metrics_port)]
    process = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT)
    until = time.monotonic() + READY_S_MAX
    while not Sandbox(root).description.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError("the sandbox did not start")
        time.sleep(POLL_S)
    return process


def judged(month: Month, *, is_short: bool) -> bool:
    """
    Search everything and print the figures; whether nothing was found.

    Args:
        is_short: Whether the month was too short for everything to happen in it.
    """
    heard = month.places.heard
    print(
        f"{month.calls} calls, {len(heard.refusals)} texts of refusals, "
        f"{len(heard.metrics)} metrics pages"
    )
    events = happened(month)
    print("happened: " + ", ".join(f"{count} {name}" for name, count in events.items()))
    search, kinds, size = searched(month.numbers, month.places)
    print("searched: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    leaks = search.leaks()
    print(
        f"{len(month.numbers)} numbers in {len(FORMS)} forms, {sum(kinds.values())} contents, "
        f"{size / 1e6:.1f} MB: found {sum(leaks.values())} {dict(leaks)}"
    )
    return not leaks and (is_short or all(events.values()))


def happened(month: Month) -> dict[str, int]:
    """How often each thing the month is for happened; a search of an idle month shows nothing."""
    data = month.places.data
    counts = {
        "checks": "SELECT count(*) FROM number_checks",
        "linked": "SELECT count(*) FROM number_checks WHERE linked_time IS NOT NULL",
        "suspended": "SELECT count(*) FROM number_checks WHERE state = 3",
        "numbers found": "SELECT count(*) FROM number_checks WHERE is_found = 1",
        "swaps": "SELECT count(*) FROM number_checks WHERE mismatches LIKE '%SWAPPED'",
        "lines refused": "SELECT count(*) FROM refused_lines",
    }
    found = {name: month.places.facts.rows(sql)[0][0] for name, sql in counts.items()}
    keys = [int(secret.key_id) for secret in load_keyring(data.vault_keys, may_make=False).secrets]
    found |= {"keys put in": max(keys) - 1, "keys retired": min(keys) - 1}
    return found | {"writers killed": month.kills}


def lived_through(scratch: Path, people: int, days: int, seed: int) -> bool:
    """Let a month pass in a sandbox and search it while it runs."""
    root = scratch / "sandbox"
    facts = facts_of(Sandbox(root).data.root)
    places = Places(root, scratch / "printed.txt", scratch / "outputs", Heard(), facts)
    places.outputs.mkdir()
    metrics_port = port_free()
    with places.printed.open("wb") as output:
        process = started(places.root, people, seed, metrics_port, output)
        try:
            month = asyncio.run(live(places, days, seed, process.pid, metrics_port))
            month.numbers |= issued_at_start(people, seed)
            return judged(month, is_short=days <= RETIRED_DAY)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_S_MAX)
            facts.close()


def main() -> None:
    """Run, and exit 0 only if no number was found and each planted one was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=3_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="onshi-leaks-") as scratch:
        root = Path(scratch)
        missed = plants_missed(root / "planted")
        print(
            f"planted: {len(PLANTED_KINDS)} kinds of place, {len(FORMS)} forms, "
            f"not found {len(missed)} {missed[:9]}"
        )
        is_clean = lived_through(root, options.people, options.days, options.seed)
    sys.exit(0 if is_clean and not missed else 1)


if __name__ == "__main__":
    main()
