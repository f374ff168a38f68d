"""
What a slice of changes does to what the store knows, worked out in memory.

Pure and synchronous: a `Working` begins with what the store loaded, takes changes in the order
of the file so that later lines see earlier ones, and ends as one `Batch`. A refused change
leaves it as it was. My Numbers are only compared here; asking the vault whom they belong to is
the caller's errand (`pending`, `link`).
"""

from __future__ import annotations

from gateway.domain.changes import Change, CorrectCover, Target, apply, number_of
from gateway.domain.coverage import Coverage
from gateway.domain.errors import Conflict, InvalidInput, Refusal
from gateway.domain.feed import ChangeKind
from gateway.domain.identifiers import EnrolleeKey, PersonKey
from gateway.domain.period import Instant, is_later, tokyo_day
from gateway.store.port import Batch, Loaded, UploadKey
from gateway.usecases.batching import batch_of
from gateway.usecases.context import NewKey
from gateway.usecases.enrollees import (
    Pending,
    WorkedEnrollee,
    as_before,
    is_linking,
)
from gateway.usecases.numbering import Numbering
from gateway.usecases.targets import moved_target, with_known_branch


class Working(Numbering):
    """
    The enrollees a slice concerns, their people, and what became of them.

    Args:
        loaded: What the store knows under the `lookup_keys` of every change to come.

        now: The recorded time of everything that changes.

        new_key: Makes the keys of new enrollees and people.

        is_checked: Whether a told number waits for the resident register before it links.

        is_searched: Whether the register is asked for a number nobody told.
    """

    def __init__(
        self,
        loaded: Loaded,
        now: Instant,
        new_key: NewKey,
        *,
        is_checked: bool = False,
        is_searched: bool = False,
    ) -> None:
        super().__init__(now, new_key, is_checked=is_checked, is_searched=is_searched)
        self._today = tokyo_day(now)
        self.absorb(loaded)

    def absorb(self, loaded: Loaded) -> None:
        """Add what the store knows of further people; what is known here already stays."""
        for person_key, version in loaded.person_versions.items():
            self._person_versions.setdefault(person_key, version)
        for known in loaded.enrollees:
            key = known.enrolment.enrollee_key
            if key not in self._enrollees:
                self._add(
                    WorkedEnrollee(
                        key,
                        known.insurer_number,
                        known.person_key,
                        known.enrolment.is_numbered,
                        known.enrolment.covers,
                        linked_before=known.person_key,
                        told=known.told,
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
        if number_of(change) is None:
            return None
        enrollee, _ = self._find(change)
        if enrollee is None or enrollee.number is not None:
            return None
        if enrollee.is_numbered:
            return enrollee.person_key
        return None if enrollee.told is None else enrollee.told.person_key

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
        whole = with_known_branch(change, before)
        after = self._after(before, whole)
        if is_moved_already and after != before:
            raise Conflict("COVERAGE_UNKNOWN")
        self._require_alone(whole, enrollee)
        brings_number = is_linking(
            change, enrollee, is_number_held=is_number_held, is_checked=self._is_checked
        )
        if enrollee is None:
            enrollee = self._enrol(change)
        if after != before:
            after = as_before(enrollee, after)
            self._remember(enrollee, after, upload_key, line_number)
            if isinstance(change, CorrectCover):
                enrollee.kinds |= ChangeKind.CORRECTED.value
        if brings_number:
            enrollee.number = number_of(change)
            enrollee.numbered_at = upload_key, line_number
            if enrollee.is_numbered and self._is_checked:
                self._unlink(enrollee)
        elif after != before:
            self._check_again(enrollee, before, upload_key, line_number)
        return after != before or brings_number

    def pending(self) -> list[Pending]:
        """
        The numbers to be resolved by the vault before `batch`.

        A number nobody has yet becomes a fresh person, never the one the enrollee was so far: a
        number told before, and lost in a crash between vault and store, may have claimed it. So
        it is, too, for a number that is checked before it links anybody.
        """
        return [
            Pending(
                enrollee.key,
                enrollee.number,
                PersonKey(self._new_key())
                if enrollee.linked_before or self._is_checked
                else enrollee.person_key,
            )
            for enrollee in self._enrollees.values()
            if enrollee.number is not None
        ]

    def number_person(self, change: Change) -> PersonKey | None:
        """Whose the number of an applied change is, as the vault said; None if it brought none."""
        if number_of(change) is None:
            return None
        enrollee, _ = self._find(change)
        assert enrollee is not None
        return enrollee.person_key if enrollee.told is None else enrollee.told.person_key

    def enrollee_of(self, change: Change) -> WorkedEnrollee | None:
        """The enrollee an applied change is about, as it stands now."""
        return self._find(change)[0]

    def people_of(self, change: Change) -> tuple[PersonKey, ...]:
        """
        Whom an applied change is about, for the access record; none if not found.

        Several, if it was told long ago and its identifiers are others' too by now.
        """
        moved = moved_target(change)
        found = self._named(change.target) or (self._named(moved) if moved else [])
        people = {enrollee.person_key for enrollee in found}
        people |= {one.linked_before for one in found if one.linked_before is not None}
        return tuple(sorted(people))

    def batch(self) -> Batch:
        """Everything that changed, as one transaction."""
        return batch_of(
            Batch(self._now, versions=list(self._versions), checks=list(self._checks.values())),
            self._enrollees.values(),
            self._touched,
            self._person_versions,
        )

    def _enrol(self, change: Change) -> WorkedEnrollee:
        person_key = PersonKey(self._new_key())
        enrollee = WorkedEnrollee(
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

    def _find(self, change: Change) -> tuple[WorkedEnrollee | None, bool]:
        """
        Find the enrollee a change is about, and whether only by the identifiers it moves to.

        The latter is a change of identifiers that was applied before.
        """
        found = self._named(change.target)
        moved = None if found else moved_target(change)
        if moved is not None:
            found = self._named(moved)
        if len(found) > 1:
            raise Conflict("COVERAGE_AMBIGUOUS", "branch")
        return (found[0] if found else None), moved is not None

    def _named(self, target: Target) -> list[WorkedEnrollee]:
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
        today = self._today
        if is_later(change.target.birth_date, today):
            raise InvalidInput("BIRTH_DATE_IN_FUTURE", "birth_date")
        moved = moved_target(change)
        if moved is not None and is_later(moved.birth_date, today):
            raise InvalidInput("BIRTH_DATE_IN_FUTURE", "new_birth_date")

    def _require_alone(self, change: Change, enrollee: WorkedEnrollee | None) -> None:
        """Refuse to give an enrollee the identifiers of another one: nobody could tell them."""
        moved = moved_target(change)
        if moved is not None and any(other is not enrollee for other in self._named(moved)):
            raise Conflict("COVERAGE_EXISTS", "new_number")
