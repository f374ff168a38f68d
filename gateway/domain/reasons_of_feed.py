"""The reasons given to watchers; see `gateway.domain.reasons`."""

from typing import Final

from gateway.domain.advice import Advice, advise

FEED_REASONS: Final[dict[str, Advice]] = {
    "CURSOR_WRONG": advise(
        "変更通知の再開位置 (cursor) が正しくありません。",
        "The place to go on from is not one of this watcher.",
        "WatchChanges が同じ証明書に返した cursor をそのまま送ってください。",
        "Send a cursor WatchChanges gave to the same certificate, unchanged.",
    ),
    "CURSOR_EXPIRED": advise(
        "再開位置が古く、その後の変更の一部は保存期間を過ぎました。",
        "The place to go on from is too old; some changes after it are no longer kept.",
        "空の cursor で始め、その前の分は照合し直してください。feed_days_kept を参照。",
        "Begin with an empty cursor and compare what lies before. See the limit feed_days_kept.",
    ),
    "CURSOR_UNKNOWN": advise(
        "再開位置がこの変更通知にありません。",
        "The place to go on from does not exist here.",
        "保管先が復元された可能性があります。空の cursor で始め、照合し直してください。",
        "The store may have been restored from a copy. Begin with an empty cursor and compare.",
    ),
    "TOO_MANY_WATCHERS": advise(
        "変更通知の接続が多すぎます。",
        "There are too many connections that watch for changes.",
        "上限は feed_watchers_a_caller_max と feed_watchers_max です。",
        "See the limits feed_watchers_a_caller_max and feed_watchers_max.",
    ),
}
