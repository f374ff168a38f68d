"""
Whether a claim goes to the insurer written on it: the decision of the qualification check (振替).

`decide` follows claims-furikae.md 2.4 step by step, under the rules in force for requests since
April 2025. It does not split a claim between insurers (分割, code 05) and does not return one to
the institution (返戻, codes 07 and 08): what would need that is billed as written, and says why.
Whether a card was collected (07) is registered nowhere. Other sources: claims-furikae.md 0,
1.6-1.10, 2.1-2.3; insurer-lifecycle.md 1.4, 1.5; purpose KP4-R-01.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Sequence
from datetime import date
from typing import ClassVar, Final, NamedTuple

from msgspec import Struct

from gateway.domain.claim_person import (
    Found,
    covers_named,
    people_of,
    person_meant,
    refs_of,
    visible_covers,
)
from gateway.domain.claims import Claim, PatientClass, is_month_checked
from gateway.domain.coverage import Coverage, History, LossReason, VersionRef
from gateway.domain.identifiers import InsurerKind, LookupKey, PersonKey
from gateway.domain.patient_class import class_on_claim, class_under, copay_percent
from gateway.domain.period import is_later
from gateway.domain.reassignment_rules import (
    ReassignmentRules,
    why_never_moved,
    why_out_of_scope,
)
from gateway.domain.reassignment_words import Why

__all__ = [
    "BillAsWritten",
    "Decision",
    "FixBranch",
    "Keep",
    "Reassign",
    "ReassignmentRules",
    "Unidentified",
    "Why",
    "as_written_for_want_of_room",
    "decide",
    "lookup_key_of",
]


class _Decided(Struct, frozen=True, kw_only=True):
    """Why, which versions of covers decided, and whom it is about (for the access record)."""

    why: Why
    decided_by: tuple[VersionRef, ...] = ()
    people: tuple[PersonKey, ...] = ()


class Keep(_Decided, frozen=True, kw_only=True):
    """Nothing is changed (変更なし)."""

    check_code: ClassVar[str] = "02"


class Unidentified(_Decided, frozen=True, kw_only=True):
    """The person cannot be told (確認不能); billed as written."""

    check_code: ClassVar[str] = "03"


class Reassign(_Decided, frozen=True, kw_only=True):
    """
    The claim goes on under another identity (振替).

    `to` is the cover, `patient_class` the class its claim type must show, and `benefit_percent`
    what RE must show (給付割合); None is nothing, as for all but national health insurance.
    """

    check_code: ClassVar[str] = "04"

    to: Coverage
    patient_class: PatientClass
    benefit_percent: int | None


class BillAsWritten(_Decided, frozen=True, kw_only=True):
    """The cover does not hold, and the claim goes to the insurer written on it all the same."""

    check_code: ClassVar[str] = "06"


class FixBranch(_Decided, frozen=True, kw_only=True):
    """All is right but the branch (枝番特定)."""

    check_code: ClassVar[str] = "09"

    branch: str


Decision = Keep | Unidentified | Reassign | BillAsWritten | FixBranch

_FAMILY_CLASSES: Final = (PatientClass.SELF, PatientClass.FAMILY)
_NATIONAL: Final = (InsurerKind.NATIONAL, InsurerKind.NATIONAL_RETIREE)


class _Case(NamedTuple):
    """
    A claim, the covers it states, and the others of that person which count.

    `days` are the days of care, or of the whole month where the claim does not tell them.
    """

    claim: Claim
    days: Sequence[date]
    are_days_known: bool
    stated: Sequence[Found]
    others: Sequence[Found]
    rules: ReassignmentRules

    @property
    def branch(self) -> str | None:
        """The branch on the claim."""
        asked = self.claim.insured_id
        return None if asked is None else asked.branch

    @property
    def last_stated(self) -> Found:
        """The stated cover that began last."""
        return max(self.stated, key=lambda one: one.rank)

    def is_same_insurer(self, other: Found) -> bool:
        """Whether a cover is by the insurer on the claim."""
        stated = self.stated[0].cover.insured_id.insurer_number
        return stated == other.cover.insured_id.insurer_number

    def is_held_at_the_insurer(self, last: Found) -> bool:
        """
        Whether covers of the insurer on the claim hold on every day, a later number for earlier.

        Those that began after `last` do not count: their days belong under a later number.
        """
        until = [
            one
            for one in (*self.stated, *self.others)
            if self.is_same_insurer(one)
            and not is_later(one.cover.period.start, last.cover.period.start)
        ]
        return all(_is_held(until, day) for day in self.days)


def lookup_key_of(claim: Claim) -> LookupKey | None:
    """Under which key to look for people before deciding; None where nobody need be looked at."""
    if not is_month_checked(claim.first_day) or claim.insured_id is None:
        return None
    return claim.insured_id.lookup_key


def as_written_for_want_of_room(decision: Reassign) -> BillAsWritten:
    """What becomes of a claim whose records cannot hold the identity it would go on under."""
    return BillAsWritten(
        why=Why.NO_ROOM_ON_CLAIM, decided_by=decision.decided_by, people=decision.people
    )


def decide(claim: Claim, people: Sequence[History], rules: ReassignmentRules) -> Decision:
    """
    Decide where a claim goes.

    A cover on the claim that holds on every day of care is never left for another, whatever else
    the person has (claims-furikae.md 0 fact 3). Suspended and cancelled covers read as none.
    Other covers of the person count only where My Numbers link the enrolments.

    Args:
        claim: What the claim says.

        people: Histories among which to look; those that do not match are ignored, and their
            order does not matter.

        rules: The rules in force, and the named settings.

    Returns:
        One of the five decisions, with why and the versions that decided.
    """
    if not is_month_checked(claim.first_day):
        return Keep(why=Why.BEFORE_THE_CHECK)
    if claim.insured_id is None:
        if claim.is_unidentified:
            return Unidentified(why=Why.NOT_IDENTIFIED)
        return Keep(why=Why.NO_INSURER)
    named = covers_named(claim, claim.insured_id, people)
    person = person_meant(claim, claim.insured_id.branch, named)
    if isinstance(person, Why):
        return Unidentified(why=person, decided_by=refs_of(named), people=people_of(named))
    stated = [one for one in named if one.history.person_key == person]
    days, are_known = _days_of_care(claim)
    case = _Case(claim, days, are_known, stated, _others(stated), rules)
    if all(_is_held(stated, day) for day in days):
        return _kept(case)
    return _not_kept(case)


def _days_of_care(claim: Claim) -> tuple[Sequence[date], bool]:
    """The days (step 2), and whether the claim tells them; else every day of its month."""
    days = claim.recorded_days or claim.detail_days
    if days:
        return days, True
    year, month = int(claim.month[:4]), int(claim.month[4:])
    last = calendar.monthrange(year, month)[1]
    return [date(year, month, day) for day in range(1, last + 1)], False


def _others(stated: Sequence[Found]) -> list[Found]:
    """The covers beside the stated ones that are known to be the same person's."""
    own = {one.enrolment.enrollee_key for one in stated}
    refs = {one.ref for one in stated}
    is_linked = any(one.enrolment.is_numbered for one in stated)
    return [
        one
        for one in visible_covers(stated[0].history)
        if one.ref not in refs
        and (one.enrolment.enrollee_key in own or (is_linked and one.enrolment.is_numbered))
    ]


def _is_held(covers: Iterable[Found], day: date) -> bool:
    return any(one.cover.period.holds_on(day) for one in covers)


# The stated cover holds throughout (step 4)


def _kept(case: _Case) -> Decision:
    """Nothing changes but the family class or the branch, if either is wrong."""
    holding = [one for one in case.stated if any(map(one.cover.period.holds_on, case.days))]
    latest = max(holding, key=lambda one: one.rank)
    cover, decided_by, people = latest.cover, refs_of(holding), people_of(holding)
    right_class = _right_family_class(case, cover)
    if right_class is not None:
        return Reassign(
            why=Why.FAMILY_CLASS_WRONG,
            to=cover,
            patient_class=right_class,
            benefit_percent=case.claim.benefit_percent,
            decided_by=decided_by,
            people=people,
        )
    branch, right = case.branch, cover.insured_id.branch
    is_without = cover.insured_id.insurer_number.kind is InsurerKind.LATTER_STAGE_ELDERLY
    if right is None or right == branch or is_without:
        return Keep(why=Why.COVER_HOLDS, decided_by=decided_by, people=people)
    why = Why.BRANCH_MISSING if branch is None else Why.BRANCH_WRONG
    return FixBranch(why=why, branch=right, decided_by=decided_by, people=people)


def _right_family_class(case: _Case, cover: Coverage) -> PatientClass | None:
    """
    The right 本人・家族 class, if the claim shows the other one.

    Employees' insurance only: the repair is known from its review body (claims-furikae.md 2.2),
    and in national health insurance the class tells the householder, who is not registered. It
    is 振替, so a claim out of its scope keeps its class (0 fact 5).
    """
    is_national = cover.insured_id.insurer_number.kind in _NATIONAL
    if is_national or not case.rules.is_family_class_repaired:
        return None
    if why_never_moved(case.claim, case.rules) is not None:
        return None
    said = class_on_claim(case.claim.claim_type)
    right = class_under(cover, case.claim.month, case.days)
    is_other = said in _FAMILY_CLASSES and right in _FAMILY_CLASSES and said is not right
    return right if is_other else None


# It does not (steps 5 to 8)


def _not_kept(case: _Case) -> Decision:
    if _died_before_care(case):
        return _as_written(case, Why.DIED_BEFORE_CARE)
    is_used = any(_is_held(case.stated, day) for day in case.days)
    if is_used and case.is_held_at_the_insurer(case.last_stated):
        return _kept(case)
    targets = [one for one in case.others if _takes_all(case, one)]
    if not targets:
        return _as_written(case, _why_nowhere(case))
    latest = max(targets, key=lambda one: one.rank)
    if sum(one.cover.period.start == latest.cover.period.start for one in targets) > 1:
        return _as_written(case, Why.SEVERAL_OTHER_COVERS)
    why = why_out_of_scope(case.claim, case.last_stated.cover, latest.cover, case.days, case.rules)
    return _moved(case, latest) if why is None else _as_written(case, why)


def _died_before_care(case: _Case) -> bool:
    """Whether cover was lost by death before a day of care, or before all of an unknown month."""
    ends = [
        one.cover.period.end
        for one in (*case.stated, *case.others)
        if one.cover.loss_reason is LossReason.DEATH and one.cover.period.end is not None
    ]
    is_after = (any(not is_later(end, day) for end in ends) for day in case.days)
    return any(is_after) if case.are_days_known else all(is_after)


def _takes_all(case: _Case, other: Found) -> bool:
    """
    Whether a cover may take the whole claim.

    It must hold on every day; that the stated one held on some does not keep the claim, for the
    rule of February 2022 protects covers that hold throughout (2.4 steps 4 and 7). A number of
    the same insurer also takes the days of those before it: a changed number goes on one claim
    under the last one used (2.2). Medical assistance is no insurance.
    """
    period = other.cover.period
    if other.cover.insured_id.insurer_number.is_medical_assistance:
        return False
    if case.is_same_insurer(other):
        is_used = any(map(period.holds_on, case.days))
        return is_used and case.is_held_at_the_insurer(other)
    return all(map(period.holds_on, case.days))


def _why_nowhere(case: _Case) -> Why:
    covers = [
        one
        for one in (*case.stated, *case.others)
        if not one.cover.insured_id.insurer_number.is_medical_assistance
    ]
    are_held = [_is_held(covers, day) for day in case.days]
    if any(are_held) and not case.are_days_known:
        return Why.DAYS_UNKNOWN
    return Why.CHANGE_WITHIN_MONTH if all(are_held) else Why.NO_OTHER_COVER


def _as_written(case: _Case, why: Why) -> BillAsWritten:
    return BillAsWritten(
        why=why,
        decided_by=refs_of((*case.stated, *case.others)),
        people=people_of(case.stated),
    )


def _moved(case: _Case, target: Found) -> Reassign:
    """The claim under the target, which is in scope: its class and ratio are known."""
    cover = target.cover
    patient_class = class_under(cover, case.claim.month, case.days)
    assert patient_class is not None
    copay = copay_percent(patient_class, cover)
    assert copay is not None
    is_national = cover.insured_id.insurer_number.kind in _NATIONAL
    return Reassign(
        why=Why.NUMBER_CHANGED if case.is_same_insurer(target) else Why.OTHER_COVER_HOLDS,
        to=cover,
        patient_class=patient_class,
        benefit_percent=100 - copay if is_national else None,
        decided_by=refs_of((*case.stated, target)),
        people=people_of(case.stated),
    )
