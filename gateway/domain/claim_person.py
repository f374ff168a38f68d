"""
Whom a claim means: the one person among those whose covers carry its number.

It does not know which days count or where a claim goes. Sources: claims-furikae.md 1.6 and 2.4
step 3; oqs-interface.md 5.8 (kana); insurer-lifecycle.md 1.4 (branches).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, NamedTuple

from gateway.domain.claims import Claim
from gateway.domain.coverage import Coverage, Enrolment, History, Sex, VersionRef
from gateway.domain.identifiers import EnrolleeKey, InsuredId, PersonKey
from gateway.domain.period import Instant
from gateway.domain.reassignment_words import Why


class Found(NamedTuple):
    """A cover, whose it is and in which enrolment it stands."""

    history: History
    enrolment: Enrolment
    cover: Coverage

    @property
    def ref(self) -> VersionRef:
        """Names the version."""
        cover = self.cover
        return VersionRef(
            self.enrolment.enrollee_key, cover.cover_no, cover.version_no, cover.recorded_time
        )

    @property
    def rank(self) -> tuple[date, Instant, EnrolleeKey, int]:
        """Higher for the cover that began later; the rest only makes the order total."""
        cover = self.cover
        return cover.period.start, cover.recorded_time, self.enrolment.enrollee_key, cover.cover_no


def refs_of(found: Iterable[Found]) -> tuple[VersionRef, ...]:
    """The versions of covers, each once, in order of enrollee and cover."""
    refs = {(one.enrolment.enrollee_key, one.cover.cover_no): one.ref for one in found}
    return tuple(refs[place] for place in sorted(refs))


def people_of(found: Iterable[Found]) -> tuple[PersonKey, ...]:
    """Whose covers these are, each person once, in order of key."""
    return tuple(sorted({one.history.person_key for one in found}))


def visible_covers(history: History) -> list[Found]:
    """A person's covers; suspended and cancelled ones read as none."""
    return [
        Found(history, enrolment, cover)
        for enrolment in history.enrolments
        for cover in enrolment.covers
        if cover.is_visible
    ]


def covers_named(claim: Claim, asked: InsuredId, people: Sequence[History]) -> list[Found]:
    """The covers with the claim's insurer number, symbol, number and birth date, any branch."""
    key = asked.lookup_key
    return [
        found
        for history in people
        for found in visible_covers(history)
        if found.cover.birth_date == claim.birth_date and found.cover.insured_id.lookup_key == key
    ]


def person_meant(claim: Claim, branch: str | None, named: Sequence[Found]) -> PersonKey | Why:
    """
    The one person meant, or why that cannot be told.

    Who has the very branch comes first, then who has none yet. A person found without the very
    branch must not differ in sex or kana name, lest a sibling's claim becomes theirs; several
    people are told apart by both.
    """
    if not named:
        return Why.NOBODY_MATCHES
    exact = [one for one in named if branch is not None and one.cover.insured_id.branch == branch]
    if len(people_of(exact)) == 1:
        return people_of(exact)[0]
    unassigned = [
        one for one in named if branch is not None and one.cover.insured_id.branch is None
    ]
    alike = [one for one in exact or unassigned or named if not _differs(claim, one.cover)]
    if not alike:
        return Why.PERSON_DIFFERS
    if len(people_of(alike)) > 1:
        alike = [one for one in alike if _is_named_alike(claim, one.cover)]
    people = people_of(alike)
    return people[0] if len(people) == 1 else Why.SEVERAL_MATCH


def _differs(claim: Claim, cover: Coverage) -> bool:
    """Whether sex or kana name, where both sides give it, tells that this is somebody else."""
    if Sex.UNSET not in (claim.sex, cover.sex) and claim.sex is not cover.sex:
        return True
    is_told = bool(claim.name_kana and cover.name_kana)
    return is_told and not _is_named_alike(claim, cover)


def _is_named_alike(claim: Claim, cover: Coverage) -> bool:
    """Whether the kana names agree; names in kanji have too many spellings to be compared."""
    said = _folded(claim.name_kana)
    return bool(said) and said in (_folded(cover.name_kana), _folded(cover.name_of_other_kana))


_LARGE_KANA: Final = str.maketrans("ァィゥェォヵヶッャュョヮ", "アイウエオカケツヤユヨワ")
_HIRAGANA_TO_KATAKANA: Final = {code: code + 0x60 for code in range(0x3041, 0x3097)}


def _folded(name: str) -> str:
    """Spell a name as it is compared: one width, no blanks, katakana, large kana (5.8)."""
    text = "".join(unicodedata.normalize("NFKC", name).split())
    return text.translate(_HIRAGANA_TO_KATAKANA).translate(_LARGE_KANA)
