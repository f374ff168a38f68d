"""
The reasons given about what insurers say of covers, and about the flags; see `reasons`.

Sources: insurer-lifecycle.md 1.6, 2.6; requirements KP1-I-01, KP1-I-02.
"""

from typing import Final

from gateway.domain.advice import Advice, advise

CHANGE_REASONS: Final[dict[str, Advice]] = {
    "CELL_NOT_TAKEN": advise(
        "この処理区分では使わない項目に値が入っています。空にするか、処理区分を見直してください。",
        "This action does not take the item. Leave it empty, or choose another action.",
        "処理区分ごとの項目は docs/coverage-file.md の表にあります。",
        "The table in docs/coverage-file.md says which action takes which column.",
    ),
    "DATE_ORDER_WRONG": advise(
        "日付の前後が逆です。発行・届出などの日付の順を確認してください。",
        "Two dates are in the wrong order. Compare the days of issue, filing and the like.",
        "異動では登録済みの交付日より前にできません。誤りなら訂正 (CORRECT) で送信してください。",
        "A CHANGE cannot set an issue date before the registered one; send a CORRECT for an error.",
    ),
    "CERTIFICATE_TOO_LONG": advise(
        "資格確認書の有効期限が交付日から5年を超えています。",
        "The qualification certificate would hold for more than five years.",
        "certificate_last_valid_date は certificate_issue_date の5年後の日までです。",
        "certificate_last_valid_date may be at most five years after certificate_issue_date.",
    ),
    "DOC_MISSING": advise(
        "必要な書類を確認していません。減額認定には非課税証明書等、特定疾病には医師の意見書が必要です。",
        "A required document was not seen: the proof of tax exemption for a reduction, a doctor's "
        "opinion for a specific disease.",
        "documents_seen に確認した書類のコードを「+」でつないで送信してください。",
        "Send the codes of the documents seen in documents_seen, joined by a plus sign.",
    ),
    "NOTHING_TO_COLLECT": advise(
        "回収する証がありません。資格喪失と証の交付が登録されているか確認してください。",
        "There is no card or certificate to collect. Check that the loss and the issue are "
        "registered.",
        "uncollected_reason は喪失後、証が交付されていた資格にだけ登録できます。",
        "uncollected_reason is taken after a loss only, of a cover with a card or a certificate.",
    ),
    "SELF_INFORMATION_WITHHELD": advise(
        "ご本人の申し出により、このカードでは利用できません。加入している保険者に相談してください。",
        "At the person's request nothing can be done with this card. Ask the insurer.",
        "自己情報提供不可フラグが登録されています。保険者が解除するまで続きます。",
        "The insurer set the flag that withholds self information, and alone can take it away.",
    ),
    "NOT_DISCLOSED": advise(
        "ご本人の申し出により、アクセス記録は表示されません。",
        "At the person's request the list of who looked is not shown.",
        "不開示該当フラグが登録されています。保険者が解除するまで続きます。",
        "The insurer set the nondisclosure flag, and alone can take it away.",
    ),
    "PAGE_TOKEN_WRONG": advise(
        "続きの位置が正しくありません。最初から取得し直してください。",
        "The place to continue at is not one that was given. Begin again.",
        "page_token には直前の応答の next_page_token をそのまま送信してください。",
        "Send next_page_token of the answer before as it came.",
    ),
}
