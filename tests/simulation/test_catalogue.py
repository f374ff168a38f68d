"""The named test persons get the answers they promise."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from gateway.domain.compact import compact
from gateway.domain.coverage import History
from gateway.domain.eligibility import ByNumber, Confirmation, Rules, confirm
from gateway.domain.identifiers import InstitutionCode, InsuredId, InsurerNumber
from gateway.domain.individual_number import IndividualNumber
from simulators.catalogue import as_json, catalogue
from simulators.clinic import FileEncoding, FolderAnswer, encoded_xml, read_result, request_xml
from simulators.people import INSURERS, TestPerson, as_page, lines_of

INSTITUTION = "1319900013"
CATALOGUE = catalogue(INSTITUTION)
PAGE = Path(__file__).parents[2] / "docs" / "people.md"

by_id = pytest.mark.parametrize("person", CATALOGUE.people, ids=lambda person: person.id)


@pytest.fixture(scope="module")
def histories(histories_of: Callable[[Iterable[bytes]], list[History]]) -> list[History]:
    """Everything the gateway would know after the whole catalogue was uploaded."""
    return histories_of(lines_of(rows) for rows in CATALOGUE.rows_by_insurer.values())


def _confirm(histories: list[History], person: TestPerson) -> Confirmation:
    insured_id = InsuredId.parse(person.insurer_number, person.symbol, person.number, person.branch)
    query = ByNumber.of(
        insured_id,
        person.birth_date,
        person.on,
        is_limit_consented=person.is_limit_certificate_consented,
        institution_code=INSTITUTION,
    )
    return confirm([compact(one, lambda _: b"") for one in histories], query, Rules())


@by_id
def test_every_person_gets_the_expected_answer(
    person: TestPerson, histories: list[History]
) -> None:
    """
    After all files are applied, each question gets exactly the official code it promises.

    Nothing is suspended here, because no register is asked.
    """
    expected = 1 if person.is_suspended else person.expected_validity
    assert expected == int(_confirm(histories, person).validity)


def test_each_answer_has_two_people() -> None:
    """Every validity from 1 to 6 is shown by at least two persons."""
    counts = Counter(person.expected_validity for person in CATALOGUE.people)
    shown_twice = {code for code, count in counts.items() if count >= 2}
    assert set(range(1, 7)) == shown_twice


def test_ids_are_unique() -> None:
    """A person is found by id, so no id comes twice."""
    assert len(CATALOGUE.people) == len({person.id for person in CATALOGUE.people})


def test_the_catalogue_is_the_same_every_time() -> None:
    """Two calls give equal people and equal lines."""
    assert catalogue(INSTITUTION) == CATALOGUE


def test_certificates_are_shown(histories: list[History]) -> None:
    """The persons named for a certificate show it, the limit certificate because of consent."""
    people = {person.id: person for person in CATALOGUE.people}
    limit = _confirm(histories, people["limit-certificate"]).shown[0]
    elderly = _confirm(histories, people["elderly-certificate"]).shown[0]
    ticket = _confirm(histories, people["assistance-with-ticket"]).shown[0]
    assert limit.limit is not None
    assert elderly.elderly is not None
    assert (
        elderly.elderly.copayment_ratio,
        ticket.tickets[0].institution_code,
    ) == (20, INSTITUTION)


def test_insurer_numbers_are_well_formed_and_made_up() -> None:
    """Every insurer's number parses, names its kind, and lies in the prefecture 99."""
    insurers = [insurer for of_kind in INSURERS.values() for insurer in of_kind]
    for insurer in insurers:
        number = InsurerNumber.parse(insurer.number)
        assert (insurer.kind, "99") == (number.kind, insurer.number[2:4])
    assert set(CATALOGUE.rows_by_insurer) <= {insurer.number for insurer in insurers}


def test_numbers_are_well_formed_and_made_up() -> None:
    """Every My Number has a valid check digit and the made-up prefix; tickets name us."""
    numbers = {
        row["individual_number"]
        for rows in CATALOGUE.rows_by_insurer.values()
        for row in rows
        if row.get("individual_number")
    }
    assert all(IndividualNumber.parse(number).reveal().startswith("990") for number in numbers)
    assert len(numbers) > 30
    assert InstitutionCode.parse(INSTITUTION).digits == INSTITUTION


def test_the_json_has_the_agreed_keys() -> None:
    """Each entry has the agreed keys in order, with days as text and the answer as a number."""
    first = json.loads(json.dumps(as_json(CATALOGUE.people)))[0]
    expected = {
        "id": "society-insured",
        "insurer_number": "06990014",
        "symbol": "12-34",
        "number": "5678",
        "branch": "01",
        "birth_date": "1980-04-01",
        "on": "2026-04-15",
        "expected_validity": 1,
        "note": "健保組合の本人。枝番あり / Insured by a society, asked with the branch",
        "is_limit_certificate_consented": False,
        "name": "見本　健一",
    }
    assert expected == first
    assert list(expected) == list(first)


def test_the_page_is_the_catalogue() -> None:
    """docs/people.md is what `as_page` gives; write it again after a change."""
    assert as_page(CATALOGUE.people) == PAGE.read_text("utf-8")


def test_cp932_files_replace_what_they_cannot_spell() -> None:
    """A name outside Shift_JIS is sent with ●, and nothing else changes."""
    rows = [row for rows in CATALOGUE.rows_by_insurer.values() for row in rows]
    expected = lines_of(rows).decode().replace("𠮷", "●")
    assert expected == lines_of(rows, "cp932").decode("cp932")


@pytest.mark.parametrize("encoding", ["utf-8", "shift_jis"])
def test_every_question_can_be_dropped_as_a_file(encoding: FileEncoding) -> None:
    """Both encodings spell every question, blank-padded and in full width."""
    for person in CATALOGUE.people:
        xml = request_xml(INSTITUTION, "1", person.card, person.birth_date, person.on, False)
        codec = "cp932" if encoding == "shift_jis" else "utf-8"
        text = encoded_xml(xml, encoding).decode(codec)
        number = person.insurer_number.removeprefix("00")
        assert f"<InsurerNumber>{number:>8}</InsurerNumber>" in text
        assert "-" not in text.partition("<InsuredCardSymbol>")[2].partition("<")[0]


def test_results_are_read_in_shift_jis() -> None:
    """The clinic's own reader takes cp932 results and every record of a list."""
    tag = "ResultOfQualificationConfirmation"
    record = f"<{tag}><Name>髙見　茜</Name></{tag}>"
    xml = (
        "<XmlMsg><MessageBody><QualificationValidity>5</QualificationValidity>"
        f"<ResultList>{record}{record}</ResultList></MessageBody>"
        "<MessageHeader><SegmentOfResult>1</SegmentOfResult></MessageHeader></XmlMsg>"
    )
    covers = ({"Name": "髙見　茜"}, {"Name": "髙見　茜"})
    expected = FolderAnswer(5, "", covers, {"SegmentOfResult": "1"}, "shift_jis")
    assert expected == read_result(encoded_xml(xml, "shift_jis"))
