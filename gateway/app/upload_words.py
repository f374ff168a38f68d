"""What `onshi upload` says, in Japanese and English."""

from __future__ import annotations

from typing import Final

SAY: Final = {
    "receiving": {"ja": "送信", "en": "sending"},
    "applying": {"ja": "処理", "en": "applying"},
    "rehearsing": {"ja": "予行", "en": "dry run"},
    "waiting": {
        "ja": "接続できません。{seconds:.1f}秒後にやり直します ({tries}/{tries_max})。",
        "en": "The gateway is away; trying again in {seconds:.1f} s ({tries} of {tries_max}).",
    },
    "gave_up": {
        "ja": "{tries}回試しましたが送信を続けられません。同じコマンドで途中から再開できます。",
        "en": "Gave up after {tries} tries without progress. The same command goes on from there.",
    },
    "interrupted": {
        "ja": "中断しました。同じコマンドで途中から再開できます: {command}",
        "en": "Interrupted. The same command goes on from there: {command}",
    },
    "applied": {"ja": "登録が終わりました。", "en": "Applied."},
    "nothing_applied": {"ja": "登録した行はありません。", "en": "Nothing was applied."},
    "rehearsed": {
        "ja": "予行が終わりました。何も変更していません。",
        "en": "Dry run done. Nothing was changed.",
    },
    "repeated": {
        "ja": "このファイルは {time} に処理済みです。その結果を表示します。改めて送るときは "
        "--request-id を指定してください。",
        "en": "This file was applied already, at {time}; this is its report again. To send it once "
        "more, give it a --request-id of its own.",
    },
    "counts": {
        "ja": "{read:,} 行: 登録 {applied:,}、変更なし {unchanged:,}、拒否 {refused:,}",
        "en": "{read:,} lines: {applied:,} applied, {unchanged:,} unchanged, {refused:,} refused",
    },
    "counts_rehearsed": {
        "ja": "{read:,} 行: 登録される {applied:,}、変更なし {unchanged:,}、拒否される {refused:,}",
        "en": "{read:,} lines: {applied:,} would be applied, {unchanged:,} would change nothing, "
        "{refused:,} would be refused",
    },
    "not_kept": {
        "ja": "拒否した行のうち {kept:,} 行だけを記載しました (上限 refused_lines_kept_max)。",
        "en": "Only {kept:,} of the refused lines were kept (limit refused_lines_kept_max).",
    },
    "result": {"ja": "結果ファイル: {path}", "en": "result file: {path}"},
    "headings": {"ja": "件数|理由|対応", "en": "how many|reason|what to do"},
}


def say(name: str, language: str, **values: object) -> str:
    """A sentence in a language, with its values filled in."""
    return SAY[name][language].format(**values)
