"""
What a My Number does to the enrollees of a slice: waiting, linking, hiding, being corrected.

The half of `gateway.usecases.applying.Working` that is about numbers. As there all is worked out
in memory and nothing is asked of a store, a vault or the register.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

from msgspec import structs

from gateway.domain.coverage import Coverage, CoverState
from gateway.domain.feed import kinds_between
from gateway.domain.identifiers import EnrolleeKey, LookupKey, PersonKey
from gateway.domain.period import Instant
from gateway.domain.residents import Mismatch, can_be_searched, compared_cover, five_items_of
from gateway.store.port import CheckState, NewVersion, NumberCheck, UploadKey
from gateway.usecases.context import NewKey
from gateway.usecases.enrollees import UNTOLD, WAITING, WorkedEnrollee, row_of


class Wanted(Enum):
    """What came of having an enrollee's number looked for."""

    HAS_NUMBER = "HAS_NUMBER"
    CANCELLED = "CANCELLED"
    """No cover of it ever existed."""
    ITEMS_MISSING = "ITEMS_MISSING"
    LOOKED_FOR = "LOOKED_FOR"


class Numbering:
    """
    The enrollees of a slice, what is to be written of them, and what numbers do to both.

    The arguments are those of `Working`.
    """

    def __init__(
        self, now: Instant, new_key: NewKey, *, is_checked: bool, is_searched: bool
    ) -> None:
        self._now = now
        self._new_key = new_key
        self._is_checked = is_checked
        self._is_searched = is_searched and is_checked
        self._enrollees: dict[EnrolleeKey, WorkedEnrollee] = {}
        self._by_key: dict[LookupKey, set[EnrolleeKey]] = {}
        self._person_versions: dict[PersonKey, int] = {}
        self._versions: list[NewVersion] = []
        self._touched: set[PersonKey] = set()
        self._checks: dict[tuple[EnrolleeKey, Instant], NumberCheck] = {}

    def link(
        self,
        enrollee_key: EnrolleeKey,
        person_key: PersonKey,
        *,
        is_medical_stopped: bool = False,
    ) -> None:
        """
        Link an enrollee to whom its number belongs to; the person must be known here.

        Covers that were suspended can be seen again, but for any of another birth date or sex
        than was compared. Unchecked, a check that was under way is settled with it.

        Args:
            is_medical_stopped: Whether its medical information may not be shown.
        """
        enrollee = self._enrollees[enrollee_key]
        self._restore(enrollee, is_medical_stopped=is_medical_stopped)
        if enrollee.told is not None and not self._is_checked:
            settled = replace(
                enrollee.told,
                state=CheckState.LINKED,
                person_key=person_key,
                linked_time=self._now,
                mismatches=(),
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
        self._wait(enrollee, person_key, *enrollee.numbered_at, is_told=True)

    def suspend(self, enrollee_key: EnrolleeKey) -> None:
        """Put an enrollee's covers out of sight until the insurer corrects them (閲覧停止)."""
        enrollee = self._enrollees[enrollee_key]
        assert enrollee.told is not None
        self._hide(enrollee, enrollee.told.upload_key, enrollee.told.line_number)

    def check_anew(self, enrollee_key: EnrolleeKey, upload_key: UploadKey, line: int) -> bool:
        """Have a linked or suspended number checked again; whether it waits now."""
        enrollee = self._enrollees[enrollee_key]
        told = enrollee.told
        if told is None or told.state in UNTOLD:
            if not enrollee.is_numbered:
                return False
        elif told.state is CheckState.RECEIVED:
            return True
        person_key = (
            enrollee.person_key if enrollee.is_numbered or told is None else told.person_key
        )
        self._wait(enrollee, person_key, upload_key, line)
        return True

    def want(self, enrollee_key: EnrolleeKey, upload_key: UploadKey, line: int) -> Wanted:
        """Have the number of an enrollee without one looked for, if none was told."""
        enrollee = self._enrollees[enrollee_key]
        told = enrollee.told
        if enrollee.is_numbered or (told is not None and told.state not in UNTOLD):
            return Wanted.HAS_NUMBER
        if not can_be_searched(enrollee.covers):
            return Wanted.ITEMS_MISSING if enrollee.is_alive else Wanted.CANCELLED
        if told is None or told.state is not CheckState.WANTED:
            self._wait(enrollee, enrollee.person_key, upload_key, line, CheckState.WANTED)
        return Wanted.LOOKED_FOR

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

    def _add(self, enrollee: WorkedEnrollee) -> None:
        self._enrollees[enrollee.key] = enrollee
        self._index(enrollee)

    def _index(self, enrollee: WorkedEnrollee) -> None:
        for cover in enrollee.covers:
            self._by_key.setdefault(cover.insured_id.lookup_key, set()).add(enrollee.key)

    def _remember(
        self,
        enrollee: WorkedEnrollee,
        after: tuple[Coverage, ...],
        upload_key: UploadKey,
        line_number: int,
    ) -> None:
        enrollee.kinds |= kinds_between(enrollee.covers, after)
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

    def _unlink(self, enrollee: WorkedEnrollee) -> None:
        """Undo a link that a correction says was wrong: nobody's, and out of sight."""
        self._hide(enrollee, *enrollee.numbered_at)
        person_key = PersonKey(self._new_key())
        self._person_versions[person_key] = 0
        self._touched |= {enrollee.person_key, person_key}
        enrollee.person_key = person_key
        enrollee.is_numbered = False
        enrollee.is_relinked = True

    def _restore(self, enrollee: WorkedEnrollee, *, is_medical_stopped: bool) -> None:
        compared = compared_cover(enrollee.covers)

        def restored(cover: Coverage) -> Coverage:
            if cover.state is CoverState.CANCELLED:
                return cover
            if (cover.birth_date, cover.sex) == (compared.birth_date, compared.sex):
                cover = structs.replace(cover, state=CoverState.REGISTERED)
            return structs.replace(cover, is_medical_stopped=is_medical_stopped)

        told = enrollee.told
        at = enrollee.numbered_at if told is None else (told.upload_key, told.line_number)
        self._put(enrollee, [restored(cover) for cover in enrollee.covers], *at)

    def _hide(self, enrollee: WorkedEnrollee, upload_key: UploadKey, line_number: int) -> None:
        hidden = [
            structs.replace(cover, state=CoverState.SUSPENDED) if cover.is_visible else cover
            for cover in enrollee.covers
        ]
        self._put(enrollee, hidden, upload_key, line_number)

    def _put(
        self,
        enrollee: WorkedEnrollee,
        covers: Sequence[Coverage],
        upload_key: UploadKey,
        line_number: int,
    ) -> None:
        """Give covers what they say now, each that says something else as a new version."""
        after = tuple(
            cover
            if cover == before
            else structs.replace(cover, version_no=before.version_no + 1, recorded_time=self._now)
            for cover, before in zip(covers, enrollee.covers, strict=True)
        )
        if after != enrollee.covers:
            self._remember(enrollee, after, upload_key, line_number)

    def _check_again(
        self,
        enrollee: WorkedEnrollee,
        before: tuple[Coverage, ...],
        upload_key: UploadKey,
        line_number: int,
    ) -> None:
        """
        Have a number checked against what the insurer says now, if that may change the answer.

        A suspended enrollee is checked after any change, a linked one once its items changed. A
        number nobody told is looked for with the first items, and again once they changed.
        """
        told = enrollee.told
        if not self._is_checked or (told is not None and told.state in WAITING):
            return
        is_news = not before or five_items_of(before) != five_items_of(enrollee.covers)
        if told is None or told.state is CheckState.NOT_FOUND:
            is_wanted = self._is_searched and not enrollee.is_numbered and is_news
            if is_wanted and enrollee.number is None and can_be_searched(enrollee.covers):
                wanted = CheckState.WANTED
                self._wait(enrollee, enrollee.person_key, upload_key, line_number, wanted)
        elif enrollee.is_suspended or enrollee.is_medical_stopped or is_news:
            self._wait(enrollee, told.person_key, told.upload_key, told.line_number)

    def _wait(
        self,
        enrollee: WorkedEnrollee,
        person_key: PersonKey,
        upload_key: UploadKey,
        line_number: int,
        state: CheckState = CheckState.RECEIVED,
        *,
        is_told: bool = False,
    ) -> None:
        """Put a check; what the last one said differs is carried along until the next answer."""
        told = enrollee.told
        is_same = told is not None and told.person_key == person_key
        differs = () if told is None else told.mismatches
        if not is_same:
            differs = tuple(one for one in differs if one != Mismatch.SWAPPED)
        self._put_check(
            enrollee,
            NumberCheck(
                enrollee.key,
                self._now,
                enrollee.insurer_number,
                person_key,
                upload_key,
                line_number,
                state,
                mismatches=differs,
                is_found=told is not None and told.is_found and is_same and not is_told,
            ),
        )

    def _put_check(self, enrollee: WorkedEnrollee, check: NumberCheck) -> None:
        told = enrollee.told
        if told is not None and told.state in WAITING and told.received_time != check.received_time:
            replaced = replace(told, state=CheckState.REPLACED)
            self._checks[told.enrollee_key, told.received_time] = replaced
        enrollee.told = check
        self._checks[check.enrollee_key, check.received_time] = check
