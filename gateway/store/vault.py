"""
The vault: the only place a My Number (個人番号) is kept, apart from the facts.

A number is found by a keyed digest and kept as a ciphertext that is bound to its person, so that
a link can be checked and repaired; it is decrypted for the resident register alone. After a
rotation a number is looked for with the current key, then with previous ones, and what was found
by an old key is written anew; `renew` does the rest page by page. The engines are
`gateway.store.sqlite_vault` and `gateway.store.postgres_vault`. Sources: house 11 (Vault);
R002-3-2, R003-18.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.domain.identifiers import PersonKey
from gateway.domain.individual_number import IndividualNumber
from gateway.store import sql, sql_numbers
from gateway.store.keyring import KeyFile, Secret
from gateway.store.port_beside import Vault
from gateway.store.steps import Fetch, FetchEach, Result, Row, Steps, Write, singly

PERSON_KEY_BYTES: Final = 16
NONCE_BYTES: Final = 12


class _Key:
    """The two keys of one secret."""

    def __init__(self, secret: Secret) -> None:
        self.key_id = secret.key_id
        self._mac = secret.derived("onshi vault mac")
        self._data = AESGCM(secret.derived("onshi vault data"))

    def number(
        self, nonce: bytes, ciphertext: bytes, person_key: PersonKey
    ) -> IndividualNumber | None:
        """Decrypt a number; None for a row that was tampered with."""
        try:
            plain = self._data.decrypt(nonce, ciphertext, person_key)
        except (InvalidTag, ValueError):
            return None
        return IndividualNumber.parse(plain.decode())

    def mac(self, number: IndividualNumber) -> bytes:
        return hmac.digest(self._mac, number.reveal().encode(), "sha256")

    def row(self, number: IndividualNumber, person_key: PersonKey) -> Row:
        """The row of `VAULT_ADD`."""
        nonce = os.urandom(NONCE_BYTES)
        ciphertext = self._data.encrypt(nonce, number.reveal().encode(), person_key)
        return self.mac(number), self.key_id, nonce, ciphertext, person_key


class StepVault(ABC):
    """
    A `Vault` on either engine; one writer has it.

    What is written takes turns, so that no number gets two people and nothing is written with a
    key that `refresh` replaced.
    """

    def __init__(self, secrets: Sequence[Secret], key_file: Path) -> None:
        self._key_file = KeyFile(key_file)
        self._keys = tuple(_Key(secret) for secret in secrets)
        self._renewed_to = b""
        self._turn = asyncio.Lock()

    @abstractmethod
    async def close(self) -> None:
        """Close what is open."""

    @abstractmethod
    async def _read(self, steps: Steps[Result]) -> Result:
        """Take steps that only read."""

    @abstractmethod
    async def _write(self, steps: Steps[Result]) -> Result:
        """Take steps in one durable transaction."""

    @abstractmethod
    async def _enter(self, secrets: Sequence[Secret]) -> None:
        """
        Note with which keys is written from now on.

        Raises:
            WrongKeys: Something was written with others.
        """

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
        numbers = dict.fromkeys(number for number, _ in asked)
        known = await self._read(_readable(self._keys[0], [*numbers]))
        if len(known) < len(numbers):
            async with self._turn:
                known = await self._write(_kept(self._keys, asked))
        return [known[number] for number, _ in asked]

    async def holds(self, person_key: PersonKey, number: IndividualNumber) -> bool:
        """See `Vault`."""
        return (await self._read(_found(self._keys, [number]))).get(number) == person_key

    async def numbers_of(self, people: Sequence[PersonKey]) -> Sequence[IndividualNumber | None]:
        """See `Vault`."""
        numbers = await self._read(_numbers(self._keys, people))
        return [numbers.get(person_key) for person_key in people]

    async def refresh(self) -> str:
        """
        Take new keys from a key file that was replaced; give the name of the current key.

        Whatever comes after this writes with it.

        Raises:
            OSError, msgspec.MsgspecError, WrongKeys, Unavailable: The file cannot be read or used;
                the keys stay as they were.
        """
        async with self._turn:
            secrets = await self._key_file.entered(self._enter)
            if secrets is not None:
                self._keys = tuple(_Key(secret) for secret in secrets)
                self._renewed_to = b""
            return self._keys[0].key_id

    async def renew(self, rows_max: int) -> int:
        """
        Write some rows of old keys anew under the current one, in one transaction.

        Rows that cannot be read stay as they are: they still count as old.

        Returns:
            How many rows were looked at; fewer than `rows_max` when it came to the end, and 0 if
            there was none, after which it begins anew.
        """
        async with self._turn:
            if len(self._keys) == 1:
                return 0
            macs = await self._write(_renewed(self._keys, self._renewed_to, rows_max))
            self._renewed_to = macs[-1] if macs else b""
            return len(macs)


def _readable(
    key: _Key, numbers: Sequence[IndividualNumber]
) -> Steps[dict[IndividualNumber, PersonKey]]:
    """Whose numbers are, of those whose row the key wrote and can read."""
    by_mac = {key.mac(number): number for number in numbers}
    rows = yield FetchEach(sql_numbers.VAULT_ROW, singly(by_mac))
    return {
        by_mac[mac]: PersonKey(person_key)
        for mac, person_key, nonce, ciphertext in rows
        if key.number(nonce, ciphertext, PersonKey(person_key)) is not None
    }


def _found(
    keys: Sequence[_Key], numbers: Sequence[IndividualNumber]
) -> Steps[dict[IndividualNumber, PersonKey]]:
    """Whose numbers are, readable or not, by the newest key that knows one."""
    by_mac = {key.mac(number): number for key in reversed(keys) for number in numbers}
    people: dict[bytes, bytes] = dict((yield FetchEach(sql.VAULT_PERSON, singly(by_mac))))
    return {number: PersonKey(people[mac]) for mac, number in by_mac.items() if mac in people}


def _kept(
    keys: Sequence[_Key], asked: Sequence[tuple[IndividualNumber, PersonKey]]
) -> Steps[dict[IndividualNumber, PersonKey]]:
    """Whose numbers are, now by the current key."""
    whose = dict(reversed(asked))
    readable = yield from _readable(keys[0], [*whose])
    rest = [number for number in whose if number not in readable]
    found = yield from _found(keys, rest)
    whose |= found | readable
    yield Write(sql.VAULT_REMOVE, singly(key.mac(number) for number in found for key in keys))
    yield Write(sql.VAULT_ADD, [keys[0].row(number, whose[number]) for number in rest])
    return whose


def _numbers(
    keys: Sequence[_Key], people: Sequence[PersonKey]
) -> Steps[dict[PersonKey, IndividualNumber | None]]:
    """Decrypt people's numbers."""
    by_id = {key.key_id: key for key in keys}
    rows = yield FetchEach(sql.VAULT_NUMBER, singly(dict.fromkeys(people)))
    return {
        PersonKey(person_key): by_id[key_id].number(nonce, ciphertext, PersonKey(person_key))
        for person_key, key_id, nonce, ciphertext in rows
        if key_id in by_id
    }


def _renewed(keys: Sequence[_Key], after: bytes, rows_max: int) -> Steps[list[bytes]]:
    """Write a page of rows anew; give the digests the page had."""
    current, *previous = keys
    by_id = {key.key_id: key for key in previous}
    rows = yield Fetch(sql_numbers.VAULT_OLD, (after, current.key_id, rows_max))
    old: list[bytes] = []
    fresh: dict[bytes, Row] = {}
    for mac, key_id, nonce, ciphertext, person_key in rows:
        key = by_id.get(key_id)
        number = None if key is None else key.number(nonce, ciphertext, person_key)
        if number is not None:
            old.append(mac)
            fresh.setdefault(current.mac(number), current.row(number, person_key))
    there: dict[bytes, bytes] = dict((yield FetchEach(sql.VAULT_PERSON, singly(fresh))))
    yield Write(sql.VAULT_REMOVE, singly(old))
    yield Write(sql.VAULT_ADD, [row for mac, row in fresh.items() if mac not in there])
    return [mac for mac, *_ in rows]


def is_any_read(secret: Secret, rows: Sequence[Row]) -> bool:
    """Whether a secret reads any of these rows: nonce, ciphertext, person."""
    key = _Key(secret)
    return any(key.number(nonce, text, person) is not None for nonce, text, person in rows)


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
