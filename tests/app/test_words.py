"""What commands say: where nothing was applied, an insurer is unknown, a person sees who looked."""

from __future__ import annotations

import pytest

from gateway.app.ask import insurer_unknown
from gateway.app.screen import accesses_table
from gateway.app.upload_file import Uploaded, Wish
from gateway.app.upload_screen import print_upload
from gateway.v1.coverage_pb2 import UploadReport
from gateway.v1.person_pb2 import OwnAccess


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"lines_applied": 1, "lines_refused": 1}, "Applied."),
        ({"lines_unchanged": 1, "lines_refused": 1}, "Applied."),
        ({"lines_refused": 2}, "Nothing was applied."),
        ({"lines_refused": 2, "is_dry_run": True}, "Dry run done. Nothing was changed."),
        ({}, "Applied."),
    ],
)
def test_an_upload_all_refused_is_not_called_applied(
    counts: dict[str, int],
    said: str,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only a file of which something holds now is said to be applied."""
    wish = Wish(tmp_path_factory.getbasetemp() / "f.csv", tmp_path_factory.getbasetemp())
    print_upload(Uploaded(wish, report=UploadReport(**counts)), "en")
    assert capsys.readouterr().out.splitlines()[0] == said


def test_an_unknown_insurer_is_told_in_both_languages() -> None:
    """Both advices name what was asked for and what there is."""
    said = insurer_unknown("99", ["06990022", "06990014"])
    assert said.reason == "INSURER_UNKNOWN"
    assert all(
        "99" in text and "06990014, 06990022" in text for text in (said.advice_ja, said.advice_en)
    )
    assert (said.advice_ja.isascii(), said.advice_en.isascii()) == (False, True)


@pytest.mark.parametrize(
    ("method", "outcome", "detail", "said"),
    [
        ("EligibilityService/ConfirmEligibility", "ANSWERED", "1", "ANSWERED 1"),
        ("CardReaderService/ExplainByCard", "ANSWERED", "2", "ANSWERED 2"),
        ("FeedService/WatchChanges", "ANSWERED", "73", "ANSWERED"),
        ("CoverageService/UploadCoverage", "REGISTERED", "500", "REGISTERED"),
        ("PersonService/RegisterCard", "DENIED", "PIN_WRONG", "DENIED PIN_WRONG"),
    ],
)
def test_a_person_is_told_no_count_of_others(
    method: str, outcome: str, detail: str, said: str
) -> None:
    """A validity and a reason are told, a number of lines or events is not taken for one."""
    look = OwnAccess(method=f"gateway.v1.{method}", outcome=outcome, detail=detail)
    (told,) = accesses_table([look]).columns[3].cells
    assert told == said
