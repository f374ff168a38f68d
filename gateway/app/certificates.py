"""The certificates of a simulation: a CA, leaves of the two servers, and one for each party."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from gateway.app.clock import real_clock
from gateway.domain.period import tokyo_time
from gateway.domain.purpose import Role
from gateway.pki import issue_leaf, issue_server_leaf, open_authority

AUTHORITY_NAME: Final = "Onshi Gateway simulation CA"
LEAF_DAYS: Final = 397
SERVER_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


def issue_all(directory: Path, institution_code: str, insurers: Iterable[str]) -> list[Path]:
    """
    Issue what is missing, and give the folder of every leaf.

    Each folder holds `certificate.pem` and `key.pem`; `ca.pem` stands beside them.
    """
    now = tokyo_time(real_clock())
    authority = open_authority(directory, AUTHORITY_NAME, now)
    parties = [
        ("institution", Role.INSTITUTION, institution_code),
        ("review-body", Role.REVIEW_BODY, "review-1"),
        ("portal", Role.PORTAL, "portal-1"),
        ("operator", Role.OPERATOR, "operator-1"),
        *((f"insurer-{number}", Role.INSURER, number) for number in insurers),
    ]
    folders = [directory / "gateway", directory / "register"]
    for folder in folders:
        if not (folder / "certificate.pem").exists():
            issue_server_leaf(authority, now, LEAF_DAYS, SERVER_HOSTS).write(folder)
    for name, role, code in parties:
        folder = directory / name
        folders.append(folder)
        if not (folder / "certificate.pem").exists():
            issue_leaf(authority, role, code, now, LEAF_DAYS).write(folder)
    return folders
