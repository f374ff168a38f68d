"""The reasons given about claims and claim files; see `gateway.domain.reasons`."""

from typing import Final

from gateway.domain.advice import Advice, advise

CLAIM_REASONS: Final[dict[str, Advice]] = {
    # Claim files (UKE)
    "FIELD_COUNT_WRONG": advise(
        "レコードの項目数が仕様と異なります。",
        "The record has another number of fields than its layout.",
        "空の項目もコンマで区切り、項目数を docs/uke.md の表に合わせてください。",
        "Keep the commas of empty fields; docs/uke.md gives the number of fields.",
    ),
    "QUOTE_FORBIDDEN": advise(
        "レセプトファイルに引用符は使えません。",
        "A claim file may not hold quotes.",
        "0x22 を除いて出力してください。",
        "Write the records without the byte 0x22.",
    ),
    "LINE_END_WRONG": advise(
        "レコードの終わりの改行が正しくありません。",
        "The record does not end as it must.",
        "各レコードの終わりは CRLF (0x0D0A) です。転送時の改行変換に注意してください。",
        "Every record ends in CRLF (0x0D0A). Beware of transfers that change line ends.",
    ),
    "RECORD_UNKNOWN": advise(
        "仕様にないレコードがあります。",
        "There is a record the layout does not have.",
        "レコード識別情報を docs/uke.md の表と照合してください。医科以外は読めません。",
        "Compare the record id with docs/uke.md. Only medical claim files are read.",
    ),
    "RECORD_TOO_LONG": advise(
        "レコードが長すぎます。",
        "The record is too long.",
        "上限は record_bytes_max です。改行の欠落を確認してください。",
        "See the limit record_bytes_max. A line end may be missing.",
    ),
    "RECORD_MISSING": advise(
        "必要なレコードがありません。",
        "A record that must be there is missing.",
        "ファイルには IR と GO、レセプトには RE・HO（公費のみは KO）・SY・診療内容が必要です。",
        "A file needs IR and GO; a claim RE, HO (or KO), SY and a treatment.",
    ),
    "RECORD_ORDER_WRONG": advise(
        "レコードの順序が正しくありません。",
        "The record stands in the wrong place.",
        "順序は docs/uke.md のとおりです。レセプト番号は記録順に大きくなります。",
        "docs/uke.md gives the order. Claim numbers rise in the order of the file.",
    ),
    "RECORD_REPEATED": advise(
        "同じレコードが多すぎます。",
        "The record occurs more often than it may.",
        "HO・MF は1件、KO は4件まで、SN・JD は負担者ごとに1件です。",
        "One HO and MF, up to four KO, one SN and JD for each payer.",
    ),
    "RECORDS_TOO_MANY": advise(
        "1件のレセプトのレコードが多すぎます。",
        "The claim has too many records.",
        "上限は records_per_claim_max・claim_bytes_max です。",
        "See the limits records_per_claim_max and claim_bytes_max.",
    ),
    "CLAIMS_TOO_MANY": advise(
        "ファイルのレセプトが多すぎます。分けて送ってください。",
        "The file has too many claims. Send it in parts.",
        "上限は claims_max です。",
        "See the limit claims_max.",
    ),
    "TOTALS_WRONG": advise(
        "GO の合計がレセプトの合計と一致しません。",
        "The totals of GO are not those of the claims.",
        "総件数は HO と KO の数、総合計点数は HO（なければ最初の KO）の点数の和です。",
        "Count HO and KO records; add the points of HO, or of the first KO without HO.",
    ),
    "END_MARK_MISSING": advise(
        "ファイルの終わりの印がありません。途中で切れていないか確認してください。",
        "The end mark is missing. The file may have been cut off.",
        "最後の CRLF の後に 0x1A を1バイト記録してください。",
        "Write one byte 0x1A after the last CRLF.",
    ),
    "END_MARK_REPEATED": advise(
        "ファイルの終わりの印が重複しています。",
        "The end mark is there more than once.",
        "0x1A は1バイトだけです。",
        "There is exactly one byte 0x1A.",
    ),
    "TEXT_AFTER_END": advise(
        "ファイルの終わりの印の後にデータがあります。",
        "Something follows the end mark.",
        "0x1A の後には改行も置けません。",
        "Nothing follows 0x1A, not even a line end.",
    ),
}
