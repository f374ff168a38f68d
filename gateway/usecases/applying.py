"""
What a slice of changes does to what the store knows, worked out in memory.

Pure and synchronous: a `Working` begins with what the store loaded, takes changes in the order
of the file so that later lines see earlier ones, and ends as one `Batch`. A refused change
leaves it as it was. My Numbers are only compared here; asking the vault whom they belong to is
the caller's errand (`pending`, `link`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from gateway.domain.changes import (
    Change,
    ChangeItems,
    CorrectCover,
    LinkNumber,
    NewCover,
    Target,
    apply,
)
from gateway.domain.coverage import Coverage, CoverState, Enrolment
from gateway.domain.errors import Conflict, InvalidInput, Refusal
from gateway.domain.identifiers import (
    EnrolleeKey,
    InsuredId,
    InsurerNumber,
    LookupKey,
    PersonKey,
)
from gateway.domain.period import Instant, is_later, tokyo_day
from gateway.domain.projection import history_of
from gateway.store.port import Batch, Loaded, LookupRow, NewLink, NewVersion, UploadKey
from gateway.usecases.context import NewKey


@dataclass(slots=True)
class _Enrollee:
    """
    An enrollee as it stands within the slice.

    `numbered_by` is the change that brought its number in this slice, whose person is not known
    yet; `linked_before` the person the store links it to, None for a new enrollee.
    """

    key: EnrolleeKey
    insurer_number: InsurerNumber
    person_key: PersonKey
    is_numbered: bool
    covers: tuple[Coverage, ...]
    linked_before: PersonKey | None
    numbered_by: NewCover | LinkNumber | None = None
    is_relinked: bool = False
    changed: set[tuple[LookupKey, date]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Pending:
    """An enrollee whose number was told; `if_new` is its person if nobody has the number yet."""

    enrollee_key: EnrolleeKey
    change: NewCover | LinkNumber
    if_new: PersonKey


def lookup_keys(change: Change) -> set[LookupKey]:
    """Everything a change may concern: the identifiers it names and those it moves to."""
    moved = _moved_target(change)
    return {target.insured_id.lookup_key for target in (change.target, moved) if target}


class Working:
    """
    The enrollees a slice concerns, their people, and what became of them.

    Args:
        loaded: What the store knows under the `lookup_keys` of every change to come.

        now: The recorded time of everything that changes.

        new_key: Makes the keys of new enrollees and people.
    """

    def __init__(self, loaded: Loaded, now: Instant, new_key: NewKey) -> None:
        self._now = now
        self._new_key = new_key
        self._enrollees: dict[EnrolleeKey, _Enrollee] = {}
        self._by_key: dict[LookupKey, set[EnrolleeKey]] = {}
        self._person_versions: dict[PersonKey, int] = {}
        self._versions: list[NewVersion] = []
        self._touched: set[PersonKey] = set()
        self.absorb(loaded)

    def absorb(self, loaded: Loaded) -> None:
        """Add what the store knows of further people; what is known here already stays."""
        for person_key, version in loaded.person_versions.items():
            self._person_versions.setdefault(person_key, version)
        for known in loaded.enrollees:
            key = known.enrolment.enrollee_key
            if key not in self._enrollees:
                self._add(
                    _Enrollee(
                        key,
                        known.insurer_number,
                        known.person_key,
                        known.enrolment.is_numbered,
                        known.enrolment.covers,
                        linked_before=known.person_key,
                    )
                )

    def knows(self, person_key: PersonKey) -> bool:
        """Whether the person was loaded, or is new."""
        return person_key in self._person_versions

    def numbered_person(self, change: Change) -> PersonKey | None:
        """
        Whose number must be compared before `apply`, if the change carries one; else None.

        Raises:
            Conflict: `COVERAGE_AMBIGUOUS`.
        """
        if not isinstance(change, NewCover | LinkNumber) or change.number is None:
            return None
        enrollee, _ = self._find(change)
        if enrollee is None or not enrollee.is_numbered or enrollee.numbered_by is not None:
            return None
        return enrollee.person_key

    def apply(
        self, change: Change, upload_key: UploadKey, line_number: int, *, is_number_held: bool
    ) -> bool:
        """
        Let a change happen.

        Args:
            is_number_held: Whether the vault says that `numbered_person` has the change's number;
                without meaning if that gave None.

        Returns:
            Whether anything changed.

        Raises:
            Conflict: As `gateway.domain.changes.apply`; `COVERAGE_AMBIGUOUS` if several enrollees
                match; `COVERAGE_EXISTS` if the new identifiers are another enrollee's;
                `NUMBER_DIFFERS`.
            InvalidInput: As there; `BIRTH_DATE_IN_FUTURE`; `FIELD_REQUIRED` if a cover would have
                a loss date without a reason or the other way round.
        """
        self._require_born(change)
        enrollee, is_moved_already = self._find(change)
        before = enrollee.covers if enrollee else ()
        whole = _with_known_branch(change, before)
        after = self._after(before, whole)
        if is_moved_already and after != before:
            raise Conflict("COVERAGE_UNKNOWN")
        self._require_alone(whole, enrollee)
        is_linking = _is_linking(change, enrollee, is_number_held=is_number_held)
        if enrollee is None:
            enrollee = self._enrol(change)
        if after != before:
            self._remember(enrollee, after, upload_key, line_number)
        if is_linking:
            assert isinstance(change, NewCover | LinkNumber)
            enrollee.numbered_by = change
            enrollee.is_numbered = True
            self._touched.add(enrollee.person_key)
        return after != before or is_linking

    def pending(self) -> list[Pending]:
        """
        The numbers to be resolved by the vault before `batch`.

        A number nobody has yet becomes a fresh person, never the one the enrollee was so far: a
        number told before, and lost in a crash between vault and store, may have claimed it.
        """
        return [
            Pending(
                enrollee.key,
                enrollee.numbered_by,
                PersonKey(self._new_key()) if enrollee.linked_before else enrollee.person_key,
            )
            for enrollee in self._enrollees.values()
            if enrollee.numbered_by is not None
        ]

    def link(self, enrollee_key: EnrolleeKey, person_key: PersonKey) -> None:
        """Say whom the number of a pending enrollee belongs to; the person must be known here."""
        enrollee = self._enrollees[enrollee_key]
        enrollee.person_key = person_key
        enrollee.is_relinked = True
        self._touched.add(person_key)

    def people_of(self, change: Change) -> tuple[PersonKey, ...]:
        """The person an applied change is about, for the access record; none if not found."""
        enrollee, _ = self._find(change)
        if enrollee is None:
            return ()
        before = enrollee.linked_before
        return tuple(sorted({enrollee.person_key} | ({before} if before else set())))

    def batch(self) -> Batch:
        """Everything that changed, as one transaction."""
        residents: dict[PersonKey, list[Enrolment]] = {}
        batch = Batch(self._now, versions=list(self._versions))
        for enrollee in self._enrollees.values():
            enrolment = Enrolment(enrollee.key, enrollee.is_numbered, enrollee.covers)
            residents.setdefault(enrollee.person_key, []).append(enrolment)
            if enrollee.linked_before is None or enrollee.is_relinked:
                batch.links.append(
                    NewLink(
                        enrollee.key,
                        enrollee.person_key,
                        enrollee.is_numbered,
                        enrollee.linked_before,
                    )
                )
            rows = enrollee.changed
            if enrollee.is_relinked:
                rows = rows | {_row(cover) for cover in enrollee.covers}
            batch.lookups.extend(
                LookupRow(key, birth_date, enrollee.key, enrollee.person_key)
                for key, birth_date in sorted(rows)
            )
        for person_key in sorted(self._touched):
            version = self._person_versions.get(person_key, 0)
            if version or person_key in residents:
                batch.histories.append(
                    history_of(person_key, version + 1, residents.get(person_key, ()))
                )
        return batch

    def _add(self, enrollee: _Enrollee) -> None:
        self._enrollees[enrollee.key] = enrollee
        self._index(enrollee)

    def _index(self, enrollee: _Enrollee) -> None:
        for cover in enrollee.covers:
            self._by_key.setdefault(cover.insured_id.lookup_key, set()).add(enrollee.key)

    def _enrol(self, change: Change) -> _Enrollee:
        person_key = PersonKey(self._new_key())
        enrollee = _Enrollee(
            EnrolleeKey(self._new_key()),
            change.target.insured_id.insurer_number,
            person_key,
            is_numbered=False,
            covers=(),
            linked_before=None,
        )
        self._person_versions[person_key] = 0
        self._add(enrollee)
        return enrollee

    def _find(self, change: Change) -> tuple[_Enrollee | None, bool]:
        """
        Find the enrollee a change is about, and whether only by the identifiers it moves to.

        The latter is a change of identifiers that was applied before.
        """
        found = self._named(change.target)
        moved = None if found else _moved_target(change)
        if moved is not None:
            found = self._named(moved)
        if len(found) > 1:
            raise Conflict("COVERAGE_AMBIGUOUS", "branch")
        return (found[0] if found else None), moved is not None

    def _named(self, target: Target) -> list[_Enrollee]:
        """The enrollees with a cover of these identifiers."""
        return [
            enrollee
            for key in sorted(self._by_key.get(target.insured_id.lookup_key, ()))
            for enrollee in (self._enrollees[key],)
            if any(
                cover.birth_date == target.birth_date and target.insured_id.names(cover.insured_id)
                for cover in enrollee.covers
            )
        ]

    def _after(self, before: tuple[Coverage, ...], change: Change) -> tuple[Coverage, ...]:
        try:
            after = apply(before, change, self._now)
        except Refusal as refusal:
            if refusal.reason == "LOSS_BEFORE_ACQUISITION":
                raise refusal.within("loss_date") from None
            raise
        for cover in after:
            if (cover.period.end is None) != (cover.loss_reason is None):
                missing = "loss_date" if cover.period.end is None else "loss_reason"
                raise InvalidInput("FIELD_REQUIRED", missing)
        return after

    def _require_born(self, change: Change) -> None:
        today = tokyo_day(self._now)
        if is_later(change.target.birth_date, today):
            raise InvalidInput("BIRTH_DATE_IN_FUTURE", "birth_date")
        moved = _moved_target(change)
        if moved is not None and is_later(moved.birth_date, today):
            raise InvalidInput("BIRTH_DATE_IN_FUTURE", "new_birth_date")

    def _require_alone(self, change: Change, enrollee: _Enrollee | None) -> None:
        """Refuse to give an enrollee the identifiers of another one: nobody could tell them."""
        moved = _moved_target(change)
        if moved is not None and any(other is not enrollee for other in self._named(moved)):
            raise Conflict("COVERAGE_EXISTS", "new_number")

    def _remember(
        self,
        enrollee: _Enrollee,
        after: tuple[Coverage, ...],
        upload_key: UploadKey,
        line_number: int,
    ) -> None:
        before = set(enrollee.covers)
        for cover in after:
            if cover not in before:
                self._versions.append(
                    NewVersion(
                        enrollee.key, enrollee.insurer_number, cover, upload_key, line_number
                    )
                )
                enrollee.changed.add(_row(cover))
        enrollee.covers = after
        self._index(enrollee)
        self._touched.add(enrollee.person_key)


def _row(cover: Coverage) -> tuple[LookupKey, date]:
    return cover.insured_id.lookup_key, cover.birth_date


def _items_of(change: Change) -> dict[str, Any]:
    return dict(change.items) if isinstance(change, ChangeItems | CorrectCover) else {}


def _moved_target(change: Change) -> Target | None:
    """The identifiers a change gives an enrollee; None if it leaves them."""
    items = _items_of(change)
    if not items.keys() & {"insured_id", "birth_date"}:
        return None
    insured_id: InsuredId = items.get("insured_id", change.target.insured_id)
    return Target(insured_id, items.get("birth_date", change.target.birth_date))


def _with_known_branch(change: Change, covers: Iterable[Coverage]) -> Change:
    """Keep the branch of the cover a change is about, if the change does not speak of branches."""
    items = _items_of(change)
    moved: InsuredId | None = items.get("insured_id")
    target = change.target
    if moved is None or moved.branch is not None or target.insured_id.branch is not None:
        return change
    starts = {target.acquisition_date}
    if isinstance(change, CorrectCover):
        starts.add(change.acquisition_date)
    branches = [
        cover.insured_id.branch
        for cover in covers
        if cover.state is not CoverState.CANCELLED
        and (target.acquisition_date is None or cover.period.start in starts)
    ]
    kept = InsuredId(
        moved.insurer_number, moved.symbol, moved.number, branches[-1] if branches else None
    )
    assert isinstance(change, ChangeItems | CorrectCover)
    return replace(change, items=items | {"insured_id": kept})


def _is_linking(change: Change, enrollee: _Enrollee | None, *, is_number_held: bool) -> bool:
    """Whether a change brings a number that is not linked yet; another one is refused."""
    if not isinstance(change, NewCover | LinkNumber) or change.number is None:
        return False
    if enrollee is None or not enrollee.is_numbered:
        return True
    told = enrollee.numbered_by
    is_same = is_number_held if told is None else told.number == change.number
    if not is_same:
        raise Conflict("NUMBER_DIFFERS", "individual_number")
    return False
