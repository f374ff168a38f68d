"""The reasons given about inquiries between insurers; see `gateway.domain.reasons`."""

from typing import Final

from gateway.domain.advice import Advice, advise

INQUIRY_REASONS: Final[dict[str, Advice]] = {
    "INQUIRY_TO_SELF": advise(
        "自保険者あての照会はできません。照会先の保険者番号を確認してください。",
        "An insurer cannot ask itself. Check the insurer number.",
        "question.insured_id.insurer_number が証明書の番号と同じです。",
        "question.insured_id.insurer_number is the number in the certificate.",
    ),
    "INQUIRY_DIFFERS": advise(
        "同じ request_id で異なる照会が送られました。",
        "The same request_id came with another question.",
        "照会ごとに新しい request_id を使ってください。",
        "Use a new request_id for each inquiry.",
    ),
    "INQUIRY_UNKNOWN": advise(
        "その照会はありません。照会番号を確認してください。",
        "There is no such inquiry. Check its id.",
        "inquiry_id は ListInquiries が返した値です。他の保険者間の照会は参照できません。",
        "The inquiry_id is that of ListInquiries; those between other insurers are not shown.",
    ),
    "INQUIRY_ANSWERED": advise(
        "この照会には別の回答をすでに送っています。",
        "This inquiry was answered otherwise before.",
        "回答は一度だけです。訂正するときは相手からの新しい照会に回答してください。",
        "An inquiry is answered once; to put it right, answer a new one.",
    ),
    "INSURER_NOT_ASKED": advise(
        "この照会に回答できるのは照会先の保険者だけです。",
        "Only the insurer that was asked can answer this inquiry.",
        "照会先の保険者の証明書で接続してください。",
        "Connect with the certificate of the insurer that was asked.",
    ),
}
