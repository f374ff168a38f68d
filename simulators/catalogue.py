"""
The named test persons: at least two for each official answer, the same on every day.

Whoever uploads the rows of a `Catalogue`, one file per insurer in the order given, gets exactly
the expected answers. The situations follow insurer-lifecycle.md 2.3 and 7.4 and
oqs-interface.md 4 and 5. docs/people.md is the catalogue as a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, NamedTuple

import jaconv

from gateway.domain.identifiers import InsurerKind, with_check_digit
from simulators.catalogue_text import PEOPLE, QUESTIONS
from simulators.people import (
    INSURERS,
    Card,
    Row,
    SimulatedInsurer,
    TestPerson,
    address_of,
    cancel_row,
    loss_row,
)
from simulators.population import made_up_individual_number

ON: Final = date(2026, 4, 15)
"""The day most questions are about."""

_FIRST_SERIAL: Final = 99_999_000
"""Where the catalogue's My Numbers begin, far from any population's."""

ASSOCIATION: Final = INSURERS[InsurerKind.ASSOCIATION][0]
SOCIETY, OTHER_SOCIETY = INSURERS[InsurerKind.SOCIETY][:2]
MUTUAL_AID: Final = INSURERS[InsurerKind.MUTUAL_AID][0]
NATIONAL, OTHER_NATIONAL = INSURERS[InsurerKind.NATIONAL][:2]
LATTER_STAGE: Final = INSURERS[InsurerKind.LATTER_STAGE_ELDERLY][0]
WELFARE_OFFICE: Final = INSURERS[InsurerKind.MEDICAL_ASSISTANCE][0]


def _table(text: str) -> dict[str, tuple[str, ...]]:
    lines = (line.split(" | ") for line in text.strip().splitlines())
    return {key: tuple(cells) for key, *cells in lines}


_PERSON_OF: Final = _table(PEOPLE)
_CHANGED: Final = ("insurer_number", "action", "symbol", "number", "branch", "birth_date")
"""What a CHANGE line says beside the items it changes."""

_QUESTION_OF: Final = _table(QUESTIONS)
_SERIAL_OF: Final = {key: serial for serial, key in enumerate(_PERSON_OF, start=1)}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The test persons, and the lines of each insurer's coverage file by insurer number."""

    people: tuple[TestPerson, ...]
    rows_by_insurer: dict[str, tuple[Row, ...]]


class _Entry(NamedTuple):
    """One question, and the lines it needs beside those of the entries before it."""

    person: TestPerson
    rows: tuple[Row, ...]


def catalogue(institution_code: str) -> Catalogue:
    """
    Give every test person.

    Args:
        institution_code: The ten digits the tickets of medical assistance name.
    """
    entries = [
        *_ordinary(),
        *_spellings(),
        *_certificates(),
        *_days(),
        *_lost(),
        *_newer(),
        *_unknown(),
        *_several(),
        *_assistance(institution_code),
        *_suspended(),
        *_hidden(),
        *_papers(),
    ]
    rows: dict[str, list[Row]] = {}
    for entry in entries:
        for row in entry.rows:
            rows.setdefault(row["insurer_number"], []).append(row)
    return Catalogue(
        tuple(entry.person for entry in entries),
        {number: tuple(of_insurer) for number, of_insurer in rows.items()},
    )


def as_json(people: Iterable[TestPerson]) -> list[dict[str, object]]:
    """Give test persons as values for JSON, days as YYYY-MM-DD."""
    return [
        {
            "id": person.id,
            "insurer_number": person.insurer_number,
            "symbol": person.symbol,
            "number": person.number,
            "branch": person.branch,
            "birth_date": person.birth_date.isoformat(),
            "on": person.on.isoformat(),
            "expected_validity": person.expected_validity,
            "note": f"{person.note_ja} / {person.note_en}",
            "is_limit_certificate_consented": person.is_limit_certificate_consented,
            "name": person.name,
        }
        for person in people
    ]


def _new(insurer: SimulatedInsurer, card: str, key: str, acquired: str, **more: str) -> Row:
    """A NEW line; `card` is symbol, number and branch between strokes, `more` further cells."""
    symbol, number, branch = card.split("/")
    name, kana, sex, birth_date = _PERSON_OF[key]
    serial = _SERIAL_OF[key]
    return {
        **Card(insurer.number, symbol, number, branch).cells(),
        **address_of(serial),
        "action": "NEW",
        "birth_date": birth_date,
        "acquisition_date": acquired,
        "name": name,
        "name_kana": jaconv.z2h(kana, kana=True),
        "sex": sex,
        "relationship": "1",
        "card_classification": "01",
        "insurer_name": insurer.name,
        "individual_number": made_up_individual_number(_FIRST_SERIAL + serial),
        **more,
    }


def _entry(person_id: str, rows: Iterable[Row], **asked: str) -> _Entry:
    """An entry that asks for the cover of its first line, but for what `asked` spells otherwise."""
    lines = tuple(rows)
    cells = {**lines[0], **asked}
    validity, ja, en = _QUESTION_OF[person_id]
    person = TestPerson(
        id=person_id,
        insurer_number=cells["insurer_number"],
        symbol=cells["symbol"],
        number=cells["number"],
        branch=cells["branch"],
        birth_date=date.fromisoformat(cells["birth_date"]),
        on=ON,
        expected_validity=int(validity),
        note_ja=ja,
        note_en=en,
        name=cells["name"],
        individual_number=next((n for row in lines if (n := row.get("individual_number"))), ""),
    )
    return _Entry(person, lines)


def _ordinary() -> Iterator[_Entry]:
    family = {"relationship": "2", "insured_name": _PERSON_OF["father"][0]}
    father = _new(SOCIETY, "12-34/5678/01", "father", "20050401", card_issue_date="20050410")
    mother = _new(SOCIETY, "12-34/5678/02", "mother", "20100601", **family)
    child = _new(SOCIETY, "12-34/5678/03", "child", "20210305", is_preschool="1", **family)
    card = {"card_issue_date": "20241202", "card_first_valid_date": "20241202"}
    yield _entry("society-insured", [father])
    yield _entry("society-family", [mother])
    yield _entry("society-child", [child], branch="")
    employee = _new(ASSOCIATION, "71000001/12/00", "employee", "20180401")
    yield _entry("association-insured", [employee])
    teacher = _new(MUTUAL_AID, "公架見/0042/00", "teacher", "19980401", **card)
    yield _entry("card-without-end", [teacher])


def _spellings() -> Iterator[_Entry]:
    card = {"card_first_valid_date": "20250801", "card_last_valid_date": "20260731"}
    kana = _new(NATIONAL, "かくう/00123/01", "kana", "20150401", **card)
    yield _entry("national-kana-symbol", [kana])
    wide = _new(OTHER_SOCIETY, "77-12/345/01", "wide", "20160401")
    yield _entry("symbol-full-width", [wide], symbol="７７－１２", number="３４５")
    stroke = _new(OTHER_SOCIETY, "88-12/346/01", "stroke", "20220401")
    yield _entry("symbol-other-hyphen", [stroke], symbol="８８ー１２")
    rare = _new(NATIONAL, "かくう/00124/01", "rare", "20110701", **card)
    yield _entry("name-outside-shift-jis", [rare])
    extension = _new(NATIONAL, "かくう/00125/01", "extension", "20110701", **card)
    yield _entry("name-of-cp932", [extension])
    replaced = _new(NATIONAL, "かくう/00126/01", "replaced", "20110701", **card)
    yield _entry("name-replaced", [replaced])
    daily = {"name_of_other": "見本　まりあ"}
    yield _entry(
        "name-of-daily-life", [_new(ASSOCIATION, "71000001/13/00", "daily", "20200401", **daily)]
    )


def _certificates() -> Iterator[_Entry]:
    card = {"card_first_valid_date": "20250801", "card_last_valid_date": "20260731"}
    elderly = {
        "elderly_issue_date": "20250720",
        "elderly_first_valid_date": "20250801",
        "elderly_last_valid_date": "20260731",
        "elderly_copayment_ratio": "020",
    }
    limit = {
        "limit_kind": "01",
        "limit_class": "A04",
        "limit_issue_date": "20250725",
        "limit_first_valid_date": "20250801",
        "limit_last_valid_date": "20260731",
    }
    elder = _new(LATTER_STAGE, "/99000018/", "elder", "20180203", copayment_ratio="020", **card)
    yield _entry("latter-stage-elderly", [elder])
    seventy = _new(NATIONAL, "かくう/00127/01", "seventy", "20130610", **elderly)
    yield _entry("elderly-certificate", [seventy])
    patient = _new(ASSOCIATION, "71000002/88/00", "patient", "20090401", **limit)
    yield _consented(_entry("limit-certificate", [patient]))
    dialysis = _new(SOCIETY, "12-34/6101/01", "dialysis", "20010401", **_disease("1", "10000"))
    yield _consented(_entry("specific-disease", [dialysis]))
    blood = _new(
        NATIONAL,
        "かくう/00150/02",
        "haemophilia",
        "20080919",
        relationship="2",
        **_disease("2", "10000"),
    )
    again = {**blood, **_disease("3", "10000", "20250901"), "action": "CHANGE"}
    change = {name: again[name] for name in (*_CHANGED, *_disease("3", "10000"))}
    yield _consented(_entry("two-specific-diseases", [blood, change]))
    reduced = {**limit, "limit_kind": "03", "limit_class": "B06", "documents_seen": "1+2"}
    reduction = _new(NATIONAL, "かくう/00151/01", "reduction", "20110228", **reduced)
    yield _consented(_entry("reduction-certificate", [reduction]))
    seventy_today = {**elderly, "elderly_issue_date": "20260410"}
    seventy_today |= {"elderly_first_valid_date": "20260501", "elderly_last_valid_date": "20260731"}
    turned = _new(NATIONAL, "かくう/00152/01", "seventy-today", "20160415", **seventy_today)
    yield _entry("seventy-on-the-day", [turned])


def _disease(category: str, self_pay: str, first: str = "20250801") -> Row:
    """Cells of a specific disease certificate."""
    return {
        "disease_category": category,
        "disease_issue_date": "20250720",
        "disease_first_valid_date": first,
        "disease_last_valid_date": "20260731",
        "disease_self_pay": self_pay,
        "documents_seen": "1+3",
    }


def _consented(entry: _Entry) -> _Entry:
    """The same, asked with consent to show certificates."""
    return entry._replace(person=replace(entry.person, is_limit_certificate_consented=True))


def _suspended() -> Iterator[_Entry]:
    for person_id, key, branch in (
        ("suspended-after-check", "suspended", "01"),
        ("suspended-family", "suspended-2", "02"),
    ):
        entry = _entry(person_id, [_new(SOCIETY, f"12-34/9201/{branch}", key, "20260401")])
        yield entry._replace(person=replace(entry.person, is_suspended=True))


def _hidden() -> Iterator[_Entry]:
    fled = _new(SOCIETY, "12-34/9301/01", "fled", "20190401", is_nondisclosed="1")
    yield _entry("address-not-disclosed", [fled])
    withheld = _new(NATIONAL, "かくう/00160/01", "withheld", "20220401")
    flag = {name: withheld[name] for name in _CHANGED} | {"is_self_information_withheld": "1"}
    yield _entry("self-information-withheld", [withheld, {**flag, "action": "CHANGE"}])


def _papers() -> Iterator[_Entry]:
    certificate = {
        "certificate_issue_date": "20251202",
        "certificate_last_valid_date": "20301202",
    }
    continued = _new(
        SOCIETY,
        "12-34/9401/01",
        "continued",
        "20250401",
        is_voluntary_continuation="1",
        **certificate,
    )
    yield _entry("voluntary-continuation", [continued])
    card = {"card_issue_date": "20190410", "card_first_valid_date": "20190410"}
    reissued = _new(ASSOCIATION, "71000007/41/00", "reissued", "20190401", **card)
    newer = {name: reissued[name] for name in _CHANGED} | {"card_issue_date": "20250120"}
    yield _entry("card-reissued", [reissued, {**newer, "action": "CHANGE"}])
    died = _new(LATTER_STAGE, "/99000034/", "died", "20150909", **certificate)
    yield _entry("lost-by-death", [died, loss_row(died, "20260402", "01")])


def _days() -> Iterator[_Entry]:
    last = _new(SOCIETY, "12-34/6001/01", "last", "20190401")
    yield _entry("last-day", [last, loss_row(last, "20260416", "03")])
    earlier = _new(ASSOCIATION, "71000003/5/00", "again", "20120401")
    again = _new(ASSOCIATION, "71000003/5/00", "again", "20250401")
    yield _entry("same-insurer-again", [earlier, loss_row(earlier, "20240401", "03"), again])
    kept = _new(NATIONAL, "かくう/00128/01", "overlap", "20200401")
    gained = _new(SOCIETY, "12-34/6002/01", "overlap", "20260401")
    yield _entry("overlap", [kept, gained])


def _lost() -> Iterator[_Entry]:
    retired = _new(SOCIETY, "12-34/7001/01", "retired", "19870401")
    yield _entry("lost-on-leaving-work", [retired, loss_row(retired, "20260401", "99")])
    moved = _new(OTHER_NATIONAL, "みほん/0301/01", "moved", "20190401")
    yield _entry("lost-on-moving-away", [moved, loss_row(moved, "20251001", "99")])
    today = _new(ASSOCIATION, "71000004/9/00", "today", "20110401")
    yield _entry("lost-today", [today, loss_row(today, "20260415", "99")])
    yield _entry("not-yet-begun", [_new(SOCIETY, "12-34/7002/01", "future", "20260501")])
    brief = _new(ASSOCIATION, "71000004/10/00", "brief", "20260401")
    yield _entry("lost-on-first-day", [brief, loss_row(brief, "20260401", "99")])
    old = _new(ASSOCIATION, "71000004/11/00", "unlinked", "20080401")
    newer = _new(NATIONAL, "かくう/00129/01", "unlinked", "20260401", individual_number="")
    yield _entry("newer-not-linked", [old, loss_row(old, "20260401", "03"), newer])


def _newer() -> Iterator[_Entry]:
    first = _new(SOCIETY, "12-34/8001/01", "changed", "20150401")
    second = _new(ASSOCIATION, "71000005/21/00", "changed", "20260401")
    yield _entry("job-changed", [first, loss_row(first, "20260401", "03"), second])
    one = _new(ASSOCIATION, "71000005/22/00", "twice", "20100401")
    two = _new(NATIONAL, "かくう/00130/01", "twice", "20251101")
    three = _new(OTHER_SOCIETY, "77-13/900/01", "twice", "20260201")
    losses = [loss_row(one, "20251101", "03"), loss_row(two, "20260201", "03")]
    yield _entry("job-changed-twice", [one, two, three, *losses])
    young = _new(NATIONAL, "かくう/00131/01", "turned", "20110310")
    old = _new(LATTER_STAGE, "/99000026/", "turned", "20260310", copayment_ratio="010")
    yield _entry("turned-75", [young, loss_row(young, "20260310", "03"), old])


def _unknown() -> Iterator[_Entry]:
    typo = _new(SOCIETY, "12-34/9001/01", "typo", "20140401")
    yield _entry("number-mistyped", [typo], number="9010")
    wrong = _new(OTHER_NATIONAL, "みほん/0302/01", "wrong", "20170401")
    yield _entry("birth-date-wrong", [wrong], birth_date="19670727")
    cancelled = _new(SOCIETY, "12-34/9002/01", "cancelled", "20260401")
    yield _entry("cover-cancelled", [cancelled, cancel_row(cancelled)])
    filed = _new(OTHER_NATIONAL, "みほん/0399/01", "filed", "20260410")
    yield _entry("not-registered-yet", [filed])._replace(rows=())


def _several() -> Iterator[_Entry]:
    family = {"relationship": "2", "insured_name": "架空　進"}
    twin = _new(ASSOCIATION, "71000006/31/01", "twin", "20160214", **family)
    other = _new(ASSOCIATION, "71000006/31/02", "twin-2", "20160214", **family)
    yield _entry("twins-without-branch", [twin, other], branch="")
    yield _entry("twin-with-branch", [other])._replace(rows=())
    triplets = [
        _new(NATIONAL, f"かくう/00140/{branch}", key, "20120620", relationship="2")
        for branch, key in (("03", "triplet"), ("04", "triplet-2"), ("05", "triplet-3"))
    ]
    yield _entry("triplets-without-branch", triplets, branch="")


def _assistance(institution_code: str) -> Iterator[_Entry]:
    for place, (person_id, key, month, last_day) in enumerate(
        (
            ("assistance-with-ticket", "ticket", "202604", "30"),
            ("assistance-without-ticket", "no-ticket", "", ""),
            ("assistance-old-ticket", "old-ticket", "202603", "31"),
        ),
        start=1,
    ):
        ticket = {
            "ticket_type": "01",
            "ticket_month": month,
            "ticket_issue_number": f"000{place}",
            "ticket_first_valid_date": f"{month}01",
            "ticket_last_valid_date": f"{month}{last_day}",
            "ticket_institution_code": institution_code,
            "ticket_institution_name": "見本医院",
        }
        more = {"card_classification": "A1", "relationship": "", **(ticket if month else {})}
        card = f"/{with_check_digit(f'90000{place}')}/"
        yield _entry(person_id, [_new(WELFARE_OFFICE, card, key, "20240401", **more)])
