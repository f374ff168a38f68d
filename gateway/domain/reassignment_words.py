"""Why the check of a claim came out as it did: a name for programs, words for people."""

from enum import Enum

from gateway.domain.eligibility import Explanation


class Why(Enum):
    """Which rule decided about a claim; each belongs to one check code (確認区分)."""

    # 02: nothing is changed
    COVER_HOLDS = Explanation(
        "レセプト記載の資格は、受診日のすべてで有効です。",
        "The cover on the claim holds on every day of care.",
    )
    BEFORE_THE_CHECK = Explanation(
        "令和3年9月より前の診療分のため、資格を確認しません。",
        "Care before September 2021 is not checked.",
    )
    NO_INSURER = Explanation(
        "医療保険の記載がない（公費のみ）ため、資格を確認しません。",
        "The claim names no health insurer (public expense only), so nothing is checked.",
    )
    # 03: the person cannot be told
    NOT_IDENTIFIED = Explanation(
        "保険者番号「不詳」のため、資格を特定できません。",
        "The claim says that the insurer is not known.",
    )
    NOBODY_MATCHES = Explanation(
        "レセプト記載の保険者番号・記号・番号・生年月日に該当する資格がありません。",
        "No cover matches the insurer number, symbol, number and birth date on the claim.",
    )
    SEVERAL_MATCH = Explanation(
        "複数の人が該当し、枝番・性別・カナ氏名でも特定できません。",
        "Several people match, and neither branch nor sex nor kana name tells them apart.",
    )
    PERSON_DIFFERS = Explanation(
        "枝番が一致せず、性別またはカナ氏名も異なるため、同じ人と確認できません。",
        "The branch does not match and the sex or kana name differs: it may be somebody else.",
    )
    # 04: the claim goes to another cover
    OTHER_COVER_HOLDS = Explanation(
        "レセプト記載の資格が有効でない受診日があり、別の資格が受診日のすべてで有効です。",
        "The cover on the claim does not hold on every day of care; another one does.",
    )
    NUMBER_CHANGED = Explanation(
        "同じ保険者の中で記号・番号が変わったため、新しい記号・番号で請求します。",
        "The number changed within the insurer, so the claim goes on under the new one.",
    )
    FAMILY_CLASS_WRONG = Explanation(
        "資格は有効ですが、本人・家族の種別が登録と異なるため補正します。請求先は変わりません。",
        "The cover holds, but the class insured or family is not the registered one. It is "
        "corrected; the insurer stays.",
    )
    # 06: billed to the insurer on the claim
    NO_OTHER_COVER = Explanation(
        "レセプト記載の資格が有効でない受診日があり、その日に有効な別の資格も登録されていません。",
        "On a day of care the cover on the claim does not hold, and no other one is registered.",
    )
    DIED_BEFORE_CARE = Explanation(
        "死亡による資格喪失の後の受診日があります。返戻は行わず、記載の保険者に請求します。",
        "A day of care is after cover was lost by death. Returning claims is not done here.",
    )
    CHANGE_WITHIN_MONTH = Explanation(
        "受診日の途中で資格が変わっています。分割は行わず、記載の保険者に請求します。",
        "The cover changed between days of care. Splitting claims is not done here.",
    )
    DAYS_UNKNOWN = Explanation(
        "受診日の記録がなく、月の途中で資格が変わるため、どの資格の受診か分かりません。",
        "The claim records no days and the cover changes within the month.",
    )
    SEVERAL_OTHER_COVERS = Explanation(
        "同じ日に取得した別の資格が複数あり、請求先を特定できません。",
        "Several other covers were acquired on one day, so the right insurer cannot be told.",
    )
    NOT_IN_KIND = Explanation(
        "別の資格は特別療養費の対象で、現物給付の請求先になりません。",
        "The other cover pays by reimbursement only, so no claim can go to it.",
    )
    PUBLIC_EXPENSE = Explanation(
        "公費を含むレセプトは振替の対象外です。",
        "A claim with public expense is not moved.",
    )
    COPAY_RECORD_MISSING = Explanation(
        "窓口負担額（MF）の記録がなく、合計点数が振替できる上限を超えています。",
        "There is no copayment record (MF) and the points are above the limit without one.",
    )
    REPEATED_HIGH_COST = Explanation(
        "高額療養費の多数回該当は新しい保険者で数え直すため、振替の対象外です。",
        "Repeated high-cost benefit is counted anew by another insurer, so it is not moved.",
    )
    LIMIT_CLASS_DIFFERS = Explanation(
        "高額療養費の所得区分が新旧の資格で同じと確認できません。",
        "The income class for high-cost benefit is not known to be the same in both covers.",
    )
    CLASS_UNKNOWN = Explanation(
        "別の資格の本人・家族の別または負担割合が登録されておらず、種別を決められません。",
        "The other cover does not tell insured from family, or the ratio, so the claim type "
        "cannot be given.",
    )
    RATIO_DIFFERS = Explanation(
        "負担割合が新旧の資格で同じと確認できません。",
        "The copayment ratio is not known to be the same in both covers.",
    )
    NO_ROOM_ON_CLAIM = Explanation(
        "別の資格の記号・番号は、レセプトの桁数または文字で表せません。",
        "A claim has no room or no characters for the symbol and number of the other cover.",
    )
    # 09: the branch was found
    BRANCH_MISSING = Explanation(
        "資格は有効です。記載のない枝番を補いました。",
        "The cover holds; the branch the claim lacks was filled in.",
    )
    BRANCH_WRONG = Explanation(
        "資格は有効です。枝番の誤りを補正しました。",
        "The cover holds; the branch on the claim was corrected.",
    )
