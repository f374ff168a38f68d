"""
Which keys the vault and the spool on a server were written with, by name and fingerprint.

Several machines have key files of their own. One whose file lacks a key that was used, or holds
another of its name, would take known numbers for new ones; it is told before it writes anything.
Files on one machine need none of this: their key file lies beside them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from gateway.domain.errors import Unavailable
from gateway.store import sql_spool
from gateway.store.keyring import Secret, WrongKeys, load_keyring
from gateway.store.postgres_pool import Places, Pool
from gateway.store.steps import Fetch, Result, Row, Steps, Write

LOCK: Final = 0x6F6E_7368_696B
"""Of PostgreSQL's advisory locks: whoever enters a key keeps those who write out, and they it."""
COUNTING_PLACES: Final = Places(connections_max=1, statement_s_max=3600.0)
"""For telling what older keys still hold, which reads every row."""


class KeyNames:
    """The names of one memory's keys in a database."""

    def __init__(self, pool: Pool, memory: str) -> None:
        """
        Use a pool.

        Args:
            memory: `vault` or `spool`.
        """
        self._pool = pool
        self._memory = memory

    async def opened(self, key_file: Path) -> Sequence[Secret]:
        """
        Read a key file and enter its current key; make one only where no key was ever used.

        Raises:
            FileNotFoundError: Something is encrypted, but the key file is gone.
            WrongKeys: As `enter`.
            PermissionError: As `load_keyring`.
            Unavailable: `STORE_UNAVAILABLE`.
        """
        is_unused = not await self._pool.fetch(sql_spool.KEYS, self._memory)
        secrets = load_keyring(key_file, may_make=is_unused).secrets
        await self.enter(secrets)
        return secrets

    async def require(self, key_file: Path) -> None:
        """Raise as `opened` where it would; enter and make nothing."""
        rows = await self._pool.fetch(sql_spool.KEYS, self._memory)
        if rows:
            self._require(rows, load_keyring(key_file, may_make=False).secrets)

    async def enter(self, secrets: Sequence[Secret]) -> None:
        """
        Note durably that the first of these is written with from now on.

        Raises:
            WrongKeys: They lack a key that was used, or have another of its name.
            Unavailable: `STORE_UNAVAILABLE`.
        """
        current = secrets[0]

        def steps() -> Steps[None]:
            row = (self._memory, current.key_id, self._fingerprint(current))
            yield Fetch(sql_spool.CHANGE_KEYS, (LOCK,))
            yield Write(sql_spool.ADD_KEY, [row])
            self._require((yield Fetch(sql_spool.KEYS, (self._memory,))), secrets)

        await self._pool.write(steps())

    def _require(self, rows: Sequence[Row], secrets: Sequence[Secret]) -> None:
        """Raise `WrongKeys` unless all keys of these rows are among the secrets."""
        mine = {secret.key_id: self._fingerprint(secret) for secret in secrets}
        wrong = sorted(key_id for key_id, said in rows if mine.get(key_id) != said)
        if wrong:
            raise WrongKeys(
                f"the {self._memory} was written with the keys {', '.join(wrong)}, which this key "
                "file does not have: copy the key files of the machine that wrote it"
            )

    async def write(self, key_ids: Collection[str], steps: Steps[Result]) -> Result:
        """
        Take steps in one transaction, unless a key that is not among these is written with by now.

        So a writer that another machine replaced, and that was not given its newer keys, adds
        nothing that its successor would not find.

        Raises:
            Unavailable: `STORE_UNAVAILABLE`.
        """

        def kept() -> Steps[Result]:
            yield Fetch(sql_spool.KEEP_KEYS, (LOCK,))
            _require_known((yield Fetch(sql_spool.KEYS, (self._memory,))), key_ids)
            return (yield from steps)

        return await self._pool.write(kept())

    async def allow(self, key_ids: Collection[str]) -> None:
        """Raise as `write` would, at the moment."""
        _require_known(await self._pool.fetch(sql_spool.KEYS, self._memory), key_ids)

    async def is_used(self, secret: Secret) -> bool:
        """Whether a key was entered."""
        rows = await self._pool.fetch(sql_spool.KEYS, self._memory)
        return (secret.key_id, self._fingerprint(secret)) in {tuple(row) for row in rows}

    async def forget(self, key_ids: Sequence[str]) -> None:
        """Forget keys of which nothing is left."""
        rows = [(self._memory, key_id) for key_id in key_ids]
        await self._pool.write(_forgetting(rows))

    def _fingerprint(self, secret: Secret) -> bytes:
        return secret.derived(f"onshi {self._memory} fingerprint")


def _require_known(rows: Sequence[Row], key_ids: Collection[str]) -> None:
    if any(key_id not in key_ids for key_id, _ in rows):
        raise Unavailable("STORE_UNAVAILABLE")


def _forgetting(rows: Sequence[Row]) -> Steps[None]:
    yield Write(sql_spool.FORGET_KEY, rows)
