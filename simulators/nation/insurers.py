"""
The insurers of the made-up nation: 3,411 of every sort and size, or fewer for a small world.

None exists. A number has its valid check digit, and fifty is added to its prefecture code, so that
51 (Hokkaido) to 97 (Okinawa) stand where real numbers have 01 to 47. Sizes: insurer-lifecycle.md
5.2; numbers of insurers 0.1.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

from gateway.domain.identifiers import InsurerKind, with_check_digit
from simulators.nation import tables
from simulators.nation.names import Draw
from simulators.nation.tables import PREFECTURES, cumulated

CODE_SHIFT: Final = 50
"""Added to a prefecture's code: no real insurer's number has such a one."""
NATIONWIDE: Final = -1
EMPLOYERS_MAX: Final = 60_000
PEOPLE_MILLIONS: Final = {
    InsurerKind.ASSOCIATION: 39.33,
    InsurerKind.SEAMEN: 0.11,
    InsurerKind.SOCIETY: 28.20,
    InsurerKind.MUTUAL_AID: 10.26,
}
"""People insured through an employer."""
NATIONAL_ASSOCIATION_SHARE: Final = 0.10
"""Of the households in national health insurance."""

_MUNICIPAL_STEMS: Final = """
    夢見 虹色 架空 見本 月影 夕凪 星屑 木漏日 朝露 風花 雪灯 花霞 青嵐 春告 時雨坂 霧笛 遠雷 薄紅
    白露野 氷華 陽炎 草笛 鈴音 綿雲 鰯雲 朧月 宵待 暁光 銀砂 潮騒 水鏡 風待 星待 夢路 雲海原 蛍火
    初音 雪解 若葉風 麦秋 水無瀬野 夏木立 打水 秋桜野 野分 十三夜 冬青 小春日 霜夜 寒椿 風見原
    空色 琥珀野 翡翠原 瑠璃野 桜色 藤色 茜色 群青 萌黄
"""
_SOCIETY_STEMS: Final = """
    架空 見本 夢見 虹色 月影 夕凪 星屑 朝露 風花 花霞 青嵐 春告 霧笛 遠雷 薄紅 氷華 陽炎 草笛 鈴音
    綿雲 朧月 宵待 暁光 銀砂 潮騒 水鏡 風待 星待 夢路 蛍火 初音 若葉風 麦秋 夏木立 野分 小春日
"""
_SOCIETY_TRADES: Final = """
    製作所 商事 電機 運輸 食品 化学 建設 銀行 証券 通信 鉄道 製薬 繊維 印刷 機械 精密 情報 物産
    百貨店 倉庫 海運 石油 ガス 製紙 硝子 鉄鋼 自動車 部品 放送 新聞 保険 不動産 観光 警備 人材 設計
    造船 航空 水産 陶器
"""
_UNIONS: Final = """
    建設連合 医師 歯科医師 薬剤師 食品販売 理容 美容 税務 弁護士 文芸 浴場 青果卸 飲食 酒販 左官
    畳業 写真 印章 料理店
"""
_MUTUALS: Final = ("省庁", "学校", "警察", "地方職員", "病院", "都市", "研究所", "裁判")
_TOWNS: Final = ("青空町", "夕凪町", "木漏日台", "月影台", "七色", "見晴坂", "若草", "陽だまり")

_TOWN_STEMS: Final = tuple(_MUNICIPAL_STEMS.split())
_COMPANY_STEMS: Final = tuple(_SOCIETY_STEMS.split())
_COMPANY_TRADES: Final = tuple(_SOCIETY_TRADES.split())
_UNION_TRADES: Final = tuple(_UNIONS.split())

SYMBOL_STYLES: Final = (
    "number", "hyphen", "kana", "full-width kana", "full-width number", "kanji", "hiragana",
)  # fmt: skip
_KANA: Final = "アイウエオカキクケコサシスセソタチツテトナニヌネノ"
_HALF_KANA: Final = "ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉ"
_HIRAGANA: Final = "あいうえおかきくけこさしすせそたちつてとなにぬねの"
_FULL_WIDTH: Final = str.maketrans("0123456789-", "０１２３４５６７８９－")


class Insurer(Struct, frozen=True):
    """
    One insurer; `place` tells it from the others of the nation.

    `prefecture` is its place in `PREFECTURES`, or -1 nationwide. `weight` says how many people it
    insures beside others of its kind. `first_branch` is the insured person's, empty where there
    are none (insurer-lifecycle.md 1.4).
    """

    place: int
    number: str
    name: str
    kind: InsurerKind
    prefecture: int
    weight: float
    employers: int
    symbol_style: str
    first_branch: int
    is_number_full_width: bool
    is_kana_large: bool

    def symbol_of(self, group: int) -> str:
        """
        Give the symbol (記号) of an employer or a district of this insurer.

        Args:
            group: Which one, from 0 on.
        """
        one, two = group // 25 % 25, group % 25
        match self.symbol_style:
            case "none":
                return ""
            case "eight":
                return f"{70_000_000 + self.place * 20_011 % 9_000_000 + group}"
            case "number":
                return f"{group + 1}"
            case "hyphen":
                return f"{group // 20 + 1}-{group % 20 + 1}"
            case "kana":
                return _HALF_KANA[one] + _HALF_KANA[two] + f"{group // 625 or ''}"
            case "full-width kana":
                return _KANA[one] + _KANA[two] + f"{group // 625 or ''}".translate(_FULL_WIDTH)
            case "full-width number":
                return f"{group // 40 + 1}-{group % 40 + 1}".translate(_FULL_WIDTH)
            case "hiragana":
                return "けん" + _HIRAGANA[two] + f"{group // 25 or ''}"
            case _:
                return f"架見{group + 10}"

    def number_of(self, serial: int) -> str:
        """Spell a number (番号); serials are never given twice, so neither are numbers."""
        number = f"{serial:07d}"
        return number.translate(_FULL_WIDTH) if self.is_number_full_width else number

    def employer_of(self, draw: Draw) -> int:
        """Draw one of its employers; few have many employees."""
        return int(self.employers * draw() ** 3)

    def employer_code(self, employer: int) -> str:
        """Give the code (事業所コード) the insurer knows an employer by."""
        return f"{self.number}-{employer:05d}"


class Nation:
    """
    Every insurer, and who insures whom by chance.

    Args:
        insurers: How many; with fewer than 3,411 there are fewer prefectures too.
    """

    def __init__(self, insurers: int = tables.INSURERS) -> None:
        shape = _Shape(insurers)
        self.insurers: list[Insurer] = []
        self.prefectures = shape.prefectures
        """The places of its prefectures in `PREFECTURES`."""
        people = [float(tables.PREFECTURE_TEN_THOUSANDS[place]) for place in shape.prefectures]
        self._prefecture_bounds = cumulated(people)
        self.of_prefecture = [
            self._add(InsurerKind.ASSOCIATION, "01", where,
                      f"見本健康保険協会{PREFECTURES[where]}支部", 1, weight, "eight", 0)
            for where, weight in zip(shape.prefectures, people, strict=True)
        ]  # fmt: skip
        self.elder = [
            self._add(InsurerKind.LATTER_STAGE_ELDERLY, "39", where,
                      f"見本{PREFECTURES[where]}後期高齢者医療広域連合", 1, weight, "none", -1)
            for where, weight in zip(shape.prefectures, people, strict=True)
        ]  # fmt: skip
        self.seamen = [
            self._add(InsurerKind.SEAMEN, "02", NATIONWIDE, "見本船員保険", 1, 40.0, "number", 0)
            for _ in range(shape.seamen)
        ]
        self.societies = [self._society(serial) for serial in range(shape.societies)]
        self.mutuals = [self._mutual(serial) for serial in range(shape.mutuals)]
        self.municipal = [
            [self._municipal(where, serial) for serial in range(1, count + 1)]
            for where, count in zip(shape.prefectures, shape.municipalities, strict=True)
        ]
        self.unions = [
            self._union(shape.prefectures[serial % len(shape.prefectures)], serial)
            for serial in range(shape.unions)
        ]
        self._society_bounds = _bounds(self.societies)
        self._mutual_bounds = _bounds(self.mutuals)
        self._municipal_bounds = [_bounds(of_prefecture) for of_prefecture in self.municipal]
        self._kind_bounds = cumulated(tuple(PEOPLE_MILLIONS.values()))

    def prefecture(self, draw: Draw) -> int:
        """Draw where a household lives: a place in `prefectures`."""
        return bisect(self._prefecture_bounds, draw())

    def municipality(self, draw: Draw, prefecture: int) -> Insurer:
        """Draw a municipality of a prefecture, which is its national health insurer too."""
        place = bisect(self._municipal_bounds[prefecture], draw())
        return self.municipal[prefecture][place]

    def employees_insurer(self, draw: Draw, prefecture: int) -> Insurer:
        """Draw the insurer of somebody who is employed there."""
        match bisect(self._kind_bounds, draw()):
            case 0:
                return self.of_prefecture[prefecture]
            case 1 if self.seamen:
                return self.seamen[0]
            case 3:
                return self.mutuals[bisect(self._mutual_bounds, draw())]
            case _:
                return self.societies[bisect(self._society_bounds, draw())]

    def national_insurer(self, draw: Draw, municipality: Insurer) -> Insurer:
        """Draw the national health insurer of a household: its municipality's, or a trade's."""
        if self.unions and draw() < NATIONAL_ASSOCIATION_SHARE:
            return self.unions[int(draw() * len(self.unions))]
        return municipality

    def address(self, draw: Draw, municipality: Insurer) -> tuple[str, str]:
        """Draw a postal code, which is not allotted, and an address in a municipality."""
        town = _TOWNS[int(draw() * len(_TOWNS))]
        return (
            f"000-{municipality.place % 10_000:04d}",
            f"{municipality.name}{town}{int(draw() * 40) + 1}番地{int(draw() * 30) + 1}",
        )

    def _add(
        self,
        kind: InsurerKind,
        law: str,
        prefecture: int,
        name: str,
        serial: int,
        weight: float,
        style: str,
        first_branch: int,
    ) -> Insurer:
        code = prefecture + 1 + CODE_SHIFT
        place = len(self.insurers)
        employees = weight / 18 if kind is InsurerKind.ASSOCIATION else weight / 2_500
        insurer = Insurer(
            place,
            with_check_digit(f"{law}{code:02d}{serial:03d}"),
            name,
            kind,
            prefecture,
            weight,
            min(max(int(employees * 1_000), 3), EMPLOYERS_MAX),
            style,
            first_branch,
            is_number_full_width=kind is InsurerKind.SOCIETY and place % 29 == 0,
            is_kana_large=place % 20 == 7,  # noqa: PLR2004  one in twenty
        )
        self.insurers.append(insurer)
        return insurer

    def _society(self, serial: int) -> Insurer:
        stem = _COMPANY_STEMS[serial % len(_COMPANY_STEMS)]
        trade = _COMPANY_TRADES[serial * 7 // len(_COMPANY_STEMS) % len(_COMPANY_TRADES)]
        return self._add(
            InsurerKind.SOCIETY,
            "06",
            self.prefectures[serial % len(self.prefectures)],
            f"{stem}{trade}健康保険組合",
            100 + serial // len(self.prefectures),
            1_000 / (serial + 12) ** 0.9,
            SYMBOL_STYLES[serial % 5],
            1,
        )

    def _mutual(self, serial: int) -> Insurer:
        stem = _MUTUALS[serial % len(_MUTUALS)]
        name = f"見本{stem}第{serial // len(_MUTUALS) + 1}共済組合"
        where = self.prefectures[serial % len(self.prefectures)]
        laws = ("31", "32", "33", "34")
        return self._add(
            InsurerKind.MUTUAL_AID,
            laws[serial % len(laws)],
            where,
            name,
            1 + serial // len(laws),
            500 / (serial + 6),
            ("kanji", "full-width kana", "kana")[serial % 3],
            serial % 2,
        )

    def _municipal(self, where: int, serial: int) -> Insurer:
        stem = _TOWN_STEMS[(serial - 1 + 7 * where) % len(_TOWN_STEMS)]
        suffix = "市町村"[(serial - 1) // len(_TOWN_STEMS)]
        if serial > 12 and suffix == "市":  # noqa: PLR2004  the small ones are no cities
            suffix = "町" if serial % 3 else "村"
        elif suffix != "市":
            suffix = "里" if suffix == "町" else "郷"
        return self._add(
            InsurerKind.NATIONAL,
            "00",
            where,
            f"{PREFECTURES[where]}{stem}{suffix}",
            serial,
            1_000 / (serial + 1) ** 1.3,
            ("kanji", "full-width number", "hyphen")[serial % 3],
            1,
        )

    def _union(self, where: int, serial: int) -> Insurer:
        trade = _UNION_TRADES[serial % len(_UNION_TRADES)]
        return self._add(
            InsurerKind.NATIONAL,
            "00",
            where,
            f"見本{trade}第{serial // len(_UNION_TRADES) + 1}国民健康保険組合",
            301 + serial // len(self.prefectures),
            1.0,
            "hiragana",
            1,
        )


class _Shape:
    """How many insurers of each sort there are in a nation of so many."""

    def __init__(self, insurers: int) -> None:
        wanted = min(max(insurers, 8), tables.INSURERS)
        share = wanted / tables.INSURERS
        count = min(max(round(len(PREFECTURES) * share), 1), len(PREFECTURES))
        biggest = sorted(
            range(len(PREFECTURES)), key=lambda place: -tables.PREFECTURE_TEN_THOUSANDS[place]
        )
        self.prefectures = sorted(biggest[:count])
        self.seamen = int(share >= 0.1)  # noqa: PLR2004  a small world has no ships
        left = wanted - 2 * count - self.seamen
        all_left = tables.INSURERS - 2 * len(PREFECTURES) - 1
        self.mutuals = max(round(left * tables.MUTUAL_AIDS / all_left), 1)
        self.unions = round(left * tables.NATIONAL_ASSOCIATIONS / all_left)
        self.societies = max(round(left * tables.SOCIETIES / all_left), 2)
        towns = max(left - self.mutuals - self.unions - self.societies, count)
        real = [tables.MUNICIPALITIES[place] for place in self.prefectures]
        self.municipalities = _shared(towns, real)


def _shared(total: int, weights: Sequence[int]) -> list[int]:
    """Share a total in proportion, at least one each and never more than there really are."""
    whole = sum(weights)
    parts = [min(max(total * weight // whole, 1), weight) for weight in weights]
    for place in sorted(range(len(parts)), key=lambda one: -weights[one]):
        if sum(parts) < total and parts[place] < weights[place]:
            parts[place] += 1
    return parts


def _bounds(insurers: Sequence[Insurer]) -> tuple[float, ...]:
    return cumulated([insurer.weight for insurer in insurers])


@lru_cache(maxsize=4)
def nation(insurers: int = tables.INSURERS) -> Nation:
    """Give the nation of so many insurers; made once, for it never changes."""
    return Nation(insurers)
