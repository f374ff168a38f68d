"""
The reasons given about cards, visits and the portal; see `gateway.domain.reasons`.

Whoever stands at the desk with a card that does not work is not turned away: the advices name
what else to do. Sources: insurer-lifecycle.md 2.4, 3.1 and 3.3; health-info.md D.4-D.7.
"""

from typing import Final

from gateway.domain.advice import Advice, advise

CARD_REASONS: Final[dict[str, Advice]] = {
    # The challenge of a visit
    "TOO_MANY_CHALLENGES": advise(
        "受付が混み合っています。少し待ってからカードを置き直してください。",
        "Too many visits have begun at once. Wait a little and place the card again.",
        "有効期限の切れていないチャレンジが上限に達しています。期限が過ぎると空きます。",
        "The challenges that have not expired reached the limit; each leaves when it expires.",
    ),
    "CHALLENGE_UNKNOWN": advise(
        "カードを置き直して、受付を最初からやり直してください。",
        "Place the card again and begin the visit anew.",
        "チャレンジは同じ接続で取得したものに限ります。再接続や期限切れの後は取得し直してください。",
        "A challenge is good on the connection that got it. Begin anew after reconnecting.",
    ),
    "CHALLENGE_REPLAYED": advise(
        "この受付はすでに処理されています。カードを置き直してください。",
        "This visit was handled already. Place the card again.",
        "チャレンジは一度しか使えません。再送せずに新しいチャレンジを取得してください。",
        "A challenge is good once. Do not send a proof again; begin anew.",
    ),
    "CHALLENGE_EXPIRED": advise(
        "時間切れです。カードを置き直してください。",
        "The visit took too long. Place the card again.",
        "expire_time までに署名して送信してください。",
        "Sign and send before expire_time.",
    ),
    "CHALLENGE_AUDIENCE": advise(
        "別の機関の受付情報です。カードを置き直してください。",
        "The visit was begun by someone else. Place the card again.",
        "チャレンジは取得した証明書の利用者だけが使えます。",
        "A challenge is good for the caller, by certificate, who got it.",
    ),
    # The card and its certificate
    "CHAIN_INVALID": advise(
        "このカードは使用できません。資格確認書または資格情報のお知らせで確認してください。",
        "This card cannot be used. Use the eligibility certificate or the eligibility notice.",
        "発行者の鍵識別子と署名・鍵・鍵用途・有効期間の開始を確認してください。",
        "Check the issuer's key id and signature, the key, its usage and the first day.",
    ),
    "WRONG_POLICY": advise(
        "カードから別の種類の証明書が読み取られました。読み取り機の設定を確認してください。",
        "The reader sent another kind of certificate. Check the reader.",
        "署名用ではなく利用者証明用電子証明書を送信してください。",
        "Send the user authentication certificate, not the one for signatures.",
    ),
    "CARD_EXPIRED": advise(
        "電子証明書の有効期限が切れています。資格確認書で確認し、市区町村での更新を案内してください。",
        "The certificate has expired. Use the eligibility certificate; the municipality renews it.",
        "有効期限の月の3か月後の月末まで使用できます。",
        "It counts to the end of the third month after the month of its last day.",
    ),
    "CARD_REVOKED": advise(
        "このカードは失効しています。資格確認書で確認し、市区町村への相談を案内してください。",
        "This card was revoked. Use the eligibility certificate; the municipality can tell why.",
        "証明書が失効リストにあります。再交付後は新しいカードで初回登録が必要です。",
        "The certificate is on the revocation list. A new card must be registered first.",
    ),
    "PROOF_INVALID": advise(
        "カードの確認に失敗しました。カードを置き直してください。続く場合は資格確認書で確認してください。",
        "The card's proof failed. Place it again; if it goes on, use the eligibility certificate.",
        "署名対象は docs/cards.md のとおりです。RSASSA-PKCS1-v1_5 と SHA-256 を使います。",
        "docs/cards.md says which bytes are signed, with RSASSA-PKCS1-v1_5 and SHA-256.",
    ),
    # Its holder
    "PIN_WRONG": advise(
        "暗証番号が違います。続けて3回間違えるとロックされます。顔認証も使用できます。",
        "The PIN is wrong. Three wrong ones in a row lock it. The face works too.",
        "残り回数は tries_left にあります。正しい暗証番号で元に戻ります。",
        "The tries left are in tries_left; a right PIN resets them.",
    ),
    "PIN_LOCKED": advise(
        "暗証番号がロックされています。顔認証または目視で確認し、市区町村での解除を案内してください。",
        "The PIN is locked. Use face or sight; the municipality unlocks it.",
        "ロック後は正しい暗証番号でも解除されません。",
        "Once locked, the right PIN does not unlock it.",
    ),
    "PIN_REQUIRED": advise(
        "この手続きには4桁の暗証番号が必要です。",
        "This needs the four-digit PIN.",
        "holder_check は PIN に限ります。",
        "holder_check must be PIN.",
    ),
    "FACE_NOT_MATCHED": advise(
        "本人と確認できません。撮り直すか、暗証番号または資格確認書で確認してください。",
        "The face does not match. Try again, or use the PIN or the eligibility certificate.",
        "結果が FAILED か、face_score が設定 face_score_min より小さい値です。",
        "The result is FAILED, or face_score is below the setting face_score_min.",
    ),
    "VISUAL_NOT_ALLOWED": advise(
        "目視による確認は許可されていません。顔認証または暗証番号を使用してください。",
        "Checking by sight is not allowed here. Use face or PIN.",
        "設定 is_visual_allowed を確認してください。",
        "See the setting is_visual_allowed.",
    ),
    # First registration and the portal
    "CARD_NOT_REGISTERED": advise(
        "このカードは健康保険証として登録されていません。初回登録を行ってください。",
        "This card is not registered for health insurance. Register it first.",
        "RegisterCard で登録してから照会してください。更新・再交付後も登録が必要です。",
        "Register with RegisterCard first, also after a renewal.",
    ),
    "CARD_HOLDER_UNKNOWN": advise(
        "カードの持ち主を確認できません。資格確認書で確認し、市区町村への相談を案内してください。",
        "The card's holder is not known. Use the eligibility certificate; ask the municipality.",
        "住民基本台帳に証明書の発行番号がありません。",
        "The resident register does not know the certificate.",
    ),
    "NUMBER_NOT_TOLD": advise(
        "保険者が個人番号を登録していません。保険者に届け出てください。窓口では資格確認書を使用します。",
        "No insurer told the My Number yet. Tell the insurer; use the eligibility certificate.",
        "RegisterIndividualNumber または NUMBER 行の登録後に使用できます。",
        "It works once RegisterIndividualNumber or a NUMBER line was applied.",
    ),
    "RESIDENT_REGISTER_UNAVAILABLE": advise(
        "初回登録が一時的にできません。登録済みのカードは使用できます。未登録の場合は資格確認書で確認し、"
        "なければ申立書により通常の負担割合で、それもできない場合は全額でお支払いください。",
        "Cards cannot be registered for a moment; registered ones work. Use the eligibility "
        "certificate; without one, the normal share with a declaration, or in full.",
        "住民基本台帳に接続できません。RetryInfo の時間だけ待って再送してください。",
        "The resident register cannot be reached. Wait as RetryInfo says and send again.",
    ),
}
