"""What `onshi backup` and `onshi restore` say and refuse with, in Japanese and English."""

from __future__ import annotations

from typing import Final

REFUSALS: Final = {
    "NO_GATEWAY_DATA": {
        "ja": "{path} に gateway.db がありません。別の場所か、PostgreSQL を使う設定です。",
        "en": "There is no gateway.db in {path}: another place, or its facts are in PostgreSQL.",
    },
    "BACKUP_EXISTS": {
        "ja": "{path} は既にあります。別の名前を指定してください。",
        "en": "{path} is there already; give another name.",
    },
    "COPY_UNDER_WAY": {
        "ja": "{path} への別のコピーが実行中です。",
        "en": "Another copy to {path} is under way.",
    },
    "NO_ROOM": {
        "ja": "{path} の空きが足りません。{needed} 必要ですが {free} しかありません。",
        "en": "{path} has too little room: {needed} needed, {free} free.",
    },
    "UPLOADS_NOT_HELD": {
        "ja": "受信済みファイルを捉えられませんでした。もう一度実行してください。",
        "en": "The uploads that wait could not be held; take the backup again.",
    },
    "KEYS_RETIRED": {
        "ja": "バックアップ中に鍵が破棄されました。もう一度実行してください。",
        "en": "Keys were retired meanwhile; take the backup again.",
    },
    "NOT_A_BACKUP": {
        "ja": "{path} は完成したバックアップではありません。",
        "en": "{path} is no complete backup.",
    },
    "BACKUP_TOO_NEW": {
        "ja": "新しい版のものです ({found}、この版は {known} まで)。その版を使ってください。",
        "en": "A newer version wrote it ({found}; this one knows up to {known}); use that one.",
    },
    "BACKUP_BROKEN": {
        "ja": "バックアップが壊れています。使わないでください: {what}",
        "en": "The backup is broken, do not use it: {what}",
    },
    "KEYS_NEEDED": {
        "ja": "バックアップに鍵が含まれていません。--keys で別に保管した鍵を指定してください。",
        "en": "The backup holds no keys; give the ones you keep apart with --keys.",
    },
    "KEYS_WRONG": {
        "ja": "この鍵ではバックアップを開けません: {what}",
        "en": "These keys do not open the backup: {what}",
    },
    "DIRECTORY_NOT_EMPTY": {
        "ja": "{path} は空ではありません。復元先は空か、まだないディレクトリにしてください。",
        "en": "{path} is not empty; restore into a directory that is empty or absent.",
    },
    "COPY_FAILED": {
        "ja": "読み書きできません: {what}",
        "en": "It could not be read or written: {what}",
    },
}
"""By reason; each is one sentence in each language."""

SAY: Final = {
    "copying": {"ja": "コピー", "en": "copying"},
    "checking": {"ja": "検査", "en": "checking"},
    "taken": {
        "ja": "バックアップを作成しました: {path} ({files:,} ファイル、{size})",
        "en": "Backup taken: {path} ({files:,} files, {size})",
    },
    "verified": {
        "ja": "バックアップに問題はありません: {path} ({files:,} ファイル、{size})",
        "en": "The backup is sound: {path} ({files:,} files, {size})",
    },
    "restored": {
        "ja": "復元しました: {path} ({files:,} ファイル、{size})",
        "en": "Restored: {path} ({files:,} files, {size})",
    },
    "moment": {
        "ja": "開始 {begun} / 最後の登録 {last} / 終了 {ended}",
        "en": "begun {begun} / last recorded {last} / ended {ended}",
    },
    "with_keys": {
        "ja": "鍵を含みます。これだけで個人番号を復号できます。鍵と同じ扱いで保管してください。",
        "en": "It holds the keys: whoever has it reads the My Numbers. Guard it as you guard them.",
    },
    "without_keys": {
        "ja": "鍵は含みません。{keys} の *.json を別に保管してください。ないと復元できません。",
        "en": "It holds no keys. Keep the *.json of {keys} apart: no restore without them.",
    },
    "personal": {
        "ja": "氏名や資格は暗号化されていません。データディレクトリと同じく保護してください。",
        "en": "Names and covers in it are not encrypted. Protect it as the data directory itself.",
    },
    "keys_untried": {
        "ja": "鍵は確かめていません。--keys で確かめられます。",
        "en": "The keys were not tried; --keys tries them.",
    },
    "feed_behind": {
        "ja": "変更通知が追いついていません。医療機関は復元後に照合し直してください。",
        "en": "Institutions had not been told of all changes; after a restore they should compare.",
    },
    "problem": {"ja": "元のデータの問題: {what}", "en": "a problem of the data itself: {what}"},
    "not_part": {
        "ja": "設定ファイルと TLS の証明書・鍵は含まれません。",
        "en": "Settings files and TLS certificates and keys are not part of it.",
    },
    "interrupted": {
        "ja": "中断しました。何も残していません。",
        "en": "Interrupted; nothing was left behind.",
    },
}


class BackupRefusedError(Exception):
    """A backup is not taken or not used: its reason, and one sentence in each language."""

    def __init__(self, reason: str, ja: str, en: str) -> None:
        super().__init__(f"{reason}: {en}")
        self.reason = reason
        self.ja = ja
        self.en = en


def refused(reason: str, **values: object) -> BackupRefusedError:
    """Put a refusal together; `reason` is a key of `REFUSALS`."""
    said = REFUSALS[reason]
    return BackupRefusedError(reason, said["ja"].format(**values), said["en"].format(**values))


def say(name: str, language: str, **values: object) -> str:
    """A sentence in a language, with its values filled in."""
    return SAY[name][language].format(**values)
