"""
The question of the counter and its answer: is this person covered on that day, and why.

`confirm` is the only decision function; the hot read and the read as of another time both end
here. Sources: oqs-interface.md 4 (OQSCD006); insurer-lifecycle.md 2.3, 7.2 and 7.4;
requirements R003-02, R003-03, R003-07, R003-08, R003-27.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum, IntEnum
from typing import NamedTuple, TypeVar

from msgspec import Struct

from gateway.domain.compact import CompactCover, CompactHistory
from gateway.domain.coverage import (
    CoverState,
    DiseaseCertificate,
    ElderlyCertificate,
    LimitCertificate,
    MedicalTicket,
    VersionRef,
)
from gateway.domain.identifiers import InsuredId, LookupKey, PersonKey
from gateway.domain.period import is_later


class Validity(IntEnum):
    """The official answer (資格有効性, OQSCD006)."""

    VALID = 1
    INVALID = 2
    INVALID_NEWER_COVER = 3
    NO_SUCH_COVER = 4
    SEVERAL_PEOPLE = 5
    VALID_UNREGISTERED = 6


class Explanation(NamedTuple):
    """Why, and what to do, in words for the desk."""

    ja: str
    en: str


class Why(Enum):
    """Which rule gave the answer; a program reads the name, the desk reads the explanation."""

    COVER_HOLDS = Explanation("お尋ねの資格は有効です。", "The cover asked for holds on this day.")
    COVER_LOST = Explanation(
        "お尋ねの資格は喪失しています。ほかの有効な資格は登録されていません。"
        "現在の保険を本人に確認してください。",
        "The cover asked for was lost and no later one is registered. "
        "Ask the person about their present insurance.",
    )
    COVER_NOT_BEGUN = Explanation(
        "お尋ねの資格はこの日にはまだ始まっていません。",
        "The cover asked for has not begun on this day.",
    )
    COVER_ON_NO_DAY = Explanation(
        "お尋ねの資格は取得日と喪失日が同じため、有効な日がありません。",
        "The cover asked for was acquired and lost on one day, so it holds on no day.",
    )
    NEWER_COVER = Explanation(
        "お尋ねの資格は無効ですが、その後に取得した有効な資格があります。"
        "新しい保険の資格を本人に確認してください。",
        "The cover asked for does not hold, but one acquired later does. "
        "Ask the person for the new insurance.",
    )
    NOTHING_MATCHES = Explanation(
        "該当する資格がありません。番号と生年月日を確認してください。加入の届出が登録前の場合も"
        "該当しません。資格確認書等で確認するか、申立書により通常の負担割合で受診できます。",
        "No cover matches. Check the numbers and the birth date; a filing that is not registered "
        "yet does not match either. Use a certificate, or the patient's declaration.",
    )
    SEVERAL_PEOPLE = Explanation(
        "複数の人が該当します。枝番を確認して照会し直してください。",
        "Several people match. Ask again with the branch number.",
    )
    TICKET_MISSING = Explanation(
        "医療扶助は有効ですが、この月の医療券・調剤券が登録されていません。"
        "福祉事務所に確認してください。",
        "Medical assistance holds, but no ticket is registered for this month. "
        "Ask the welfare office.",
    )
    CARD_UNKNOWN = Explanation(
        "マイナンバーカードで確認できる資格がありません。加入の届出や個人番号の登録が済んでいない"
        "おそれがあります。資格確認書・資格情報のお知らせで確認するか、申立書により通常の負担割合で"
        "受診できます。いずれもできないときは全額の支払いとなり、後日払い戻されます。",
        "No cover can be seen by this card; the filing or the My Number may not be registered yet. "
        "Use a certificate or notice, or the patient's declaration at the normal share; failing "
        "both, payment is in full and refunded later.",
    )
    CARD_NOT_REGISTERED = Explanation(
        "このマイナンバーカードは健康保険証としての利用登録がされていません。この場で初回登録を"
        "するか、資格確認書で確認してください。",
        "This card is not registered for use at institutions. Register it here and now, or use a "
        "certificate.",
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """What stands open in the references, each as a named setting."""

    version: str = "2026-04"
    is_unnumbered_found_by_number: bool = True
    """A cover without a My Number answers by number (insurer-lifecycle.md 7.2, gap G4)."""
    is_unnumbered_found_by_card: bool = False
    """... and by card it does not (R003-27)."""
    are_several_people_listed: bool = True
    """With validity 5 the result lists each match (oqs-interface.md 2.2, ResultList)."""
    is_ticket_of_another_institution_enough: bool = True
    """A ticket that names another institution makes medical assistance valid; the clinic sees
    the institution's name on it (oqs-interface.md 2.3, DesignatedMedicalInstitutionFlag)."""


class ByNumber(Struct, frozen=True):
    """
    A question by what the card shows (被保険者証情報, reference classification 2).

    `lookup_key` is that of the insured id asked for (`InsuredId.lookup_key`); without a branch
    the question matches any (R003-03).
    """

    lookup_key: LookupKey
    branch: str | None
    birth_date: date
    on: date
    is_limit_consented: bool = False
    institution_code: str = ""

    @classmethod
    def of(
        cls,
        insured_id: InsuredId,
        birth_date: date,
        on: date,
        *,
        is_limit_consented: bool = False,
        institution_code: str = "",
    ) -> ByNumber:
        """Ask by what a card shows."""
        return cls(
            insured_id.lookup_key,
            insured_id.branch,
            birth_date,
            on,
            is_limit_consented,
            institution_code,
        )


class ByCard(Struct, frozen=True):
    """A question by My Number card (reference classification 1): who is known, the cover is not."""

    person_key: PersonKey
    on: date
    is_limit_consented: bool = False
    institution_code: str = ""


Query = ByNumber | ByCard


class Shown(Struct, frozen=True):
    """A cover in an answer, with the certificates of that day the caller may see."""

    person_key: PersonKey
    cover: CompactCover
    elderly: ElderlyCertificate | None
    limit: LimitCertificate | None
    tickets: tuple[MedicalTicket, ...]
    diseases: tuple[DiseaseCertificate, ...] = ()


class Confirmation(Struct, frozen=True):
    """
    The answer.

    `shown` is empty for validity 4. `decided_by` names the versions the rule looked at last;
    `people` are those the answer is about, for the access record.
    """

    validity: Validity
    why: Why
    shown: tuple[Shown, ...]
    decided_by: tuple[VersionRef, ...]
    people: tuple[PersonKey, ...]
    person_version: int = 0


class _Match(NamedTuple):
    history: CompactHistory
    cover: CompactCover


_Certificate = TypeVar("_Certificate", ElderlyCertificate, LimitCertificate)


def confirm(people: Sequence[CompactHistory], query: Query, rules: Rules) -> Confirmation:
    """
    Decide whether the person asked for is covered on the day asked for.

    Asked by number, the cover asked for answers; asked by card, the cover acquired last. Cover
    counts from its acquisition date up to, not including, its loss date. Two insurers may both
    cover a day, because nothing stops an old insurer from being late. Suspended and cancelled
    covers read as none.

    Args:
        people: The histories among which to look; those that do not match are ignored, so a
            store may give more than it must.

        query: Who is meant, by which route, on which day, and what may be shown.

        rules: The named settings for what the references leave open.

    Returns:
        The validity, why, the covers to show and the versions that decided.
    """
    matches = _of_the_very_branch(
        [match for history in people for match in _matching(history, query, rules)], query
    )
    if not matches:
        why = Why.NOTHING_MATCHES if isinstance(query, ByNumber) else Why.CARD_UNKNOWN
        return Confirmation(Validity.NO_SUCH_COVER, why, (), (), ())
    if len({match.history.person_key for match in matches}) > 1:
        return _several(matches, query, rules)
    chosen = _chosen(matches, query.on)
    if chosen.cover.period.holds_on(query.on):
        return _holds(chosen, query, rules)
    if isinstance(query, ByNumber) and (newer := _newer(chosen, query.on)) is not None:
        return _answer(Validity.INVALID_NEWER_COVER, Why.NEWER_COVER, chosen, query, (newer,))
    period = chosen.cover.period
    if period.is_empty:
        why = Why.COVER_ON_NO_DAY
    elif period.begins_after(query.on):
        why = Why.COVER_NOT_BEGUN
    else:
        why = Why.COVER_LOST
    return _answer(Validity.INVALID, why, chosen, query)


def _matching(history: CompactHistory, query: Query, rules: Rules) -> list[_Match]:
    match query:
        case ByNumber(lookup_key=lookup_key, branch=branch, birth_date=birth_date):
            return [
                _Match(history, cover)
                for cover in history.covers
                if cover.lookup_key == lookup_key
                and cover.birth_date == birth_date
                and (branch is None or cover.branch is None or cover.branch == branch)
                and cover.state is CoverState.REGISTERED
                and (cover.is_numbered or rules.is_unnumbered_found_by_number)
            ]
        case ByCard(person_key=person_key):
            return [
                _Match(history, cover)
                for cover in history.covers
                if history.person_key == person_key
                and cover.state is CoverState.REGISTERED
                and (cover.is_numbered or rules.is_unnumbered_found_by_card)
                and cover.is_found_by_card
            ]


def _of_the_very_branch(matches: list[_Match], query: Query) -> list[_Match]:
    """Who has the branch asked for comes before who has none yet: the desk cannot ask better."""
    if len(matches) == 1 or isinstance(query, ByCard) or query.branch is None:
        return matches
    exact = {match.history.person_key for match in matches if match.cover.branch == query.branch}
    return [match for match in matches if match.history.person_key in exact] or matches


def _chosen(matches: Sequence[_Match], on: date) -> _Match:
    """The cover that holds on the day, else the last that began by then, else the next to begin."""

    def rank(match: _Match) -> tuple[bool, bool, int, int, bytes]:
        period = match.cover.period
        begun = not period.begins_after(on)
        start = period.start.toordinal()
        return (
            period.holds_on(on),
            begun,
            start if begun else -start,
            match.cover.recorded_time,
            match.cover.lookup_key,  # Of those told at once; our keys decide nothing.
        )

    return matches[0] if len(matches) == 1 else max(matches, key=rank)


def _newer(asked: _Match, on: date) -> _Match | None:
    """
    Another cover of the person that was acquired later and holds on the day.

    Later means by acquisition date. A cover that begins where an empty one was lost is later too.
    Medical assistance is no newer insurance.
    """
    period = asked.cover.period
    found = [
        _Match(asked.history, cover)
        for cover in asked.history.covers
        if cover.state is CoverState.REGISTERED
        and cover.period.holds_on(on)
        and not cover.is_medical_assistance
        and (
            is_later(cover.period.start, period.start)
            or (period.is_empty and cover.period.start == period.start)
        )
    ]
    return max(found, key=lambda match: match.cover.period.start) if found else None


def _holds(chosen: _Match, query: Query, rules: Rules) -> Confirmation:
    if chosen.cover.is_medical_assistance and not _tickets(chosen.cover, query, rules):
        return _answer(Validity.VALID_UNREGISTERED, Why.TICKET_MISSING, chosen, query)
    return _answer(Validity.VALID, Why.COVER_HOLDS, chosen, query)


def _tickets(cover: CompactCover, query: Query, rules: Rules) -> list[MedicalTicket]:
    month = f"{query.on:%Y%m}"
    return [
        ticket
        for ticket in cover.tickets
        if ticket.month == month
        and (
            rules.is_ticket_of_another_institution_enough
            or ticket.institution_code in ("", query.institution_code)
        )
    ]


def _answer(
    validity: Validity, why: Why, chosen: _Match, query: Query, others: Sequence[_Match] = ()
) -> Confirmation:
    return Confirmation(
        validity,
        why,
        (_shown(chosen, query),),
        tuple(_ref(match) for match in (chosen, *others)),
        (chosen.history.person_key,),
        chosen.history.version,
    )


def _several(matches: Sequence[_Match], query: Query, rules: Rules) -> Confirmation:
    people: dict[PersonKey, list[_Match]] = {}
    for match in matches:
        people.setdefault(match.history.person_key, []).append(match)
    chosen = [_chosen(found, query.on) for found in people.values()]
    return Confirmation(
        Validity.SEVERAL_PEOPLE,
        Why.SEVERAL_PEOPLE,
        tuple(_shown(match, query) for match in chosen) if rules.are_several_people_listed else (),
        tuple(_ref(match) for match in chosen),
        tuple(people),
    )


def _ref(match: _Match) -> VersionRef:
    cover = match.cover
    return VersionRef(cover.enrollee_key, cover.cover_no, cover.version_no, cover.recorded_time)


def _shown(match: _Match, query: Query) -> Shown:
    cover = match.cover
    on = query.on
    limits = cover.limits if query.is_limit_consented else ()
    month = f"{on:%Y%m}" if cover.tickets else ""
    return Shown(
        match.history.person_key,
        cover,
        _holding(cover.elderly, on) if cover.elderly else None,
        _holding(limits, on) if limits else None,
        tuple(ticket for ticket in cover.tickets if ticket.month == month),
        _all_holding(cover.diseases, query) if cover.diseases else (),
    )


def _all_holding(
    certificates: Sequence[DiseaseCertificate], query: Query
) -> tuple[DiseaseCertificate, ...]:
    """The specific disease certificates of the day, shown with consent as a limit's are."""
    if not query.is_limit_consented:
        return ()
    return tuple(one for one in certificates if one.validity.holds_on(query.on))


def _holding(certificates: Sequence[_Certificate], on: date) -> _Certificate | None:
    """The certificate of a day; of several, the one that began last."""
    return max(
        (certificate for certificate in certificates if certificate.validity.holds_on(on)),
        key=lambda certificate: certificate.validity.start,
        default=None,
    )
