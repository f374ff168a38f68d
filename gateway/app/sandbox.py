"""
The whole world on one machine: certificates, gateway, folder bridge, test persons.

Everything lives in one directory and survives a restart. `sandbox.json` appears when all is
ready and is what other programs read. Certificates and keys are for this simulation only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gateway.app.certificates import issue_all
from gateway.app.clock import SandboxClock
from gateway.app.engine import Engine, engine_of
from gateway.app.layout import DataDir
from gateway.app.processes import Child
from gateway.app.register_place import RegisterPlace
from gateway.app.supervisor import Gateway, kept, running
from gateway.config import load_settings
from gateway.domain.period import tokyo_time
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from simulators.catalogue import ON, catalogue
from simulators.channel import secure_channel
from simulators.insurer import upload
from simulators.people import Row, files_of, lines_of
from simulators.population import population, rows_of
from simulators.resident_rows import residents_of

INSTITUTION_CODE: Final = "1319999999"
"""A made-up institution (oqs-interface.md)."""
UPLOADS_AT_ONCE_MAX: Final = 8
BRIDGE_DRAIN_S: Final = 5
CHECKED_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The paths of a sandbox."""

    root: Path

    @property
    def certificates(self) -> Path:
        """The CA and a folder of `certificate.pem` and `key.pem` for each party."""
        return self.root / "certs"

    @property
    def folders(self) -> Path:
        """Where `req/`, `res/` and `face/` are."""
        return self.root / "oqs"

    @property
    def description(self) -> Path:
        """What other programs read; there only while the sandbox is ready."""
        return self.root / "sandbox.json"

    @property
    def gateway_config(self) -> Path:
        """The gateway's settings."""
        return self.root / "gateway.toml"

    @property
    def bridge_config(self) -> Path:
        """The bridge's settings."""
        return self.root / "bridge.toml"

    @property
    def data(self) -> DataDir:
        """The gateway's own directory."""
        return DataDir(self.root / "data")

    def party(self, name: str) -> dict[str, Path]:
        """Absolute certificate, key and CA paths of a party."""
        folder = self.certificates / name
        return {
            "certificate": folder / "certificate.pem",
            "key": folder / "key.pem",
            "ca": self.certificates / "ca.pem",
        }


def read_description(root: Path) -> dict[str, Any]:
    """
    Read what a running sandbox wrote.

    Raises:
        FileNotFoundError: If it is not running, or not ready yet.
    """
    description: dict[str, Any] = json.loads((root / "sandbox.json").read_bytes())
    return description


def institution_code_of(root: Path) -> str:
    """The code of the sandbox's institution, running or not."""
    try:
        return str(read_description(root)["institution_code"])
    except FileNotFoundError:
        return INSTITUTION_CODE


@asynccontextmanager
async def running_sandbox(
    root: Path,
    *,
    port: int,
    people: int,
    seed: int,
    metrics_port: int | None = None,
    is_number_searched: bool = False,
    store: str | None = None,
) -> AsyncIterator[tuple[Sandbox, Gateway]]:
    """
    Run a sandbox until the block ends; test persons are registered when it begins.

    Args:
        people: How many people besides the test persons to register.

        seed: The same seed gives the same people.

        metrics_port: Where the writer shows its metrics; None shows none.

        is_number_searched: Whether the register is asked for numbers nobody told.

        store: A PostgreSQL database for the facts; None keeps them in a file.
    """
    sandbox = Sandbox(root.resolve())  # noqa: ASYNC240  once, before anything runs
    sandbox.description.unlink(missing_ok=True)
    files, residents = await asyncio.to_thread(_files, people, seed)
    register = RegisterPlace.at(sandbox.root / "register")
    _prepare(sandbox, sorted(files))
    toml = _gateway_toml(
        port, store, register.address, metrics_port, is_number_searched=is_number_searched
    )
    write_file(sandbox.gateway_config, toml)
    register.prepare(sandbox.party("register"), residents)
    settings = load_settings(sandbox.gateway_config)
    async with register.running(), running(settings, sandbox.gateway_config) as gateway:
        await _register(sandbox, gateway.address, files, f"{seed}-{people}")
        await until_checked(engine_of(settings))
        write_file(sandbox.bridge_config, _bridge_toml(gateway.address))
        bridge = Child("bridge", "gateway.app.bridge", (str(sandbox.bridge_config),), sandbox.root)
        try:
            async with kept((bridge,)):
                described = _described(sandbox, gateway, files)
                described["register"] = register.described(sandbox.party("operator"))
                write_file(sandbox.description, json.dumps(described, indent=2, default=str))
                yield sandbox, gateway
        finally:
            sandbox.description.unlink(missing_ok=True)
            await bridge.stop(BRIDGE_DRAIN_S)


def _files(people: int, seed: int) -> tuple[dict[str, list[bytes]], list[bytes]]:
    """
    The coverage files to upload, by insurer, and the residents behind them as lines of JSON.

    The catalogue's files come first, then the population's.
    """
    named = catalogue(INSTITUTION_CODE)
    files = {insurer: files_of(rows) for insurer, rows in named.rows_by_insurer.items()}
    rows_named = [row for rows in named.rows_by_insurer.values() for row in rows]
    residents = list(residents_of(rows_named, named.people))
    rows_by_insurer: dict[str, list[Row]] = {}
    for household in population(people, seed, ON):
        for row in rows_of(household):
            rows_by_insurer.setdefault(row["insurer_number"], []).append(row)
    for insurer, rows in rows_by_insurer.items():
        files.setdefault(insurer, []).append(lines_of(rows))
        residents += residents_of(rows)
    return files, residents


async def until_checked(engine: Engine) -> None:
    """Wait until the resident register has answered for every number that was told."""
    store = await engine.reader()
    try:
        while await store.checks_received(1):  # noqa: ASYNC110  another process's work
            await asyncio.sleep(CHECKED_POLL_S)
    finally:
        await store.close()


def _prepare(sandbox: Sandbox, insurers: Iterable[str]) -> None:
    """Make the folders, and issue what is missing of the certificates."""
    sandbox.root.mkdir(parents=True, exist_ok=True)
    sandbox.data.make()
    issue_all(sandbox.certificates, INSTITUTION_CODE, insurers)
    for folder in ("req", "res", "face", "work"):
        (sandbox.folders / folder).mkdir(parents=True, exist_ok=True)


async def _register(
    sandbox: Sandbox, address: str, files: Mapping[str, list[bytes]], request_id: str
) -> None:
    """Upload every file as its insurer; the same request id makes a restart change nothing."""
    gate = asyncio.Semaphore(UPLOADS_AT_ONCE_MAX)

    async def register(insurer: str, contents: list[bytes]) -> None:
        party = sandbox.party(f"insurer-{insurer}")
        async with gate, secure_channel(address, **party) as channel:
            stub = CoverageServiceStub(channel)
            for number, content in enumerate(contents):
                await upload(stub, f"sandbox-{request_id}-{number}", content)

    await asyncio.gather(*(register(insurer, contents) for insurer, contents in files.items()))


def _described(sandbox: Sandbox, gateway: Gateway, insurers: Iterable[str]) -> dict[str, Any]:
    numbers = sorted(insurers)
    return {
        "is_simulation": True,
        "gateway": {"address": gateway.address, "host": gateway.host, "port": gateway.port},
        "address": gateway.address,
        "folders": {name: str(sandbox.folders / name) for name in ("req", "res", "face")},
        "institution_code": INSTITUTION_CODE,
        "certificates": {
            "institution": sandbox.party("institution"),
            "insurer": {"insurer_number": numbers[0], **sandbox.party(f"insurer-{numbers[0]}")},
            "review-body": sandbox.party("review-body"),
            "portal": sandbox.party("portal"),
            "operator": sandbox.party("operator"),
        },
        "insurers": {number: sandbox.party(f"insurer-{number}") for number in numbers},
    }


def _gateway_toml(
    port: int,
    store: str | None,
    register: str,
    metrics_port: int | None,
    *,
    is_number_searched: bool,
) -> str:
    kept = "" if store is None else f"store = {json.dumps(store)}\n"
    metrics = "" if metrics_port is None else f"\n[metrics]\nport = {metrics_port}\n"
    return f"""\
# Written by `onshi sandbox`. Paths are relative to this file.
data_dir = "data"
port = {port}
{kept}is_sandbox = true

[tls]
certificate = "certs/gateway/certificate.pem"
key = "certs/gateway/key.pem"
ca = "certs/ca.pem"

[cards]
anchors = "register/user-authentication/anchors.pem"
revocation_list = "register/user-authentication/revoked.pem"

[resident_register]
address = "{register}"
is_number_searched = {str(is_number_searched).lower()}

[resident_register.tls]
certificate = "certs/operator/certificate.pem"
key = "certs/operator/key.pem"
ca = "certs/ca.pem"
{metrics}"""


def _bridge_toml(address: str) -> str:
    return f"""\
# Written by `onshi sandbox`. Paths are relative to this file.
gateway = "{address}"
institution_code = "{INSTITUTION_CODE}"
req = "oqs/req"
res = "oqs/res"
face = "oqs/face"
work = "oqs/work"

[tls]
certificate = "certs/institution/certificate.pem"
key = "certs/institution/key.pem"
ca = "certs/ca.pem"
"""


def write_file(path: Path, text: str) -> None:
    """Replace a file at once, so that no reader meets half of it."""
    half = path.with_name(f".{path.name}.new")
    half.touch(mode=0o600)  # An address of a database may hold a password.
    half.write_text(text, encoding="utf-8")
    half.replace(path)


def advance_clock(root: Path, days: int) -> datetime:
    """Move a sandbox's clock forward and give its new time."""
    clock = SandboxClock(Sandbox(root).data.clock)
    try:
        return tokyo_time(clock.advance(timedelta(days=days)))
    finally:
        clock.close()
