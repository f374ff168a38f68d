"""What the demo says, in Japanese and English."""

from typing import Final

Words = dict[str, str]

SAY: Final[dict[str, Words]] = {
    "title": {
        "ja": "Onshi Gateway デモ（模擬環境。実在のシステム・人物とは関係ありません）",
        "en": "Onshi Gateway demo (a simulation: no live system, no real person)",
    },
    "story": {
        "ja": "\n{name}さんは {day} に転職。医療機関の照会への答えは、次のように変わります。",
        "en": "\n{name} changed jobs on {day}. What a clinic is told, step by step:",
    },
    "headings": {
        "ja": "できごと|照会の方法|資格有効性|理由",
        "en": "what happened|asked|answer|why",
    },
    "stages": {
        "ja": "個人番号の受領から: 住基照合 {checked}、紐付け {linked}、参照への反映 {projected}、"
        "カードで確認可能 {visible}",
        "en": "From the My Number's receipt: checked with the register {checked}, linked {linked}, "
        "projected {projected}, visible by card {visible}",
    },
    "claim": {
        "ja": "{month} 診療分のレセプトは旧保険者 {before} あて。確認区分 {code}（振替）で"
        "新保険者 {after} へ。",
        "en": "The claim of {month} named the old insurer {before}: check code {code} (moved) to "
        "the new insurer {after}.",
    },
    "looks": {
        "ja": "本人がポータルで見たアクセス記録（{count} 件、新しい順）:",
        "en": "Who looked, as the person sees it on the portal ({count}, newest first):",
    },
    "all": {
        "ja": "\n資格有効性 1〜6 のテスト人物 {asked} 人を gRPC とフォルダで照会: "
        "{good} 人が期待どおり。",
        "en": "\n{asked} test persons, two for each answer 1 to 6, asked by gRPC and by folder: "
        "{good} as expected.",
    },
    "planted": {
        "ja": "（判定の確認: わざと混ぜた誤りを検出しました）",
        "en": "(The check itself: planted mistakes were noticed.)",
    },
    "good": {"ja": "すべて期待どおりです。", "en": "All answers as expected."},
    "bad": {"ja": "期待と違う結果があります。", "en": "Something is NOT as expected."},
}

CHAPTERS: Final[dict[str, Words]] = {
    "before": {
        "ja": "転職前。カードの初回登録済み",
        "en": "Before. The card is registered",
    },
    "lost": {
        "ja": "旧保険者が喪失を登録",
        "en": "The old insurer registers the loss",
    },
    "registered": {
        "ja": "新保険者が資格を登録（個人番号なし）",
        "en": "The new insurer registers, without the My Number",
    },
    "numbered": {
        "ja": "新保険者が個人番号を登録、照合・紐付け",
        "en": "The My Number arrives, is checked and linked",
    },
}

WAYS: Final[dict[str, Words]] = {
    "old": {"ja": "旧番号", "en": "old number"},
    "new": {"ja": "新番号", "en": "new number"},
    "card": {"ja": "カード（顔認証）", "en": "card, by face"},
}
