"""The reasons given to who asks again with an answer's token; see `gateway.domain.reasons`."""

from typing import Final

from gateway.domain.advice import Advice, advise

TOKEN_REASONS: Final[dict[str, Advice]] = {
    "TOKEN_WRONG": advise(
        "回答トークンが正しくありません。控えた文字列をそのまま入力してください。",
        "The answer's token is wrong. Give it exactly as it was noted.",
        "answer_token はこのゲートウェイが返した68文字です。鍵が失われると以前のものは使えません。",
        "answer_token is the 68 characters this gateway gave. If its key is lost, it is void.",
    ),
    "TOKEN_OF_ANOTHER_QUESTION": advise(
        "このトークンは別の照会の回答です。番号・生年月日・資格確認日・同意を前回と同じにして"
        "ください。",
        "The token is of another question. Give numbers, birth date, day and consent as then.",
        "同じ医療機関の証明書で、同じ項目を送信してください。known_time は送信しません。",
        "Send the same fields with a certificate of the same institution, and no known_time.",
    ),
    "TOKEN_RULES_UNKNOWN": advise(
        "このトークンの回答は、現在のシステムにない判定規則によるものです。再現できません。",
        "The answer was decided by rules this system no longer has. It cannot be repeated.",
        "以前の規則は data ディレクトリの rules.json にあります。版が変わると使えません。",
        "Earlier rules stand in rules.json of the data directory, of this rules version alone.",
    ),
    "TOKEN_NOT_TAKEN": advise(
        "カードによる照会の経緯は、現在の登録内容についてだけ確認できます。",
        "By card it is explained only what is known now.",
        "ExplainByCard は answer_token を受け付けません。ConfirmByCard を使ってください。",
        "ExplainByCard takes no answer_token; ConfirmByCard does.",
    ),
    "FACTS_DISPOSED": advise(
        "その時点の回答に必要な情報は、保存期間の満了により法令に従って廃棄されました。",
        "What is needed to answer as of that moment was lawfully disposed of.",
        "known_time・answer_token が廃棄の基準時点より前です。再現はできません。",
        "known_time or answer_token lies before what is kept. It cannot be repeated.",
    ),
}
