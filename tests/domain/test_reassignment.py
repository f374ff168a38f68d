"""The qualification check of a claim: one row a situation, then what holds for every claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.domain.claims import Claim, CopayClass, PatientClass
from gateway.domain.coverage import (
    CardClassification,
    Coverage,
    CoverState,
    ElderlyCertificate,
    Enrolment,
    History,
    LimitCertificate,
    LimitClass,
    LimitKind,
    LossReason,
    Relationship,
    Sex,
    VersionRef,
)
from gateway.domain.identifiers import EnrolleeKey, InsuredId
from gateway.domain.patient_class import class_on_claim, class_under
from gateway.domain.period import Period
from gateway.domain.reassignment import (
    BillAsWritten,
    Decision,
    FixBranch,
    Keep,
    Reassign,
    ReassignmentRules,
    Unidentified,
    Why,
    as_written_for_want_of_room,
    decide,
    lookup_key_of,
)
from tests.domain.covers import (
    ASSISTANCE,
    BORN,
    NATIONAL,
    NOW,
    SOCIETY,
    cover,
    enrolment,
    insured,
    key,
    person,
)
from tests.strategies import enrolments, histories

LATTER = "39131016"
ASSOCIATION = "01130012"

LAST_YEAR, FIRST, EARLY, MIDDLE, LATE, NEXT = (
    date(2025, 4, 1),
    date(2026, 4, 1),
    date(2026, 4, 6),
    date(2026, 4, 15),
    date(2026, 4, 27),
    date(2026, 5, 1),
)
NEW_CARD = insured(NATIONAL, "9", "01")
WELFARE = insured(ASSISTANCE, "7", "")
SELF, FAMILY = Relationship.SELF, Relationship.FAMILY
SELF_TYPE, PRESCHOOL_TYPE, FAMILY_TYPE, ELDERLY_TYPE = "1112", "1114", "1116", "1118"
RULES = ReassignmentRules()


def claim(of: InsuredId | None = insured(), **items: Any) -> Claim:  # noqa: B008  frozen
    """A claim of an insured person with two days of care, a copayment record and few points."""
    said: dict[str, Any] = {
        "number": 1,
        "claim_type": SELF_TYPE,
        "month": "202604",
        "sex": Sex.FEMALE,
        "birth_date": BORN,
        "points": 1_000,
        "recorded_days": (EARLY, MIDDLE),
        "copay": CopayClass.ORDINARY,
    }
    return Claim(insured_id=of, **said | items)


def own(start: date, end: date | None = None, **items: Any) -> Coverage:
    """A cover of an insured person."""
    return cover(start, end, relationship=SELF, **items)


def moved_on(old: Coverage | None = None, new: Coverage | None = None) -> History:
    """A person whose society cover ended before the month, and who has another since."""
    return person(old or own(LAST_YEAR, FIRST), new or own(FIRST, of=NEW_CARD))


def limited(limit_class: LimitClass) -> dict[str, Any]:
    """A limit certificate of an income class."""
    return {
        "limits": (LimitCertificate(Period(LAST_YEAR), LimitKind.LIMIT, limit_class),),
    }


def twin(branch: str, sex: Sex, kana: str = "") -> History:
    """One of several people under one number."""
    made = own(LAST_YEAR, of=insured(branch=branch), sex=sex, name_kana=kana)
    return person(enrolment(made, name=f"of {branch}{kana}"), name=f"{branch}{sex}{kana}"[:16])


RUNNING = person(own(LAST_YEAR))
LOST = person(own(LAST_YEAR, FIRST))
MOVED_ON = moved_on()
THREE_NUMBERS = person(
    own(LAST_YEAR, EARLY),
    own(EARLY, MIDDLE, of=insured(number="8")),
    own(MIDDLE, of=insured(number="9")),
)
"""Who had three numbers at one insurer within the month."""
OLD = date(1953, 6, 10)
"""Of 72 years."""


def elderly(percent: int, start: date = LAST_YEAR, **items: Any) -> Coverage:
    """A cover of a person of 70 to 74 with the ratio of their certificate."""
    certificates = (ElderlyCertificate(Period(start), percent),) if percent else ()
    return own(start, birth_date=OLD, elderly=certificates, **items)


ELDERLY_LOST = structs.replace(elderly(20), period=Period(LAST_YEAR, FIRST))


def latter(percent: int | None, start: date, of: str = "99000018") -> Coverage:
    """A cover of the latter-stage elderly."""
    whose = InsuredId.parse(LATTER, "", of, "")
    return own(start, of=whose, birth_date=OLD, copayment_ratio=percent)


def row(
    situation: str,
    asked: Claim,
    people: Sequence[History],
    code: str,
    why: Why,
    rules: ReassignmentRules = RULES,
) -> object:
    """A row of the table; without rules, the defaults."""
    return pytest.param(asked, people, rules, code, why, id=situation)


@pytest.mark.parametrize(
    ("asked", "people", "rules", "code", "why"),
    [
        # 02 nothing changes
        row("holds", claim(), [RUNNING], "02", Why.COVER_HOLDS),
        row(
            "holds-until-the-last-day-of-care",
            claim(),
            [moved_on(own(LAST_YEAR, date(2026, 4, 16)), own(FIRST, of=NEW_CARD))],
            "02",
            Why.COVER_HOLDS,
        ),
        row("begins-on-the-first", claim(), [person(own(EARLY))], "02", Why.COVER_HOLDS),
        row(
            "another-holds-too",
            claim(),
            [moved_on(own(LAST_YEAR))],
            "02",
            Why.COVER_HOLDS,
        ),
        row(
            "lost-and-acquired-again-between-visits",
            claim(),
            [
                person(
                    enrolment(own(LAST_YEAR, date(2026, 4, 10)), own(date(2026, 4, 12), cover_no=2))
                )
            ],
            "02",
            Why.COVER_HOLDS,
        ),
        row(
            "branch-not-assigned",
            claim(),
            [person(own(LAST_YEAR, of=insured(branch="")))],
            "02",
            Why.COVER_HOLDS,
        ),
        row(
            "unnumbered",
            claim(),
            [person(enrolment(own(LAST_YEAR), is_numbered=False))],
            "02",
            Why.COVER_HOLDS,
        ),
        row(
            "very-branch-whatever-the-name",
            claim(sex=Sex.MALE, name_kana="ベツジン"),
            [person(own(LAST_YEAR, name_kana="ﾐﾎﾝ ｺｳ"))],
            "02",
            Why.COVER_HOLDS,
        ),
        row(
            "latter-stage-has-no-branch",
            claim(InsuredId.parse(LATTER, "", "99000018", ""), claim_type="1318", birth_date=OLD),
            [person(latter(20, LAST_YEAR))],
            "02",
            Why.COVER_HOLDS,
        ),
        row(
            "days-unknown-but-held-all-month",
            claim(recorded_days=None),
            [RUNNING],
            "02",
            Why.COVER_HOLDS,
        ),
        row(
            "public-expense-holds", claim(has_public_expense=True), [RUNNING], "02", Why.COVER_HOLDS
        ),
        row("before-the-check", claim(month="202108"), [LOST], "02", Why.BEFORE_THE_CHECK),
        row("public-expense-only", claim(None, claim_type="1212"), [], "02", Why.NO_INSURER),
        row(
            "national-family-class-is-not-registered",
            claim(insured(NATIONAL, "9"), claim_type=FAMILY_TYPE, benefit_percent=70),
            [person(own(LAST_YEAR, of=NEW_CARD))],
            "02",
            Why.COVER_HOLDS,
        ),
        row(
            "family-class-not-repaired",
            claim(claim_type=FAMILY_TYPE),
            [RUNNING],
            "02",
            Why.COVER_HOLDS,
            replace(RULES, is_family_class_repaired=False),
        ),
        row(
            "finding-3-new-number-already-on-the-claim",
            claim(insured(number="8")),
            [moved_on(own(LAST_YEAR, MIDDLE), own(MIDDLE, of=insured(number="8")))],
            "02",
            Why.COVER_HOLDS,
        ),
        row(
            "finding-17-family-class-without-a-copay-record",
            claim(claim_type=FAMILY_TYPE, copay=None, points=11_801),
            [RUNNING],
            "02",
            Why.COVER_HOLDS,
        ),
        row(
            "finding-17-family-class-with-public-expense",
            claim(claim_type=FAMILY_TYPE, has_public_expense=True),
            [RUNNING],
            "02",
            Why.COVER_HOLDS,
            replace(RULES, is_public_expense_moved=False),
        ),
        # 03 the person cannot be told
        row("unidentified", claim(None, is_unidentified=True), [], "03", Why.NOT_IDENTIFIED),
        row("nobody", claim(), [], "03", Why.NOBODY_MATCHES),
        row("other-number", claim(insured(number="2")), [RUNNING], "03", Why.NOBODY_MATCHES),
        row("birth-date", claim(birth_date=date(1984, 3, 1)), [RUNNING], "03", Why.NOBODY_MATCHES),
        row(
            "suspended",
            claim(),
            [person(own(LAST_YEAR, state=CoverState.SUSPENDED))],
            "03",
            Why.NOBODY_MATCHES,
        ),
        row(
            "cancelled",
            claim(),
            [person(own(LAST_YEAR, state=CoverState.CANCELLED))],
            "03",
            Why.NOBODY_MATCHES,
        ),
        row(
            "twins-of-one-sex",
            claim(insured(branch="")),
            [twin("01", Sex.FEMALE), twin("02", Sex.FEMALE)],
            "03",
            Why.SEVERAL_MATCH,
        ),
        row(
            "twins-kana-of-neither",
            claim(insured(branch=""), name_kana="ミホンヘイ"),
            [twin("01", Sex.FEMALE, "ﾐﾎﾝ ｺｳ"), twin("02", Sex.FEMALE, "ﾐﾎﾝ ｵﾂ")],
            "03",
            Why.PERSON_DIFFERS,
        ),
        row(
            "one-branch-for-two-people",
            claim(),
            [twin("01", Sex.FEMALE), structs.replace(twin("01", Sex.FEMALE), person_key=key("b"))],
            "03",
            Why.SEVERAL_MATCH,
        ),
        row(
            "only-a-brother-is-registered",
            claim(insured(branch="02")),
            [twin("01", Sex.MALE)],
            "03",
            Why.PERSON_DIFFERS,
        ),
        row(
            "only-a-sister-of-another-name",
            claim(insured(branch=""), name_kana="ミホンオツ"),
            [twin("01", Sex.FEMALE, "ﾐﾎﾝ ｺｳ")],
            "03",
            Why.PERSON_DIFFERS,
        ),
        # 04 the claim goes elsewhere
        row("moved-on", claim(), [MOVED_ON], "04", Why.OTHER_COVER_HOLDS),
        row(
            "changed-on-the-first-day-of-care",
            claim(),
            [moved_on(own(LAST_YEAR, EARLY), own(EARLY, of=NEW_CARD))],
            "04",
            Why.OTHER_COVER_HOLDS,
        ),
        row(
            "new-card-too-early",
            claim(NEW_CARD, benefit_percent=70),
            [moved_on(own(LAST_YEAR, NEXT), own(NEXT, of=NEW_CARD))],
            "04",
            Why.OTHER_COVER_HOLDS,
        ),
        row(
            "detail-days",
            claim(recorded_days=None, detail_days=(MIDDLE,)),
            [moved_on(own(LAST_YEAR, MIDDLE), own(MIDDLE, of=NEW_CARD))],
            "04",
            Why.OTHER_COVER_HOLDS,
        ),
        row(
            "days-unknown-but-whole-month",
            claim(recorded_days=None),
            [MOVED_ON],
            "04",
            Why.OTHER_COVER_HOLDS,
        ),
        row(
            "empty-cover",
            claim(),
            [moved_on(own(FIRST, FIRST))],
            "04",
            Why.OTHER_COVER_HOLDS,
        ),
        row(
            "public-expense",
            claim(has_public_expense=True),
            [MOVED_ON],
            "04",
            Why.OTHER_COVER_HOLDS,
        ),
        row(
            "no-copay-record-at-the-limit",
            claim(copay=None, points=11_800),
            [MOVED_ON],
            "04",
            Why.OTHER_COVER_HOLDS,
        ),
        row(
            "number-changed-on-a-day-of-care",
            claim(),
            [moved_on(own(LAST_YEAR, MIDDLE), own(MIDDLE, of=insured(number="8")))],
            "04",
            Why.NUMBER_CHANGED,
        ),
        row(
            "finding-3-last-of-three-numbers",
            claim(),
            [THREE_NUMBERS],
            "04",
            Why.NUMBER_CHANGED,
        ),
        row(
            "finding-3-second-of-three-numbers",
            claim(insured(number="8")),
            [THREE_NUMBERS],
            "04",
            Why.NUMBER_CHANGED,
        ),
        row(
            "finding-3-all-days-under-the-number-before",
            claim(insured(number="8")),
            [moved_on(own(LAST_YEAR, NEXT), own(NEXT, of=insured(number="8")))],
            "04",
            Why.NUMBER_CHANGED,
        ),
        row(
            "finding-16-stated-holds-on-some-days-and-another-on-all",
            claim(),
            [moved_on(own(LAST_YEAR, date(2026, 4, 10)))],
            "04",
            Why.OTHER_COVER_HOLDS,
        ),
        row(
            "finding-18-low-income-just-above-welfare",
            claim(copay=CopayClass.HIGH_COST, special_notes=("30",)),
            [moved_on(new=own(FIRST, of=NEW_CARD, **limited(LimitClass.A06)))],
            "04",
            Why.OTHER_COVER_HOLDS,
        ),
        row(
            "family-class",
            claim(claim_type=FAMILY_TYPE),
            [RUNNING],
            "04",
            Why.FAMILY_CLASS_WRONG,
        ),
        row(
            "high-cost-same-class",
            claim(copay=CopayClass.HIGH_COST, special_notes=("28",)),
            [moved_on(new=own(FIRST, of=NEW_CARD, **limited(LimitClass.A03)))],
            "04",
            Why.OTHER_COVER_HOLDS,
        ),
        row(
            "high-cost-class-of-the-old-certificate",
            claim(copay=CopayClass.HIGH_COST),
            [
                moved_on(
                    own(LAST_YEAR, FIRST, **limited(LimitClass.A04)),
                    own(FIRST, of=NEW_CARD, **limited(LimitClass.A04)),
                )
            ],
            "04",
            Why.OTHER_COVER_HOLDS,
        ),
        row(
            "repeated-high-cost-at-the-same-insurer",
            claim(copay=CopayClass.HIGH_COST_REPEATED, special_notes=("33",)),
            [moved_on(new=own(FIRST, of=insured(number="8"), **limited(LimitClass.A03)))],
            "04",
            Why.NUMBER_CHANGED,
        ),
        row(
            "elderly-same-ratio",
            claim(claim_type=ELDERLY_TYPE, birth_date=OLD),
            [person(ELDERLY_LOST, elderly(20, FIRST, of=NEW_CARD))],
            "04",
            Why.OTHER_COVER_HOLDS,
        ),
        row(
            "turned-75-same-ratio",
            claim(claim_type=ELDERLY_TYPE, birth_date=OLD),
            [person(ELDERLY_LOST, latter(20, FIRST))],
            "04",
            Why.OTHER_COVER_HOLDS,
        ),
        row(
            "ratio-may-change",
            claim(claim_type=ELDERLY_TYPE, birth_date=OLD),
            [person(ELDERLY_LOST, latter(10, FIRST))],
            "04",
            Why.OTHER_COVER_HOLDS,
            replace(RULES, is_ratio_change_moved=True),
        ),
        # 06 as written
        row("nothing-else", claim(), [LOST], "06", Why.NO_OTHER_COVER),
        row(
            "lost-on-a-day-of-care",
            claim(),
            [person(own(LAST_YEAR, MIDDLE))],
            "06",
            Why.NO_OTHER_COVER,
        ),
        row(
            "care-in-a-gap",
            claim(),
            [moved_on(new=own(MIDDLE, of=NEW_CARD))],
            "06",
            Why.NO_OTHER_COVER,
        ),
        row(
            "then-on-welfare",
            claim(),
            [moved_on(new=own(FIRST, of=WELFARE))],
            "06",
            Why.NO_OTHER_COVER,
        ),
        row(
            "other-unnumbered",
            claim(),
            [person(own(LAST_YEAR, FIRST), enrolment(own(FIRST, of=NEW_CARD), is_numbered=False))],
            "06",
            Why.NO_OTHER_COVER,
        ),
        row(
            "stated-unnumbered",
            claim(),
            [
                person(
                    enrolment(own(LAST_YEAR, FIRST), is_numbered=False, name="a"),
                    enrolment(own(FIRST, of=NEW_CARD), name="b"),
                )
            ],
            "06",
            Why.NO_OTHER_COVER,
        ),
        row(
            "other-suspended",
            claim(),
            [moved_on(new=own(FIRST, of=NEW_CARD, state=CoverState.SUSPENDED))],
            "06",
            Why.NO_OTHER_COVER,
        ),
        row(
            "died",
            claim(),
            [moved_on(own(LAST_YEAR, FIRST, loss_reason=LossReason.DEATH))],
            "06",
            Why.DIED_BEFORE_CARE,
        ),
        row(
            "died-says-another-insurer",
            claim(),
            [moved_on(new=own(LAST_YEAR, MIDDLE, of=NEW_CARD, loss_reason=LossReason.DEATH))],
            "06",
            Why.DIED_BEFORE_CARE,
        ),
        row(
            "died-on-an-unknown-day",
            claim(recorded_days=None),
            [person(own(LAST_YEAR, MIDDLE, loss_reason=LossReason.DEATH))],
            "06",
            Why.DAYS_UNKNOWN,
        ),
        row(
            "changed-between-visits",
            claim(),
            [moved_on(own(LAST_YEAR, MIDDLE), own(MIDDLE, of=NEW_CARD))],
            "06",
            Why.CHANGE_WITHIN_MONTH,
        ),
        row(
            "changed-between-two-others",
            claim(),
            [
                person(
                    own(LAST_YEAR, FIRST),
                    own(FIRST, MIDDLE, of=NEW_CARD),
                    own(MIDDLE, of=insured(ASSOCIATION, "3")),
                )
            ],
            "06",
            Why.CHANGE_WITHIN_MONTH,
        ),
        row(
            "days-unknown-and-changed-within",
            claim(recorded_days=()),
            [moved_on(own(LAST_YEAR, MIDDLE), own(MIDDLE, of=NEW_CARD))],
            "06",
            Why.DAYS_UNKNOWN,
        ),
        row(
            "two-others-of-one-day",
            claim(),
            [
                person(
                    own(LAST_YEAR, FIRST),
                    own(FIRST, of=NEW_CARD),
                    own(FIRST, of=insured(ASSOCIATION, "3")),
                )
            ],
            "06",
            Why.SEVERAL_OTHER_COVERS,
        ),
        row(
            "not-in-kind",
            claim(),
            [
                moved_on(
                    new=own(
                        FIRST,
                        of=NEW_CARD,
                        card_classification=CardClassification.SPECIAL_REIMBURSEMENT,
                    )
                )
            ],
            "06",
            Why.NOT_IN_KIND,
        ),
        row(
            "public-expense-stays",
            claim(has_public_expense=True),
            [MOVED_ON],
            "06",
            Why.PUBLIC_EXPENSE,
            replace(RULES, is_public_expense_moved=False),
        ),
        row(
            "no-copay-record",
            claim(copay=None, points=11_801),
            [MOVED_ON],
            "06",
            Why.COPAY_RECORD_MISSING,
        ),
        row(
            "repeated-high-cost",
            claim(copay=CopayClass.HIGH_COST_REPEATED, special_notes=("33",)),
            [moved_on(new=own(FIRST, of=NEW_CARD, **limited(LimitClass.A03)))],
            "06",
            Why.REPEATED_HIGH_COST,
        ),
        row(
            "high-cost-other-class",
            claim(copay=CopayClass.HIGH_COST, special_notes=("28",)),
            [moved_on(new=own(FIRST, of=NEW_CARD, **limited(LimitClass.A02)))],
            "06",
            Why.LIMIT_CLASS_DIFFERS,
        ),
        row(
            "high-cost-class-unknown",
            claim(copay=CopayClass.HIGH_COST),
            [MOVED_ON],
            "06",
            Why.LIMIT_CLASS_DIFFERS,
        ),
        row(
            "high-cost-note-against-certificate",
            claim(copay=CopayClass.HIGH_COST, special_notes=("28",)),
            [
                moved_on(
                    own(LAST_YEAR, FIRST, **limited(LimitClass.A04)),
                    own(FIRST, of=NEW_CARD, **limited(LimitClass.A03)),
                )
            ],
            "06",
            Why.LIMIT_CLASS_DIFFERS,
        ),
        row(
            "high-cost-class-may-change",
            claim(copay=CopayClass.HIGH_COST),
            [MOVED_ON],
            "04",
            Why.OTHER_COVER_HOLDS,
            replace(RULES, is_limit_class_change_moved=True),
        ),
        row(
            "repeated-high-cost-may-move",
            claim(copay=CopayClass.HIGH_COST_REPEATED, special_notes=("33",)),
            [moved_on(new=own(FIRST, of=NEW_CARD, **limited(LimitClass.A03)))],
            "04",
            Why.OTHER_COVER_HOLDS,
            replace(RULES, is_repeated_high_cost_moved=True),
        ),
        row(
            "class-unknown",
            claim(),
            [moved_on(new=cover(FIRST, of=NEW_CARD))],
            "06",
            Why.CLASS_UNKNOWN,
        ),
        row(
            "ratio-of-75",
            claim(claim_type=ELDERLY_TYPE, birth_date=OLD),
            [person(ELDERLY_LOST, latter(10, FIRST))],
            "06",
            Why.RATIO_DIFFERS,
        ),
        row(
            "ratio-on-a-national-claim",
            claim(insured(NATIONAL, "1"), benefit_percent=80),
            [
                person(
                    own(LAST_YEAR, FIRST, of=insured(NATIONAL, "1")),
                    own(FIRST, of=insured(ASSOCIATION, "3")),
                )
            ],
            "06",
            Why.RATIO_DIFFERS,
        ),
        # 09 the branch is found
        row("branch-missing", claim(insured(branch="")), [RUNNING], "09", Why.BRANCH_MISSING),
        row("branch-wrong", claim(insured(branch="05")), [RUNNING], "09", Why.BRANCH_WRONG),
        row(
            "branch-wrong-same-kana",
            claim(insured(branch="05"), name_kana="ミホンショウイチ"),
            [person(own(LAST_YEAR, name_kana="ﾐﾎﾝ ｼﾖｳｲﾁ"))],
            "09",
            Why.BRANCH_WRONG,
        ),
        row(
            "twins-told-by-sex",
            claim(insured(branch="")),
            [twin("01", Sex.MALE), twin("02", Sex.FEMALE)],
            "09",
            Why.BRANCH_MISSING,
        ),
        row(
            "twins-told-by-kana",
            claim(insured(branch=""), name_kana="みほんおつ"),
            [twin("01", Sex.FEMALE, "ﾐﾎﾝ ｺｳ"), twin("02", Sex.FEMALE, "ﾐﾎﾝ ｵﾂ")],
            "09",
            Why.BRANCH_MISSING,
        ),
        row(
            "branch-assigned-later",
            claim(insured(branch="")),
            [
                person(
                    enrolment(
                        own(LAST_YEAR, FIRST, of=insured(branch="")),
                        own(FIRST, cover_no=2),
                    )
                )
            ],
            "09",
            Why.BRANCH_MISSING,
        ),
    ],
)
def test_claim_gets_its_check_code(
    asked: Claim, people: Sequence[History], rules: ReassignmentRules, code: str, why: Why
) -> None:
    """Each situation has its code and says why."""
    decision = decide(asked, people, rules)
    assert (code, why) == (decision.check_code, decision.why)


def test_moved_claim_names_the_new_cover_its_class_and_its_benefit() -> None:
    """What goes on is the identity of the other cover; national insurance shows its benefit."""
    decision = decide(claim(), [MOVED_ON], RULES)
    assert isinstance(decision, Reassign)
    assert (
        decision.to.insured_id,
        decision.patient_class,
        decision.benefit_percent,
    ) == (NEW_CARD, PatientClass.SELF, 70)
    old, new = (VersionRef(one.enrollee_key, 1, 1, NOW) for one in MOVED_ON.enrolments)
    assert ((old, new), (key("person"),)) == (decision.decided_by, decision.people)


def test_one_claim_goes_on_under_the_newest_number_never_back() -> None:
    """Of numbers of one insurer the claim takes the last that was used (2.2)."""
    days = (date(2026, 4, 3), date(2026, 4, 7), MIDDLE)
    targets = [
        decision.to.insured_id.number if isinstance(decision, Reassign) else decision.why.name
        for number in ("1", "8", "9")
        for used in (days, days[:2], days[:1])
        for decision in [
            decide(claim(insured(number=number), recorded_days=used), [THREE_NUMBERS], RULES)
        ]
    ]
    assert targets == [
        *("9", "8", "COVER_HOLDS"),
        *("9", "COVER_HOLDS", "1"),
        *("COVER_HOLDS", "8", "1"),
    ]


def test_moved_claim_of_employees_insurance_shows_no_benefit() -> None:
    """給付割合 is of national health insurance only."""
    asked = claim(insured(NATIONAL, "9", "01"), benefit_percent=70)
    people = [person(own(LAST_YEAR, FIRST, of=NEW_CARD), own(FIRST))]
    decision = decide(asked, people, RULES)
    assert isinstance(decision, Reassign)
    assert (
        decision.to.insured_id.insurer_number.zero_padded,
        decision.benefit_percent,
    ) == (SOCIETY, None)


def test_of_two_other_covers_the_last_acquired_is_billed() -> None:
    """An insurer that is late with a loss does not get the claim."""
    newest = insured(ASSOCIATION, "3")
    people = [
        person(
            own(LAST_YEAR, FIRST),
            own(date(2024, 4, 1), of=NEW_CARD),
            own(date(2026, 3, 20), of=newest),
        )
    ]
    decision = decide(claim(), people, RULES)
    assert isinstance(decision, Reassign)
    assert newest == decision.to.insured_id


def test_wrong_family_class_stays_with_its_insurer() -> None:
    """The repair changes the class, not the cover (claims-furikae.md 2.2)."""
    decision = decide(claim(claim_type=FAMILY_TYPE), [RUNNING], RULES)
    assert isinstance(decision, Reassign)
    assert (insured(), PatientClass.SELF) == (decision.to.insured_id, decision.patient_class)


def test_branch_is_that_of_the_cover_held_last() -> None:
    """A branch found is the registered one."""
    decision = decide(claim(insured(branch="05")), [RUNNING], RULES)
    assert isinstance(decision, FixBranch)
    assert decision.branch == "01"


def test_several_people_are_all_named_for_the_record() -> None:
    """Who was looked at is told even if nobody was identified."""
    twins = [twin("01", Sex.FEMALE), twin("02", Sex.FEMALE)]
    decision = decide(claim(insured(branch="")), twins, RULES)
    expected = tuple(sorted(one.person_key for one in twins))
    assert isinstance(decision, Unidentified)
    assert expected == decision.people


def test_claim_without_room_stays_as_written() -> None:
    """An identity that cannot be written on the claim leaves it where it is, with the versions."""
    decision = decide(claim(), [MOVED_ON], RULES)
    assert isinstance(decision, Reassign)
    expected = BillAsWritten(
        why=Why.NO_ROOM_ON_CLAIM, decided_by=decision.decided_by, people=decision.people
    )
    assert expected == as_written_for_want_of_room(decision)


@pytest.mark.parametrize(
    ("claim_type", "points"),
    [
        (SELF_TYPE, 11_800),
        (FAMILY_TYPE, 11_800),
        (PRESCHOOL_TYPE, 17_700),
        (ELDERLY_TYPE, 4_000),
        ("1110", 4_000),
        ("1318", 3_000),
        ("1310", 3_000),
        ("1212", 0),
    ],
)
def test_points_limit_without_copay_record(claim_type: str, points: int) -> None:
    """The limits of claims-furikae.md 0 fact 5 by the class on the claim."""
    assert points == RULES.points_without_copay_max(class_on_claim(claim_type))


@pytest.mark.parametrize(
    ("claim_type", "patient_class"),
    [
        ("1111", PatientClass.SELF),
        ("1112", PatientClass.SELF),
        ("1124", PatientClass.PRESCHOOL),
        ("1115", PatientClass.FAMILY),
        ("1118", PatientClass.ELDERLY),
        ("1119", PatientClass.ELDERLY_30_PERCENT),
        ("1110", PatientClass.ELDERLY_30_PERCENT),
        ("1317", PatientClass.LATTER_STAGE),
        ("1328", PatientClass.LATTER_STAGE),
        ("1319", PatientClass.LATTER_STAGE_30_PERCENT),
        ("1310", PatientClass.LATTER_STAGE_30_PERCENT),
        ("1221", PatientClass.PUBLIC_EXPENSE_ONLY),
    ],
)
def test_class_of_a_claim_type(claim_type: str, patient_class: PatientClass) -> None:
    """The second and the last digit tell the class (claims-furikae.md 1.10)."""
    assert patient_class is class_on_claim(claim_type)


@pytest.mark.parametrize(
    ("birth_date", "month", "patient_class"),
    [
        (date(2019, 4, 1), "202503", PatientClass.PRESCHOOL),
        (date(2019, 4, 1), "202504", PatientClass.FAMILY),
        (date(2019, 4, 2), "202504", PatientClass.PRESCHOOL),
        (date(2019, 4, 2), "202603", PatientClass.PRESCHOOL),
        (date(2019, 4, 2), "202604", PatientClass.FAMILY),
        (date(1955, 9, 2), "202509", PatientClass.FAMILY),
        (date(1955, 9, 2), "202510", PatientClass.ELDERLY),
        (date(1955, 9, 1), "202509", PatientClass.ELDERLY),
    ],
)
def test_class_by_age(birth_date: date, month: str, patient_class: PatientClass) -> None:
    """Preschool ends on 31 March after 6; elderly begin the month after 70, born on a 1st in it."""
    made = cover(
        LAST_YEAR,
        birth_date=birth_date,
        relationship=FAMILY,
        elderly=(ElderlyCertificate(Period(date(2025, 1, 1)), 20),),
    )
    day = date(int(month[:4]), int(month[4:]), 15)
    assert patient_class is class_under(made, month, [day])


def test_class_that_changes_between_days_is_not_known() -> None:
    """Two ratios in one month, or a certificate that holds on some days only, tell nothing."""
    two = (
        ElderlyCertificate(Period(LAST_YEAR, MIDDLE), 20),
        ElderlyCertificate(Period(MIDDLE), 30),
    )
    both = own(LAST_YEAR, birth_date=OLD, elderly=two)
    some = own(LAST_YEAR, birth_date=OLD, elderly=two[1:])
    assert [
        class_under(both, "202604", [EARLY, MIDDLE]),
        class_under(some, "202604", [EARLY, MIDDLE]),
        class_under(some, "202604", [MIDDLE, LATE]),
    ] == [None, None, PatientClass.ELDERLY_30_PERCENT]


def test_nobody_is_looked_for_without_an_insurer_or_before_the_check() -> None:
    """No look where nothing can come of it; else the key of the number on the claim."""
    assert [None, None, insured().lookup_key] == [
        lookup_key_of(claim(None)),
        lookup_key_of(claim(month="202108")),
        lookup_key_of(claim()),
    ]


def test_rules_in_force_begin_in_september_2021() -> None:
    """Care of that month is the first to be checked."""
    decision = decide(claim(month="202109"), [], RULES)
    assert Why.NOBODY_MATCHES is decision.why


# Properties

starts = st.sampled_from([LAST_YEAR, FIRST, EARLY, MIDDLE, LATE, NEXT])
ends = st.none() | starts
ids = st.sampled_from(
    [insured(), insured(branch="02"), insured(branch=""), insured(number="8"), NEW_CARD, WELFARE]
)


@st.composite
def small_covers(draw: st.DrawFn, cover_no: int = 1) -> Coverage:
    """Covers of few identities around one month."""
    start, end = draw(starts), draw(ends)
    reason = draw(st.sampled_from([LossReason.OTHER, LossReason.DEATH]))
    return cover(
        start,
        None if end is None else max(start, end),
        of=draw(ids),
        cover_no=cover_no,
        loss_reason=reason,
        sex=draw(st.sampled_from([Sex.MALE, Sex.FEMALE])),
        relationship=draw(st.sampled_from([None, SELF, FAMILY])),
        state=draw(st.sampled_from([CoverState.REGISTERED] * 3 + [CoverState.SUSPENDED])),
    )


@st.composite
def small_people(draw: st.DrawFn) -> list[History]:
    """Up to three people with up to three enrolments each."""
    people = []
    for place in range(draw(st.integers(0, 3))):
        made = draw(st.lists(small_covers(), max_size=3))
        held = [
            enrolment(one, is_numbered=draw(st.booleans()), name=f"e-{place}-{at}")
            for at, one in enumerate(made)
        ]
        people.append(person(*held, name=f"person-{place}"))
    return people


claims = st.builds(
    claim,
    st.sampled_from([insured(), insured(branch=""), insured(branch="02")]),
    claim_type=st.sampled_from([SELF_TYPE, FAMILY_TYPE, PRESCHOOL_TYPE, ELDERLY_TYPE]),
    recorded_days=st.sampled_from([None, (EARLY,), (EARLY, MIDDLE), (MIDDLE, LATE)]),
    copay=st.none() | st.sampled_from(CopayClass),
    points=st.sampled_from([100, 20_000]),
    has_public_expense=st.booleans(),
)


@given(claims, small_people())
def test_valid_stated_cover_is_never_left(asked: Claim, others: list[History]) -> None:
    """Whatever else the person has, a cover that holds throughout keeps the claim (0 fact 3)."""
    assert asked.insured_id is not None
    stated = own(LAST_YEAR, of=structs.replace(asked.insured_id, branch="77"))
    exact = structs.replace(asked, insured_id=stated.insured_id)
    held = [one for history in others for one in history.enrolments]
    decision = decide(exact, [person(enrolment(stated, name="stated"), *held)], RULES)
    match decision:
        case Keep() | FixBranch():
            pass
        case Reassign():
            assert exact.insured_id is not None
            assert decision.why is Why.FAMILY_CLASS_WRONG
            expected = exact.insured_id.insurer_number
            assert expected == decision.to.insured_id.insurer_number
        case _:
            pytest.fail(decision.check_code)


@given(claims, small_people(), st.randoms(use_true_random=False))
def test_order_does_not_matter(asked: Claim, people: list[History], chance: Any) -> None:
    """People, enrolments and repetition change nothing about a decision."""
    shuffled = [
        structs.replace(
            history, enrolments=tuple(chance.sample(history.enrolments, len(history.enrolments)))
        )
        for history in chance.sample(people, len(people))
    ]
    expected = decide(asked, people, RULES)
    assert expected == decide(asked, shuffled, RULES)
    assert expected == decide(asked, people, RULES)


@given(claims, small_people(), st.lists(enrolments, max_size=3))
def test_unnumbered_enrolment_changes_nothing(
    asked: Claim, people: list[History], more: list[Enrolment]
) -> None:
    """What no My Number links to a person is not the person's, whoever it is put beside."""
    unlinked = tuple(
        Enrolment(EnrolleeKey(one.enrollee_key), is_numbered=False, covers=one.covers)
        for one in more
        if all(found.insured_id.lookup_key != insured().lookup_key for found in one.covers)
    )
    grown = [structs.replace(one, enrolments=one.enrolments + unlinked) for one in people]
    assert decide(asked, people, RULES) == decide(asked, grown, RULES)


@given(claims, st.lists(histories, max_size=3))
def test_every_claim_gets_one_of_five_codes(asked: Claim, people: list[History]) -> None:
    """No history makes a decision fail, and those of strangers never find anybody."""
    decision: Decision = decide(asked, people, RULES)
    assert (decision.check_code, decision.why) == ("03", Why.NOBODY_MATCHES)


@pytest.mark.parametrize("why", Why)
def test_every_why_speaks_both_languages(why: Why) -> None:
    """The words are there for people, and the English ones are plain ASCII."""
    assert why.value.ja
    assert why.value.en.isascii()


def test_page_lists_every_reason_and_setting() -> None:
    """docs/claims.md is complete: a user finds each reason under its code, and each setting."""
    page = (Path(__file__).parents[2] / "docs" / "claims.md").read_text("utf-8")
    names = [why.name for why in Why] + [field.name for field in fields(RULES)][1:]
    assert [name for name in names if f"`{name}`" not in page] == []
