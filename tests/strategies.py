"""
Hypothesis strategies for the domain's values: valid ones, and texts that are nearly valid.

Valid strategies build values through their constructors, so they cannot drift from the rules. Those
that draw from few values, so that draws meet, are in `loadtests.store_draws`.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import strategies as st

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
    MedicalTicket,
    Relationship,
    Sex,
)
from gateway.domain.identifiers import (
    EnrolleeKey,
    InstitutionCode,
    InsuredId,
    InsurerNumber,
    LookupKey,
    PersonKey,
    with_check_digit,
)
from gateway.domain.individual_number import IndividualNumber, individual_check_digit
from gateway.domain.period import FIRST_DAY, Instant, Period, days_after

keys = st.binary(min_size=16, max_size=16)
person_keys = keys.map(PersonKey)
enrollee_keys = keys.map(EnrolleeKey)
lookup_keys = keys.map(LookupKey)

instants = st.integers(min_value=0, max_value=4_102_444_800_000_000).map(Instant)
"""From 1970 to 2100, in microseconds."""

days = st.dates(min_value=FIRST_DAY, max_value=date(2100, 12, 31))
birth_dates = st.dates(min_value=date(1900, 1, 1), max_value=date(2026, 4, 1))


def _digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


insurer_numbers = st.sampled_from([5, 7]).flatmap(
    lambda count: _digits(count).map(
        lambda body: InsurerNumber(with_check_digit(body).rjust(8, "0"))
    )
)
"""National ones of 6 digits and the others of 8."""

institution_codes = _digits(9).map(lambda body: InstitutionCode(with_check_digit(body)))
individual_numbers = _digits(11).map(
    lambda body: IndividualNumber(body + individual_check_digit(body))
)

branches = st.none() | _digits(2)

_CARD_CHARACTERS = "0123456789abcXYZ０１２３ａＢあいウエヴﾊﾟﾋ髙﨑-‐−ー―"

symbols = st.text(_CARD_CHARACTERS, max_size=20)
"""As cards spell them: full-width and half-width, kana, kanji, every hyphen; may be empty."""

numbers = st.text(_CARD_CHARACTERS, min_size=1, max_size=20)

insured_ids = st.builds(InsuredId, insurer_numbers, symbols, numbers, branches)

nasty_texts = st.one_of(
    st.text(max_size=40),
    st.text("0123456789０１２３ 　-ー\x00\n\r\t\u200b\ufeff", max_size=24),
    st.sampled_from(
        ["", " ", "　", "77777777", "0" * 400, "9999-99-99", "20250229", "=1+1", "\x1f"]
    ),
)
"""What no field should accept unread."""


@st.composite
def periods(draw: st.DrawFn, starts: st.SearchStrategy[date] = days) -> Period:
    """Half-open periods: open, empty, short and long ones."""
    start = draw(starts)
    length = draw(st.none() | st.sampled_from([0, 1, 30, 365]) | st.integers(0, 20_000))
    return Period(start, None if length is None else days_after(start, length))


names = st.text("山田太郎花子髙﨑ヤマダ  ﾔﾏﾀﾞABCabc", max_size=12)

elderly_certificates = st.builds(
    ElderlyCertificate, periods(), st.sampled_from([10, 20, 30]), st.none() | days
)
limit_certificates = st.builds(
    LimitCertificate,
    periods(),
    st.sampled_from(LimitKind),
    st.sampled_from(LimitClass),
    st.none() | days,
    st.none() | days,
)
medical_tickets = st.builds(
    MedicalTicket,
    days.map(lambda day: f"{day:%Y%m}"),
    st.sampled_from(["01", "02"]),
    _digits(8),
    periods(),
    st.just("") | institution_codes.map(lambda code: code.digits),
    names,
)


def _few(certificates: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(certificates, max_size=2).map(tuple)


coverages = st.builds(
    Coverage,
    cover_no=st.integers(1, 9),
    version_no=st.integers(1, 9),
    recorded_time=instants,
    state=st.sampled_from(CoverState),
    insured_id=insured_ids,
    birth_date=birth_dates,
    period=periods(),
    name=names,
    insurer_name=names,
    sex=st.sampled_from(Sex),
    card_classification=st.sampled_from(CardClassification),
    name_kana=names,
    sex_on_reverse=st.none() | st.sampled_from(Sex),
    relationship=st.none() | st.sampled_from(Relationship),
    card_issue_date=st.none() | days,
    card_validity=st.none() | periods(),
    copayment_ratio=st.none() | st.sampled_from([0, 10, 20, 30]),
    is_preschool=st.booleans(),
    loss_reason=st.none() | st.sampled_from(LossReason),
    elderly=_few(elderly_certificates),
    limits=_few(limit_certificates),
    tickets=_few(medical_tickets),
)
"""Versions of covers, each for itself; those of an enrollee may overlap."""

enrolments = st.builds(
    Enrolment,
    enrollee_keys,
    st.booleans(),
    st.lists(coverages, min_size=1, max_size=3, unique_by=lambda cover: cover.cover_no).map(tuple),
)
histories = st.builds(
    History,
    person_keys,
    st.integers(1, 99),
    st.lists(enrolments, max_size=3, unique_by=lambda one: one.enrollee_key).map(tuple),
)
