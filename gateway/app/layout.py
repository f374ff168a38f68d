"""Where a gateway keeps its things: one data directory, every path named once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WRITER_SOCKET = "run/writer.sock"
"""Relative, because a Unix socket's path may be 107 bytes at most: processes work in the data
directory."""


@dataclass(frozen=True, slots=True)
class DataDir:
    """The paths under a data directory."""

    root: Path

    @property
    def database(self) -> Path:
        """Facts, links and projections."""
        return self.root / "gateway.db"

    @property
    def vault(self) -> Path:
        """My Numbers, encrypted, in a file of their own."""
        return self.root / "vault.db"

    @property
    def keys(self) -> Path:
        """Keys of vault, spool and tokens, for their owner's eyes only."""
        return self.root / "keys"

    @property
    def vault_keys(self) -> Path:
        """The vault's key file."""
        return self.keys / "vault.json"

    @property
    def spool_keys(self) -> Path:
        """The spool's key file."""
        return self.keys / "spool.json"

    @property
    def token_keys(self) -> Path:
        """The key file of answers' tokens."""
        return self.keys / "token.json"

    @property
    def rules(self) -> Path:
        """The rules ever in force here, by the tags that tokens carry."""
        return self.root / "rules.json"

    @property
    def keys_in_use(self) -> Path:
        """Which current keys the writer says it writes with."""
        return self.keys / "in-use.json"

    @property
    def spool(self) -> Path:
        """Uploads until they are applied, encrypted."""
        return self.root / "spool"

    @property
    def scratch(self) -> Path:
        """What the dry run under way would change; there only as long as it lasts."""
        return self.root / "scratch.db"

    @property
    def access(self) -> Path:
        """Access records, one folder per process life."""
        return self.root / "access"

    @property
    def trail(self) -> Path:
        """The index over access records, with the anchors of their chains."""
        return self.root / "trail.db"

    @property
    def news(self) -> Path:
        """What institutions are told: which of their confirmations are out of date."""
        return self.root / "feed.db"

    @property
    def disposals(self) -> Path:
        """Certificates of disposals, and the order that waits."""
        return self.root / "disposals"

    @property
    def clock(self) -> Path:
        """The sandbox clock's offset."""
        return self.root / "clock"

    @property
    def lock(self) -> Path:
        """Held by the one supervisor of this directory."""
        return self.root / "lock"

    @property
    def writer_lock(self) -> Path:
        """Held by the one writer of this directory, or by a move while nobody writes."""
        return self.root / "writer.lock"

    @property
    def move(self) -> Path:
        """Held by the one move of this directory; it holds the move's token until it is done."""
        return self.root / "move.lock"

    @property
    def pause(self) -> Path:
        """Held by a move while nobody may write."""
        return self.root / "pause.lock"

    @property
    def moved(self) -> Path:
        """Which engine's store the facts have left."""
        return self.root / "moved.json"

    def make(self) -> None:
        """Create the directory and its closed folders."""
        for folder in (self.root, self.keys, self.spool, self.access, self.root / "run"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
