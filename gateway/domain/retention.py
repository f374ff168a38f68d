"""
How long each class of record is kept, and what may be disposed of today.

The schedule is data (`gateway/policy/retention.toml`); this module only decides, and keeps the
account of a disposal, which becomes its certificate. Sources: R000-G4, R000-G5; decision 0028.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, structs

from gateway.domain.period import Instant, Period, day_start, tokyo_day

SUPERSEDED: Final = "superseded-facts"
REFUSED_LINES: Final = "refused-lines"
NUMBER_CHECKS: Final = "number-checks"
DISPOSABLE: Final = (SUPERSEDED, REFUSED_LINES, NUMBER_CHECKS)
"""The classes a disposal takes out so far; all others are kept."""

DAY_US: Final = 86_400_000_000


class RetentionClass(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What is kept alike, and for how many days after it was replaced, applied or done.

    In force from `effective_from` up to, not including, `effective_to`. `days_kept` None: for as
    long as the gateway lasts. `is_open` tells a default of ours from a published period.
    """

    code: str
    title_ja: str
    title_en: str
    basis: str
    is_open: bool
    tables: tuple[str, ...]
    days_kept: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    effective_from: date
    effective_to: date | None = None


class Schedule(Struct, frozen=True):
    """A version of the retention schedule."""

    version: str
    classes: tuple[RetentionClass, ...]

    def in_force(self, on: date) -> list[RetentionClass]:
        """Give the classes in force on a day."""
        return [
            one for one in self.classes if Period(one.effective_from, one.effective_to).holds_on(on)
        ]

    def days_kept(self, code: str, on: date) -> int | None:
        """How many days a class is kept, the longest that is in force; None for ever."""
        days = [one.days_kept for one in self.in_force(on) if one.code == code]
        told = [one for one in days if one is not None]
        return max(told) if told and len(told) == len(days) else None


def due_before(schedule: Schedule, code: str, now: Instant, asked: Instant | None) -> Instant:
    """
    The instant up to which records of a class are due, inclusive; 0 if none is.

    Args:
        asked: Dispose of no later ones; None takes the beginning of the day (Japan) on which the
            class's time was up.
    """
    days = schedule.days_kept(code, tokyo_day(now))
    if days is None:
        return Instant(0)
    limit = Instant(max(0, now - days * DAY_US))
    if asked is None:
        return Instant(max(0, day_start(tokyo_day(limit))))
    return min(asked, limit)


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """That somebody wants what is due disposed of; `before` as `asked` of `due_before`."""

    order_id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    ordered_by: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    ordered_time: Instant
    before: Annotated[int, Meta(ge=0)] | None = None


class Removed(Struct, frozen=True):
    """
    What was taken out of a class: rows by table, and a digest of their keys.

    The digest goes from key to key in their order, however the work was cut, so whoever has a copy
    of before can tell which records these were, and nobody else can.
    """

    code: str
    before: Instant
    rows: dict[str, int]
    digest: str


class Disposal(Struct, frozen=True, kw_only=True):
    """
    One disposal: who ordered it, by which schedule, and what went. Its certificate, once ended.

    Numbered from 1; `previous` is the digest of the certificate before it, empty for the first.
    """

    number: int
    previous: str
    order: Order
    policy_version: str
    method: str = "DELETE"
    begun_time: Instant
    ended_time: Instant | None = None
    access_record_id: str = ""
    removed: tuple[Removed, ...]

    def before(self, code: str) -> Instant:
        """The instant of a class; 0 for one that is not disposed of."""
        return next((one.before for one in self.removed if one.code == code), Instant(0))


class Progress(Struct, frozen=True):
    """A disposal and how far it is: the sweep, and the key it goes on after (empty: at the start).

    It is kept in the transaction that removes, so it tells exactly what is gone.
    """

    disposal: Disposal
    sweep: int = 0
    place: tuple[Any, ...] = ()


def begun(
    order: Order, last: Disposal | None, schedule: Schedule, now: Instant, horizon: Instant
) -> Progress:
    """
    Begin a disposal.

    Args:
        last: The disposal before it.

        horizon: Facts replaced later than this are still needed.
    """
    asked = None if order.before is None else Instant(order.before)
    instants = {code: due_before(schedule, code, now, asked) for code in DISPOSABLE}
    instants[SUPERSEDED] = min(instants[SUPERSEDED], horizon)
    return Progress(
        Disposal(
            number=1 if last is None else last.number + 1,
            previous="" if last is None else certificate_digest(last),
            order=order,
            policy_version=schedule.version,
            begun_time=now,
            removed=tuple(Removed(code, at, {}, "") for code, at in instants.items()),
        )
    )


def further(
    progress: Progress,
    code: str,
    keys: Iterable[tuple[Any, ...]],
    rows: Mapping[str, int],
) -> Progress:
    """
    Account for what was removed; the place is left to the caller.

    Args:
        keys: Of the records that went, in their order.

        rows: How many went from each table.
    """
    removed = []
    for one in progress.disposal.removed:
        if one.code != code:
            removed.append(one)
            continue
        counts = {
            table: one.rows.get(table, 0) + rows.get(table, 0)
            for table in sorted({*one.rows, *rows})
        }
        removed.append(Removed(code, one.before, counts, _digest(one.digest, keys)))
    disposal = structs.replace(progress.disposal, removed=tuple(removed))
    return structs.replace(progress, disposal=disposal)


def _digest(before: str, keys: Iterable[tuple[Any, ...]]) -> str:
    digest = before
    for key in keys:
        spelled = bytes.fromhex(digest) + msgspec.msgpack.encode(key)
        digest = hashlib.sha256(spelled).hexdigest()
    return digest


def certificate_digest(disposal: Disposal) -> str:
    """What the next certificate says of this one."""
    return hashlib.sha256(msgspec.json.encode(disposal)).hexdigest()


def first_broken(certificates: Iterable[Disposal]) -> int | None:
    """Give the number of the first certificate that does not follow the one before; or None."""
    previous, number = "", 1
    for one in certificates:
        if (one.number, one.previous) != (number, previous):
            return number
        previous, number = certificate_digest(one), number + 1
    return None
