"""
Every place of a running sandbox where a My Number could lie, and a plant for each kind of place.

Searched are all files of the gateway's data directory as they are on the disk (pages of databases
with the freed ones, their logs and journals, spool, access records, keys, clock, the vault too: it
may hold no number in a readable form), the folders, certificates and settings, a dump of each
database, every row of every table of a server (its own files are not searched), what the processes
printed, their arguments and environments, the metrics page, what answers and refusals said, and
what commands printed or wrote. The resident register and the cards are other parties' and hold the
numbers by right; memory is not searched.
"""

from __future__ import annotations

import gzip
import os
import socket
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.app.layout import DataDir
from gateway.app.sandbox import Sandbox
from gateway.config import STORE_VARIABLE
from loadtests.facts import Facts, fresh_facts

Spell = Callable[[bytes], None]


@dataclass(slots=True)
class Heard:
    """What was heard of the gateway: answers, refusals, metrics pages, processes' own words."""

    answers: list[bytes] = field(default_factory=list)
    refusals: list[bytes] = field(default_factory=list)
    metrics: list[bytes] = field(default_factory=list)
    processes: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look: the sandbox, what its processes and commands printed, what was heard."""

    root: Path
    printed: Path
    outputs: Path
    heard: Heard
    facts: Facts

    @property
    def data(self) -> DataDir:
        """The gateway's data directory."""
        return Sandbox(self.root).data

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """Each content with the kind of its place."""
        for path in sorted(self.data.root.rglob("*")):
            if path.is_file():
                yield self._kind(path), path.read_bytes()
        for folder, kind in ((self.root / "oqs", "folder"), (self.root / "certs", "settings")):
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    yield kind, path.read_bytes()
        for path in (*self.root.glob("*.json"), *self.root.glob("*.toml")):
            yield "settings", path.read_bytes()
        for path in sorted(self.outputs.iterdir()):
            yield "output of a command", path.read_bytes()
        yield "log", self.printed.read_bytes()
        yield "answer", b"\xff".join(self.heard.answers)
        yield "refusal", b"\xff".join(self.heard.refusals)
        yield "metrics", b"\n".join(self.heard.metrics)
        yield from self.heard.processes
        for content in self.facts.dumped():
            yield "dump" if self.facts.store is None else SERVER_TABLE, content
        with closing(sqlite3.connect(f"{self.data.trail.as_uri()}?mode=ro", uri=True)) as trail:
            yield "dump", "\n".join(trail.iterdump()).encode()

    def _kind(self, path: Path) -> str:
        data = self.data
        for folder, kind in (
            (data.spool, "spool"),
            (data.access, "access record"),
            (data.keys, "key file"),
        ):
            if folder in path.parents:
                return kind
        if path.name.startswith(data.vault.name):
            return "vault"
        if path.name.endswith("-wal"):
            return "write-ahead log"
        if path.name.endswith("-journal"):
            return "journal"
        return "database page" if path.suffix == ".db" else "other file"


def words_of(pids: Iterator[int]) -> list[tuple[str, bytes]]:
    """The arguments and the environments of processes."""
    said: list[tuple[str, bytes]] = []
    for pid in pids:
        for name, kind in (("cmdline", "arguments"), ("environ", "environment")):
            with suppress(OSError):
                said.append((kind, Path(f"/proc/{pid}/{name}").read_bytes()))
    return said


def family_of(pid: int) -> Iterator[int]:
    """A process and all that came of it."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(folder.name))
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += parents.get(one, ())


def port_free() -> int:
    """A loopback port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


SERVER_TABLE: Final = "table of a server"

PLANTED_KINDS: Final = (
    "log",
    "metrics",
    "refusal",
    "answer",
    "output of a command",
    "spool",
    "database page",
    "freed page",
    "write-ahead log",
    "journal",
    "access record",
    "key file",
    "vault",
    "folder",
    "settings",
    "dump",
    "compressed",
    "arguments",
    "environment",
    *((SERVER_TABLE,) if STORE_VARIABLE in os.environ else ()),
)
"""Each gets a number of its own."""


def planted(root: Path, texts: Mapping[str, bytes], opened: ExitStack) -> Places:
    """
    Make a sandbox's directory in which each kind of place holds its text.

    Args:
        root: A folder to make it in.

        texts: What to plant, by `PLANTED_KINDS`.

        opened: Keeps what must stay open while it is searched.
    """
    heard = Heard([texts["answer"]], [texts["refusal"]], [texts["metrics"]])
    facts = fresh_facts(Sandbox(root).data.root)
    opened.callback(facts.close)
    places = Places(root, root / "printed.txt", root / "outputs", heard, facts)
    data = places.data
    data.make()
    for folder in (root / "oqs" / "res", root / "certs", places.outputs):
        folder.mkdir(parents=True)
    places.printed.write_bytes(b'{"event": "' + texts["log"] + b'"}\n')
    for path, kind in (
        (places.outputs / "lag.html", "output of a command"),
        (data.spool / "0011.upload", "spool"),
        (data.root / "gateway.db-journal.kept-journal", "journal"),
        (data.access / "0-1.log", "access record"),
        (data.vault_keys, "key file"),
        (root / "oqs" / "res" / "answer.xml.err", "folder"),
        (root / "gateway.toml", "settings"),
    ):
        path.write_bytes(b"before" + texts[kind] + b"after")
    (data.access / "0-2.log.gz").write_bytes(b"\0" * 7 + gzip.compress(texts["compressed"]))
    (data.access / "0-3.log").write_bytes(b"\0" * 7 + zlib.compress(texts["compressed"]))
    _plant_databases(data, texts, opened)
    if facts.store is not None:
        facts.change("CREATE TABLE planted (body bytea)")
        facts.change(f"INSERT INTO planted VALUES ('\\x{texts[SERVER_TABLE].hex()}')")  # noqa: S608  hexadecimal
    _plant_process(heard, texts, opened)
    return places


def _plant_databases(data: DataDir, texts: Mapping[str, bytes], opened: ExitStack) -> None:
    for path, kinds in ((data.database, ("freed page", "database page")), (data.vault, ("vault",))):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA secure_delete = OFF")
            connection.execute("CREATE TABLE planted (place INTEGER PRIMARY KEY, body BLOB)")
            for place, kind in enumerate(kinds):
                connection.execute("INSERT INTO planted VALUES (?, ?)", (place, texts[kind]))
            connection.commit()
            if "freed page" in kinds:
                connection.execute("DELETE FROM planted WHERE place = 0")
                connection.commit()
    trail = opened.enter_context(closing(sqlite3.connect(data.trail)))
    trail.execute("PRAGMA journal_mode = WAL")
    trail.execute("PRAGMA wal_autocheckpoint = 0")
    trail.execute("CREATE TABLE planted (body BLOB)")
    trail.execute("INSERT INTO planted VALUES (?)", (texts["write-ahead log"],))
    trail.execute("INSERT INTO planted VALUES (?)", (texts["dump"].decode("latin-1"),))
    trail.commit()


def _plant_process(heard: Heard, texts: Mapping[str, bytes], opened: ExitStack) -> None:
    """Arguments and environments end at a NUL, so what has one is put there without the rest."""
    argument = texts["arguments"].replace(b"\0", b"")
    environment = {**os.environb, b"PLANTED": texts["environment"].replace(b"\0", b"")}
    waits = "import sys; print(flush=True); sys.stdin.read()"
    process = opened.enter_context(
        subprocess.Popen(
            [sys.executable, "-c", waits, argument],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    )
    assert process.stdout is not None
    process.stdout.readline()
    heard.processes += words_of(family_of(process.pid))
