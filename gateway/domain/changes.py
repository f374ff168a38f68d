"""
What an insurer can say, and what it does to the covers of one enrollee.

`apply` is pure and idempotent: the same change twice gives the same covers, and the covers of
one enrollee never overlap. The kinds of change are our own (insurer-lifecycle.md 1.2 #8): the
insurer-side layouts are not public.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, assert_never

from msgspec import structs

from gateway.domain.cover_rules import reissued, require_documents, require_sound
from gateway.domain.coverage import Coverage, CoverState, LossReason
from gateway.domain.errors import Conflict, InvalidInput
from gateway.domain.filing import Filing
from gateway.domain.identifiers import InsuredId
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import Instant, Period

Items = Mapping[str, Any]
"""Names of `Coverage` fields and their values. Certificates are merged by their first valid day."""

CERTIFICATE_ITEMS: Final = ("elderly", "limits", "tickets", "diseases")

IDENTIFYING_ITEMS: Final = frozenset({"insured_id", "birth_date", "period"})
"""Items only a correction may change; `insured_id` also by `Change`, for a branch assigned late."""


@dataclass(frozen=True, slots=True)
class Target:
    """
    Which cover a change is about.

    Without `acquisition_date` the enrollee must have exactly one cover that was not cancelled.
    """

    insured_id: InsuredId
    birth_date: date
    acquisition_date: date | None = None


@dataclass(frozen=True, slots=True)
class NewCover:
    """Cover begins (新規, NEW)."""

    target: Target
    items: Items
    number: IndividualNumber | None = field(default=None, repr=False)
    filing: Filing | None = None


@dataclass(frozen=True, slots=True)
class ChangeItems:
    """
    Items change in the world (異動, CHANGE).

    `effective_date` (異動年月日) tells which of several changes in one file comes first.
    """

    target: Target
    items: Items
    effective_date: date | None = None


@dataclass(frozen=True, slots=True)
class LoseCover:
    """Cover ends (喪失, LOSS): `loss_date` is the first day without it."""

    target: Target
    loss_date: date
    reason: LossReason
    filing: Filing | None = None


@dataclass(frozen=True, slots=True)
class CorrectCover:
    """What was registered was wrong (訂正, CORRECT); any item, dates and identifiers included."""

    target: Target
    items: Items
    acquisition_date: date | None = None
    loss_date: date | None = None
    is_loss_withdrawn: bool = False
    number: IndividualNumber | None = field(default=None, repr=False)
    """The right My Number, where another one was told."""


@dataclass(frozen=True, slots=True)
class CancelCover:
    """The cover never existed (取消, CANCEL)."""

    target: Target


@dataclass(frozen=True, slots=True)
class LinkNumber:
    """
    The enrollee's My Number became known (NUMBER).

    Another number than the linked one is refused unless `is_correction`.
    """

    target: Target
    number: IndividualNumber = field(repr=False)
    is_correction: bool = False


Change = NewCover | ChangeItems | LoseCover | CorrectCover | CancelCover | LinkNumber


_NUMBERED: Final = (NewCover, CorrectCover, LinkNumber)


def number_of(change: Change) -> IndividualNumber | None:
    """The My Number a change brings."""
    return change.number if isinstance(change, _NUMBERED) else None


def corrects_number(change: Change) -> bool:
    """Whether a change says that a number told before was wrong, if it brings another."""
    return isinstance(change, CorrectCover) or (
        isinstance(change, LinkNumber) and change.is_correction
    )


def apply(covers: Sequence[Coverage], change: Change, now: Instant) -> tuple[Coverage, ...]:
    """
    Give the covers of an enrollee after a change.

    Args:
        covers: Every cover of the enrollee in its last version, cancelled ones included; empty
            for an enrollee that does not exist yet.

        change: What the insurer said. A `LinkNumber` leaves the covers as they are.

        now: When the gateway learned it; becomes `recorded_time` of what changed.

    Returns:
        The covers in order of their number. Equal to `covers` if the change says nothing new.

    Raises:
        Conflict: `COVERAGE_EXISTS`, `COVERAGE_OVERLAPS`, `COVERAGE_UNKNOWN`,
            `COVERAGE_AMBIGUOUS`, `ALREADY_LOST`.
        InvalidInput: `LOSS_BEFORE_ACQUISITION`, `NOTHING_TO_CHANGE`; as
            `gateway.domain.cover_rules`.
    """
    match change:
        case NewCover():
            return _begin(covers, change, now)
        case ChangeItems(target=target, items=items):
            old = _aimed_at(covers, target)
            return _replaced(covers, old, _with_items(old, reissued(old, items)), now)
        case LoseCover(target=target, loss_date=loss_date, reason=reason):
            old = _aimed_at(covers, target)
            if old.period.end is not None:
                if (old.period.end, old.loss_reason) != (loss_date, reason):
                    raise Conflict("ALREADY_LOST", "loss_date")
                return tuple(covers)
            ended = Period.until_loss(old.period.start, loss_date)
            return _replaced(
                covers, old, structs.replace(old, period=ended, loss_reason=reason), now
            )
        case CorrectCover(target=target):
            return _correct(covers, change, now)
        case CancelCover(target=target):
            old = _aimed_at(covers, target, cancelled_too=True)
            return _replaced(covers, old, structs.replace(old, state=CoverState.CANCELLED), now)
        case LinkNumber(target=target):
            _require_known(covers, target)
            return tuple(covers)
        case _:
            assert_never(change)


def _begin(covers: Sequence[Coverage], change: NewCover, now: Instant) -> tuple[Coverage, ...]:
    target = change.target
    if target.acquisition_date is None:
        raise InvalidInput("FIELD_REQUIRED", "acquisition_date")
    fresh = Coverage(
        cover_no=len(covers) + 1,
        version_no=1,
        recorded_time=now,
        state=CoverState.REGISTERED,
        insured_id=target.insured_id,
        birth_date=target.birth_date,
        period=Period.until_loss(target.acquisition_date, None),
        **change.items,
    )
    require_documents(change.items)
    require_sound(fresh, change.items)
    for cover in _alive(covers):
        if cover.period.start != fresh.period.start:
            continue
        said_again = structs.replace(
            cover, **{name: getattr(fresh, name) for name in (*change.items, "insured_id")}
        )
        if _same_facts(cover, said_again):
            return tuple(covers)
        raise Conflict("COVERAGE_EXISTS", "acquisition_date")
    _require_no_overlap(covers, fresh)
    return (*covers, fresh)


def _correct(
    covers: Sequence[Coverage], change: CorrectCover, now: Instant
) -> tuple[Coverage, ...]:
    old = _aimed_at(covers, change.target, moved_to=change.acquisition_date)
    is_moved_already = change.target.acquisition_date not in (None, old.period.start)
    start = change.acquisition_date or old.period.start
    end = None if change.is_loss_withdrawn else (change.loss_date or old.period.end)
    fresh = structs.replace(old, period=Period.until_loss(start, end))
    if change.is_loss_withdrawn:
        fresh = structs.replace(fresh, loss_reason=None, uncollected_reason=None)
    if change.items:
        fresh = _with_items(fresh, change.items)
    elif not (
        change.acquisition_date or change.loss_date or change.is_loss_withdrawn or change.number
    ):
        raise InvalidInput("NOTHING_TO_CHANGE")
    if is_moved_already and not _same_facts(old, fresh):
        raise Conflict("COVERAGE_UNKNOWN", "acquisition_date")
    others = [c for c in _alive(covers) if c.cover_no != old.cover_no]
    if any(other.period.start == start for other in others):
        raise Conflict("COVERAGE_EXISTS", "acquisition_date")
    _require_no_overlap(others, fresh)
    return _replaced(covers, old, fresh, now)


def _with_items(cover: Coverage, items: Items) -> Coverage:
    if not items:
        raise InvalidInput("NOTHING_TO_CHANGE")
    require_documents(items)
    merged = dict(items)
    for name in CERTIFICATE_ITEMS:
        if name in merged:
            merged[name] = _merged_certificates(getattr(cover, name), merged[name])
    fresh = structs.replace(cover, **merged)
    require_sound(fresh, items)
    return fresh


def _merged_certificates(old: Sequence[Any], new: Sequence[Any]) -> tuple[Any, ...]:
    kept = {_certificate_key(certificate): certificate for certificate in old}
    kept.update({_certificate_key(certificate): certificate for certificate in new})
    return tuple(kept[key] for key in sorted(kept))


def _certificate_key(certificate: Any) -> tuple[date, str]:
    issue_number = str(getattr(certificate, "issue_number", ""))
    category = getattr(certificate, "category", None)
    return certificate.validity.start, issue_number if category is None else category.value


def _aimed_at(
    covers: Sequence[Coverage],
    target: Target,
    *,
    cancelled_too: bool = False,
    moved_to: date | None = None,
) -> Coverage:
    """
    Find the cover; `moved_to` also finds it where the same correction has put it already.

    A cover that was not cancelled comes before a cancelled one, of which the last is given.
    """
    alive = _alive(covers)
    cancelled = [c for c in covers if c.state is CoverState.CANCELLED] if cancelled_too else []
    if target.acquisition_date is not None:
        for start in (target.acquisition_date, moved_to):
            found = [c for c in (*cancelled, *alive) if c.period.start == start]
            if found:
                return found[-1]
        raise Conflict("COVERAGE_UNKNOWN", "acquisition_date")
    if len(alive) > 1:
        raise Conflict("COVERAGE_AMBIGUOUS", "acquisition_date")
    found = [*cancelled, *alive]
    if not found:
        raise Conflict("COVERAGE_UNKNOWN")
    return found[-1]


def _alive(covers: Sequence[Coverage]) -> list[Coverage]:
    return [cover for cover in covers if cover.state is not CoverState.CANCELLED]


def _require_known(covers: Sequence[Coverage], target: Target) -> None:
    if target.acquisition_date is None:
        if not covers:
            raise Conflict("COVERAGE_UNKNOWN")
    else:
        _aimed_at(covers, target, cancelled_too=True)


def _require_no_overlap(covers: Sequence[Coverage], fresh: Coverage) -> None:
    if any(cover.period.overlaps(fresh.period) for cover in _alive(covers)):
        raise Conflict("COVERAGE_OVERLAPS", "acquisition_date")


def _replaced(
    covers: Sequence[Coverage], old: Coverage, fresh: Coverage, now: Instant
) -> tuple[Coverage, ...]:
    if _same_facts(old, fresh):
        return tuple(covers)
    fresh = structs.replace(fresh, version_no=old.version_no + 1, recorded_time=now)
    return tuple(fresh if cover.cover_no == old.cover_no else cover for cover in covers)


def _same_facts(one: Coverage, other: Coverage) -> bool:
    return (
        structs.replace(one, version_no=other.version_no, recorded_time=other.recorded_time)
        == other
    )
