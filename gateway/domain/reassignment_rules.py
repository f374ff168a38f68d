"""
The rules of 振替 in force, and whether they let a claim go to another cover.

It does not find the cover. Sources: claims-furikae.md 0 (facts 4 and 5), 1.8, 2.1, 2.2 and 2.4
step 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from gateway.domain.claims import Claim, CopayClass, PatientClass
from gateway.domain.coverage import CardClassification, Coverage
from gateway.domain.patient_class import (
    class_on_claim,
    class_under,
    copay_percent,
    limit_class_of,
    noted_limit_class,
)
from gateway.domain.reassignment_words import Why


@dataclass(frozen=True, slots=True)
class ReassignmentRules:
    """
    The rules for requests since April 2025; what the references leave open is a named setting.

    The limits are points (点数) of the whole claim, inclusive: up to them a claim may go without
    a copayment record (MF). They are the largest claims whose copayment reaches no ceiling
    (claims-furikae.md 0 fact 5, 1.8).
    """

    version: str = "2025-04"
    is_public_expense_moved: bool = True
    """
    Claims with public expense (公費) move like others. Excluded for certain only until about
    March 2025; in April 2025 returns fell by half, from which the reference concludes that they
    became movable (claims-furikae.md 2.1, 2.2). With False they stay as written.
    """
    self_or_family_points_max: int = 11_800
    preschool_points_max: int = 17_700
    elderly_points_max: int = 4_000
    latter_stage_points_max: int = 3_000
    is_limit_class_change_moved: bool = False
    """A high-cost claim moves only with an unchanged income class (2.1, 2023-03)."""
    is_repeated_high_cost_moved: bool = False
    """多数回該当 is counted anew by another insurer, so it is not unchanged (2.2, concluded)."""
    is_ratio_change_moved: bool = False
    """The institution collected the old copayment already (2.2, concluded)."""
    is_family_class_repaired: bool = True
    """A wrong 本人・家族 class is corrected by 振替, if the claim is in its scope (2.2)."""

    def points_without_copay_max(self, patient_class: PatientClass) -> int:
        """How many points a claim of a class may have without MF."""
        match patient_class:
            case PatientClass.SELF | PatientClass.FAMILY:
                return self.self_or_family_points_max
            case PatientClass.PRESCHOOL:
                return self.preschool_points_max
            case PatientClass.ELDERLY | PatientClass.ELDERLY_30_PERCENT:
                return self.elderly_points_max
            case PatientClass.LATTER_STAGE | PatientClass.LATTER_STAGE_30_PERCENT:
                return self.latter_stage_points_max
            case PatientClass.PUBLIC_EXPENSE_ONLY:
                return 0


def why_never_moved(claim: Claim, rules: ReassignmentRules) -> Why | None:
    """What keeps a claim from any 振替, whatever cover it would go to; None if nothing does."""
    if claim.has_public_expense and not rules.is_public_expense_moved:
        return Why.PUBLIC_EXPENSE
    on_claim = class_on_claim(claim.claim_type)
    if claim.copay is None and claim.points > rules.points_without_copay_max(on_claim):
        return Why.COPAY_RECORD_MISSING
    return None


def why_out_of_scope(
    claim: Claim, old: Coverage, new: Coverage, days: Sequence[date], rules: ReassignmentRules
) -> Why | None:
    """
    The first rule that keeps a claim where it is, in the order of the reference; None if none does.

    Args:
        claim: What the claim says.

        old: The cover written on it.

        new: The cover it would go to.

        days: The days of care.
    """
    if new.card_classification is CardClassification.SPECIAL_REIMBURSEMENT:
        return Why.NOT_IN_KIND
    if (why := why_never_moved(claim, rules)) is not None:
        return why
    if (why := _why_high_cost_stays(claim, old, new, days, rules)) is not None:
        return why
    under_new = class_under(new, claim.month, days)
    if under_new is None:
        return Why.CLASS_UNKNOWN
    before = copay_percent(class_on_claim(claim.claim_type), old)
    if claim.benefit_percent is not None:
        before = 100 - claim.benefit_percent
    after = copay_percent(under_new, new)
    is_same = before is not None and before == after
    return None if is_same or rules.is_ratio_change_moved else Why.RATIO_DIFFERS


def _why_high_cost_stays(
    claim: Claim, old: Coverage, new: Coverage, days: Sequence[date], rules: ReassignmentRules
) -> Why | None:
    """A claim with high-cost benefit in kind moves only if its ceiling stays what it was."""
    if claim.copay in (None, CopayClass.ORDINARY):
        return None
    is_same_insurer = old.insured_id.insurer_number == new.insured_id.insurer_number
    is_counted_anew = claim.copay is CopayClass.HIGH_COST_REPEATED and not is_same_insurer
    if is_counted_anew and not rules.is_repeated_high_cost_moved:
        return Why.REPEATED_HIGH_COST
    known = {noted_limit_class(claim), limit_class_of(old, days)} - {None}
    is_same = known == {limit_class_of(new, days)}
    return None if is_same or rules.is_limit_class_change_moved else Why.LIMIT_CLASS_DIFFERS
