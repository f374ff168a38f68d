"""
An auditor's own reading of the access records: it trusts the files, not the gateway's code.

The format, as documented: `access/<life>/<segment>.log`, a line is `<sha256 hex> <json>`, and each
digest is SHA-256 of the digest before it and the JSON; a chain begins with SHA-256 of
`onshi-access:1:<life>`. A last line without its end was never acknowledged.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Evidence:
    """What the files say: the outcome of each record by its id, and every break of a chain."""

    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)
    lives: int = 0
    problems: list[str] = field(default_factory=list)


def read_evidence(access: Path) -> Evidence:
    """Read every chain under `access`."""
    evidence = Evidence()
    for folder in sorted(path for path in access.iterdir() if path.is_dir()):
        evidence.lives += 1
        _read_life(folder, evidence)
    return evidence


def _read_life(folder: Path, evidence: Evidence) -> None:
    life = folder.name
    digest = hashlib.sha256(f"onshi-access:1:{life}".encode()).digest()
    sequence = 0
    segments = sorted(folder.glob("*.log"))
    for segment in segments:
        content = segment.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        if torn and segment is not segments[-1]:
            evidence.problems.append(f"{life}: {segment.name} ends in half a record")
        for line in whole.split(b"\n") if whole else ():
            sequence += 1
            said, _, body = line.partition(b" ")
            digest = hashlib.sha256(digest + body).digest()
            if said.decode("ascii", "replace") != digest.hex():
                evidence.problems.append(f"{life}: record {sequence} breaks the chain")
                return
            record = json.loads(body)
            evidence.outcomes[f"{life}-{sequence}"] = (record["outcome"], record["detail"])
