"""`onshi serve`: one gateway a data directory, a clear word for what cannot be, a clean stop."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.app.certificates import issue_all
from gateway.app.layout import WRITER_SOCKET, DataDir
from gateway.app.standstill import Mark, put_mark
from loadtests.places import free_port, write_config

pytestmark = pytest.mark.processes
TIMEOUT_S = 60


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a gateway with its certificates."""
    issue_all(tmp_path / "certs", "1319999999", ["06139992"])
    return write_config(tmp_path, free_port())


@contextmanager
def served(config: Path) -> Iterator[subprocess.Popen[str]]:
    """A gateway that listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert "listens" in process.stdout.readline()
        yield process
        process.terminate()
        process.communicate(timeout=TIMEOUT_S)


def refused(config: Path) -> str:
    """What a gateway says that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "serve", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def health(config: Path) -> int:
    """Ask a gateway for its health over mutual TLS."""
    certs = config.parent / "certs"
    port = config.read_text().partition("port = ")[2].partition("\n")[0]
    credentials = grpc.ssl_channel_credentials(
        (certs / "ca.pem").read_bytes(),
        (certs / "portal" / "key.pem").read_bytes(),
        (certs / "portal" / "certificate.pem").read_bytes(),
    )
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return int(stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status)


def test_a_started_gateway_is_healthy_and_stops_on_sigterm(config: Path) -> None:
    """It says where it listens once every process is ready, and ends with exit code 0."""
    with served(config) as process:
        assert health(config) == health_pb2.HealthCheckResponse.SERVING
        process.send_signal(signal.SIGTERM)

    assert process.returncode == 0


def test_a_data_directory_has_one_gateway(config: Path) -> None:
    """A second one is refused and says why."""
    with served(config):
        assert "another gateway uses" in refused(config)


def test_a_taken_port_is_refused(config: Path) -> None:
    """Two servers never share a port in silence."""
    port = int(config.read_text().partition("port = ")[2].partition("\n")[0])
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()

        assert f"port {port} is taken" in refused(config)


def test_a_newer_database_is_refused(config: Path) -> None:
    """What a newer version wrote is not opened; the refusal names both versions."""
    with served(config):
        pass
    with closing(sqlite3.connect(config.parent / "data" / "gateway.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()

    assert "9999" in refused(config)


def test_a_database_is_migrated_when_it_is_missing_and_kept_when_it_is_there(
    config: Path,
) -> None:
    """The first start makes the database, the second uses it as it is."""
    database = config.parent / "data" / "gateway.db"
    with served(config):
        assert database.exists()
    before = database.stat().st_ino
    with served(config):
        pass

    assert database.stat().st_ino == before


def test_a_settings_error_is_said_in_a_sentence(config: Path) -> None:
    """A misspelt setting or a missing file is the operator's to mend, so it is named."""
    config.write_text(config.read_text() + "\n[limits]\nmatches_maximum = 3\n")

    assert "matches_maximum" in refused(config)
    assert "No such file" in refused(config.with_name("missing.toml"))


def children_of(pid: int) -> set[int]:
    """The processes a process has started and that live."""
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def test_sighup_renews_every_process_and_the_gateway_goes_on(config: Path) -> None:
    """The workers and the writer are others afterwards, the supervisor is the same."""
    with served(config) as process:
        before = children_of(process.pid)
        process.send_signal(signal.SIGHUP)
        until = time.monotonic() + TIMEOUT_S
        while before & children_of(process.pid) or len(children_of(process.pid)) < len(before):
            assert time.monotonic() < until
            time.sleep(0.1)
        assert health(config) == health_pb2.HealthCheckResponse.SERVING


def test_a_store_the_facts_have_left_is_not_served_from(config: Path) -> None:
    """Once the new one was written to, the old one's answers would be out of date."""
    data = DataDir(config.parent / "data")
    data.make()
    put_mark(data, Mark("sqlite", is_left=True))

    assert "the facts have moved to another store" in refused(config)


def test_a_store_that_is_being_left_is_served_from_without_a_writer(config: Path) -> None:
    """Lookups go on until the settings name the new store; nobody writes to the old one."""
    data = DataDir(config.parent / "data")
    data.make()
    put_mark(data, Mark("sqlite"))
    with served(config):
        assert health(config) == health_pb2.HealthCheckResponse.SERVING
        assert not (data.root / WRITER_SOCKET).exists()
