"""The made-up answers behind the golden cases; no real person, insurer or institution."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Final

from gateway.domain.eligibility import Validity
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.period import TOKYO
from gateway.formats.oqs_elements import (
    ShownCoverage,
    ShownElderly,
    ShownLimit,
    ShownSpecificDisease,
    ShownTicket,
)
from gateway.formats.oqs_xml import EligibilityResult

NOW: Final = datetime(2026, 4, 15, 9, 30, 5, tzinfo=TOKYO)
ON: Final = date(2026, 4, 15)

PLAIN: Final = ShownCoverage(
    card_classification="01",
    insurer_number=InsurerNumber("06130017"),
    symbol="100",
    number="42",
    branch="02",
    relationship=2,
    insured_name="恩資　太郎",
    name="恩資　花子",
    name_of_other="",
    name_kana="オンシ　ハナコ",
    name_of_other_kana="",
    sex=2,
    sex_on_reverse=None,
    birth_date=date(2020, 2, 29),
    address="東京都千代田区丸の内１－１",
    post_number="1000001",
    acquisition_date=date(2020, 2, 29),
    loss_date=None,
    card_issue_date=date(2020, 3, 10),
    card_first_valid_date=date(2020, 2, 29),
    card_last_valid_date=None,
    copayment_ratio=0,
    is_preschool=True,
    loss_reason="",
    insurer_name="見本健康保険組合",
    elderly=None,
    limit=None,
    tickets=(),
)

ELDERLY: Final = ShownElderly(
    first_valid_date=date(2025, 8, 1),
    last_valid_date=date(2026, 7, 31),
    issue_date=date(2025, 7, 15),
    copayment_ratio=20,
)
LIMIT: Final = ShownLimit(
    first_valid_date=date(2025, 8, 1),
    last_valid_date=date(2026, 7, 31),
    issue_date=date(2025, 7, 20),
    kind="02",
    limit_class="B05",
    long_term_date=date(2025, 10, 1),
)
TICKET: Final = ShownTicket(
    first_valid_date=date(2026, 4, 1),
    last_valid_date=date(2026, 4, 30),
    ticket_type="01",
    month="202604",
    issue_number="0042",
    institution_code="1310000005",
    institution_name="見本第二診療所",
    is_other_institution=True,
)

DIALYSIS: Final = ShownSpecificDisease(
    first_valid_date=date(2024, 6, 1),
    last_valid_date=None,
    issue_date=date(2024, 5, 20),
    disease_category="1",
    self_pay_yen=10_000,
)
HAEMOPHILIA: Final = ShownSpecificDisease(
    first_valid_date=date(2023, 1, 1),
    last_valid_date=date(2026, 12, 31),
    disease_category="2",
    self_pay_yen=0,
)


def _result(validity: Validity, *covers: ShownCoverage) -> EligibilityResult:
    return EligibilityResult(NOW, ON, validity, covers)


NOBODY: Final = _result(Validity.NO_SUCH_COVER)

ANSWERS: Final = {
    "valid-with-consent": _result(
        Validity.VALID,
        replace(
            PLAIN,
            symbol="５５・１２",
            number="0123",
            branch="01",
            relationship=1,
            name="恩資　一郎",
            name_kana="ｵﾝｼ ｲﾁﾛｳ",
            name_of_other="オンシ　イチ",
            name_of_other_kana="おんし　いち",
            sex=1,
            sex_on_reverse=3,
            birth_date=date(1953, 3, 3),
            is_preschool=False,
            elderly=ELDERLY,
            limit=LIMIT,
        ),
    ),
    "valid-shift-jis": _result(
        Validity.VALID,
        replace(
            PLAIN,
            insurer_number=InsurerNumber("00130013"),
            symbol="記号〜",
            number="７８９",
            branch="",
            relationship=None,
            name="𠮷田　髙子",
            birth_date=date(1990, 1, 1),
            address="A&B−<１>",
            is_preschool=False,
            limit=LIMIT,
        ),
    ),
    "newer-cover": _result(
        Validity.INVALID_NEWER_COVER,
        replace(PLAIN, loss_date=date(2026, 4, 1), loss_reason="03"),
    ),
    "no-such-cover": NOBODY,
    "several-people": _result(
        Validity.SEVERAL_PEOPLE,
        replace(PLAIN, number="77", branch="03", birth_date=date(2010, 5, 5), is_preschool=False),
        replace(
            PLAIN,
            number="77",
            branch="04",
            birth_date=date(2010, 5, 5),
            is_preschool=False,
            name="恩資　月子",
            name_kana="オンシ　ツキコ",
        ),
    ),
    "medical-assistance": _result(
        Validity.VALID,
        replace(
            PLAIN,
            card_classification="A1",
            insurer_number=InsurerNumber("12130019"),
            symbol="",
            number="1234567",
            branch="",
            relationship=None,
            birth_date=date(1960, 6, 6),
            is_preschool=False,
            insurer_name="見本福祉事務所",
            card_issue_date=None,
            card_first_valid_date=None,
            tickets=(
                TICKET,
                replace(
                    TICKET,
                    last_valid_date=None,
                    ticket_type="02",
                    institution_code="",
                    institution_name="",
                    is_other_institution=False,
                ),
            ),
        ),
    ),
    "latter-stage-elderly": _result(
        Validity.VALID,
        replace(
            PLAIN,
            insurer_number=InsurerNumber("39130018"),
            symbol="",
            number="00112233",
            branch="",
            relationship=None,
            birth_date=date(1940, 4, 4),
            is_preschool=False,
            copayment_ratio=10,
            card_last_valid_date=date(2026, 7, 31),
        ),
    ),
    "specific-diseases": _result(
        Validity.VALID,
        replace(PLAIN, is_preschool=False, specific_diseases=(DIALYSIS, HAEMOPHILIA)),
    ),
    "check-digit-wrong": None,
}
"""The answer to each golden request; None where the question is refused."""
