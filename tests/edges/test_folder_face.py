"""The face folder: a name by the grammar, a file that appears whole, and the wire behind it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from google.type.date_pb2 import Date

from gateway.domain.period import TOKYO
from gateway.edges import folder_put
from gateway.edges.folder_face import put_face
from gateway.edges.folder_wire import result
from gateway.formats.oqs_xml import encode_face
from gateway.v1 import types_pb2
from simulators.clinic import read_result
from tests.edges.folder_stand import nobody

CODE = "1319999999"
UNIQUE = "0123456789abcdef0123"
AT = datetime(2026, 4, 15, 9, 30, 5, tzinfo=TOKYO)


def test_a_face_file_is_named_by_institution_key_and_time(tmp_path: Path) -> None:
    """The name is as in oqs-interface.md 1.2, and nothing else is left in the folder."""
    path = put_face(tmp_path, CODE, UNIQUE, AT, b"whole")
    expected = f"OQSsiquc01res_face_{CODE}{UNIQUE}_20260415093005.xml"
    assert [expected] == [found.name for found in tmp_path.iterdir()]
    assert (expected, b"whole") == (path.name, path.read_bytes())


def test_a_face_file_appears_under_its_name_only_when_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until every byte is durable the folder shows a hidden file only."""
    seen: list[list[str]] = []

    def fsync(_: int) -> None:
        seen.append([path.name for path in tmp_path.iterdir()])

    monkeypatch.setattr(folder_put.os, "fsync", fsync)
    put_face(tmp_path, CODE, UNIQUE, AT, b"whole")
    assert seen[0][0].startswith(".")
    assert len(seen[0]) == 1


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither half a file nor a hidden one."""

    def fsync(_: int) -> None:
        raise OSError(28, "")

    monkeypatch.setattr(folder_put.os, "fsync", fsync)
    with pytest.raises(OSError, match="28"):
        put_face(tmp_path, CODE, UNIQUE, AT, b"whole")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("code", "unique"),
    [("131999999", UNIQUE), (CODE, UNIQUE.upper()), (CODE, UNIQUE[1:]), ("../9999999", UNIQUE)],
)
def test_a_name_of_another_form_is_refused(tmp_path: Path, code: str, unique: str) -> None:
    """Nothing of the caller's gets into a path unseen."""
    with pytest.raises(ValueError, match="ten digits"):
        put_face(tmp_path, code, unique, AT, b"")
    assert not any(tmp_path.iterdir())


def test_an_answer_by_card_becomes_a_face_file(tmp_path: Path) -> None:
    """From the wire to a file that a clinic reads, with every certificate that came."""
    days = {"first_valid_date": Date(year=2026, month=4, day=1)}
    cover = types_pb2.Coverage(
        insured_id=types_pb2.InsuredId(insurer_number="00130013", number="42"),
        name="恩資　花子",
        sex=types_pb2.SEX_FEMALE,
        birth_date=Date(year=1990, month=1, day=1),
        card_classification="01",
        acquisition_date=Date(year=2020, month=4, day=1),
        limit_certificate=types_pb2.LimitCertificate(kind="01", limit_class="A03", **days),
        specific_disease_certificates=[
            types_pb2.SpecificDiseaseCertificate(
                disease_category="3",
                issue_date=Date(year=2026, month=3, day=31),
                last_valid_date=Date(year=2027, month=3, day=31),
                self_pay_yen=20_000,
                **days,
            )
        ],
    )
    response = nobody()
    response.validity = types_pb2.VALIDITY_VALID
    response.coverages.append(cover)
    data = encode_face(result(response), CODE, "shift_jis", "hashmap")
    answer = read_result(put_face(tmp_path, CODE, UNIQUE, AT, data).read_bytes())
    (shown,) = answer.coverages
    expected = {
        "LimitApplicationCertificateClassificationFlag": "A03",
        "SpecificDiseasesDiseaseCategory": "3",
        "SpecificDiseasesCertificateDate": "20260331",
        "SpecificDiseasesValidStartDate": "20260401",
        "SpecificDiseasesValidEndDate": "20270331",
        "SpecificDiseasesSelfPay": "20000",
    }
    assert expected == {name: shown[name] for name in expected}
    said = (answer.validity, answer.header["ReferenceClassification"], answer.encoding)
    assert said == (1, "1", "shift_jis")
