"""
Settings of a gateway and of a folder bridge: one TOML file each, every limit by name and unit.

Unknown names are refused, so a misspelt setting never passes in silence.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

Positive = Annotated[int, Meta(ge=1)]
StoreUrl = Annotated[str, Meta(pattern="^postgres(ql)?://[^/]*/[^/]+$")]
"""As `postgresql://user:password@host:port/database`."""
STORE_VARIABLE: Final = "ONSHI_STORE"
REPLICA_VARIABLE: Final = "ONSHI_REPLICA"
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
NotNegative = Annotated[int, Meta(ge=0)]


class Tls(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a process finds its certificate chain, its key, and the CA it trusts (PEM files)."""

    certificate: Path
    key: Path
    ca: Path
    revocation_list: Path | None = None


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every limit of the gateway."""

    request_bytes_max: Positive = 64 * 1024
    """Of one unary request."""
    chunk_bytes_max: Positive = 1024 * 1024
    """Of the data of one upload chunk."""
    upload_bytes_max: Positive = 8 * 1024**3
    line_bytes_max: Positive = 16 * 1024
    """Of one line of a coverage file."""
    refused_lines_reported_max: Annotated[int, Meta(ge=1, le=5_000)] = 1_000
    """Of one upload, in its report; 5,000 with their advice are near what a message may hold."""
    refused_lines_kept_max: Positive = 1_000_000
    """Of one upload, to be listed; further ones are only counted."""
    explained_versions_max: Positive = 200
    """Versions of covers told of when an answer is explained; the last ones always are."""
    history_versions_max: Annotated[int, Meta(ge=1, le=5_000)] = 1_000
    """Versions of one person's covers a history tells of; the last one of each always is."""
    matches_max: Positive = 16
    """People one question may match."""
    confirmation_days_back_max: NotNegative = 366 * 5
    confirmation_days_ahead_max: NotNegative = 366
    known_time_margin_ms: NotNegative = 2_000
    upload_idle_s: Positive = 60
    """An upload stream that sends nothing for so long is closed; it can be resumed."""
    streams_per_connection_max: Positive = 1_000
    sort_bytes_max: Positive = 8 * 1024**2
    """Lines of a file sorted in memory; more of them are sorted on disk."""
    moves_ordered_max: Annotated[int, Meta(ge=0, le=10_000_000)] = 100_000
    """
    With more lines than this that move identifiers in one file, no other line waits for them.

    Neither this nor `line_bytes_max` may change while a file is half applied: the order of its
    lines would change with them.
    """
    slice_lines_max: Positive = 300
    """Lines of a file applied in one transaction."""
    slice_ms_max: Positive = 50
    """A slice that took longer is followed by a smaller one."""
    access_gather_us: NotNegative = 2_000
    """How long access records are gathered for one sync."""
    access_group_records_max: Positive = 512
    """Access records made durable by one sync."""
    access_segment_bytes_max: Positive = 64 * 1024**2
    claims_in_flight_max: Positive = 256
    """Claims of one file looked at at once."""
    challenge_lifetime_ms: Positive = 60_000
    """How long a card may take to sign a challenge."""
    challenges_open_max: Positive = 100_000
    """Challenges one process remembers, taken ones too until they expire."""
    challenges_a_caller_max: Positive = 20_000
    """Of these, those of one caller."""
    lag_cases_max: Positive = 200_000
    """Cases one report of the lag is about."""
    lag_days_max: Positive = 366
    """Days of registration one report of the lag is about."""
    lag_employers_max: Annotated[int, Meta(ge=1, le=5_000)] = 1_000
    """Employers one report of the lag tells one by one."""
    feed_page_events_max: Annotated[int, Meta(ge=1, le=5_000)] = 200
    """Events one message of the feed carries; what a watcher that is slow is held in memory."""
    feed_poll_ms: Positive = 200
    """A watcher's stream that was read to its end is read again after so long at the earliest."""
    feed_heartbeat_s: Positive = 15
    """A watcher hears something at least so often."""
    feed_watchers_max: Positive = 500
    feed_watchers_a_caller_max: Positive = 4
    feed_days_kept: Positive = 35
    """Events recorded longer ago are forgotten; a cursor before them is refused."""
    feed_asked_days_max: Positive = 30
    """An institution hears of confirmations it got so many days before the change, no older."""
    feed_settle_ms: Positive = 3_000
    """
    How long an institution's look, from its beginning to its access record, and a commit may
    take; its news come so much later than the change.
    """
    replica_staleness_ms_max: Annotated[int, Meta(ge=100, le=60_000)] = 1_000
    """
    How old the state may be that a replica answers a lookup from; `known_time_margin_ms` at most.

    Each worker asks the primary four times in it what it shows, and twice a second at least.
    """
    drain_s_max: Positive = 10
    """How long calls under way may go on after SIGTERM."""


class Rules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What stands open in the references; see `gateway.domain.eligibility.Rules`."""

    is_unnumbered_found_by_number: bool = True
    is_unnumbered_found_by_card: bool = False
    are_several_people_listed: bool = True
    is_ticket_of_another_institution_enough: bool = True


class Claims(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    The check of claims: which may move and how much of a file is held; see docs/claims.md.

    The rules are those of `gateway.domain.reassignment.ReassignmentRules`, the limits those of
    `gateway.formats.uke.UkeLimits`. The bounds keep each outcome and the summary within 4 MiB,
    what gRPC clients usually take.
    """

    is_public_expense_moved: bool = True
    self_or_family_points_max: NotNegative = 11_800
    preschool_points_max: NotNegative = 17_700
    elderly_points_max: NotNegative = 4_000
    latter_stage_points_max: NotNegative = 3_000
    is_limit_class_change_moved: bool = False
    is_repeated_high_cost_moved: bool = False
    is_ratio_change_moved: bool = False
    is_family_class_repaired: bool = True
    file_bytes_max: Positive = 8 * 1024**3
    record_bytes_max: Positive = 4_096
    records_per_claim_max: Positive = 5_000
    claim_bytes_max: Annotated[int, Meta(ge=1, le=3 * 1024**2)] = 2 * 1024**2
    claims_max: Annotated[int, Meta(ge=1, le=999_999)] = 999_999
    errors_per_claim_max: Annotated[int, Meta(ge=1, le=1_000)] = 100
    file_errors_max: Annotated[int, Meta(ge=1, le=2_000)] = 1_000


class Cards(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    The authorities whose cards are accepted (PEM), and what they took back.

    The rest is `gateway.domain.card.CardRules`.
    """

    anchors: Path
    revocation_list: Path | None = None
    face_score_min: Annotated[int, Meta(ge=0, le=100)] = 80
    is_visual_allowed: bool = True


class Register(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    The resident register, which the gateway calls as `tls` says.

    The host must be a loopback address unless `may_leave_loopback`. The rest is
    `gateway.domain.residents.ResidentRules`.
    """

    address: str
    tls: Tls
    may_leave_loopback: bool = False
    is_address_compared: bool = True
    are_mismatches_classed: bool = True
    is_number_searched: bool = False

    def __post_init__(self) -> None:
        host = self.address.rpartition(":")[0].strip("[]")
        if not (self.may_leave_loopback or host in LOOPBACK):
            raise ValueError("the register's address is not a loopback address")


class Metrics(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the writer shows its metrics, on loopback alone; 0 takes a free port."""

    port: Annotated[int, Meta(ge=0, le=65_535)]


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    A gateway. `port` 0 takes a free one; `is_sandbox` allows the sandbox clock.

    Without `cards` there are no visits by card. Without `resident_register` a told My Number
    links at once and unchecked, and nobody can register a card. Without `metrics` none are kept.
    """

    data_dir: Path
    tls: Tls
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    workers: Annotated[int, Meta(ge=1, le=64)] = 2
    is_sandbox: bool = False
    store: StoreUrl | None = None
    """A PostgreSQL database for the facts; may hold a password. None: a file in `data_dir`."""
    replica: StoreUrl | None = None
    """The same database on a hot standby of that server; see docs/postgres.md."""
    retention: Path | None = None
    """A retention schedule in place of the one shipped; of the form of its `retention.toml`."""
    cards: Cards | None = None
    resident_register: Register | None = None
    metrics: Metrics | None = None
    limits: Limits = Limits()
    rules: Rules = Rules()
    claims: Claims = Claims()

    def __post_init__(self) -> None:
        if self.replica is not None and self.store is None:
            raise ValueError("a replica is named, but no PostgreSQL store that it copies")
        limits = self.limits
        if self.replica and limits.replica_staleness_ms_max > limits.known_time_margin_ms:
            # Else a card might be looked up by a token before the replica has heard of the card.
            raise ValueError("replica_staleness_ms_max is over known_time_margin_ms")


class BridgeSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    A folder bridge of one institution, which is a client of the gateway like any other.

    `result_encoding` is `request` (answer as asked), `utf-8` or `shift_jis`. `element_order` is
    `layout` or `hashmap`, the order of elements in a result (oqs-interface.md 1.5).
    """

    gateway: str
    tls: Tls
    institution_code: str
    req: Path
    res: Path
    face: Path
    work: Path
    result_encoding: Annotated[str, Meta(pattern="^(request|utf-8|shift_jis)$")] = "request"
    element_order: Annotated[str, Meta(pattern="^(layout|hashmap)$")] = "layout"
    response_file_stay_minutes: NotNegative = 1_440
    """An answer left in `res` for so long is forgotten and removed; 0 leaves it for ever."""
    poll_ms: Positive = 100
    settle_ms: Positive = 200
    """A request counts as written once it is well formed and this long unchanged."""
    half_written_wait_ms: Positive = 10_000
    """A request that is not well formed is rejected once it is this long unchanged."""
    request_bytes_max: Positive = 64 * 1024
    requests_in_flight_max: Positive = 16
    confirm_deadline_ms: Positive = 10_000


def load_settings(path: Path) -> Settings:
    """
    Read a gateway's settings; relative paths are relative to the file.

    Where the file names no `store` or no `replica`, the environment's `ONSHI_STORE` or
    `ONSHI_REPLICA` does, so that a password need not be in a file.

    Raises:
        msgspec.ValidationError: For an unknown name or a value out of bounds.
    """
    said = _rooted(path)
    for name, variable in (("store", STORE_VARIABLE), ("replica", REPLICA_VARIABLE)):
        if variable in os.environ:
            said.setdefault(name, os.environ[variable])
    return msgspec.convert(said, Settings, strict=False)


def load_bridge_settings(path: Path) -> BridgeSettings:
    """Read a bridge's settings, as `load_settings`."""
    return msgspec.convert(_rooted(path), BridgeSettings, strict=False)


_PATHS = frozenset(
    {
        "data_dir",
        "retention",
        "certificate",
        "key",
        "ca",
        "revocation_list",
        "anchors",
        "req",
        "res",
        "face",
        "work",
    }
)


def _rooted(path: Path) -> dict[str, object]:
    table = msgspec.toml.decode(path.read_bytes())
    return _with_root(table, path.resolve().parent)


def _with_root(table: dict[str, object], root: Path) -> dict[str, object]:
    return {
        name: _with_root(value, root)
        if isinstance(value, dict)
        else root / value
        if name in _PATHS and isinstance(value, str)
        else value
        for name, value in table.items()
    }
