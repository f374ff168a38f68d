"""
The columns of the coverage file as one table: name, Japanese label, kind of value, actions.

The layout is our own, because insurer-side layouts of the real system are not public
(insurer-lifecycle.md 1.2 #5); docs/coverage-file.md describes it. Codes are the official ones
(oqs-interface.md 4).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple

from gateway.domain.coverage import (
    CardClassification,
    DiseaseCategory,
    Document,
    LimitClass,
    LimitKind,
    LossReason,
    Relationship,
    Sex,
    UncollectedReason,
)
from gateway.domain.errors import InvalidInput
from gateway.domain.identifiers import InstitutionCode
from gateway.domain.period import parse_day


class Action(StrEnum):
    """What a line does (処理区分)."""

    NEW = "NEW"
    CHANGE = "CHANGE"
    LOSS = "LOSS"
    CORRECT = "CORRECT"
    CANCEL = "CANCEL"
    NUMBER = "NUMBER"


class Kind(NamedTuple):
    """A kind of cell: its name in the docs, and how its text becomes a value or is refused."""

    name: str
    parse: Callable[[str], Any]


class Column(NamedTuple):
    """
    A column of the file.

    `allowed` and `required` are the actions that may and must fill it. `item` is the field of
    `Coverage` the cell sets by itself; empty where it is part of something larger.
    """

    name: str
    label_ja: str
    kind: Kind
    allowed: frozenset[Action]
    required: frozenset[Action] = frozenset()
    item: str = ""


CLEAR: Final = "-"
"""In CHANGE and CORRECT this cell clears an optional item."""

_UNFIT: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Control characters, invisible ones, and those no XML answer could carry."""


def _text(characters_max: int) -> Kind:
    def parse(cell: str) -> str:
        if len(cell) > characters_max:
            raise InvalidInput("TOO_LONG")
        if not cell.isprintable() and _UNFIT.search(cell):
            raise InvalidInput("FORMAT_WRONG")
        return cell

    return Kind(f"text of at most {characters_max} characters", parse)


def _code(values: type[Enum]) -> Kind:
    by_code = {str(value.value): value for value in values}

    def parse(cell: str) -> Enum:
        if cell not in by_code:
            raise InvalidInput("CODE_UNKNOWN")
        return by_code[cell]

    return Kind(f"code: {', '.join(by_code)}", parse)


def _ticket_type(cell: str) -> str:
    if cell not in ("01", "02"):
        raise InvalidInput("CODE_UNKNOWN")
    return cell


def _flag(cell: str) -> bool:
    if cell not in ("0", "1"):
        raise InvalidInput("CODE_UNKNOWN")
    return cell == "1"


def _documents(cell: str) -> tuple[Document, ...]:
    seen = {_DOCUMENT.parse(code.strip()) for code in cell.split("+")}
    return tuple(sorted(seen, key=lambda document: document.value))


def _employer(cell: str) -> str:
    if re.fullmatch("[0-9A-Za-z-]{1,20}", cell) is None:
        raise InvalidInput("FORMAT_WRONG")
    return cell


def _percent(cell: str) -> int:
    if re.fullmatch("[0-9]{1,3}", cell) is None:
        raise InvalidInput("FORMAT_WRONG")
    if (percent := int(cell)) > 100:  # noqa: PLR2004  per cent
        raise InvalidInput("CODE_UNKNOWN")
    return percent


def _yen(cell: str) -> int:
    if re.fullmatch("[0-9]{1,7}", cell) is None:
        raise InvalidInput("FORMAT_WRONG")
    return int(cell)


def _post_number(cell: str) -> str:
    found = re.fullmatch("([0-9]{3})-?([0-9]{4})", cell)
    if found is None:
        raise InvalidInput("FORMAT_WRONG")
    return f"{found[1]}-{found[2]}"


def _month(cell: str) -> str:
    if re.fullmatch("[0-9]{6}", cell) is None:
        raise InvalidInput("FORMAT_WRONG")
    parse_day(f"{cell}01")
    return cell


def _institution(cell: str) -> str:
    return InstitutionCode.parse(cell).digits


def _day(cell: str) -> date:
    return parse_day(cell)


_IDENTIFIER: Final = Kind("identifier", str)
"""Checked together with the others as an `InsuredId`."""

_INDIVIDUAL_NUMBER: Final = Kind("My Number, twelve digits", str)
"""Checked where the number is made, so that few modules know it."""

_DAY: Final = Kind("day, YYYYMMDD or YYYY-MM-DD", _day)
_SHORT: Final = _text(20)
_NAME: Final = _text(100)
_ADDRESS: Final = _text(200)
_SEX: Final = _code(Sex)
_FLAG: Final = Kind("code: 0, 1", _flag)
_DOCUMENT: Final = _code(Document)
_DOCUMENTS: Final = Kind(f"{_DOCUMENT.name}; several joined by +", _documents)
_EMPLOYER: Final = Kind("1 to 20 letters, digits and hyphens", _employer)
_PERCENT: Final = Kind("per cent, 0 to 100", _percent)

_ALL: Final = frozenset(Action)
_FACTS: Final = frozenset({Action.NEW, Action.CHANGE, Action.CORRECT})
_NEW: Final = frozenset({Action.NEW})
_LOSS: Final = frozenset({Action.LOSS})
_CORRECT: Final = frozenset({Action.CORRECT})
_CHANGE: Final = frozenset({Action.CHANGE})
_LOSING: Final = _LOSS | _CORRECT
_FILED: Final = _NEW | _LOSS
_NUMBER: Final = frozenset({Action.NUMBER})


def _fact(
    name: str, label_ja: str, kind: Kind, required: frozenset[Action] = frozenset()
) -> Column:
    return Column(name, label_ja, kind, _FACTS, required, name)


def _part(name: str, label_ja: str, kind: Kind) -> Column:
    return Column(name, label_ja, kind, _FACTS)


COLUMNS: Final = {
    column.name: column
    for column in (
        Column("action", "処理区分", Kind(f"action: {', '.join(Action)}", str), _ALL, _ALL),
        Column("insurer_number", "保険者番号", _IDENTIFIER, _ALL, _ALL),
        Column("symbol", "記号", _IDENTIFIER, _ALL),
        Column("number", "番号", _IDENTIFIER, _ALL, _ALL),
        Column("branch", "枝番", _IDENTIFIER, _ALL),
        Column("birth_date", "生年月日", _DAY, _ALL, _ALL),
        Column("acquisition_date", "資格取得年月日", _DAY, _ALL, _NEW),
        Column("loss_date", "資格喪失年月日", _DAY, _LOSING, _LOSS),
        Column("loss_reason", "資格喪失事由", _code(LossReason), _LOSING, _LOSS, "loss_reason"),
        _fact("name", "氏名", _NAME, _NEW),
        _fact("name_kana", "氏名カナ", _NAME),
        _fact("name_of_other", "氏名（その他）", _NAME),
        _fact("name_of_other_kana", "氏名カナ（その他）", _NAME),
        _fact("insured_name", "被保険者氏名", _NAME),
        _fact("sex", "性別1", _SEX, _NEW),
        _fact("sex_on_reverse", "性別2", _SEX),
        _fact("post_number", "郵便番号", Kind("postal code, nnn-nnnn", _post_number)),
        _fact("address", "住所", _ADDRESS),
        _fact("relationship", "本人・家族の別", _code(Relationship)),
        _fact("card_classification", "被保険者証区分", _code(CardClassification)),
        _fact("insurer_name", "保険者名称", _NAME, _NEW),
        _fact("card_issue_date", "被保険者証交付年月日", _DAY),
        _part("card_first_valid_date", "被保険者証有効開始年月日", _DAY),
        _part("card_last_valid_date", "被保険者証有効終了年月日", _DAY),
        _fact("copayment_ratio", "一部負担金割合", _PERCENT),
        _fact("is_preschool", "未就学区分", _FLAG),
        _part("elderly_issue_date", "高齢受給者証交付年月日", _DAY),
        _part("elderly_first_valid_date", "高齢受給者証有効開始年月日", _DAY),
        _part("elderly_last_valid_date", "高齢受給者証有効終了年月日", _DAY),
        _part("elderly_copayment_ratio", "高齢受給者証一部負担金割合", _PERCENT),
        _part("limit_kind", "限度額適用認定証区分", _code(LimitKind)),
        _part("limit_class", "限度額適用認定証適用区分", _code(LimitClass)),
        _part("limit_issue_date", "限度額適用認定証交付年月日", _DAY),
        _part("limit_first_valid_date", "限度額適用認定証有効開始年月日", _DAY),
        _part("limit_last_valid_date", "限度額適用認定証有効終了年月日", _DAY),
        _part("limit_long_term_date", "長期入院該当年月日", _DAY),
        _part("disease_category", "特定疾病療養受療証疾病区分", _code(DiseaseCategory)),
        _part("disease_issue_date", "特定疾病療養受療証交付年月日", _DAY),
        _part("disease_first_valid_date", "特定疾病療養受療証有効開始年月日", _DAY),
        _part("disease_last_valid_date", "特定疾病療養受療証有効終了年月日", _DAY),
        _part(
            "disease_self_pay", "特定疾病療養受療証自己負担限度額", Kind("yen, 1 to 7 digits", _yen)
        ),
        _part("ticket_type", "医療券・調剤券別", Kind("code: 01, 02", _ticket_type)),
        _part("ticket_month", "診療年月", Kind("month, YYYYMM", _month)),
        _part("ticket_issue_number", "交付番号", _SHORT),
        _part("ticket_first_valid_date", "医療券有効開始年月日", _DAY),
        _part("ticket_last_valid_date", "医療券有効終了年月日", _DAY),
        _part(
            "ticket_institution_code", "指定医療機関コード", Kind("institution code", _institution)
        ),
        _part("ticket_institution_name", "指定医療機関名", _NAME),
        _fact("is_voluntary_continuation", "任意継続", _FLAG),
        _fact("is_nondisclosed", "不開示該当フラグ", _FLAG),
        _fact("is_self_information_withheld", "自己情報提供不可フラグ", _FLAG),
        _fact("card_collected_date", "被保険者証回収年月日", _DAY),
        _fact("certificate_issue_date", "資格確認書交付年月日", _DAY),
        _fact("certificate_last_valid_date", "資格確認書有効終了年月日", _DAY),
        _fact("certificate_collected_date", "資格確認書回収年月日", _DAY),
        _fact("documents_seen", "確認書類", _DOCUMENTS),
        Column(
            "uncollected_reason",
            "回収不能事由",
            _code(UncollectedReason),
            _CHANGE | _CORRECT,
            item="uncollected_reason",
        ),
        Column("effective_date", "異動年月日", _DAY, _CHANGE),
        Column("employer_code", "事業所コード", _EMPLOYER, _FILED),
        Column("filed_date", "届出年月日", _DAY, _FILED),
        Column("received_date", "届出受付年月日", _DAY, _FILED),
        Column("new_symbol", "訂正後の記号", _IDENTIFIER, _CORRECT),
        Column("new_number", "訂正後の番号", _IDENTIFIER, _CORRECT),
        Column("new_branch", "訂正後・付番後の枝番", _IDENTIFIER, _CORRECT | _CHANGE),
        Column("new_birth_date", "訂正後の生年月日", _DAY, _CORRECT),
        Column("new_acquisition_date", "訂正後の資格取得年月日", _DAY, _CORRECT),
        Column(
            "individual_number", "個人番号", _INDIVIDUAL_NUMBER, _NEW | _NUMBER | _CORRECT, _NUMBER
        ),
    )
}
"""Every column by its name, in the order of the docs."""

REQUIRED_COLUMNS: Final = ("action", "insurer_number", "symbol", "number", "birth_date")
"""Columns a header must name, though the symbol's cell may be empty."""
