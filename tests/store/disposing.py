"""A store whose process dies in the middle of a disposal."""

from __future__ import annotations

from typing import Any

from gateway.store.by_steps import StepStore


class KilledError(Exception):
    """The process ended here."""


class Mortal:
    """A store whose process dies at its so-manieth write, before or after it was kept."""

    def __init__(self, store: StepStore, writes: int, *, is_kept: bool) -> None:
        self._store = store
        self._writes = writes
        self._is_kept = is_kept

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in {"begin_disposal", "keep_disposal", "remove", "forget_changes"}:
            return found

        async def dying(*values: Any) -> Any:
            self._writes -= 1
            if self._writes == 0 and not self._is_kept:
                raise KilledError
            done = await found(*values)
            if self._writes == 0:
                raise KilledError
            return done

        return dying
