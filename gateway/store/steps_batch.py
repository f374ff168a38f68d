"""What a store writes, as steps: a batch with all that belongs to it, in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from gateway.domain.compact import Render
from gateway.domain.feed import EnrolleeChange
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.lag import Case, LagRules, Stage, Unit, calendar_lags
from gateway.domain.period import Instant, days_between, tokyo_day
from gateway.store import sql, sql_feed, sql_insurers, sql_lag, sql_uploads
from gateway.store.port import Batch, Upload
from gateway.store.records import ImpossibleBatch
from gateway.store.steps import Fetch, FetchEach, Steps, Write

Passed = tuple[Stage, float]
"""A stage that a case passed, and its lag in seconds."""

_DAY_S = 86_400


def written(batch: Batch, render: Render, rules: LagRules) -> Steps[list[Passed]]:
    """
    Write a batch, in order of keys, so that neighbours fall on one page.

    The last recorded time is left to whoever makes the batch public; see `committed`.

    Returns:
        The stages that cases passed by it.

    Raises:
        ImpossibleBatch: A version does not follow the last one of its cover.
    """
    yield from _versions(batch)
    yield from _links(batch)
    yield Write(sql.PUT_LOOKUP, sql.lookup_rows(batch))
    yield Write(sql.PUT_HISTORY, sql.history_rows(batch, render))
    yield Write(sql.PUT_CHECK, [sql.check_row(check) for check in batch.checks])
    yield from _cards(batch)
    if batch.upload is not None:
        yield from _upload(batch, batch.upload)
    yield from _lists(batch)
    yield from _changes(batch)
    return (yield from _cases(batch, rules))


def committed(batch: Batch, render: Render, rules: LagRules) -> Steps[list[Passed]]:
    """Write a batch and that it is the last one recorded, as `written`."""
    passed = yield from written(batch, render, rules)
    yield Write(sql.SET_LAST_RECORDED, [(batch.recorded_time, batch.recorded_time)])
    return passed


def _versions(batch: Batch) -> Steps[None]:
    versions = sorted(batch.versions, key=lambda version: version.enrollee_key)
    yield Write(
        sql.ADD_ENROLLEE,
        sorted({(one.enrollee_key, one.insurer_number.zero_padded) for one in versions}),
    )
    yield Write(sql.ADD_VERSION, [sql.version_row(one) for one in versions])
    closing = sql.closing_rows(versions)
    closed = yield FetchEach(sql.CLOSE_VERSION, closing)
    if len(closed) != len(closing):
        raise ImpossibleBatch("a version does not follow the last one of its cover")


def _links(batch: Batch) -> Steps[None]:
    links, now = sql.last_links(batch.links), batch.recorded_time
    yield Write(
        sql.CLOSE_LINK,
        [(now, link.replaces, link.enrollee_key) for link in links if link.replaces is not None],
    )
    yield Write(
        sql.ADD_LINK,
        [(link.person_key, link.enrollee_key, now, link.is_numbered) for link in links],
    )
    yield Write(
        sql.ADD_ENROLLEE_PERSON, sorted((link.enrollee_key, link.person_key) for link in links)
    )


def _cards(batch: Batch) -> Steps[None]:
    now = batch.recorded_time
    yield Write(sql.PUT_CARD, [(card.card_key, card.person_key, now) for card in batch.cards])
    yield Write(
        sql.PUT_PERSON_CARD, [(card.person_key, card.card_key, now) for card in batch.cards]
    )


def _upload(batch: Batch, upload: Upload) -> Steps[None]:
    key = upload.upload_key
    yield Write(sql.PUT_UPLOAD, [sql.upload_row(upload)])
    if batch.is_upload_begun_anew:
        yield Write(sql_uploads.FORGET_REFUSED_LINES, [(key,)])
    yield Write(
        sql_uploads.ADD_REFUSED_LINE,
        [(key, line.line_number, line.column, line.reason) for line in batch.refused_lines],
    )


def _lists(batch: Batch) -> Steps[None]:
    """Write what a batch says of overlaps, collections and inquiries."""
    there = [one for one in batch.overlaps if one.is_overlapping]
    gone = [one for one in batch.overlaps if not one.is_overlapping]
    yield Write(
        sql_insurers.REMOVE_OVERLAP,
        sorted((one.insurer_number.zero_padded, one.person_key) for one in gone),
    )
    yield Write(
        sql_insurers.ADD_OVERLAP,
        sorted(
            (one.insurer_number.zero_padded, one.person_key, batch.recorded_time) for one in there
        ),
    )
    yield Write(
        sql_insurers.REMOVE_COLLECTION,
        sorted(
            (one.insurer_number.zero_padded, one.enrollee_key, one.cover_no)
            for one in batch.collections
            if one.state is None
        ),
    )
    yield Write(
        sql_insurers.PUT_COLLECTION,
        sorted(
            (
                one.insurer_number.zero_padded,
                one.enrollee_key,
                one.cover_no,
                one.state.value,
                one.loss_date.isoformat(),
            )
            for one in batch.collections
            if one.state is not None and one.loss_date is not None
        ),
    )
    yield Write(
        sql_insurers.PUT_INQUIRY, [sql_insurers.inquiry_row(one) for one in batch.inquiries]
    )


def _changes(batch: Batch) -> Steps[None]:
    """Number a batch's changes on in their insurers' streams."""
    by_insurer: dict[InsurerNumber, list[EnrolleeChange]] = defaultdict(list)
    for change in batch.changes:
        by_insurer[change.insurer_number].append(change)
    for insurer, changes in by_insurer.items():
        last = yield Fetch(sql_feed.LAST_CHANGE, (insurer.zero_padded,))
        first = last[0][0] + 1 if last else 1
        yield Write(
            sql_feed.ADD_CHANGE,
            [
                sql_feed.change_row(change, sequence, batch.recorded_time)
                for sequence, change in enumerate(changes, first)
            ],
        )


def _cases(batch: Batch, rules: LagRules) -> Steps[list[Passed]]:
    """Write a batch's cases, and stamp those it links or shows; tell the stages they passed."""
    yield Write(sql_lag.PUT_CASE, [sql_lag.case_row(case) for case in batch.filings])
    passed = [one for case in batch.filings for one in passed_by(case, rules)]
    now = batch.recorded_time
    linked = yield FetchEach(
        sql_lag.STAMP_LINKED,
        [
            (now, link.enrollee_key)
            for link in batch.links
            if link.is_numbered and link.replaces is not None
        ],
    )
    for (registered,) in linked:
        passed += _passed_linked(now, registered, rules)
    seen = yield FetchEach(
        sql_lag.STAMP_CARD_VISIBLE,
        [
            (check.visible_time, check.enrollee_key, check.visible_time)
            for check in batch.checks
            if check.visible_time is not None
        ],
    )
    for fact, registered, visible in seen:
        passed += _passed_by_card(visible, date.fromisoformat(fact), registered)
    return passed


def passed_by(case: Case, rules: LagRules) -> list[Passed]:
    """The stages a case has passed when it is registered."""
    return [
        (stage, lag / 1_000_000 if stage.unit is Unit.SECONDS else float(lag * _DAY_S))
        for stage, lag, _ in calendar_lags(case, rules)
    ]


def _passed_linked(now: Instant, registered: int, rules: LagRules) -> Sequence[Passed]:
    lag = (now - registered) / 1_000_000
    if rules.is_unnumbered_found_by_number:
        return [(Stage.LINK, lag)]
    return [(Stage.LINK, lag), (Stage.NUMBER_VISIBLE, lag)]


def _passed_by_card(seen: Instant, fact: date, registered: int) -> Sequence[Passed]:
    days = days_between(fact, tokyo_day(seen))
    return [
        (Stage.CARD_VISIBLE, (seen - registered) / 1_000_000),
        (Stage.FACT_TO_CARD, float(days * _DAY_S)),
    ]
