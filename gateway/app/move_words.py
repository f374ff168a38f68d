"""What `onshi migrate` says, in Japanese and English."""

from __future__ import annotations

from typing import Final

SAY: Final = {
    "copying": {"ja": "コピー", "en": "copying"},
    "catching_up": {"ja": "追いつき", "en": "catching up"},
    "last_round": {"ja": "最終照合", "en": "last round"},
    "asking": {"ja": "両方に照会", "en": "asking both"},
    "asking_again": {"ja": "両方に再照会", "en": "asking both again"},
    "rows": {"ja": "行", "en": " rows"},
    "questions": {"ja": "人", "en": " people"},
    "paused": {
        "ja": "書き込みを止めます。資格の照会は続きます。",
        "en": "Writing pauses now; lookups go on.",
    },
    "moved": {
        "ja": "移行が終わりました: {rows:,} 行。{asked:,} 件を両方に照会し、違いはありません。"
        "書き込みの停止は {pause_s:.1f} 秒でした。",
        "en": "Moved: {rows:,} rows. {asked:,} questions asked of both, no difference. Writing "
        "paused for {pause_s:.1f} s.",
    },
    "next": {
        "ja": "元のデータベースは書き込みを閉じたままです。設定の store を新しいデータベースにして"
        "{how}、onshi serve に SIGHUP を送ってください (docs/move.md)。",
        "en": "The old database stays closed to writing. Now name the new one in the settings "
        "({how}), and send SIGHUP to `onshi serve` (docs/move.md).",
    },
    "next_to_server": {"ja": 'store = "postgresql://…"', "en": 'store = "postgresql://…"'},
    "next_to_file": {"ja": "store の行を消す", "en": "remove `store`"},
    "differs": {
        "ja": "{count:,} 件の違いがあります。移行していません。元のデータベースで続けます。",
        "en": "{count:,} differences. Not moved; the gateway goes on with the old database.",
    },
    "more": {"ja": "ほか {count:,} 件", "en": "and {count:,} more"},
    "interrupted": {
        "ja": "中断しました。元のデータベースで続けます。--resume を付けると途中から再開できます。",
        "en": "Interrupted; the gateway goes on with the old database. --resume goes on from here.",
    },
    "place_unknown": {
        "ja": "場所は sqlite:///絶対パス または postgresql://利用者@ホスト/DB名 と書きます。",
        "en": "A place is spelled sqlite:///absolute/path or postgresql://user@host/database.",
    },
    "not_two_engines": {
        "ja": "--from と --to の一方は sqlite、もう一方は postgresql にしてください。",
        "en": "One of --from and --to must be sqlite, the other postgresql.",
    },
    "no_file": {"ja": "{path}: ありません。", "en": "{path}: there is no such file."},
    "old_log": {
        "ja": "{path}-wal が残っています。前のファイルと一緒に移してください。",
        "en": "{path}-wal is left of an older file: move it away with that file.",
    },
    "server_refuses": {
        "ja": "サーバーに拒否されました: {why}",
        "en": "The server does not let us in: {why}.",
    },
    "another_move": {
        "ja": "このデータディレクトリーの移行がすでに動いています。",
        "en": "Another move of this data directory is under way.",
    },
    "not_empty": {
        "ja": "移行先が空ではありません。空のものを指定してください。何も変更していません。",
        "en": "The target is not empty: name an empty database. Nothing was changed.",
    },
    "begun": {
        "ja": "この移行は始まっています。続けるには --resume を付けてください。",
        "en": "This move was begun before: go on with --resume.",
    },
    "nothing_begun": {
        "ja": "再開できる移行がありません。--resume を外してください。",
        "en": "There is no move to go on with: leave out --resume.",
    },
    "out_of_date": {
        "ja": "ゲートウェイはすでに移行先に書き込んでいます。元のデータベースは古くなっています。",
        "en": "The gateway already writes to the new store; the old one is out of date.",
    },
    "writer_stays": {
        "ja": "まだ書き込んでいるプロセスがあります。移行していません。止めてから --resume を付けて"
        "やり直してください。",
        "en": "Somebody still writes. Not moved: stop them, then go on with --resume.",
    },
    "not_kept": {
        "ja": "{table} に書いた内容が読み戻せません。移行していません。",
        "en": "{table} does not give back what was written. Not moved.",
    },
    "wrong_form": {"ja": "このデータベースは使えません: {why}", "en": "{why}"},
    "away": {
        "ja": "データベースに接続できません。--resume を付けると途中から再開できます。",
        "en": "A database cannot be reached. --resume goes on from here.",
    },
}


def say(name: str, language: str, **values: object) -> str:
    """A sentence in a language, with its values filled in."""
    return SAY[name][language].format(**values)
