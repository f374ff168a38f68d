"""The named test persons as tables: who they are, and what is asked about them."""

from typing import Final

PEOPLE: Final = """
father | 見本　健一 | ミホン ケンイチ | 1 | 19800401
mother | 見本　優子 | ミホン ユウコ | 2 | 19820712
child | 見本　葵 | ミホン アオイ | 2 | 20210305
employee | 架空　直樹 | カクウ ナオキ | 1 | 19911123
teacher | 青空　学 | アオゾラ マナブ | 1 | 19750830
kana | 夕凪　遥 | ユウナギ ハルカ | 2 | 19880229
wide | 月影　岳 | ツキカゲ ガク | 1 | 19930515
stroke | 七色　凛 | ナナイロ リン | 2 | 19990909
rare | 𠮷見　匠 | ヨシミ タクミ | 1 | 19701010
extension | 髙見　茜 | タカミ アカネ | 2 | 19850620
replaced | ●田　清 | ミホンダ キヨシ | 1 | 19580118
daily | ＭＩＨＯＮ　ＭＡＲＩＡ | ミホン マリア | 2 | 19901201
elder | 木漏日　千代 | コモレビ チヨ | 2 | 19430203
seventy | 虹色　茂 | ニジイロ シゲル | 1 | 19530610
patient | 夢見　香織 | ユメミ カオリ | 2 | 19780925
last | 青空　蓮 | アオゾラ レン | 1 | 19960303
again | 夕凪　誠 | ユウナギ マコト | 1 | 19740704
overlap | 月影　舞 | ツキカゲ マイ | 2 | 19870817
retired | 七色　隆 | ナナイロ タカシ | 1 | 19640228
moved | 夢見　詩織 | ユメミ シオリ | 2 | 20010611
today | 虹色　亮 | ニジイロ リョウ | 1 | 19890102
future | 木漏日　樹 | コモレビ イツキ | 1 | 20030415
brief | 架空　文子 | カクウ フミコ | 2 | 19680808
unlinked | 見本　修 | ミホン オサム | 1 | 19830519
changed | 青空　美咲 | アオゾラ ミサキ | 2 | 19921031
twice | 夕凪　拓也 | ユウナギ タクヤ | 1 | 19860206
turned | 月影　節子 | ツキカゲ セツコ | 2 | 19510310
typo | 七色　瞳 | ナナイロ ヒトミ | 2 | 19811111
wrong | 夢見　昇 | ユメミ ノボル | 1 | 19670724
cancelled | 虹色　琴音 | ニジイロ コトネ | 2 | 20000517
filed | 木漏日　新 | コモレビ アラタ | 1 | 20030928
twin | 架空　海斗 | カクウ カイト | 1 | 20160214
twin-2 | 架空　陸 | カクウ リク | 1 | 20160214
triplet | 青空　紬 | アオゾラ ツムギ | 2 | 20120620
triplet-2 | 青空　澪 | アオゾラ ミオ | 2 | 20120620
triplet-3 | 青空　湊 | アオゾラ ミナト | 1 | 20120620
ticket | 夕凪　静江 | ユウナギ シズエ | 2 | 19600912
no-ticket | 月影　武 | ツキカゲ タケシ | 1 | 19560127
old-ticket | 七色　芳江 | ナナイロ ヨシエ | 2 | 19490822
dialysis | 木漏日　正 | コモレビ タダシ | 1 | 19620504
haemophilia | 虹色　翼 | ニジイロ ツバサ | 1 | 20080919
reduction | 夢見　ヨシ | ユメミ ヨシ | 2 | 19510228
seventy-today | 架空　弘 | カクウ ヒロシ | 1 | 19560415
suspended | 見本　渚 | ミホン ナギサ | 2 | 19940606
suspended-2 | 青空　渡 | アオゾラ ワタル | 1 | 19771212
fled | 月影　汐里 | ツキカゲ シオリ | 2 | 19860117
withheld | 夢見　円 | ユメミ マドカ | 2 | 19900303
continued | 七色　修一 | ナナイロ シュウイチ | 1 | 19650707
reissued | 夕凪　綾 | ユウナギ アヤ | 2 | 19820202
died | 虹色　八重 | ニジイロ ヤエ | 2 | 19400909
"""
"""Key, name, kana, sex (OQSCD007), birth date. New people go at the end: the place counts."""

QUESTIONS: Final = """
society-insured | 1 | 健保組合の本人。枝番あり | Insured by a society, asked with the branch
society-family | 1 | 健保組合の家族。枝番あり | Family member, asked with the branch
society-child | 1 | 未就学の家族。枝番なしで照会 | Preschool child, asked without the branch
association-insured | 1 | 協会けんぽの本人。枝番 00 | Insured by the association, branch 00
card-without-end | 1 | 証の有効終了日が空欄 | The card's last valid day is blank
national-kana-symbol | 1 | かなの記号、先頭ゼロの番号 | Kana symbol, number with leading zeros
symbol-full-width | 1 | 登録は半角、照会は全角 | Registered half width, asked full width
symbol-other-hyphen | 1 | ハイフンを長音記号で照会 | Asked with a long-vowel mark for the hyphen
name-outside-shift-jis | 1 | 氏名に Shift_JIS にない文字 | Shift_JIS lacks a character of the name
name-of-cp932 | 1 | 氏名が cp932 の拡張文字 | The name has an extension of cp932
name-replaced | 1 | 氏名の外字が ● になった | A character became ● at registration
name-of-daily-life | 1 | 通称あり | Has a name used in daily life
latter-stage-elderly | 1 | 後期高齢者。記号・枝番なし、2割 | No symbol, no branch, 20 percent
elderly-certificate | 1 | 70〜74歳。高齢受給者証2割 | Elderly certificate of 20 percent
limit-certificate | 1 | 限度額適用認定証（区分エ）。提供に同意 | Limit certificate, with consent
last-day | 1 | 喪失日の前日 | The day before the loss date
same-insurer-again | 1 | 喪失後、同じ保険者で再取得 | Lost, then insured by the same again
overlap | 1 | 新保険を取得、旧保険の喪失が未登録 | Newly insured, the earlier loss not filed
lost-on-leaving-work | 2 | 退職で喪失 | Lost on leaving work
lost-on-moving-away | 2 | 転出で喪失 | Lost on moving away
lost-today | 2 | 喪失日当日 | On the loss date itself
not-yet-begun | 2 | 資格取得日の前 | Before the acquisition date
lost-on-first-day | 2 | 取得日に喪失。有効な日なし | Acquired and lost on one day, valid on none
newer-not-linked | 2 | 新しい資格に個人番号がない | The newer cover came without a My Number
job-changed | 3 | 転職。前の番号で照会 | Changed jobs, asked with the earlier card
job-changed-twice | 3 | 国保を挟み転職。最初の番号で照会 | Changed twice, asked with the first card
turned-75 | 3 | 75歳で後期高齢者へ。国保の番号で照会 | Turned 75, asked with the earlier card
number-mistyped | 4 | 番号の打ち間違い（登録は 9001） | The number is mistyped (9001 is registered)
birth-date-wrong | 4 | 生年月日の誤り（登録は24日） | Wrong birth date (the 24th is registered)
cover-cancelled | 4 | 登録が取り消された資格 | The registration was taken back
not-registered-yet | 4 | 届出済み、保険者が未登録 | Filed, not registered yet
twins-without-branch | 5 | 双子。枝番なしで照会 | Twins, asked without the branch
twin-with-branch | 1 | 双子の一人。枝番ありで照会 | One of the twins, asked with the branch
triplets-without-branch | 5 | 三つ子。枝番なしで照会 | Triplets, asked without the branch
assistance-with-ticket | 1 | 医療扶助。当月の医療券あり | Medical assistance, ticket of the month
assistance-without-ticket | 6 | 医療扶助。医療券の登録なし | Medical assistance, no ticket
specific-disease | 1 | 特定疾病（人工透析）。提供に同意 | Specific disease, with consent
two-specific-diseases | 1 | 特定疾病が2件。提供に同意 | Two specific diseases
reduction-certificate | 1 | 標準負担額減額認定証。提供に同意 | Reduction certificate, consent
seventy-on-the-day | 1 | 70歳の誕生日。受給者証は翌月から | 70 today, certificate in May
suspended-after-check | 4 | 照合で生年月日が不一致。閲覧停止 | Birth date differs: suspended
suspended-family | 4 | 照合不一致の家族。閲覧停止 | A family member, suspended
address-not-disclosed | 1 | 不開示。番号の照会では住所が出ない | Nondisclosed: no address by number
self-information-withheld | 1 | 自己情報提供不可。カードでは該当なし | Withheld: not found by card
voluntary-continuation | 1 | 任意継続。資格確認書あり | Voluntary continuation, with a certificate
card-reissued | 1 | 証を再交付。新しい交付日が出る | Card reissued, the newer issue date shows
lost-by-death | 2 | 死亡で喪失 | Lost by death
assistance-old-ticket | 6 | 医療扶助。前月の医療券だけ | Medical assistance, last month's ticket
"""
"""Id, expected validity (OQSCD006), note in Japanese and English."""
