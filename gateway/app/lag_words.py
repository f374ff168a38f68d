"""What the lag report says on screen and page, in Japanese and English."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from gateway.v1 import lag_pb2 as pb


class Words(NamedTuple):
    """One thing said in both languages."""

    ja: str
    en: str

    def within(self, language: str) -> str:
        """The words in a language."""
        return self.ja if language == "ja" else self.en


STAGES: Final = {
    pb.LAG_STAGE_FILING: Words("事実→届出", "fact to filing"),
    pb.LAG_STAGE_DELIVERY: Words("届出→受付", "filing to receipt"),
    pb.LAG_STAGE_REGISTRATION: Words("受付→登録", "receipt to registration"),
    pb.LAG_STAGE_REGISTRATION_BUSINESS: Words(
        "受付→登録（営業日）", "receipt to registration, business days"
    ),
    pb.LAG_STAGE_LINK: Words("登録→個人番号の紐付け", "registration to link"),
    pb.LAG_STAGE_NUMBER_VISIBLE: Words("登録→番号で照会可", "registration to visible by number"),
    pb.LAG_STAGE_CARD_VISIBLE: Words("登録→カードで照会可", "registration to visible by card"),
    pb.LAG_STAGE_FACT_TO_NUMBER: Words("事実→番号で照会可", "fact to visible by number"),
    pb.LAG_STAGE_FACT_TO_CARD: Words("事実→カードで照会可", "fact to visible by card"),
}
UNITS: Final = {
    pb.LAG_UNIT_DAYS: Words("日", "days"),
    pb.LAG_UNIT_BUSINESS_DAYS: Words("営業日", "business days"),
    pb.LAG_UNIT_SECONDS: Words("", ""),
}
DURATIONS: Final = (
    (1.0, 0.001, Words("ミリ秒", "ms")),
    (120.0, 1.0, Words("秒", "s")),
    (7_200.0, 60.0, Words("分", "min")),
    (172_800.0, 3_600.0, Words("時間", "h")),
    (math.inf, 86_400.0, Words("日", "d")),
)
"""Below how many seconds a time is told in which unit, of how many seconds."""
WAITS: Final = {
    pb.LAG_WAIT_LINK: Words("未紐付け", "not linked"),
    pb.LAG_WAIT_NUMBER_VISIBLE: Words("番号で照会不可", "not visible by number"),
    pb.LAG_WAIT_CARD_VISIBLE: Words(
        "カードで未照会（カード未登録者を含む）", "not seen by card (people without one included)"
    ),
}

TITLE: Final = Words("資格情報登録のタイムラグ", "Lag of registrations")
SIMULATION: Final = Words(
    "模擬環境です。実在の人・事業所・保険者の数値ではありません。",
    "A simulation: made-up people, employers and insurers.",
)
INSURER: Final = Words("保険者", "insurer")
EMPLOYER: Final = Words("事業所", "employer")
CASES: Final = Words("件数", "cases")
ACQUISITIONS: Final = Words("資格取得", "acquisitions")
LOSSES: Final = Words("資格喪失", "losses")
STAGE: Final = Words("段階", "stage")
UNIT: Final = Words("単位", "unit")
LONGEST: Final = Words("最長", "max")
OPEN: Final = Words("未完了（登録からの日数）", "open cases, by days since registration")
LATE_FILINGS: Final = Words("届出が5日超", "filed after more than 5 days")
LATE_LOSSES: Final = Words("うち喪失", "of them losses")
LATEST: Final = Words("最も遅い届出（日）", "latest filing, days")
FILING_DAYS: Final = Words("届出 p50/90/99（日）", "filing p50/90/99, days")
REGISTRATION_DAYS: Final = Words("登録 p50/90/99（日）", "registration p50/90/99, days")
LATE_REGISTRATIONS: Final = Words("登録が5日超", "registered after more than 5 days")
EMPLOYERS: Final = Words("事業所（届出の遅い順）", "employers, late first")
UNLINKED: Final = Words("未紐付け", "not linked")
NO_CASES: Final = Words("届出のある登録はありません。", "No registration came with a filing.")
LEFT_OUT: Final = Words("ほかの事業所", "employers not listed")
WITHIN: Final = Words("何日以内に何%か", "Per cent of cases by days")
BY_DAY: Final = Words("日ごとの登録件数", "Registrations by day")
SINCE: Final = Words("{}からの日数", "days since {}")
LEGAL: Final = Words("法定の5日", "the legal five days")
DAYS: Final = Words("日数", "days")
PERCENT: Final = Words("%", "per cent")
