"""
What a process needs for answers' tokens: the keys all workers share, and the rules of before.

The supervisor makes the key file once, workers only read it. The writer keeps the book of rules:
each set that was ever in force here, by the tag that tokens carry.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from gateway.app.build import rules_of
from gateway.app.layout import DataDir
from gateway.config import Settings
from gateway.domain.answer_token import KEY_ID_MAX, TokenKey, rules_tag
from gateway.domain.eligibility import Rules
from gateway.observe import get_logger
from gateway.store.keyring import KeyFile, Keyring, replace_durably
from gateway.usecases.answer_tokens import Tokens

RULES_KEPT_MAX: Final = 1_000
"""Sets of rules the book holds; what came first stays, because tokens are for ever."""


class FileTokenKeys:
    """`TokenKeys` from a key file, which is read again when it was replaced."""

    def __init__(self, path: Path) -> None:
        """
        Read a key file.

        Raises:
            OSError, msgspec.MsgspecError: There is none, or it cannot be read.
        """
        self._file = KeyFile(path)
        self._keys: dict[int, TokenKey] = {}
        keyring = self._file.fresh()
        assert keyring is not None
        self.current = self._taken(keyring)

    def of(self, key_id: int) -> TokenKey | None:
        """See `TokenKeys`; a key another worker has already is looked for in the file."""
        if key_id not in self._keys:
            self.refresh()
        return self._keys.get(key_id)

    def refresh(self) -> None:
        """Take new keys; a file that cannot be read is told of, and the keys stay as they are."""
        try:
            keyring = self._file.fresh()
            if keyring is not None:
                self.current = self._taken(keyring)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            get_logger().warning("key_file_refused", kind=type(error).__name__)

    def _taken(self, keyring: Keyring) -> TokenKey:
        keys = [
            TokenKey(
                int(secret.key_id),
                secret.derived("onshi answer token mac"),
                secret.derived("onshi answer token question"),
            )
            for secret in keyring.secrets
        ]
        if not keys or not all(0 < key.key_id <= KEY_ID_MAX for key in keys):
            raise ValueError("a key of tokens has no number a token can name")
        self._keys = {key.key_id: key for key in keys}
        return keys[0]


def tokens_of(settings: Settings, keys: FileTokenKeys) -> Tokens:
    """What a worker needs to make tokens and to believe them."""
    book = DataDir(settings.data_dir).rules
    return Tokens(keys, rules_of(settings), rules_once(book))


def rules_once(book: Path) -> Mapping[bytes, Rules]:
    """
    The rules ever in force here, by their tags; of another version of the decision, none.

    A set this gateway cannot read, or would name otherwise, is left out: it cannot be repeated.
    """
    found = {}
    for tag, said in _written(book).items():
        try:
            rules = msgspec.convert(said, Rules)
        except msgspec.ValidationError:
            continue
        if rules.version == Rules().version:
            found[binascii.unhexlify(tag)] = rules
    return found


def note_rules(settings: Settings) -> None:
    """Put the rules in force into the book, durably, unless they stand there."""
    book, rules = DataDir(settings.data_dir).rules, rules_of(settings)
    written, tag = _written(book), rules_tag(rules).hex()
    if tag not in written and len(written) < RULES_KEPT_MAX:
        replace_durably(book, msgspec.json.encode({**written, tag: rules}))


def _written(book: Path) -> dict[str, object]:
    return msgspec.json.decode(book.read_bytes(), type=dict[str, object]) if book.exists() else {}
