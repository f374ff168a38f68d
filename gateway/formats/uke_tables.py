"""
The records of medical claim files (医科, RECEIPTC.UKE) as data: fields, order, how often.

Column names are the official ones as claims-furikae.md gives them; later editions rename some
(被保険者証（手帳）等の記号, 被保険者資格に係る記号). Records whose columns no reference gives
(GR, TI, TR, TS) have no table: they are kept as they came. Sources: claims-furikae.md 1.1-1.11.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, NamedTuple


class Mode(Enum):
    """Which characters a field may hold (モード)."""

    DIGITS = "数字"
    ALPHANUMERIC = "英数"
    """Half-width characters of JIS X 0201, half-width kana among them."""
    KANJI = "漢字"
    """Full-width characters only."""
    EITHER = "英数又は漢字"
    """All of one width; the two never mix within a field."""


class Content(Enum):
    """What a field's characters mean, where the mode alone does not say it."""

    TEXT = "text"
    NUMBER = "number"
    """No leading zeros."""
    DECIMAL = "decimal"
    """A number whose fraction, if any, does not end in 0."""
    DAY = "YYYYMMDD"
    MONTH = "YYYYMM"
    INSURER = "insurer"
    """Eight digits, or two blanks and six digits."""


class Field(NamedTuple):
    """
    A field: column name, mode, longest length in bytes of cp932, and what it may hold.

    A fixed field is empty or exactly as long. `codes` are all values allowed, if not empty.
    `group` is how many characters one of several codes in a row has.
    """

    label: str
    mode: Mode
    bytes_max: int
    is_fixed: bool = False
    is_required: bool = False
    content: Content = Content.TEXT
    codes: tuple[str, ...] = ()
    group: int = 1


class Layout(NamedTuple):
    """
    A kind of record: its fields, the id among them, and the pattern all of them make.

    A line that matches `pattern` as a whole has no field that is not in its form. `days` are
    the places of DAY and MONTH fields.
    """

    name: str
    fields: tuple[Field, ...]
    pattern: re.Pattern[str]
    days: tuple[int, ...]


CHARACTERS: Final = {
    Mode.DIGITS: "[0-9]",
    Mode.ALPHANUMERIC: r"[ !#-+\--~｡-ﾟ]",
    Mode.KANJI: "[^\x00-\x80\xa0｡-ﾟ\ue000-\uf8ff]",
}
"""What one character of a mode matches; no mode allows a comma, a quote or a user's own glyph."""

LEGIBLE: Final = re.compile("[^\x00-\x1f\x7f\x80\xa0\ue000-\uf8ff]*")
"""What a record without a table may hold."""


def pattern_of(field: Field) -> str:
    """The regular expression of all texts a field may hold."""
    if field.codes:
        inner = "|".join(map(re.escape, field.codes))
    elif field.content is Content.NUMBER:
        inner = f"0|[1-9][0-9]{{0,{field.bytes_max - 1}}}"
    elif field.content is Content.DECIMAL:
        inner = rf"(?=[0-9.]{{1,{field.bytes_max}}}(?:,|\Z))(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?"
    elif field.content is Content.INSURER:
        inner = "(?:  |[0-9]{2})[0-9]{6}"
    elif field.mode is Mode.EITHER:
        inner = "|".join(_repeated(mode, field) for mode in (Mode.ALPHANUMERIC, Mode.KANJI))
    else:
        inner = _repeated(field.mode, field)
    return f"(?:{inner})" if field.is_required else f"(?:{inner})?"


def _repeated(mode: Mode, field: Field) -> str:
    most = field.bytes_max // (2 if mode is Mode.KANJI else 1) // field.group
    least = most if field.is_fixed else 1
    one = CHARACTERS[mode] if field.group == 1 else f"(?:{CHARACTERS[mode]}{{{field.group}}})"
    return f"{one}{{{least},{most}}}"


def _layout(kind: str, name: str, *fields: Field) -> Layout:
    everything = (
        Field("レコード識別情報", Mode.ALPHANUMERIC, 2, True, True, codes=(kind,)),
        *fields,
    )
    dated = (Content.DAY, Content.MONTH)
    return Layout(
        name,
        everything,
        re.compile(",".join(map(pattern_of, everything))),
        tuple(place for place, field in enumerate(everything) if field.content in dated),
    )


def _digits(label: str, bytes_max: int, *codes: str, required: bool = False) -> Field:
    """A code of digits, up to a length."""
    return Field(label, Mode.DIGITS, bytes_max, False, required, codes=codes)


def _code(label: str, length: int, *codes: str, required: bool = True) -> Field:
    """A code of digits with a fixed length; must be there unless said otherwise."""
    return Field(label, Mode.DIGITS, length, True, required, codes=codes)


def _number(label: str, bytes_max: int, *, required: bool = False) -> Field:
    return Field(label, Mode.DIGITS, bytes_max, False, required, Content.NUMBER)


def _decimal(label: str, bytes_max: int) -> Field:
    return Field(label, Mode.DIGITS, bytes_max, content=Content.DECIMAL)


def _day(label: str, *, required: bool = False) -> Field:
    return Field(label, Mode.DIGITS, 8, True, required, Content.DAY)


def _month(label: str) -> Field:
    return Field(label, Mode.DIGITS, 6, True, True, Content.MONTH)


def _half(label: str, bytes_max: int, group: int = 1) -> Field:
    return Field(label, Mode.ALPHANUMERIC, bytes_max, group=group)


def _full(label: str, bytes_max: int, *, required: bool = False) -> Field:
    return Field(label, Mode.KANJI, bytes_max, False, required)


def _either(label: str, bytes_max: int, *, required: bool = False) -> Field:
    return Field(label, Mode.EITHER, bytes_max, False, required)


def _department(number: str) -> tuple[Field, ...]:
    return (
        _digits(f"診療科{number}・診療科名", 2),
        _digits(f"診療科{number}・人体の部位等", 3),
        _digits(f"診療科{number}・性別等", 3),
        _digits(f"診療科{number}・医学的処置", 3),
        _digits(f"診療科{number}・特定疾病", 3),
    )


def _comments() -> tuple[Field, ...]:
    return tuple(
        field
        for number in ("１", "２", "３")
        for field in (
            _digits(f"コメント{number}・コメントコード", 9),
            _full(f"コメント{number}・文字データ", 100),
        )
    )


DAYS_IN_ROW: Final = 31
"""A row of day fields has one for each day of the longest month."""

_DAY_CODES: Final = tuple(
    _code(f"{day}日の情報", 1, "1", "2", "9", required=False) for day in range(1, DAYS_IN_ROW + 1)
)
_DAY_COUNTS: Final = tuple(_number(f"{day}日の情報", 3) for day in range(1, DAYS_IN_ROW + 1))
_DETAIL_HEAD: Final = (
    _digits("診療識別", 2),
    Field("負担区分", Mode.ALPHANUMERIC, 1, True, True),
)
_PREFECTURES: Final = tuple(f"{number:02}" for number in range(1, 48))
_PAYERS: Final = ("1", "2", "3", "4", "5")
_COPAY_CLASSES: Final = ("00", "01", "02", "03", "04")

LAYOUTS: Final[dict[str, Layout]] = {
    "IR": _layout(
        "IR",
        "医療機関情報",
        _code("審査支払機関", 1, "1", "2"),
        _code("都道府県", 2, *_PREFECTURES),
        _code("点数表", 1, "1"),
        _code("医療機関コード", 7),
        _digits("予備", 2),
        _full("医療機関名称", 40, required=True),
        _month("請求年月"),
        _code("マルチボリューム識別情報", 2),
        _half("電話番号", 15),
    ),
    "RE": _layout(
        "RE",
        "レセプト共通",
        _number("レセプト番号", 6, required=True),
        _code("レセプト種別", 4),
        _month("診療年月"),
        _either("氏名", 40, required=True),
        _code("男女区分", 1, "1", "2"),
        _day("生年月日", required=True),
        _number("給付割合", 3),
        _day("入院年月日"),
        _half("病棟区分", 8, group=2),
        _digits("一部負担金・食事療養費・生活療養費標準負担額区分", 1),
        _half("レセプト特記事項", 10, group=2),
        _number("病床数", 4),
        _half("カルテ番号等", 20),
        _digits("割引点数単価", 2),
        _digits("予備", 1),
        _digits("予備", 1),
        _digits("予備", 2),
        _digits("検索番号", 30),
        _digits("予備（記録条件仕様年月情報）", 5),
        _either("請求情報", 40),
        *_department("１"),
        *_department("２"),
        *_department("３"),
        _full("カタカナ（氏名）", 80),
        Field("患者の状態", Mode.DIGITS, 60, group=3),
    ),
    "HO": _layout(
        "HO",
        "保険者",
        Field("保険者番号", Mode.ALPHANUMERIC, 8, True, True, Content.INSURER),
        _either("記号", 38),
        _either("番号", 38),
        _number("診療実日数", 2),
        _number("合計点数", 8, required=True),
        _digits("予備", 5),
        _number("食事療養・生活療養・回数", 2),
        _number("食事療養・生活療養・合計金額", 8),
        _digits("職務上の事由", 1),
        _digits("証明書番号", 3),
        _number("負担金額・医療保険", 9),
        _digits("減免区分", 1),
        _number("減額割合", 3),
        _number("減額金額", 6),
    ),
    "KO": _layout(
        "KO",
        "公費",
        Field("負担者番号", Mode.ALPHANUMERIC, 8, True, True),
        _digits("受給者番号", 7),
        _digits("任意給付区分", 1),
        _number("診療実日数", 2),
        _number("合計点数", 8),
        _number("負担金額・公費", 8),
        _number("公費給付対象外来一部負担金", 6),
        _number("公費給付対象入院一部負担金", 6),
        _digits("予備", 5),
        _number("食事療養・生活療養・回数", 2),
        _number("食事療養・生活療養・合計金額", 8),
    ),
    "SN": _layout(
        "SN",
        "資格確認",
        _code("負担者種別", 1, *_PAYERS),
        _code("確認区分", 2),
        _half("保険者番号等（資格確認）", 8),
        _either("記号（資格確認）", 38),
        _either("番号（資格確認）", 38),
        _half("枝番", 2),
        _digits("受給者番号", 7),
        _digits("予備", 1),
    ),
    "JD": _layout("JD", "受診日等", _code("負担者種別", 1, *_PAYERS), *_DAY_CODES),
    "MF": _layout(
        "MF",
        "窓口負担額",
        _code("窓口負担額区分", 2, *_COPAY_CLASSES),
        *(_digits("予備", 9) for _ in range(DAYS_IN_ROW)),
    ),
    "SY": _layout(
        "SY",
        "傷病名",
        _code("傷病名コード", 7),
        _day("診療開始日", required=True),
        _code("転帰区分", 1),
        Field("修飾語コード", Mode.ALPHANUMERIC, 80, group=4),
        _full("傷病名称", 40),
        _digits("主傷病", 2),
        _full("補足コメント", 40),
    ),
    "SI": _layout(
        "SI",
        "診療行為",
        *_DETAIL_HEAD,
        _code("診療行為コード", 9),
        _decimal("数量データ", 8),
        _number("点数", 7),
        _number("回数", 3),
        *_comments(),
        *_DAY_COUNTS,
    ),
    "IY": _layout(
        "IY",
        "医薬品",
        *_DETAIL_HEAD,
        _code("医薬品コード", 9),
        _decimal("使用量", 11),
        _number("点数", 7),
        _number("回数", 3),
        *_comments(),
        *_DAY_COUNTS,
    ),
    "TO": _layout(
        "TO",
        "特定器材",
        *_DETAIL_HEAD,
        _code("特定器材コード", 9),
        _decimal("使用量", 9),
        _number("点数", 7),
        _number("回数", 3),
        _digits("単位コード", 3),
        _decimal("単価", 11),
        _full("予備", 40),
        _full("商品名及び規格又はサイズ", 300),
        *_comments(),
        *_DAY_COUNTS,
    ),
    "CO": _layout(
        "CO", "コメント", *_DETAIL_HEAD, _code("コメントコード", 9), _full("文字データ", 76)
    ),
    "SJ": _layout(
        "SJ", "症状詳記", _digits("症状詳記区分", 2), _full("症状詳記データ", 2400, required=True)
    ),
    "GO": _layout(
        "GO",
        "診療報酬請求書",
        _number("総件数", 6, required=True),
        _number("総合計点数", 10, required=True),
        _code("マルチボリューム識別情報", 2),
    ),
}
"""Every record with a table, by its id."""

RANKS: Final = {
    "RE": 0, "HO": 1, "KO": 2, "SN": 3, "JD": 4, "MF": 5, "GR": 6, "SY": 7,
    "SI": 8, "IY": 8, "TO": 8, "CO": 8, "SJ": 9, "TI": 10, "TR": 10, "TS": 10,
}  # fmt: skip
"""The order within a claim: no record follows one of a higher rank."""

KINDS: Final = frozenset({*LAYOUTS, *RANKS})
"""Every record id a file may have."""

TIMES_MAX: Final = {"HO": 1, "KO": 4, "SN": 5, "JD": 5, "MF": 1}
"""How often a record may stand in one claim, where that is bounded."""

TREATMENTS: Final = ("SI", "IY", "TO")
"""The records with days of treatment (算定日); a claim has at least one."""

DETAILS: Final = ("SI", "IY", "TO", "CO")

UNMARKED_DETAILS_MAX: Final = 98
"""So many detail records in a row may leave 診療識別 empty."""


def place_of(kind: str, label: str) -> int:
    """Where a field stands in its record, the id being 0."""
    return next(i for i, field in enumerate(LAYOUTS[kind].fields) if field.label == label)
