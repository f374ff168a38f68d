"""
What every simulation shares: made-up names, towns and insurers, cards, and the coverage file.

No real person, insurer or number is used. Insurer numbers carry valid check digits under the
prefecture code 99, which does not exist; postal codes begin with 000, which is not allotted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar, Final, Literal

import jaconv

from gateway.domain.identifiers import InsurerKind, with_check_digit

Row = dict[str, str]
"""One line of a coverage file: column name to cell, empty cells left out."""

Encoding = Literal["utf-8", "cp932"]

_COLUMN_NAMES: Final = """
    insurer_number action symbol number branch birth_date acquisition_date loss_date loss_reason
    name name_kana name_of_other name_of_other_kana insured_name sex sex_on_reverse post_number
    address relationship
    card_classification insurer_name card_issue_date card_first_valid_date card_last_valid_date
    copayment_ratio is_preschool elderly_issue_date elderly_first_valid_date
    elderly_last_valid_date elderly_copayment_ratio limit_kind limit_class limit_issue_date
    limit_first_valid_date limit_last_valid_date limit_long_term_date disease_category
    disease_issue_date disease_first_valid_date disease_last_valid_date disease_self_pay
    ticket_type ticket_month ticket_issue_number ticket_first_valid_date ticket_last_valid_date
    ticket_institution_code ticket_institution_name is_voluntary_continuation is_nondisclosed
    is_self_information_withheld card_collected_date certificate_issue_date
    certificate_last_valid_date certificate_collected_date documents_seen uncollected_reason
    effective_date employer_code filed_date received_date new_symbol new_number new_branch
    new_birth_date new_acquisition_date individual_number
"""
COLUMNS: Final = tuple(_COLUMN_NAMES.split())
"""The columns of the coverage file, in its order."""


@dataclass(frozen=True, slots=True)
class SimulatedInsurer:
    """An insurer that does not exist; `number` is zero-padded to 8 digits."""

    number: str
    name: str
    kind: InsurerKind


@dataclass(frozen=True, slots=True)
class Card:
    """What a card shows. `branch` is empty where the card has none, or where it is not asked."""

    insurer_number: str
    symbol: str
    number: str
    branch: str

    def cells(self) -> Row:
        """The card as cells of a coverage file."""
        return {
            "insurer_number": self.insurer_number,
            "symbol": self.symbol,
            "number": self.number,
            "branch": self.branch,
        }


@dataclass(frozen=True, slots=True)
class TestPerson:
    """
    A named person, a question about them, and the answer it must get.

    Insurer number (8 digits), symbol, number and branch are what the clinic asks with, spelled
    as the clinic spells them; `branch` is empty if asked without. `expected_validity` is the
    official code 1 to 6 (OQSCD006).
    """

    __test__: ClassVar[bool] = False
    """Keeps pytest from taking this for a class of tests."""

    id: str
    insurer_number: str
    symbol: str
    number: str
    branch: str
    birth_date: date
    on: date
    expected_validity: int
    note_ja: str
    note_en: str
    name: str
    is_limit_certificate_consented: bool = False
    is_suspended: bool = False
    """Whether the resident register disagrees; where no register is asked, the answer is 1."""
    individual_number: str = field(default="", repr=False)
    """Whose card and register entry it is; empty for one who told no number."""

    @property
    def card(self) -> Card:
        """What the clinic asks with."""
        return Card(self.insurer_number, self.symbol, self.number, self.branch)


def _insurers(kind: InsurerKind, law: str, names: str) -> tuple[SimulatedInsurer, ...]:
    return tuple(
        SimulatedInsurer(with_check_digit(f"{law}99{serial:03d}"), name, kind)
        for serial, name in enumerate(names.split(), start=1)
    )


INSURERS: Final = {
    kind: _insurers(kind, law, names)
    for kind, law, names in (
        (
            InsurerKind.ASSOCIATION,
            "01",
            "見本健康保険協会青空支部 見本健康保険協会夕凪支部 見本健康保険協会木漏日支部",
        ),
        (
            InsurerKind.SOCIETY,
            "06",
            "架空製作所健康保険組合 見本商事健康保険組合 夢見電機健康保険組合 虹色運輸健康保険組合",
        ),
        (InsurerKind.MUTUAL_AID, "31", "見本県職員共済組合 架空学園共済組合"),
        (InsurerKind.NATIONAL, "00", "架空市 見本町 夢見市 虹色村"),
        (InsurerKind.LATTER_STAGE_ELDERLY, "39", "見本県後期高齢者医療広域連合"),
        (InsurerKind.MEDICAL_ASSISTANCE, "12", "架空市福祉事務所"),
    )
}
"""The insurers of every simulation, by kind."""

TOWNS: Final = ("架空市青空町", "架空市夕凪町", "見本町木漏日", "夢見市月影台", "虹色村七色")
"""Towns of the prefecture 見本県, which does not exist."""


def address_of(serial: int) -> Row:
    """Give a made-up postal code and address; the same serial gives the same."""
    town = serial % len(TOWNS)
    return {
        "post_number": f"000-{town:04d}",
        "address": f"見本県{TOWNS[town]}{serial // len(TOWNS) % 99 + 1}番地",
    }


def _names(text: str) -> tuple[tuple[str, str], ...]:
    words = text.split()
    return tuple(
        (kanji, jaconv.z2h(kana, kana=True))
        for kanji, kana in zip(words[::2], words[1::2], strict=True)
    )


FAMILY_NAMES: Final = _names(
    """
    佐藤 サトウ 鈴木 スズキ 高橋 タカハシ 田中 タナカ 伊藤 イトウ 渡辺 ワタナベ 山本 ヤマモト
    中村 ナカムラ 小林 コバヤシ 加藤 カトウ 吉田 ヨシダ 山田 ヤマダ 佐々木 ササキ 山口 ヤマグチ
    松本 マツモト 井上 イノウエ 木村 キムラ 林 ハヤシ 斎藤 サイトウ 清水 シミズ 山崎 ヤマザキ
    森 モリ 池田 イケダ 橋本 ハシモト 阿部 アベ 石川 イシカワ 山下 ヤマシタ 中島 ナカジマ
    石井 イシイ 小川 オガワ 前田 マエダ 岡田 オカダ 長谷川 ハセガワ 藤田 フジタ 後藤 ゴトウ
    近藤 コンドウ 村上 ムラカミ 遠藤 エンドウ 青木 アオキ 坂本 サカモト 福田 フクダ 太田 オオタ
    西村 ニシムラ 藤井 フジイ 金子 カネコ 岡本 オカモト 藤原 フジワラ 三浦 ミウラ 中野 ナカノ
    原田 ハラダ 松田 マツダ 竹内 タケウチ 小野 オノ 田村 タムラ 中山 ナカヤマ 和田 ワダ
    石田 イシダ 森田 モリタ 上田 ウエダ 原 ハラ
    """
)
"""Common family names with half-width kana."""

GIVEN_NAMES: Final = {
    "1": _names(
        """
        翔太 ショウタ 大輔 ダイスケ 健太 ケンタ 拓也 タクヤ 翼 ツバサ 直樹 ナオキ 和也 カズヤ
        達也 タツヤ 誠 マコト 浩 ヒロシ 隆 タカシ 学 マナブ 茂 シゲル 勝 マサル 進 ススム
        清 キヨシ 実 ミノル 昇 ノボル 豊 ユタカ 剛 ツヨシ 亮 リョウ 陸 リク 蓮 レン 湊 ミナト
        樹 イツキ 蒼 アオイ 悠真 ユウマ 陽翔 ハルト 大和 ヤマト 颯太 ソウタ 健一 ケンイチ
        雄大 ユウダイ 智也 トモヤ 修 オサム 哲也 テツヤ 正 タダシ 稔 ミノル 弘 ヒロシ
        一郎 イチロウ 二郎 ジロウ 三郎 サブロウ 健二 ケンジ 幸男 ユキオ 義雄 ヨシオ 武 タケシ
        昭 アキラ 光 ヒカル 淳 ジュン 圭介 ケイスケ 純一 ジュンイチ 良太 リョウタ 信吾 シンゴ
        航 ワタル 海斗 カイト 朝陽 アサヒ 律 リツ 新 アラタ 匠 タクミ 仁 ジン 歩 アユム 岳 ガク
        """
    ),
    "2": _names(
        """
        陽子 ヨウコ 恵子 ケイコ 幸子 サチコ 和子 カズコ 節子 セツコ 洋子 ヨウコ 京子 キョウコ
        明美 アケミ 由美 ユミ 真由美 マユミ 直美 ナオミ 久美子 クミコ 智子 トモコ 裕子 ユウコ
        美穂 ミホ 香織 カオリ 恵 メグミ 愛 アイ 彩 アヤ 美咲 ミサキ 葵 アオイ 結衣 ユイ
        陽菜 ヒナ 凛 リン 咲良 サクラ 芽依 メイ 紬 ツムギ 澪 ミオ 杏 アン 莉子 リコ 桜 サクラ
        楓 カエデ 茜 アカネ 遥 ハルカ 舞 マイ 綾 アヤ 優子 ユウコ 純子 ジュンコ 典子 ノリコ
        文子 フミコ 芳江 ヨシエ 静江 シズエ 千代 チヨ 春江 ハルエ 花子 ハナコ 八重 ヤエ
        富美 フミ 里美 サトミ 理恵 リエ 千尋 チヒロ 瞳 ヒトミ 早紀 サキ 奈々 ナナ 麻衣 マイ
        友香 トモカ 美月 ミヅキ 詩織 シオリ 柚葉 ユズハ 心春 コハル 琴音 コトネ 雪乃 ユキノ
        """
    ),
}
"""Given names with half-width kana, by sex (OQSCD007)."""


def day(value: date | None) -> str:
    """Spell a day as a cell; None is an empty cell."""
    return "" if value is None else f"{value:%Y%m%d}"


def loss_row(new: Row, loss_date: str, reason: str) -> Row:
    """Give the LOSS line that ends the cover a NEW line began; the loss date is a cell."""
    return {**_target(new), "action": "LOSS", "loss_date": loss_date, "loss_reason": reason}


def cancel_row(new: Row) -> Row:
    """Give the CANCEL line that takes back a NEW line."""
    return {**_target(new), "action": "CANCEL"}


def _target(new: Row) -> Row:
    names = ("insurer_number", "symbol", "number", "branch", "birth_date", "acquisition_date")
    return {name: new[name] for name in names}


def files_of(rows: Iterable[Row]) -> list[bytes]:
    """
    Spell rows as the coverage files to send one after the other.

    What cancels comes in a file of its own: in one file it takes effect before what it is about
    is registered (docs/coverage-file.md).
    """
    first: list[Row] = []
    then: list[Row] = []
    for row in rows:
        (then if row["action"] == "CANCEL" else first).append(row)
    return [lines_of(some) for some in (first, then) if some]


def lines_of(
    rows: Iterable[Row], encoding: Encoding = "utf-8", *, has_header: bool = True
) -> bytes:
    """
    Spell rows as a coverage file, with CRLF line ends.

    A character that Shift_JIS (cp932) lacks becomes ●, as insurers send it
    (insurer-lifecycle.md 4.3). Parts without a header may follow one that has it.

    Raises:
        ValueError: For a column that is none of `COLUMNS`.
    """
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, restval="")
    if has_header:
        writer.writeheader()
    writer.writerows(rows)
    return _encoded(out.getvalue(), encoding)


def _encoded(text: str, encoding: Encoding) -> bytes:
    if encoding == "cp932":
        missing = {c for c in set(text) if not c.encode("cp932", errors="ignore")}
        text = text.translate({ord(c): "●" for c in missing})
    return text.encode(encoding)


_PAGE_HEAD: Final = """\
# Test persons / テスト用の人物

Everyone here is made up: no real person, insurer or number is used. Insurer numbers carry valid
check digits under the prefecture code 99, which does not exist; postal codes begin with 000; each
My Number begins with 990 and is never shown. Questions and files come from
`simulators/catalogue.py`; a test keeps this page equal to it.

ここに載る人物・保険者・番号はすべて架空です。保険者番号の検証番号は正しく、都道府県番号は実在しない
99 です。

Upload the rows of each insurer as one coverage file, then ask with the columns below. An empty
branch means: asked without it. `limit-certificate` is asked with consent to show the certificate.

Expected answers (資格有効性): 1 valid (有効), 2 invalid (無効), 3 invalid, newer cover exists
(無効、新しい資格あり), 4 no such cover (該当資格なし), 5 several people match (複数該当), 6 valid,
not registered (有効、未登録).

| id | insurer | symbol | number | branch | birth date | on | expected | 状況 | situation |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def as_page(people: Iterable[TestPerson]) -> str:
    """Give docs/people.md."""
    rows = "".join(
        f"| `{p.id}` | {p.insurer_number} | {p.symbol} | {p.number} | {p.branch} "
        f"| {p.birth_date} | {p.on} | {p.expected_validity} | {p.note_ja} | {p.note_en} |\n"
        for p in people
    )
    return _PAGE_HEAD + rows
