"""The reasons given about reports of the lag; see `gateway.domain.reasons`."""

from typing import Final

from gateway.domain.advice import Advice, advise

LAG_REASONS: Final[dict[str, Advice]] = {
    "LAG_PERIOD_WRONG": advise(
        "集計期間が正しくありません。初日と末日を確認してください。",
        "The period cannot be reported on. Check its first and its last day.",
        "初日は末日以前とし、期間は lag_days_max 日以内にしてください。",
        "The first day must not be after the last, and the period at most lag_days_max days.",
    ),
    "TOO_MANY_CASES": advise(
        "件数が多すぎます。期間を短くするか、事業所を指定してください。",
        "There are too many cases. Shorten the period or name an employer.",
        "上限は lag_cases_max です。",
        "See the limit lag_cases_max.",
    ),
}
