"""
Every reason the gateway gives, with what to do about it, in Japanese and English.

Two advices each: one for the desk (who meets the person or sends the file) and one for the
technician (who wrote the software). No reason text ever holds a value from the input.
"""

from typing import Final

from gateway.domain.advice import Advice, advise
from gateway.domain.reasons_of_cards import CARD_REASONS
from gateway.domain.reasons_of_changes import CHANGE_REASONS
from gateway.domain.reasons_of_claims import CLAIM_REASONS
from gateway.domain.reasons_of_feed import FEED_REASONS
from gateway.domain.reasons_of_inquiries import INQUIRY_REASONS
from gateway.domain.reasons_of_lag import LAG_REASONS
from gateway.domain.reasons_of_tokens import TOKEN_REASONS

__all__ = ["REASONS", "Advice"]

REASONS: Final[dict[str, Advice]] = {
    # Identifiers and plain fields
    "FIELD_REQUIRED": advise(
        "必須項目が空です。入力してください。",
        "A required item is empty. Fill it in.",
        "項目を送信していません。",
        "The field was not sent.",
    ),
    "FORMAT_WRONG": advise(
        "項目の形式が正しくありません。入力を確認してください。",
        "The item is not in its form. Check what was typed.",
        "桁数・文字種・日付形式を仕様と照合してください。",
        "Compare length, characters and date form with the layout.",
    ),
    "LENGTH_WRONG": advise(
        "桁数が正しくありません。",
        "The number of digits is wrong.",
        "保険者番号は6桁または8桁、枝番は2桁、医療機関コードは10桁です。",
        "Insurer numbers have 6 or 8 digits, branches 2, institution codes 10.",
    ),
    "TOO_LONG": advise(
        "文字数が上限を超えています。",
        "The text is longer than allowed.",
        "項目の最大文字数を確認してください。",
        "Check the longest length of the field.",
    ),
    "CHECK_DIGIT_WRONG": advise(
        "検証番号が一致しません。番号の写し間違いを確認してください。",
        "The check digit does not match. Compare the number with the card.",
        "検証番号は末尾の桁です。先頭のゼロや空白は結果に影響しません。",
        "The last digit is the check digit; leading zeros or blanks do not change it.",
    ),
    "INSURER_UNIDENTIFIED": advise(
        "保険者番号「不詳」では資格を照会できません。",
        "Eligibility cannot be asked for with the insurer number for 'not identified'.",
        "77777777 は請求時だけに使う番号です。",
        "77777777 is for claims only.",
    ),
    "DATE_WRONG": advise(
        "存在しない日付です。",
        "There is no such day.",
        "日付は西暦8桁 (YYYYMMDD) または YYYY-MM-DD で送信してください。",
        "Send days as YYYYMMDD or YYYY-MM-DD.",
    ),
    "DATE_OUT_OF_RANGE": advise(
        "資格確認日が照会できる範囲の外です。",
        "The day asked for lies outside the days that can be asked for.",
        "設定 confirmation_days_back_max と confirmation_days_ahead_max を確認してください。",
        "See the settings confirmation_days_back_max and confirmation_days_ahead_max.",
    ),
    "BIRTH_DATE_IN_FUTURE": advise(
        "生年月日が未来の日付です。",
        "The birth date lies in the future.",
        "日付の年を確認してください。",
        "Check the year of the date.",
    ),
    "CODE_UNKNOWN": advise(
        "コード表にない値です。",
        "The value is not in its code table.",
        "コード表 (docs/coverage-file.md) を確認してください。",
        "See the code tables in docs/coverage-file.md.",
    ),
    "KNOWN_TIME_TOO_NEW": advise(
        "照会時点が新しすぎます。少し待ってからやり直してください。",
        "The moment asked for is too recent. Wait a little and ask again.",
        "known_time は known_time_margin_ms より前でなければなりません。",
        "known_time must be older than known_time_margin_ms.",
    ),
    # The message as a whole
    "MESSAGE_MALFORMED": advise(
        "電文を読み取れません。送信元のソフトウェアを確認してください。",
        "The message cannot be read. Check the software that sent it.",
        "文字コード宣言・XML の整形式・必須要素を確認してください。DTD は受け付けません。",
        "Check the declared encoding, well-formedness and elements. A DTD is not accepted.",
    ),
    "ENCODING_WRONG": advise(
        "文字コードが宣言と一致しません。",
        "The characters do not match the declared encoding.",
        "UTF-8 または Shift_JIS (cp932) で保存し、宣言と一致させてください。",
        "Save as UTF-8 or Shift_JIS (cp932) and declare the same.",
    ),
    "INSTITUTION_NOT_CALLER": advise(
        "医療機関コードがこの連携フォルダの医療機関と異なります。",
        "The institution code is not the one these folders belong to.",
        "MedicalInstitutionCode を証明書の医療機関コードに合わせてください。",
        "MedicalInstitutionCode must be the code in the certificate.",
    ),
    "MESSAGE_TOO_LARGE": advise(
        "電文が大きすぎます。",
        "The message is too large.",
        "上限は設定の request_bytes_max・upload_bytes_max・file_bytes_max です。",
        "See the limits request_bytes_max, upload_bytes_max and file_bytes_max.",
    ),
    # Who may do what
    "CERTIFICATE_ROLE_UNKNOWN": advise(
        "証明書に利用者の種別がありません。管理者に連絡してください。",
        "The certificate names no role. Tell the operator.",
        "SAN URI は urn:onshi-gateway:<role>:<code> の形式です。",
        "The SAN URI has the form urn:onshi-gateway:<role>:<code>.",
    ),
    "CERTIFICATE_REVOKED": advise(
        "この証明書は失効しています。管理者に連絡してください。",
        "This certificate was revoked. Tell the operator.",
        "新しい証明書を発行してください。",
        "Have a new certificate issued.",
    ),
    "ROLE_NOT_ALLOWED": advise(
        "この利用者の種別では実行できない操作です。",
        "This kind of caller may not do this.",
        "別の種別の証明書で接続してください。",
        "Connect with a certificate of a role the method allows.",
    ),
    "INSURER_NOT_CALLER": advise(
        "自保険者以外の番号は登録できません。",
        "An insurer can register only under its own number.",
        "保険者番号が証明書の番号と異なります。",
        "The insurer number differs from the certificate's.",
    ),
    "PURPOSE_UNKNOWN": advise(
        "公表された利用目的にありません。",
        "The purpose is not among the published ones.",
        "gateway/policy/purposes.toml を確認してください。",
        "See gateway/policy/purposes.toml.",
    ),
    "PURPOSE_NOT_IN_FORCE": advise(
        "その利用目的は現在有効ではありません。",
        "The purpose is not in force on this day.",
        "effective_from と effective_to を確認してください。",
        "Check effective_from and effective_to.",
    ),
    "ACTOR_NOT_ALLOWED": advise(
        "その利用目的を使える立場ではありません。",
        "This caller is not listed for the purpose.",
        "利用目的の roles を確認してください。",
        "Check the roles of the purpose.",
    ),
    "KIND_MISMATCH": advise(
        "利用目的と操作の種類が一致しません。",
        "The kind of operation is not the purpose's.",
        "利用目的の kind を確認してください。",
        "Check the kind of the purpose.",
    ),
    "RECIPIENT_NOT_ALLOWED": advise(
        "提供先が利用目的に含まれていません。",
        "The recipient is not among the purpose's.",
        "利用目的の recipients を確認してください。",
        "Check the recipients of the purpose.",
    ),
    "DATA_NOT_IN_PURPOSE": advise(
        "利用目的に含まれない情報です。",
        "The data asked for is outside the purpose.",
        "利用目的の data を確認してください。",
        "Check the data of the purpose.",
    ),
    "CONDITION_MISSING": advise(
        "同意・契約などの前提条件が確認できません。",
        "A condition such as consent or a contract is missing.",
        "利用目的の conditions を確認してください。",
        "Check the conditions of the purpose.",
    ),
    "MYNUMBER_FORBIDDEN": advise(
        "個人番号はこの目的では扱えません。",
        "A My Number may not be handled for this purpose.",
        "個人番号利用事務の目的だけが扱えます。同意は根拠になりません。",
        "Only purposes under the Number Act may; consent is no ground.",
    ),
    # The insurer's changes
    "COVERAGE_EXISTS": advise(
        "同じ資格取得日の資格が、異なる内容で登録されています。",
        "A cover with this acquisition date is registered with other contents.",
        "内容の変更は CHANGE、誤りの訂正は CORRECT を使ってください。",
        "Use CHANGE for a change and CORRECT for a mistake.",
    ),
    "COVERAGE_OVERLAPS": advise(
        "同じ保険者の別の資格と期間が重なります。",
        "The period overlaps another cover of the same insurer.",
        "先に前の資格の喪失 (LOSS) を登録してください。",
        "Register the loss of the earlier cover first.",
    ),
    "COVERAGE_UNKNOWN": advise(
        "対象の資格が登録されていません。",
        "There is no such cover.",
        "記号・番号・枝番・生年月日・資格取得年月日を確認してください。",
        "Check symbol, number, branch, birth date and acquisition date.",
    ),
    "COVERAGE_AMBIGUOUS": advise(
        "対象の資格が複数あります。枝番または資格取得年月日を指定してください。",
        "Several covers match. Give the branch or the acquisition date.",
        "acquisition_date と branch を送ると一意になります。",
        "Send acquisition_date and branch to name one.",
    ),
    "LOSS_BEFORE_ACQUISITION": advise(
        "資格喪失年月日が資格取得年月日より前です。",
        "The loss date is before the acquisition date.",
        "喪失日は資格がない最初の日です。",
        "The loss date is the first day without cover.",
    ),
    "ALREADY_LOST": advise(
        "すでに別の日付または事由で喪失が登録されています。",
        "A loss with another day or reason is registered already.",
        "訂正は CORRECT を使ってください。",
        "Use CORRECT to correct it.",
    ),
    "NOTHING_TO_CHANGE": advise(
        "変更する項目がありません。",
        "The line names nothing to change.",
        "CHANGE・CORRECT には変更後の値を一つ以上入れてください。",
        "CHANGE and CORRECT need at least one new value.",
    ),
    "NUMBER_DIFFERS": advise(
        "別の個人番号がすでに紐付いています。",
        "Another My Number is linked already.",
        "先に伝えた番号が誤りなら CORRECT の行か is_correction で訂正してください。",
        "If the number told before was wrong, use a CORRECT line or is_correction.",
    ),
    "NUMBERS_NOT_CHECKED": advise(
        "この環境では個人番号を住民基本台帳と照合していません。",
        "This gateway does not check My Numbers against a resident register.",
        "設定 [resident_register] に接続先を入れてください。",
        "Name a register in the settings, [resident_register].",
    ),
    # The coverage file
    "HEADER_WRONG": advise(
        "見出し行に、知らない列名、重複した列、または必須列の不足があります。",
        "The header row has an unknown or a repeated column, or lacks a required one.",
        "列名は docs/coverage-file.md のとおりにしてください。知らない列名は結果に表示しません。",
        "Use the column names of docs/coverage-file.md. An unknown one is not repeated back.",
    ),
    "COLUMN_COUNT_WRONG": advise(
        "列の数が見出し行と異なります。",
        "The line has another number of columns than the header.",
        "区切り文字と引用符を確認してください。",
        "Check separators and quotes.",
    ),
    "LINE_TOO_LONG": advise(
        "1行が長すぎます。",
        "The line is too long.",
        "上限は line_bytes_max です。",
        "See the limit line_bytes_max.",
    ),
    "ACTION_UNKNOWN": advise(
        "処理区分が正しくありません。",
        "The action is unknown.",
        "NEW・CHANGE・LOSS・CORRECT・CANCEL・NUMBER のいずれかです。",
        "One of NEW, CHANGE, LOSS, CORRECT, CANCEL, NUMBER.",
    ),
    # Uploads and requests
    "UPLOAD_UNKNOWN": advise(
        "その受付のアップロードはありません。",
        "There is no such upload.",
        "request_id は保険者ごとに一意です。",
        "The request_id is unique within an insurer.",
    ),
    "UPLOAD_NOT_APPLIED": advise(
        "まだ処理の途中です。終わってからやり直してください。",
        "The file is still being worked on. Ask again when it is done.",
        "GetUpload の state が APPLIED になってから ListRefusedLines を呼び出してください。",
        "Call ListRefusedLines once the state GetUpload gives is APPLIED.",
    ),
    "UPLOAD_DIFFERS": advise(
        "同じ request_id で異なる内容が送られました。",
        "The same request_id came with other contents.",
        "新しいファイルには新しい request_id を使ってください。",
        "Use a new request_id for a new file.",
    ),
    "UPLOAD_OFFSET_WRONG": advise(
        "送信の再開位置が正しくありません。",
        "The upload continues at the wrong place.",
        "最後に通知された durable_offset から再開してください。",
        "Continue at the last durable_offset.",
    ),
    "UPLOAD_BUSY": advise(
        "同じ request_id の送信が別の接続で進行中です。",
        "Another connection is sending this request_id.",
        "前の接続が終わるまで待ってください。",
        "Wait for the other stream to end.",
    ),
    "REQUEST_ID_WRONG": advise(
        "request_id の形式が正しくありません。",
        "The request_id is not in its form.",
        "英数字・ハイフン・アンダースコアで1〜64文字です。",
        "1 to 64 letters, digits, hyphens or underscores.",
    ),
    "WRITER_UNAVAILABLE": advise(
        "登録処理が一時的に停止しています。しばらくしてやり直してください。",
        "Registration is paused for a moment. Try again.",
        "RetryInfo の時間だけ待って同じ request_id で再送してください。",
        "Wait as RetryInfo says and send the same request_id again.",
    ),
    "STORE_UNAVAILABLE": advise(
        "資格情報の保管先に接続できません。しばらくしてやり直してください。",
        "The store cannot be reached. Try again in a moment.",
        "RetryInfo の時間だけ待って再送してください。",
        "Wait as RetryInfo says and send again.",
    ),
    "TOO_MANY_MATCHES": advise(
        "該当が多すぎます。枝番を指定してください。",
        "Too many people match. Give the branch.",
        "上限は matches_max です。",
        "See the limit matches_max.",
    ),
    **CARD_REASONS,
    **CHANGE_REASONS,
    **CLAIM_REASONS,
    **LAG_REASONS,
    **FEED_REASONS,
    **INQUIRY_REASONS,
    **TOKEN_REASONS,
}
