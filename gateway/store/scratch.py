"""What a dry run would change, in an SQLite file that is thrown away."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.domain.errors import Unavailable
from gateway.domain.identifiers import LookupKey, PersonKey
from gateway.store import sql_uploads
from gateway.store.port import Enrollee
from gateway.store.port_scratch import ScratchPerson
from gateway.store.sqlite_file import LONG_BUSY_MS, Line, connected, transaction

_encoder: Final = msgspec.msgpack.Encoder()
_enrollees: Final = msgspec.msgpack.Decoder(tuple[Enrollee, ...])


class SqliteScratch:
    """A `Scratch` in a file; memory does not grow with what it keeps."""

    def __init__(self, path: Path) -> None:
        """Name the file; what another writer left in it is gone with the next `begin` or `end`."""
        self._path = path
        self._line: Line | None = None

    async def begin(self) -> None:
        """See `Scratch`."""
        await self.end()
        try:
            connection = connected(self._path, "rwc", LONG_BUSY_MS)
        except sqlite3.OperationalError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error
        self._line = Line(connection, "scratch")

        def create(connection: sqlite3.Connection) -> None:
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("PRAGMA synchronous = OFF")
            for statement in sql_uploads.SCRATCH_TABLES:
                connection.execute(statement)

        await self._line.run(create)

    async def load(
        self, keys: Collection[LookupKey], people: Collection[PersonKey]
    ) -> Mapping[PersonKey, ScratchPerson]:
        """See `Scratch`."""
        assert self._line is not None

        def read(connection: sqlite3.Connection) -> dict[PersonKey, ScratchPerson]:
            wanted = set(people)
            for key in keys:
                rows = connection.execute(sql_uploads.SCRATCH_UNDER, (key,)).fetchall()
                wanted.update(person_key for (person_key,) in rows)
            found: dict[PersonKey, ScratchPerson] = {}
            for person_key in wanted:
                row = connection.execute(sql_uploads.SCRATCH_PERSON, (person_key,)).fetchone()
                if row is not None:
                    version, body = row
                    found[person_key] = ScratchPerson(person_key, version, _enrollees.decode(body))
            return found

        return await self._line.run(read)

    async def keep(
        self, people: Sequence[ScratchPerson], places: Sequence[tuple[LookupKey, PersonKey]]
    ) -> None:
        """See `Scratch`."""
        assert self._line is not None

        def write(connection: sqlite3.Connection) -> None:
            rows = [(one.person_key, one.version, _encoder.encode(one.enrollees)) for one in people]
            with transaction(connection):
                connection.executemany(sql_uploads.SCRATCH_PUT_PERSON, rows)
                connection.executemany(sql_uploads.SCRATCH_PUT_PLACE, places)

        await self._line.run(write)

    async def end(self) -> None:
        """See `Scratch`."""
        if self._line is not None:
            await self._line.close()
            self._line = None
        self._path.unlink(missing_ok=True)

    async def close(self) -> None:
        """Forget everything at the end of the writer."""
        await self.end()
