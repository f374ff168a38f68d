"""
The vault: the only place a My Number (個人番号) is kept, in a file of its own.

A number is found by a keyed digest and kept as a ciphertext that is bound to its person, so that
a link can be checked and repaired; it is decrypted for the resident register alone. After a
rotation a number is looked for with the current key, then with previous ones, and what was found
by an old key is written anew; `renew` does the rest page by page. Sources: house 11 (Vault);
R002-3-2, R003-18.
"""

from __future__ import annotations

import hmac
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.domain.identifiers import PersonKey
from gateway.domain.individual_number import IndividualNumber
from gateway.store import sql, sql_backup, sql_numbers
from gateway.store.keyring import KeyFile, Secret, load_keyring
from gateway.store.port_beside import Vault
from gateway.store.records import StoreTooNew
from gateway.store.sqlite_file import LONG_BUSY_MS, Line, connected, transaction

VAULT_FORMAT: Final = 1
PERSON_KEY_BYTES: Final = 16
NONCE_BYTES: Final = 12
ROWS_TRIED_MAX: Final = 20
"""Rows of each key that are tried with the keys of a copy; a few may have been spoiled."""


class _Key:
    """The two keys of one secret."""

    def __init__(self, secret: Secret) -> None:
        self.key_id = secret.key_id
        self._mac = secret.derived("onshi vault mac")
        self._data = AESGCM(secret.derived("onshi vault data"))

    def number(self, nonce: bytes, ciphertext: bytes, person_key: PersonKey) -> IndividualNumber:
        """Decrypt a number; a row that was tampered with raises `InvalidTag`."""
        return IndividualNumber.parse(self._data.decrypt(nonce, ciphertext, person_key).decode())

    def mac(self, number: IndividualNumber) -> bytes:
        return hmac.digest(self._mac, number.reveal().encode(), "sha256")

    def row(self, number: IndividualNumber, person_key: PersonKey) -> sql.Row:
        """The row of `VAULT_ADD`."""
        nonce = os.urandom(NONCE_BYTES)
        ciphertext = self._data.encrypt(nonce, number.reveal().encode(), person_key)
        return self.mac(number), self.key_id, nonce, ciphertext, person_key


class SqliteVault:
    """A `Vault` in an SQLite file, used by one process."""

    def __init__(self, database: Path, key_file: Path) -> None:
        """
        Open a vault; make the file and its keys if there are none.

        Raises:
            StoreTooNew: A newer version of the gateway wrote it.
            PermissionError: The key file is open to others.
            FileNotFoundError: There is a vault, but its key file is gone.
        """
        secrets = load_keyring(key_file, may_make=not database.exists()).secrets
        self._key_file = KeyFile(key_file)
        self._keys = [_Key(secret) for secret in secrets]
        self._renewed_to = b""
        os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
        connection = connected(database, "rw", LONG_BUSY_MS)
        try:
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._line = Line(connection, "vault")

    async def close(self) -> None:
        """Close the file."""
        await self._line.close()

    async def person_of(self, number: IndividualNumber, if_new: PersonKey) -> PersonKey:
        """See `Vault`. Raises `Unavailable`, `STORE_UNAVAILABLE`, as a store does."""
        return (await self.people_of([(number, if_new)]))[0]

    async def people_of(
        self, asked: Sequence[tuple[IndividualNumber, PersonKey]]
    ) -> Sequence[PersonKey]:
        """
        See `Vault`. Nothing is written where the current key finds and reads every number.

        A number whose row was spoiled is written anew: who tells it again repairs it.
        """

        def find(connection: sqlite3.Connection) -> Sequence[PersonKey]:
            known = [self._readable(connection, number) for number, _ in asked]
            if None not in known:
                return [person_key for person_key in known if person_key is not None]
            with transaction(connection):
                return [self._kept(connection, number, if_new) for number, if_new in asked]

        return await self._line.run(find)

    async def holds(self, person_key: PersonKey, number: IndividualNumber) -> bool:
        """See `Vault`."""

        def read(connection: sqlite3.Connection) -> bool:
            return self._found(connection, number) == person_key

        return await self._line.run(read)

    async def numbers_of(self, people: Sequence[PersonKey]) -> Sequence[IndividualNumber | None]:
        """See `Vault`."""

        def number_of(
            connection: sqlite3.Connection, person_key: PersonKey
        ) -> IndividualNumber | None:
            keys = {key.key_id: key for key in self._keys}
            row = connection.execute(sql.VAULT_NUMBER, (person_key,)).fetchone()
            if row is None or row[0] not in keys:
                return None
            try:
                return keys[row[0]].number(row[1], row[2], person_key)
            except InvalidTag:
                return None

        def read(connection: sqlite3.Connection) -> Sequence[IndividualNumber | None]:
            return [number_of(connection, person_key) for person_key in people]

        return await self._line.run(read)

    async def refresh(self) -> str:
        """
        Take new keys from a key file that was replaced; give the name of the current key.

        Whatever comes after this writes with it.

        Raises:
            OSError, msgspec.MsgspecError: The file cannot be read; the keys stay as they were.
        """

        def take(_: sqlite3.Connection) -> str:
            keyring = self._key_file.fresh()
            if keyring is not None:
                self._keys = [_Key(secret) for secret in keyring.secrets]
                self._renewed_to = b""
            return self._keys[0].key_id

        return await self._line.run(take)

    async def renew(self, rows_max: int) -> int:
        """
        Write some rows of old keys anew under the current one, in one transaction.

        Rows that cannot be read stay as they are: they are told of by `old_rows`.

        Returns:
            How many rows were looked at; fewer than `rows_max` when it came to the end, and 0 if
            there was none, after which it begins anew.
        """

        def write(connection: sqlite3.Connection) -> int:
            current, *previous = self._keys
            if not previous:
                return 0
            asked = (self._renewed_to, current.key_id, rows_max)
            rows = connection.execute(sql_numbers.VAULT_OLD, asked).fetchall()
            keys = {key.key_id: key for key in previous}
            with transaction(connection):
                for row in rows:
                    self._renew(connection, keys, row)
            self._renewed_to = rows[-1][0] if rows else b""
            return len(rows)

        return await self._line.run(write)

    def _renew(
        self, connection: sqlite3.Connection, keys: Mapping[str, _Key], row: sql.Row
    ) -> None:
        mac, key_id, nonce, ciphertext, person_key = row
        try:
            number = keys[key_id].number(nonce, ciphertext, person_key)
        except (KeyError, InvalidTag):
            return
        connection.execute(sql.VAULT_REMOVE, (mac,))
        if _person(connection, self._keys[0], number) is None:
            connection.execute(sql.VAULT_ADD, self._keys[0].row(number, person_key))

    def _kept(
        self, connection: sqlite3.Connection, number: IndividualNumber, if_new: PersonKey
    ) -> PersonKey:
        """Whose a number is, now by the current key; runs inside the caller's transaction."""
        if (person_key := self._readable(connection, number)) is not None:
            return person_key
        person_key = self._found(connection, number) or if_new
        connection.executemany(sql.VAULT_REMOVE, [(key.mac(number),) for key in self._keys])
        connection.execute(sql.VAULT_ADD, self._keys[0].row(number, person_key))
        return person_key

    def _readable(
        self, connection: sqlite3.Connection, number: IndividualNumber
    ) -> PersonKey | None:
        """Whose a number is, if the current key wrote its row and the row can be read."""
        current = self._keys[0]
        row = connection.execute(sql_numbers.VAULT_ROW, (current.mac(number),)).fetchone()
        if row is None:
            return None
        person_key, nonce, ciphertext = row
        try:
            current.number(nonce, ciphertext, person_key)
        except InvalidTag:
            return None
        return PersonKey(person_key)

    def _found(self, connection: sqlite3.Connection, number: IndividualNumber) -> PersonKey | None:
        people = (_person(connection, key, number) for key in self._keys)
        return next((person_key for person_key in people if person_key is not None), None)


def _person(
    connection: sqlite3.Connection, key: _Key, number: IndividualNumber
) -> PersonKey | None:
    row = connection.execute(sql.VAULT_PERSON, (key.mac(number),)).fetchone()
    return None if row is None else PersonKey(row[0])


def old_rows(database: Path, key_id: str) -> int:
    """How many rows of a vault were not written with a key; may run beside the gateway."""
    if not database.exists():
        return 0
    with closing(connected(database, "ro", LONG_BUSY_MS)) as connection:
        (count,) = connection.execute(sql_numbers.VAULT_OLD_COUNT, (key_id,)).fetchone()
    return int(count)


def is_readable_with(still: sqlite3.Connection, secrets: Sequence[Secret]) -> bool:
    """Whether secrets read a copied vault: of each key's rows some are tried."""
    keys = {secret.key_id: _Key(secret) for secret in secrets}
    for (key_id,) in still.execute(sql_backup.KEY_IDS).fetchall():
        key = keys.get(key_id)
        rows = still.execute(sql_backup.SOME_NUMBERS, (key_id, ROWS_TRIED_MAX)).fetchall()
        if key is None or not any(_is_read(key, row) for row in rows):
            return False
    return True


def _is_read(key: _Key, row: sql.Row) -> bool:
    nonce, ciphertext, person_key = row
    try:
        key.number(nonce, ciphertext, PersonKey(person_key))
    except InvalidTag:
        return False
    return True


def _prepare(connection: sqlite3.Connection) -> None:
    (written_by,) = connection.execute("PRAGMA user_version").fetchone()
    if written_by > VAULT_FORMAT:
        raise StoreTooNew(
            f"the vault has format {written_by}; this gateway knows up to {VAULT_FORMAT}"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(sql.VAULT_TABLE)
    connection.execute(sql.VAULT_INDEX)
    connection.execute(f"PRAGMA user_version = {VAULT_FORMAT}")


class RehearsedVault:
    """
    A vault for dry runs: knows whose number is whose and keeps nothing.

    A number told in a dry run belongs to a person whose key is a keyed digest of it. The key of
    the digest is drawn anew for each writer and never written.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._secret = os.urandom(32)

    async def person_of(self, number: IndividualNumber, if_new: PersonKey) -> PersonKey:  # noqa: ARG002  nobody is new here
        """See `Vault`; gives the same person for the same number, and remembers nothing."""
        return self._told(number)

    async def people_of(
        self, asked: Sequence[tuple[IndividualNumber, PersonKey]]
    ) -> Sequence[PersonKey]:
        """See `Vault`."""
        return [self._told(number) for number, _ in asked]

    async def holds(self, person_key: PersonKey, number: IndividualNumber) -> bool:
        """See `Vault`; holds for what the dry run was told and for what is kept for good."""
        return person_key == self._told(number) or await self._vault.holds(person_key, number)

    async def numbers_of(self, people: Sequence[PersonKey]) -> Sequence[IndividualNumber | None]:
        """See `Vault`; a dry run asks the register nothing, so nobody has one."""
        return [None] * len(people)

    def _told(self, number: IndividualNumber) -> PersonKey:
        digest = hmac.digest(self._secret, number.reveal().encode(), "sha256")
        return PersonKey(digest[:PERSON_KEY_BYTES])
