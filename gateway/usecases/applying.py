"""
What a slice of changes does to what the store knows, worked out in memory.

Pure and synchronous: a `Working` begins with what the store loaded, takes changes in the order
of the file so that later lines see earlier ones, and ends as one `Batch`. A refused change
leaves it as it was. My Numbers are only compared here; asking the vault whom they belong to is
the caller's errand (`pending`, `link`).
"""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from gateway.domain.changes import Change, LinkNumber, NewCover, Target, apply
from gateway.domain.coverage import Coverage, CoverState
from gateway.domain.errors import Conflict, InvalidInput, Refusal
from gateway.domain.identifiers import EnrolleeKey, LookupKey, PersonKey
from gateway.domain.period import Instant, is_later, tokyo_day
from gateway.domain.residents import compared_cover, five_items_of
from gateway.store.port import Batch, CheckState, Loaded, NewVersion, NumberCheck, UploadKey
from gateway.usecases.batching import batch_of
from gateway.usecases.context import NewKey
from gateway.usecases.enrollees import Pending, WorkedEnrollee, is_linking, out_of_sight, row_of
from gateway.usecases.targets import moved_target, with_known_branch


class Working:
    """
    The enrollees a slice concerns, their people, and what became of them.

    Args:
        loaded: What the store knows under the `lookup_keys` of every change to come.

        now: The recorded time of everything that changes.

        new_key: Makes the keys of new enrollees and people.

        is_checked: Whether a told number waits for the resident register before it links.
    """

    def __init__(
        self, loaded: Loaded, now: Instant, new_key: NewKey, *, is_checked: bool = False
    ) -> None:
        self._now = now
        self._is_checked = is_checked
        self._new_key = new_key
        self._enrollees: dict[EnrolleeKey, WorkedEnrollee] = {}
        self._by_key: dict[LookupKey, set[EnrolleeKey]] = {}
        self._person_versions: dict[PersonKey, int] = {}
        self._versions: list[NewVersion] = []
        self._touched: set[PersonKey] = set()
        self._checks: dict[tuple[EnrolleeKey, Instant], NumberCheck] = {}
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
        if not isinstance(change, NewCover | LinkNumber) or change.number is None:
            return None
        enrollee, _ = self._find(change)
        if enrollee is None or enrollee.numbered_by is not None:
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
        brings_number = is_linking(change, enrollee, is_number_held=is_number_held)
        if enrollee is None:
            enrollee = self._enrol(change)
        if after != before:
            if enrollee.is_suspended:
                after = out_of_sight(before, after)
            self._remember(enrollee, after, upload_key, line_number)
        if brings_number:
            assert isinstance(change, NewCover | LinkNumber)
            enrollee.numbered_by = change
            enrollee.numbered_at = upload_key, line_number
        elif after != before:
            self._check_again(enrollee, before)
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
                enrollee.numbered_by,
                PersonKey(self._new_key())
                if enrollee.linked_before or self._is_checked
                else enrollee.person_key,
            )
            for enrollee in self._enrollees.values()
            if enrollee.numbered_by is not None
        ]

    def link(self, enrollee_key: EnrolleeKey, person_key: PersonKey) -> None:
        """
        Link an enrollee to whom its number belongs to; the person must be known here.

        Covers that were suspended can be seen again, but for any of another birth date or sex
        than was compared. Unchecked, a check that was under way is settled with it.
        """
        enrollee = self._enrollees[enrollee_key]
        self._restore(enrollee)
        if enrollee.told is not None and not self._is_checked:
            settled = replace(
                enrollee.told, state=CheckState.LINKED, linked_time=self._now, mismatches=()
            )
            self._put_check(enrollee, settled)
        if enrollee.is_numbered and enrollee.person_key == person_key:
            return
        self._touched |= {enrollee.person_key, person_key}
        enrollee.person_key = person_key
        enrollee.is_numbered = True
        enrollee.is_relinked = True

    def await_check(self, enrollee_key: EnrolleeKey, person_key: PersonKey) -> None:
        """Remember that an enrollee's number, which is a person's, waits for the register."""
        enrollee = self._enrollees[enrollee_key]
        self._wait(enrollee, person_key, *enrollee.numbered_at)

    def suspend(self, enrollee_key: EnrolleeKey) -> None:
        """Put an enrollee's covers out of sight until the insurer corrects them (閲覧停止)."""
        enrollee = self._enrollees[enrollee_key]
        seen = {cover.cover_no for cover in enrollee.covers if cover.is_visible}
        self._put_state(enrollee, seen, CoverState.SUSPENDED)

    def stamp(self, check: NumberCheck) -> None:
        """Remember a check as it stands now."""
        self._put_check(self._enrollees[check.enrollee_key], check)

    def told(self, enrollee_key: EnrolleeKey) -> NumberCheck | None:
        """The latest check of an enrollee's number."""
        enrollee = self._enrollees.get(enrollee_key)
        return None if enrollee is None else enrollee.told

    def covers_of(self, enrollee_key: EnrolleeKey) -> tuple[Coverage, ...]:
        """The covers of an enrollee as they stand."""
        return self._enrollees[enrollee_key].covers

    def number_person(self, change: Change) -> PersonKey | None:
        """Whose the number of an applied change is, as the vault said; None if it brought none."""
        if not isinstance(change, NewCover | LinkNumber) or change.number is None:
            return None
        enrollee, _ = self._find(change)
        assert enrollee is not None
        return enrollee.person_key if enrollee.told is None else enrollee.told.person_key

    def enrollee_of(self, change: Change) -> WorkedEnrollee | None:
        """The enrollee an applied change is about, as it stands now."""
        return self._find(change)[0]

    def people_of(self, change: Change) -> tuple[PersonKey, ...]:
        """The person an applied change is about, for the access record; none if not found."""
        enrollee, _ = self._find(change)
        if enrollee is None:
            return ()
        before = enrollee.linked_before
        return tuple(sorted({enrollee.person_key} | ({before} if before else set())))

    def batch(self) -> Batch:
        """Everything that changed, as one transaction."""
        return batch_of(
            Batch(self._now, versions=list(self._versions), checks=list(self._checks.values())),
            self._enrollees.values(),
            self._touched,
            self._person_versions,
        )

    def _add(self, enrollee: WorkedEnrollee) -> None:
        self._enrollees[enrollee.key] = enrollee
        self._index(enrollee)

    def _index(self, enrollee: WorkedEnrollee) -> None:
        for cover in enrollee.covers:
            self._by_key.setdefault(cover.insured_id.lookup_key, set()).add(enrollee.key)

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
        today = tokyo_day(self._now)
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

    def _remember(
        self,
        enrollee: WorkedEnrollee,
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
                enrollee.changed.add(row_of(cover))
        enrollee.covers = after
        self._index(enrollee)
        self._touched.add(enrollee.person_key)

    def _restore(self, enrollee: WorkedEnrollee) -> None:
        compared = compared_cover(enrollee.covers)
        same = {
            cover.cover_no
            for cover in enrollee.covers
            if cover.state is CoverState.SUSPENDED
            and (cover.birth_date, cover.sex) == (compared.birth_date, compared.sex)
        }
        self._put_state(enrollee, same, CoverState.REGISTERED)

    def _put_state(self, enrollee: WorkedEnrollee, covers: set[int], state: CoverState) -> None:
        """Give covers another state, each as a new version, told where the number was told."""
        after = tuple(
            structs.replace(
                cover, state=state, version_no=cover.version_no + 1, recorded_time=self._now
            )
            if cover.cover_no in covers
            else cover
            for cover in enrollee.covers
        )
        if covers:
            assert enrollee.told is not None
            self._remember(enrollee, after, enrollee.told.upload_key, enrollee.told.line_number)

    def _check_again(self, enrollee: WorkedEnrollee, before: tuple[Coverage, ...]) -> None:
        """
        Have a number checked against what the insurer says now, if that may change the answer.

        A suspended enrollee is checked after any change, a linked one once its items changed.
        """
        told = enrollee.told
        if not self._is_checked or told is None or told.state is CheckState.RECEIVED:
            return
        if enrollee.is_suspended or five_items_of(before) != five_items_of(enrollee.covers):
            self._wait(enrollee, told.person_key, told.upload_key, told.line_number)

    def _wait(
        self,
        enrollee: WorkedEnrollee,
        person_key: PersonKey,
        upload_key: UploadKey,
        line_number: int,
    ) -> None:
        self._put_check(
            enrollee,
            NumberCheck(
                enrollee.key,
                self._now,
                enrollee.insurer_number,
                person_key,
                upload_key,
                line_number,
                mismatches=() if enrollee.told is None else enrollee.told.mismatches,
            ),
        )

    def _put_check(self, enrollee: WorkedEnrollee, check: NumberCheck) -> None:
        told = enrollee.told
        if (
            told is not None
            and told.state is CheckState.RECEIVED
            and told.received_time != check.received_time
        ):
            replaced = replace(told, state=CheckState.REPLACED)
            self._checks[told.enrollee_key, told.received_time] = replaced
        enrollee.told = check
        self._checks[check.enrollee_key, check.received_time] = check
