"""An explanation gives the answer `confirm` gives, and what it would be without each fact."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.domain.compact import compact
from gateway.domain.coverage import Coverage, CoverState, Enrolment, LossReason
from gateway.domain.eligibility import ByCard, ByNumber, Rules, Validity, confirm
from gateway.domain.explanation import (
    Facts,
    LinkFact,
    VersionFact,
    VersionKind,
    explain,
)
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, PersonKey
from gateway.domain.period import Instant, Period
from gateway.domain.projection import history_of
from tests.domain.covers import BORN, NATIONAL, SOCIETY, cover, insured, key

ON = date(2026, 4, 25)
DAY_US = 86_400_000_000
BEGIN = Instant(1_774_000_000_000_000)
"""20 March 2026, in the evening in Japan."""

OLD, NEW = (EnrolleeKey(name.encode().ljust(16, b".")) for name in ("old", "new"))


def at(days: int) -> Instant:
    """An instant so many days after the beginning."""
    return Instant(BEGIN + days * DAY_US)


def told(*covers: Coverage, of: EnrolleeKey = OLD) -> list[VersionFact]:
    """The versions of one cover as facts, each closed by the next."""
    closings = [*(one.recorded_time for one in covers[1:]), None]
    return [
        VersionFact(of, one.insured_id.insurer_number, one, closing, "file-1", place)
        for place, (one, closing) in enumerate(zip(covers, closings, strict=True), start=2)
    ]


def linked(
    of: EnrolleeKey, *people: tuple[int, str], is_numbered_first: bool = False
) -> list[LinkFact]:
    """The links of an enrollee, each closed by the next; the first is without a number."""
    closings = [*(at(days) for days, _ in people[1:]), None]
    return [
        LinkFact(of, key(name), at(days), closing, place > 0 or is_numbered_first)
        for place, ((days, name), closing) in enumerate(zip(people, closings, strict=True))
    ]


def facts(*versions: VersionFact, links: list[LinkFact]) -> Facts:
    """Facts in the order they were learned."""
    return Facts(
        tuple(sorted(versions, key=lambda one: one.coverage.recorded_time)),
        tuple(sorted(links, key=lambda one: one.recorded_time)),
    )


def asked(insurer: str = SOCIETY, branch: str = "01") -> ByNumber:
    """The question about a card of an insurer."""
    return ByNumber.of(insured(insurer, branch=branch), BORN, ON)


ACQUIRED = cover(date(2020, 4, 1), recorded_time=at(0))
LOST = structs.replace(
    ACQUIRED,
    version_no=2,
    recorded_time=at(31),
    period=Period(date(2020, 4, 1), date(2026, 4, 1)),
    loss_reason=LossReason.OTHER,
)
MOVED = structs.replace(LOST, version_no=3, recorded_time=at(32), address="見本町2")
NEWER = cover(date(2026, 4, 1), of=insured(NATIONAL), recorded_time=at(33))


def sentences(said: Facts, query: ByNumber) -> list[tuple[Validity, str]]:
    """The counter-facts: the other answer and its sentence."""
    found = explain(said, query, Rules()).counter_facts
    return [(one.answer.validity, one.sentence.en) for one in found]


def test_a_loss_is_what_the_answer_rests_on() -> None:
    """Without the loss the cover would still hold, and the sentence says so in both languages."""
    said = facts(*told(ACQUIRED, LOST), links=linked(OLD, (0, "a")))

    explained = explain(said, asked(), Rules())

    assert explained.answer.validity is Validity.INVALID
    kinds = [(one.kind, one.is_deciding) for one in explained.versions]
    assert kinds == [(VersionKind.ACQUIRED, False), (VersionKind.LOST, True)]
    (only,) = explained.counter_facts
    assert only.version == said.versions[1]
    assert only.answer.validity is Validity.VALID
    assert only.sentence.en == "valid, had the loss recorded on 2026-04-20 not arrived"
    assert only.sentence.ja == "2026-04-20に登録された資格喪失が届いていなければ「有効」。"


def test_a_loss_is_left_out_of_what_came_after_it() -> None:
    """A version after the loss repeats the loss; leaving the loss out leaves it out there too."""
    said = facts(*told(ACQUIRED, LOST, MOVED), links=linked(OLD, (0, "a")))
    expected = [(Validity.VALID, "valid, had the loss recorded on 2026-04-20 not arrived")]
    assert expected == sentences(said, asked())


def test_without_its_first_version_there_is_no_cover() -> None:
    """Without the new insurer's acquisition the old card is lost, with nothing newer."""
    links = [*linked(OLD, (0, "a")), *linked(NEW, (33, "b"), (34, "a"))]
    numbered = [structs.replace(one, is_numbered=True) for one in links]
    said = facts(*told(ACQUIRED, LOST), *told(NEWER, of=NEW), links=numbered)
    assert explain(said, asked(), Rules()).answer.validity is Validity.INVALID_NEWER_COVER
    assert sentences(said, asked()) == [
        (Validity.VALID, "valid, had the loss recorded on 2026-04-20 not arrived"),
        (Validity.INVALID, "invalid, had the acquisition recorded on 2026-04-22 not arrived"),
        (
            Validity.INVALID,
            "invalid, had the link not been changed at insurer 00138057 on 2026-04-23",
        ),
    ]


def test_the_first_number_linked_is_told_as_such() -> None:
    """A link from no number to one says that the My Number was linked."""
    links = [
        *linked(OLD, (0, "a"), is_numbered_first=True),
        *linked(NEW, (33, "b"), (34, "a")),
    ]
    said = facts(*told(ACQUIRED, LOST), *told(NEWER, of=NEW), links=links)
    assert sentences(said, asked())[-1] == (
        Validity.INVALID,
        "invalid, had the My Number not been linked at insurer 00138057 on 2026-04-23",
    )


def test_a_suspension_and_its_end_are_told() -> None:
    """Without the suspension the cover would be seen; once restored neither changes the answer."""
    hidden = structs.replace(
        ACQUIRED, version_no=2, recorded_time=at(1), state=CoverState.SUSPENDED
    )
    restored = structs.replace(ACQUIRED, version_no=3, recorded_time=at(2))
    said = facts(*told(ACQUIRED, hidden), links=linked(OLD, (0, "a")))
    assert explain(said, asked(), Rules()).answer.validity is Validity.NO_SUCH_COVER
    assert [one for one, _ in sentences(said, asked())] == [Validity.VALID]
    said = facts(*told(ACQUIRED, hidden, restored), links=linked(OLD, (0, "a")))
    assert sentences(said, asked()) == [
        (
            Validity.NO_SUCH_COVER,
            "no such cover, had the restoration recorded on 2026-03-22 not arrived",
        )
    ]


@pytest.mark.parametrize(
    ("items", "kind"),
    [
        ({"address": "x"}, VersionKind.CHANGED),
        ({"period": Period(date(2020, 5, 1))}, VersionKind.CORRECTED),
        ({"birth_date": date(1984, 3, 1)}, VersionKind.CORRECTED),
        (
            {"insured_id": structs.replace(ACQUIRED.insured_id, branch="07")},
            VersionKind.CHANGED,
        ),
        (
            {"insured_id": structs.replace(ACQUIRED.insured_id, symbol="訂正")},
            VersionKind.CORRECTED,
        ),
        ({"state": CoverState.CANCELLED}, VersionKind.CANCELLED),
        ({"state": CoverState.SUSPENDED}, VersionKind.SUSPENDED),
        ({"period": Period(date(2020, 4, 1), date(2026, 4, 1))}, VersionKind.LOST),
    ],
)
def test_a_version_is_named_by_what_it_changed(items: dict[str, object], kind: VersionKind) -> None:
    """Cover, days and birth date say more than other items."""
    after = structs.replace(ACQUIRED, version_no=2, recorded_time=at(1), **items)
    said = facts(*told(ACQUIRED, after), links=linked(OLD, (0, "a")))
    assert explain(said, asked(), Rules()).versions[1].kind is kind


def test_a_withdrawn_loss_is_a_correction() -> None:
    """A loss date that goes away, or another one, corrects the loss."""
    again = structs.replace(ACQUIRED, version_no=3, recorded_time=at(40))
    said = facts(*told(ACQUIRED, LOST, again), links=linked(OLD, (0, "a")))
    assert explain(said, asked(), Rules()).versions[2].kind is VersionKind.CORRECTED
    assert sentences(said, asked()) == [
        (Validity.INVALID, "invalid, had the correction recorded on 2026-04-29 not arrived")
    ]


def test_a_sibling_with_another_branch_is_not_told_of() -> None:
    """Who shares card and birth date but not the branch asked for stays out of the explanation."""
    twin = cover(date(2020, 4, 1), of=insured(branch="02"), recorded_time=at(0))
    links = [*linked(OLD, (0, "a")), *linked(NEW, (0, "b"))]
    said = facts(*told(ACQUIRED), *told(twin, of=NEW), links=links)
    explained = explain(said, asked(), Rules())
    assert [one.fact.enrollee_key for one in explained.versions] == [OLD]
    assert [one.fact.enrollee_key for one in explained.links] == [OLD]
    both = explain(said, ByNumber.of(insured(branch=""), BORN, ON), Rules())
    assert both.answer.validity is Validity.SEVERAL_PEOPLE
    assert len(both.versions) == 2


def test_what_an_enrollee_said_as_somebody_else_is_left_out() -> None:
    """Of an enrollee linked wrongly and repaired, only what was believed meanwhile is told."""
    later = structs.replace(NEWER, version_no=2, recorded_time=at(50), address="x")
    links = [*linked(OLD, (0, "a")), *linked(NEW, (33, "b"), (34, "a"), (40, "b"))]
    said = facts(*told(ACQUIRED), *told(NEWER, later, of=NEW), links=links)
    explained = explain(said, asked(), Rules())
    told_of = [(one.fact.enrollee_key, one.fact.coverage.version_no) for one in explained.versions]
    assert told_of == [(OLD, 1), (NEW, 1)]
    people = [(one.fact.enrollee_key, one.person_number) for one in explained.links]
    assert people == [(OLD, 1), (NEW, 1)]


def test_a_version_whose_predecessor_was_cut_off_has_no_counter_fact() -> None:
    """Where the version before is not known, nothing is claimed about leaving one out."""
    whole = told(ACQUIRED, LOST)
    links = linked(OLD, (0, "a"))
    other = told(cover(date(2019, 1, 1), date(2019, 2, 1), cover_no=2, recorded_time=at(0)))
    cut = structs.replace(facts(*other, whole[1], links=links), is_cut=True)
    explained = explain(cut, asked(), Rules())
    assert explained.is_cut
    assert explained.answer.validity is Validity.INVALID
    assert [one for one in explained.counter_facts if one.version == whole[1]] == []


def test_a_version_the_same_file_replaced_is_told_all_the_same() -> None:
    """Acquired and lost in one file: both are told, and the loss is what the answer rests on."""
    loss = structs.replace(LOST, recorded_time=at(0))
    said = facts(*told(ACQUIRED, loss), links=linked(OLD, (0, "a"), (1, "b")))
    explained = explain(said, asked(), Rules())
    kinds = [one.kind for one in explained.versions]
    assert kinds == [VersionKind.ACQUIRED, VersionKind.LOST]
    assert (Validity.VALID, "valid, had the loss recorded on 2026-03-20 not arrived") in sentences(
        said, asked()
    )


def test_by_card_the_holder_is_explained() -> None:
    """The newest cover answers; without its link or its acquisition the old one, lost, does."""
    links = [*linked(OLD, (0, "a"), is_numbered_first=True), *linked(NEW, (33, "b"), (34, "a"))]
    said = facts(*told(ACQUIRED, LOST), *told(NEWER, of=NEW), links=links)
    explained = explain(said, ByCard(key("a"), ON), Rules())
    assert explained.answer.validity is Validity.VALID
    assert [one.fact.enrollee_key for one in explained.versions] == [OLD, OLD, NEW]
    assert [(one.answer.validity, one.sentence.en) for one in explained.counter_facts] == [
        (Validity.INVALID, "invalid, had the acquisition recorded on 2026-04-22 not arrived"),
        (
            Validity.INVALID,
            "invalid, had the My Number not been linked at insurer 00138057 on 2026-04-23",
        ),
    ]


def test_by_card_nothing_is_told_of_who_must_not_be_found() -> None:
    """Self information is withheld: the card finds nothing, and no version says that it might."""
    fled = structs.replace(
        ACQUIRED, version_no=2, recorded_time=at(1), is_self_information_withheld=True
    )
    said = facts(*told(ACQUIRED, fled), links=linked(OLD, (0, "a"), is_numbered_first=True))
    explained = explain(said, ByCard(key("a"), ON), Rules())
    assert explained.answer.validity is Validity.NO_SUCH_COVER
    assert (explained.versions, explained.links, explained.counter_facts) == ((), (), ())
    by_number = explain(said, asked(), Rules())
    assert len(by_number.versions) == 2


def test_the_newer_cover_counts_even_where_it_was_learned_first() -> None:
    """Both learned at once, whichever is told first: without the newer one nothing is newer."""
    newer = structs.replace(NEWER, recorded_time=at(0))
    first = EnrolleeKey(b"a-first".ljust(16, b"."))
    numbered = linked(OLD, (0, "a"), is_numbered_first=True)
    links = [*linked(first, (0, "a"), is_numbered_first=True), *numbered]
    said = Facts((*told(newer, of=first), *told(ACQUIRED, LOST)), tuple(links))
    assert explain(said, asked(), Rules()).answer.validity is Validity.INVALID_NEWER_COVER
    assert sentences(said, asked()) == [
        (Validity.INVALID, "invalid, had the acquisition recorded on 2026-03-20 not arrived"),
        (Validity.VALID, "valid, had the loss recorded on 2026-04-20 not arrived"),
    ]


@st.composite
def lives(draw: st.DrawFn) -> tuple[Facts, list[Enrolment], dict[EnrolleeKey, PersonKey]]:
    """Random versions and links of two enrollees, and what is believed in the end."""
    versions: list[VersionFact] = []
    links: list[LinkFact] = []
    last: list[Enrolment] = []
    people: dict[EnrolleeKey, PersonKey] = {}
    for enrollee_key, insurer in ((OLD, SOCIETY), (NEW, NATIONAL)):
        current = cover(date(2020, 4, 1), of=insured(insurer), recorded_time=at(0))
        said = [current]
        for days in range(1, draw(st.integers(1, 4))):
            end = draw(st.sampled_from([None, date(2026, 4, 1), date(2026, 5, 1)]))
            current = structs.replace(
                current,
                version_no=current.version_no + 1,
                recorded_time=at(days),
                period=Period(draw(st.sampled_from([date(2020, 4, 1), date(2026, 4, 10)])), end)
                if end != date(2026, 4, 1)
                else Period(date(2020, 4, 1), end),
                state=draw(st.sampled_from(CoverState)),
            )
            said.append(current)
        versions += told(*said, of=enrollee_key)
        names = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3))
        of_enrollee = linked(enrollee_key, *((10 + d, name) for d, name in enumerate(names)))
        links += of_enrollee
        last.append(Enrolment(enrollee_key, of_enrollee[-1].is_numbered, (current,)))
        people[enrollee_key] = of_enrollee[-1].person_key
    return facts(*versions, links=links), last, people


@given(lives(), st.sampled_from([SOCIETY, NATIONAL]), st.booleans())
def test_the_explained_answer_is_the_answer(
    life: tuple[Facts, list[Enrolment], dict[EnrolleeKey, PersonKey]],
    insurer: str,
    is_found: bool,  # noqa: FBT001  drawn
) -> None:
    """Whatever was learned, `explain` and `confirm` agree, and no counter-fact says the same."""
    said, last, people = life
    rules = Rules(is_unnumbered_found_by_number=is_found)
    grouped: dict[PersonKey, list[Enrolment]] = {}
    for enrolment in last:
        grouped.setdefault(people[enrolment.enrollee_key], []).append(enrolment)
    histories = [
        compact(history_of(person_key, 0, grouped[person_key]), lambda _: b"")
        for person_key in sorted(grouped)
    ]
    explained = explain(said, asked(insurer), rules)
    assert explained.answer == confirm(histories, asked(insurer), rules)
    assert {one.insurer_number for one in explained.links} <= {
        InsurerNumber(SOCIETY),
        InsurerNumber(NATIONAL),
    }
    for one in explained.counter_facts:
        assert (one.version is None) != (one.link is None)
        assert (one.answer.validity, one.answer.why, one.answer.shown) != (
            explained.answer.validity,
            explained.answer.why,
            explained.answer.shown,
        )
