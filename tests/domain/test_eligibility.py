"""The answer at the counter: one row a situation, then what an answer shows and leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.compact import compact
from gateway.domain.coverage import (
    Coverage,
    CoverState,
    ElderlyCertificate,
    History,
    LimitCertificate,
    LimitClass,
    LimitKind,
    MedicalTicket,
    VersionRef,
)
from gateway.domain.eligibility import (
    ByCard,
    ByNumber,
    Confirmation,
    Query,
    Rules,
    Validity,
    Why,
    confirm,
)
from gateway.domain.identifiers import EnrolleeKey, InsuredId
from gateway.domain.period import Instant, Period
from loadtests.store_draws import small_birth_dates, small_days, small_insured_ids
from tests.domain.covers import (
    ASSISTANCE,
    BORN,
    NATIONAL,
    NOW,
    cover,
    enrolment,
    insured,
    key,
    person,
)
from tests.strategies import histories

ON = date(2026, 4, 15)
LAST_YEAR, MARCH, TODAY, MAY = date(2025, 4, 1), date(2026, 3, 1), ON, date(2026, 5, 1)

CARD = ByCard(key("person"), ON)
NEW_CARD = insured(NATIONAL, "9")
WELFARE = insured(ASSISTANCE, "7", "")
SUSPENDED, CANCELLED = CoverState.SUSPENDED, CoverState.CANCELLED

HIDDEN_BY_NUMBER = Rules(is_unnumbered_found_by_number=False)
SEEN_BY_CARD = Rules(is_unnumbered_found_by_card=True)
UNLISTED = Rules(are_several_people_listed=False)
OWN_TICKET_ONLY = Rules(is_ticket_of_another_institution_enough=False)


def asking(of: InsuredId | None = None, *, born: date = BORN, institution: str = "") -> ByNumber:
    """A question by number about the day."""
    asked = of or insured()
    return ByNumber(asked.lookup_key, asked.branch, born, ON, institution_code=institution)


def sheet(cover: Coverage) -> bytes:
    """What an answer shows of a cover, as far as these tests care."""
    return cover.insured_id.insurer_number.zero_padded.encode()


def answered(people: Sequence[History], query: Query, rules: Rules | None = None) -> Confirmation:
    """The answer over these histories, as a store would give them."""
    return confirm([compact(one, sheet) for one in people], query, rules or Rules())


def ticket(month: str, institution: str = "") -> MedicalTicket:
    """A ticket of a month, for one institution or for any."""
    return MedicalTicket(month, "01", "1", Period(date(2026, 4, 1)), institution)


def on_welfare(*tickets: MedicalTicket) -> History:
    """A person on medical assistance with these tickets."""
    return person(cover(LAST_YEAR, of=WELFARE, tickets=tickets))


RUNNING = person(cover(LAST_YEAR))
LOST = person(cover(LAST_YEAR, MARCH))
UNNUMBERED = person(enrolment(cover(LAST_YEAR), is_numbered=False))
TWIN, OTHER_TWIN = (
    person(cover(LAST_YEAR, of=insured(branch=branch)), name=branch) for branch in ("01", "02")
)
TWIN_WITHOUT = person(cover(LAST_YEAR, of=insured(branch="")), name="none")
CHANGED_JOBS = person(cover(LAST_YEAR, MARCH), cover(MARCH, of=NEW_CARD))
OLD_INSURER_LATE = person(cover(LAST_YEAR), cover(MARCH, of=NEW_CARD))
CAME_BACK = person(
    enrolment(cover(LAST_YEAR, date(2025, 7, 1)), cover(MARCH, cover_no=2)), name="person"
)
COMES_BACK = person(
    enrolment(cover(LAST_YEAR, date(2025, 7, 1)), cover(MAY, cover_no=2)), name="person"
)
BRANCH_CAME_LATE = person(
    enrolment(
        cover(LAST_YEAR, of=insured(branch="")),
        cover(MAY, of=insured(branch="01"), cover_no=2),
    )
)


def row(
    situation: str,
    people: Sequence[History],
    query: Query,
    validity: int,
    why: Why,
    rules: Rules | None = None,
) -> object:
    """A row of the table; without rules, the defaults."""
    return pytest.param(people, query, rules or Rules(), validity, why, id=situation)


@pytest.mark.parametrize(
    ("people", "query", "rules", "validity", "why"),
    [
        # 1 valid
        row("holds", [RUNNING], asking(), 1, Why.COVER_HOLDS),
        row("holds-by-card", [RUNNING], CARD, 1, Why.COVER_HOLDS),
        row("first-day", [person(cover(TODAY))], asking(), 1, Why.COVER_HOLDS),
        row("last-day", [person(cover(MARCH, date(2026, 4, 16)))], asking(), 1, Why.COVER_HOLDS),
        row("no-branch-asked", [RUNNING], asking(insured(branch="")), 1, Why.COVER_HOLDS),
        row("no-branch-registered", [TWIN_WITHOUT], asking(), 1, Why.COVER_HOLDS),
        row("came-back", [CAME_BACK], asking(), 1, Why.COVER_HOLDS),
        row("branch-came-late", [BRANCH_CAME_LATE], asking(), 1, Why.COVER_HOLDS),
        row("overlap-old-number", [OLD_INSURER_LATE], asking(), 1, Why.COVER_HOLDS),
        row("overlap-new-number", [OLD_INSURER_LATE], asking(NEW_CARD), 1, Why.COVER_HOLDS),
        row("overlap-by-card", [OLD_INSURER_LATE], CARD, 1, Why.COVER_HOLDS),
        row("newer-number", [CHANGED_JOBS], asking(NEW_CARD), 1, Why.COVER_HOLDS),
        row("changed-jobs-by-card", [CHANGED_JOBS], CARD, 1, Why.COVER_HOLDS),
        # 2 invalid
        row("lost", [LOST], asking(), 2, Why.COVER_LOST),
        row("lost-by-card", [LOST], CARD, 2, Why.COVER_LOST),
        row("lost-today", [person(cover(MARCH, TODAY))], asking(), 2, Why.COVER_LOST),
        row("not-begun", [person(cover(MAY))], asking(), 2, Why.COVER_NOT_BEGUN),
        row("not-begun-by-card", [person(cover(MAY))], CARD, 2, Why.COVER_NOT_BEGUN),
        row("empty", [person(cover(MARCH, MARCH))], asking(), 2, Why.COVER_ON_NO_DAY),
        row("empty-to-come", [person(cover(MAY, MAY))], asking(), 2, Why.COVER_ON_NO_DAY),
        row("comes-back", [COMES_BACK], asking(), 2, Why.COVER_LOST),
        row(
            "another-began-earlier",
            [person(cover(MARCH, TODAY), cover(LAST_YEAR, of=NEW_CARD))],
            asking(),
            2,
            Why.COVER_LOST,
        ),
        row(
            "newer-lost-too",
            [person(cover(LAST_YEAR, MARCH), cover(MARCH, TODAY, of=NEW_CARD))],
            asking(),
            2,
            Why.COVER_LOST,
        ),
        row(
            "newer-suspended",
            [person(cover(LAST_YEAR, MARCH), cover(MARCH, of=NEW_CARD, state=SUSPENDED))],
            asking(),
            2,
            Why.COVER_LOST,
        ),
        row(
            "newer-of-somebody-else",
            [LOST, person(cover(MARCH, of=NEW_CARD), name="other")],
            asking(),
            2,
            Why.COVER_LOST,
        ),
        row(
            "then-on-welfare",
            [person(cover(LAST_YEAR, MARCH), cover(MARCH, of=WELFARE))],
            asking(),
            2,
            Why.COVER_LOST,
        ),
        row(
            "asked-before-it-begins-while-the-old-one-holds",
            [person(cover(LAST_YEAR, MAY), cover(MAY, of=NEW_CARD))],
            asking(NEW_CARD),
            2,
            Why.COVER_NOT_BEGUN,
        ),
        # 3 invalid, newer cover
        row("changed-jobs", [CHANGED_JOBS], asking(), 3, Why.NEWER_COVER),
        row(
            "empty-then-another-insurer-the-same-day",
            [person(cover(MARCH, MARCH), cover(MARCH, of=NEW_CARD))],
            asking(),
            3,
            Why.NEWER_COVER,
        ),
        # 4 no such cover
        row("nobody", [], asking(), 4, Why.NOTHING_MATCHES),
        row("number-mistyped", [RUNNING], asking(insured(number="2")), 4, Why.NOTHING_MATCHES),
        row("other-branch", [RUNNING], asking(insured(branch="02")), 4, Why.NOTHING_MATCHES),
        row("other-insurer", [RUNNING], asking(insured(NATIONAL)), 4, Why.NOTHING_MATCHES),
        row("birth-date", [RUNNING], asking(born=date(1984, 3, 1)), 4, Why.NOTHING_MATCHES),
        row(
            "suspended",
            [person(cover(LAST_YEAR, state=SUSPENDED))],
            asking(),
            4,
            Why.NOTHING_MATCHES,
        ),
        row(
            "cancelled",
            [person(cover(LAST_YEAR, state=CANCELLED))],
            asking(),
            4,
            Why.NOTHING_MATCHES,
        ),
        row(
            "suspended-by-card",
            [person(cover(LAST_YEAR, state=SUSPENDED))],
            CARD,
            4,
            Why.CARD_UNKNOWN,
        ),
        row("nobody-by-card", [], CARD, 4, Why.CARD_UNKNOWN),
        row("card-of-another", [OTHER_TWIN], CARD, 4, Why.CARD_UNKNOWN),
        row("unnumbered-by-card", [UNNUMBERED], CARD, 4, Why.CARD_UNKNOWN),
        row("welfare-by-card", [on_welfare(ticket("202604"))], CARD, 4, Why.CARD_UNKNOWN),
        # ... as a setting has it (insurer-lifecycle.md 8, gap G4)
        row("unnumbered-by-number", [UNNUMBERED], asking(), 1, Why.COVER_HOLDS),
        row(
            "unnumbered-hidden-by-number",
            [UNNUMBERED],
            asking(),
            4,
            Why.NOTHING_MATCHES,
            HIDDEN_BY_NUMBER,
        ),
        row("unnumbered-seen-by-card", [UNNUMBERED], CARD, 1, Why.COVER_HOLDS, SEEN_BY_CARD),
        row("numbered-all-the-same", [RUNNING], asking(), 1, Why.COVER_HOLDS, HIDDEN_BY_NUMBER),
        # 5 several people
        row("twins", [TWIN, OTHER_TWIN], asking(insured(branch="")), 5, Why.SEVERAL_PEOPLE),
        row("twins-with-branch", [TWIN, OTHER_TWIN], asking(), 1, Why.COVER_HOLDS),
        row(
            "twins-both-without-branch",
            [TWIN_WITHOUT, person(cover(LAST_YEAR, of=insured(branch="")), name="other")],
            asking(),
            5,
            Why.SEVERAL_PEOPLE,
        ),
        row("twin-before-one-without", [TWIN, TWIN_WITHOUT], asking(), 1, Why.COVER_HOLDS),
        row(
            "twins-one-of-them-lost",
            [TWIN, person(cover(LAST_YEAR, MARCH, of=insured(branch="02")), name="02")],
            asking(insured(branch="")),
            5,
            Why.SEVERAL_PEOPLE,
        ),
        # Medical assistance: 1 with a ticket of the month, 6 without
        row("ticket", [on_welfare(ticket("202604"))], asking(WELFARE), 1, Why.COVER_HOLDS),
        row("no-ticket", [on_welfare()], asking(WELFARE), 6, Why.TICKET_MISSING),
        row("old-ticket", [on_welfare(ticket("202603"))], asking(WELFARE), 6, Why.TICKET_MISSING),
        row(
            "assistance-lost",
            [person(cover(LAST_YEAR, MARCH, of=WELFARE, tickets=(ticket("202604"),)))],
            asking(WELFARE),
            2,
            Why.COVER_LOST,
        ),
        row(
            "ticket-elsewhere",
            [on_welfare(ticket("202604", "1311111111"))],
            asking(WELFARE, institution="1319999999"),
            1,
            Why.COVER_HOLDS,
        ),
        row(
            "ticket-elsewhere-does-not-count",
            [on_welfare(ticket("202604", "1311111111"))],
            asking(WELFARE, institution="1319999999"),
            6,
            Why.TICKET_MISSING,
            OWN_TICKET_ONLY,
        ),
        row(
            "ticket-here",
            [on_welfare(ticket("202604", "1319999999"))],
            asking(WELFARE, institution="1319999999"),
            1,
            Why.COVER_HOLDS,
            OWN_TICKET_ONLY,
        ),
        row(
            "ticket-for-anywhere",
            [on_welfare(ticket("202604"))],
            asking(WELFARE, institution="1319999999"),
            1,
            Why.COVER_HOLDS,
            OWN_TICKET_ONLY,
        ),
    ],
)
def test_situation_has_its_answer(
    people: Sequence[History], query: Query, rules: Rules, validity: int, why: Why
) -> None:
    """Each situation gives its official code and says why (oqs-interface.md 4, OQSCD006)."""
    answer = answered(people, query, rules)
    assert (Validity(validity), why) == (answer.validity, answer.why)


def shown_starts(answer: Confirmation) -> list[date]:
    """The acquisition dates of the covers in an answer."""
    return [shown.cover.period.start for shown in answer.shown]


def test_by_card_the_cover_acquired_last_answers() -> None:
    """While the old insurer is late, the card shows the new one (insurer-lifecycle.md 7.4 #5)."""
    expected = [MARCH]
    assert expected == shown_starts(answered([OLD_INSURER_LATE], CARD))


def test_by_number_the_cover_asked_for_is_shown() -> None:
    """An invalid answer shows the old cover, never the newer one's insurer."""
    expected = [LAST_YEAR]
    assert expected == shown_starts(answered([CHANGED_JOBS], asking()))


@pytest.mark.parametrize(
    ("on", "start"),
    [
        (date(2025, 5, 1), LAST_YEAR),
        (date(2025, 9, 1), LAST_YEAR),
        (date(2026, 4, 15), MARCH),
        (date(2025, 3, 1), LAST_YEAR),
    ],
)
def test_re_enrolment_with_the_same_id_answers_by_day(on: date, start: date) -> None:
    """The cover that holds, else the last that began, else the next to begin."""
    query = ByNumber(insured().lookup_key, "01", BORN, on)
    assert [start] == shown_starts(answered([CAME_BACK], query))


def test_newer_cover_is_named_among_what_decided() -> None:
    """The versions that decided are the cover asked for and the newer one, nothing else."""
    expected = tuple(
        VersionRef(EnrolleeKey(name.ljust(16, b".")), 1, 1, NOW)
        for name in (b"enrollee-0", b"enrollee-1")
    )
    assert expected == answered([CHANGED_JOBS], asking()).decided_by


def test_answer_names_the_person_and_the_version_of_their_record() -> None:
    """The access record can say who was looked at, and a token which record was."""
    answer = answered([person(cover(LAST_YEAR), version=7)], asking())
    assert ((key("person"),), 7) == (answer.people, answer.person_version)


def test_no_such_cover_shows_and_names_nobody() -> None:
    """Validity 4 carries nothing of anyone, even of the person whose branch is another."""
    expected = Confirmation(Validity.NO_SUCH_COVER, Why.NOTHING_MATCHES, (), (), ())
    assert expected == answered([RUNNING], asking(insured(branch="02")))


def test_several_people_are_listed_one_cover_each() -> None:
    """Validity 5 lists each match (oqs-interface.md 2.2) and names all in the access record."""
    answer = answered([TWIN, OTHER_TWIN], asking(insured(branch="")))
    assert [key("01"), key("02")] == [shown.person_key for shown in answer.shown]
    assert (key("01"), key("02")) == answer.people


def test_several_people_are_not_listed_if_the_setting_says_so() -> None:
    """The named setting leaves the list out; who was looked at is recorded all the same."""
    answer = answered([TWIN, OTHER_TWIN], asking(insured(branch="")), UNLISTED)
    assert ((), (key("01"), key("02"))) == (answer.shown, answer.people)


LIMIT = LimitCertificate(Period(LAST_YEAR), LimitKind.LIMIT, LimitClass.B04)
OLD_LIMIT = LimitCertificate(Period(LAST_YEAR, TODAY), LimitKind.LIMIT, LimitClass.B03)


@pytest.mark.parametrize(
    ("limits", "is_consented", "expected"),
    [
        ((LIMIT,), True, LIMIT),
        ((LIMIT,), False, None),
        ((OLD_LIMIT,), True, None),
        ((), True, None),
    ],
)
@pytest.mark.parametrize("query", [asking(), CARD])
def test_limit_certificate_is_shown_only_with_consent(
    query: ByNumber | ByCard,
    limits: tuple[LimitCertificate, ...],
    is_consented: bool,  # noqa: FBT001  a column
    expected: LimitCertificate | None,
) -> None:
    """Without consent the certificate is absent, by either route (R003-07)."""
    asked: Query = (
        ByCard(query.person_key, ON, is_consented)
        if isinstance(query, ByCard)
        else ByNumber(query.lookup_key, query.branch, query.birth_date, ON, is_consented)
    )
    answer = answered([person(cover(LAST_YEAR, limits=limits))], asked)
    assert expected == answer.shown[0].limit


@pytest.mark.parametrize(
    ("on", "ratio"),
    [
        (date(2025, 7, 31), None),
        (date(2025, 8, 1), 20),
        (date(2025, 12, 31), 20),
        (date(2026, 1, 1), 30),
        (date(2026, 7, 31), 30),
    ],
)
def test_elderly_certificate_is_the_one_that_began_last(on: date, ratio: int | None) -> None:
    """A certificate left open does not hide the one that changed the ratio (7.4 #15)."""
    certificates = (
        ElderlyCertificate(Period(date(2025, 8, 1)), 20),
        ElderlyCertificate(Period.through(date(2026, 1, 1), date(2026, 7, 31)), 30),
    )
    history = person(cover(LAST_YEAR, elderly=certificates))
    shown = answered([history], ByNumber(insured().lookup_key, "01", BORN, on)).shown[0].elderly
    assert ratio == (None if shown is None else shown.copayment_ratio)


def test_tickets_of_other_months_are_not_shown() -> None:
    """An answer carries the tickets of the month asked for only."""
    answer = answered([on_welfare(ticket("202603"), ticket("202604"))], asking(WELFARE))
    assert (ticket("202604"),) == answer.shown[0].tickets


def test_of_two_covers_that_began_on_one_day_the_one_learned_last_answers() -> None:
    """By card, the tie between insurers goes to the later registration (gap G8)."""
    late = cover(LAST_YEAR, of=NEW_CARD, recorded_time=Instant(NOW + 1))
    answer = answered([person(late, cover(LAST_YEAR))], CARD)
    assert sheet(late) == answer.shown[0].cover.sheet


def test_every_why_tells_both_readers() -> None:
    """Each rule that can answer explains itself in Japanese and in English."""
    assert all(why.value.ja and why.value.en.isascii() for why in Why)


queries = st.one_of(
    st.builds(
        lambda asked, *rest: ByNumber(asked.lookup_key, asked.branch, *rest),
        small_insured_ids,
        small_birth_dates,
        small_days,
        st.booleans(),
    ),
    st.builds(ByCard, st.just(key("person")), small_days, st.booleans()),
)
rules = st.builds(
    Rules,
    is_unnumbered_found_by_number=st.booleans(),
    is_unnumbered_found_by_card=st.booleans(),
    are_several_people_listed=st.booleans(),
)


@st.composite
def worlds(draw: st.DrawFn) -> list[History]:
    """A few people whose covers share few identifiers and days, so that questions meet them."""
    covers = st.builds(
        cover,
        small_days,
        st.none(),
        of=small_insured_ids,
        state=st.sampled_from(CoverState),
        birth_date=small_birth_dates,
        limits=st.sampled_from([(), (LIMIT,)]),
    )
    enrolments = st.builds(
        lambda one, is_numbered: enrolment(one, is_numbered=is_numbered), covers, st.booleans()
    )
    names = draw(st.lists(st.sampled_from(["person", "a", "b"]), unique=True, max_size=3))
    return [
        person(*draw(st.lists(enrolments, min_size=1, max_size=3)), name=name) for name in names
    ]


@given(worlds(), queries, rules)
def test_an_answer_shows_only_what_may_be_seen(
    people: list[History], query: Query, rules: Rules
) -> None:
    """Whatever is asked: visible covers only, of those named, and a limit only with consent."""
    answer = answered(people, query, rules)
    assert all(shown.cover.state is CoverState.REGISTERED for shown in answer.shown)
    assert {shown.person_key for shown in answer.shown} <= set(answer.people)
    assert query.is_limit_consented or all(shown.limit is None for shown in answer.shown)
    assert (answer.validity is Validity.NO_SUCH_COVER) == (not answer.people)
    assert (answer.validity is Validity.SEVERAL_PEOPLE) == (len(answer.people) > 1)


@given(worlds(), queries, rules, st.lists(histories, max_size=2))
def test_people_who_do_not_match_change_nothing(
    people: list[History], query: Query, rules: Rules, others: list[History]
) -> None:
    """A store may give more people than it must."""
    others = [
        other
        for other in others
        if other.person_key not in {one.person_key for one in people}
        and answered([other], query, rules).validity is Validity.NO_SUCH_COVER
    ]
    assert answered(people, query, rules) == answered([*others, *people], query, rules)
