"""
What a backup asks of the engine that keeps the facts: one moment of them, and a copy of it.

Everything else of a data directory is files whatever the engine; see `gateway.app.backup`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from gateway.domain.period import Instant
from gateway.store.copying import Step
from gateway.store.port import UploadKey


class FactsFormat(NamedTuple):
    """In which form facts are kept, and when the last of them was recorded."""

    schema_revision: str
    projection_format: int
    last_recorded_time: Instant


class FactsAtOnce(Protocol):
    """The facts as they are at one moment, while they go on being written."""

    def format(self) -> FactsFormat:
        """In which form they are, and when the last of them was recorded."""

    def newest_change(self) -> Instant:
        """When the last change a watcher may be told of was recorded; 0 if none was."""

    def received(self) -> Mapping[UploadKey, int]:
        """The uploads that wait to be applied, with their sizes in bytes."""

    def is_applied(self, upload_key: UploadKey) -> bool:
        """Whether an upload is applied."""

    def copy_to(self, target: Path, step: Step) -> None:
        """Copy the moment into a new file, closed to others and synced."""

    def close(self) -> None:
        """Let go of the moment."""
