"""
The figures the made-up nation is drawn from: prefectures, ages, families, sorts of insurers.

Rounded from public statistics of about 2023; insured people by insurer-lifecycle.md 5.2.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final


def cumulated(weights: list[float] | tuple[float, ...]) -> tuple[float, ...]:
    """Give running sums that end at exactly 1, to be searched by `bisect` with a number below 1."""
    total = sum(weights)
    return (*(weight / total for weight in accumulate(weights[:-1])), 1.0)


_TABLE: Final = """
    北海道 509 154 青森県 118 40 岩手県 116 33 宮城県 226 35 秋田県 91 25 山形県 103 35
    福島県 177 59 茨城県 283 44 栃木県 190 25 群馬県 190 35 埼玉県 733 63 千葉県 626 54
    東京都 1409 62 神奈川県 923 33 新潟県 213 30 富山県 101 15 石川県 111 19 福井県 74 17
    山梨県 80 27 長野県 200 77 岐阜県 193 42 静岡県 356 35 愛知県 748 54 三重県 173 29
    滋賀県 141 19 京都府 254 26 大阪府 876 43 兵庫県 537 41 奈良県 130 39 和歌山県 89 30
    鳥取県 54 19 島根県 65 19 岡山県 185 27 広島県 274 23 山口県 130 19 徳島県 70 24
    香川県 93 17 愛媛県 129 20 高知県 67 34 福岡県 510 60 佐賀県 79 20 長崎県 127 21
    熊本県 171 45 大分県 110 18 宮崎県 104 26 鹿児島県 155 43 沖縄県 147 41
"""
_PREFECTURES: Final = _TABLE.split()
PREFECTURES: Final = tuple(_PREFECTURES[::3])
"""Names in the order of their codes, which begin with 1."""
PREFECTURE_TEN_THOUSANDS: Final = tuple(map(int, _PREFECTURES[1::3]))
"""Inhabitants, in ten thousands."""
MUNICIPALITIES: Final = tuple(map(int, _PREFECTURES[2::3]))
"""Municipal national health insurers of each prefecture: 1,716 in all."""

SOCIETIES: Final = 1_380
MUTUAL_AIDS: Final = 60
NATIONAL_ASSOCIATIONS: Final = 160
INSURERS: Final = 3_411
"""Insurers of the full check of 2023 (0.1): those above, two for each prefecture, and one for
seamen."""

AGE_BAND_YEARS: Final = 5
PYRAMID_MILLIONS: Final = (
    4.10, 4.79, 5.28, 5.50, 6.19, 6.46, 6.37, 7.05, 7.72, 9.04,
    9.54, 8.33, 7.45, 7.33, 8.91, 7.37, 5.79, 4.00, 2.01, 0.69,
)  # fmt: skip
"""People by ages of five years; the last band has no end."""
WOMEN_SHARES: Final = (
    0.487, 0.488, 0.488, 0.487, 0.486, 0.485, 0.486, 0.490, 0.492, 0.492,
    0.494, 0.498, 0.505, 0.513, 0.527, 0.548, 0.580, 0.640, 0.720, 0.810,
)  # fmt: skip
WOMEN_ALONE_SHARES: Final = (
    0.45, 0.45, 0.45, 0.45, 0.45, 0.44, 0.42, 0.38, 0.38, 0.40,
    0.46, 0.47, 0.48, 0.52, 0.60, 0.72, 0.84, 0.88, 0.90, 0.92,
)  # fmt: skip
"""Of those who live alone: more men while children live with their mothers, widows later."""

HEAD_BAND_FIRST: Final = 4
"""Heads of households are 20 years old at least: this band of the pyramid and those after it."""
HEAD_WEIGHTS: Final = (
    1.95, 4.15, 3.39, 3.70, 4.13, 5.20, 5.65, 4.93, 4.42, 4.29, 5.67, 4.92, 4.03, 3.17, 1.63, 0.55,
)  # fmt: skip
"""Heads by band, fitted so that everybody together makes the pyramid."""

HOUSEHOLD_SHAPES: Final = (
    # Ages up to, then weights: alone, couple, couple with children, one parent with children,
    # parents with grown children
    (24, (90, 6, 3, 1, 0)),
    (29, (62, 16, 19, 3, 0)),
    (34, (36, 13, 44, 7, 0)),
    (44, (24, 9, 56, 10, 1)),
    (54, (26, 10, 48, 10, 6)),
    (64, (30, 28, 20, 4, 18)),
    (74, (35, 45, 0, 0, 20)),
    (84, (50, 38, 0, 0, 12)),
    (120, (76, 16, 0, 0, 8)),
)
CHILDREN_WEIGHTS: Final = (32, 49, 19)
"""One child, two, three."""
