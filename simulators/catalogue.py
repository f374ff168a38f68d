"""
The named test persons: at least two for each official answer, the same on every day.

Whoever uploads the rows of a `Catalogue`, one file per insurer in the order given, gets exactly
the expected answers. The situations follow insurer-lifecycle.md 2.3 and 7.4 and
oqs-interface.md 4 and 5. docs/people.md is the catalogue as a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, NamedTuple

import jaconv

from gateway.domain.identifiers import InsurerKind, with_check_digit
from simulators.people import (
    INSURERS,
    Card,
    Row,
    SimulatedInsurer,
    TestPerson,
    address_of,
    cancel_row,
    loss_row,
)
from simulators.population import made_up_individual_number

ON: Final = date(2026, 4, 15)
"""The day most questions are about."""

_FIRST_SERIAL: Final = 99_999_000
"""Where the catalogue's My Numbers begin, far from any population's."""

ASSOCIATION: Final = INSURERS[InsurerKind.ASSOCIATION][0]
SOCIETY, OTHER_SOCIETY = INSURERS[InsurerKind.SOCIETY][:2]
MUTUAL_AID: Final = INSURERS[InsurerKind.MUTUAL_AID][0]
NATIONAL, OTHER_NATIONAL = INSURERS[InsurerKind.NATIONAL][:2]
LATTER_STAGE: Final = INSURERS[InsurerKind.LATTER_STAGE_ELDERLY][0]
WELFARE_OFFICE: Final = INSURERS[InsurerKind.MEDICAL_ASSISTANCE][0]


_PEOPLE: Final = """
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
"""
"""Key, name, kana, sex (OQSCD007), birth date. New people go at the end: the place counts."""

_QUESTIONS: Final = """
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
assistance-old-ticket | 6 | 医療扶助。前月の医療券だけ | Medical assistance, last month's ticket
"""
"""Id, expected validity (OQSCD006), note in Japanese and English."""


def _table(text: str) -> dict[str, tuple[str, ...]]:
    lines = (line.split(" | ") for line in text.strip().splitlines())
    return {key: tuple(cells) for key, *cells in lines}


_PERSON_OF: Final = _table(_PEOPLE)
_QUESTION_OF: Final = _table(_QUESTIONS)
_SERIAL_OF: Final = {key: serial for serial, key in enumerate(_PERSON_OF, start=1)}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The test persons, and the lines of each insurer's coverage file by insurer number."""

    people: tuple[TestPerson, ...]
    rows_by_insurer: dict[str, tuple[Row, ...]]


class _Entry(NamedTuple):
    """One question, and the lines it needs beside those of the entries before it."""

    person: TestPerson
    rows: tuple[Row, ...]


def catalogue(institution_code: str) -> Catalogue:
    """
    Give every test person.

    Args:
        institution_code: The ten digits the tickets of medical assistance name.
    """
    entries = [
        *_ordinary(),
        *_spellings(),
        *_certificates(),
        *_days(),
        *_lost(),
        *_newer(),
        *_unknown(),
        *_several(),
        *_assistance(institution_code),
    ]
    rows: dict[str, list[Row]] = {}
    for entry in entries:
        for row in entry.rows:
            rows.setdefault(row["insurer_number"], []).append(row)
    return Catalogue(
        tuple(entry.person for entry in entries),
        {number: tuple(of_insurer) for number, of_insurer in rows.items()},
    )


def as_json(people: Iterable[TestPerson]) -> list[dict[str, object]]:
    """Give test persons as values for JSON, days as YYYY-MM-DD."""
    return [
        {
            "id": person.id,
            "insurer_number": person.insurer_number,
            "symbol": person.symbol,
            "number": person.number,
            "branch": person.branch,
            "birth_date": person.birth_date.isoformat(),
            "on": person.on.isoformat(),
            "expected_validity": person.expected_validity,
            "note": f"{person.note_ja} / {person.note_en}",
            "is_limit_certificate_consented": person.is_limit_certificate_consented,
            "name": person.name,
        }
        for person in people
    ]


def _new(insurer: SimulatedInsurer, card: str, key: str, acquired: str, **more: str) -> Row:
    """A NEW line; `card` is symbol, number and branch between strokes, `more` further cells."""
    symbol, number, branch = card.split("/")
    name, kana, sex, birth_date = _PERSON_OF[key]
    serial = _SERIAL_OF[key]
    return {
        **Card(insurer.number, symbol, number, branch).cells(),
        **address_of(serial),
        "action": "NEW",
        "birth_date": birth_date,
        "acquisition_date": acquired,
        "name": name,
        "name_kana": jaconv.z2h(kana, kana=True),
        "sex": sex,
        "relationship": "1",
        "card_classification": "01",
        "insurer_name": insurer.name,
        "individual_number": made_up_individual_number(_FIRST_SERIAL + serial),
        **more,
    }


def _entry(person_id: str, rows: Iterable[Row], **asked: str) -> _Entry:
    """An entry that asks for the cover of its first line, but for what `asked` spells otherwise."""
    lines = tuple(rows)
    cells = {**lines[0], **asked}
    validity, ja, en = _QUESTION_OF[person_id]
    person = TestPerson(
        id=person_id,
        insurer_number=cells["insurer_number"],
        symbol=cells["symbol"],
        number=cells["number"],
        branch=cells["branch"],
        birth_date=date.fromisoformat(cells["birth_date"]),
        on=ON,
        expected_validity=int(validity),
        note_ja=ja,
        note_en=en,
        name=cells["name"],
    )
    return _Entry(person, lines)


def _ordinary() -> Iterator[_Entry]:
    family = {"relationship": "2", "insured_name": _PERSON_OF["father"][0]}
    father = _new(SOCIETY, "12-34/5678/01", "father", "20050401", card_issue_date="20050410")
    mother = _new(SOCIETY, "12-34/5678/02", "mother", "20100601", **family)
    child = _new(SOCIETY, "12-34/5678/03", "child", "20210305", is_preschool="1", **family)
    card = {"card_issue_date": "20241202", "card_first_valid_date": "20241202"}
    yield _entry("society-insured", [father])
    yield _entry("society-family", [mother])
    yield _entry("society-child", [child], branch="")
    employee = _new(ASSOCIATION, "71000001/12/00", "employee", "20180401")
    yield _entry("association-insured", [employee])
    teacher = _new(MUTUAL_AID, "公架見/0042/00", "teacher", "19980401", **card)
    yield _entry("card-without-end", [teacher])


def _spellings() -> Iterator[_Entry]:
    card = {"card_first_valid_date": "20250801", "card_last_valid_date": "20260731"}
    kana = _new(NATIONAL, "かくう/00123/01", "kana", "20150401", **card)
    yield _entry("national-kana-symbol", [kana])
    wide = _new(OTHER_SOCIETY, "77-12/345/01", "wide", "20160401")
    yield _entry("symbol-full-width", [wide], symbol="７７－１２", number="３４５")
    stroke = _new(OTHER_SOCIETY, "88-12/346/01", "stroke", "20220401")
    yield _entry("symbol-other-hyphen", [stroke], symbol="８８ー１２")
    rare = _new(NATIONAL, "かくう/00124/01", "rare", "20110701", **card)
    yield _entry("name-outside-shift-jis", [rare])
    extension = _new(NATIONAL, "かくう/00125/01", "extension", "20110701", **card)
    yield _entry("name-of-cp932", [extension])
    replaced = _new(NATIONAL, "かくう/00126/01", "replaced", "20110701", **card)
    yield _entry("name-replaced", [replaced])
    daily = {"name_of_other": "見本　まりあ"}
    yield _entry(
        "name-of-daily-life", [_new(ASSOCIATION, "71000001/13/00", "daily", "20200401", **daily)]
    )


def _certificates() -> Iterator[_Entry]:
    card = {"card_first_valid_date": "20250801", "card_last_valid_date": "20260731"}
    elderly = {
        "elderly_issue_date": "20250720",
        "elderly_first_valid_date": "20250801",
        "elderly_last_valid_date": "20260731",
        "elderly_copayment_ratio": "020",
    }
    limit = {
        "limit_kind": "01",
        "limit_class": "A04",
        "limit_issue_date": "20250725",
        "limit_first_valid_date": "20250801",
        "limit_last_valid_date": "20260731",
    }
    elder = _new(LATTER_STAGE, "/99000018/", "elder", "20180203", copayment_ratio="020", **card)
    yield _entry("latter-stage-elderly", [elder])
    seventy = _new(NATIONAL, "かくう/00127/01", "seventy", "20130610", **elderly)
    yield _entry("elderly-certificate", [seventy])
    patient = _new(ASSOCIATION, "71000002/88/00", "patient", "20090401", **limit)
    asked = _entry("limit-certificate", [patient])
    yield asked._replace(person=replace(asked.person, is_limit_certificate_consented=True))


def _days() -> Iterator[_Entry]:
    last = _new(SOCIETY, "12-34/6001/01", "last", "20190401")
    yield _entry("last-day", [last, loss_row(last, "20260416", "03")])
    earlier = _new(ASSOCIATION, "71000003/5/00", "again", "20120401")
    again = _new(ASSOCIATION, "71000003/5/00", "again", "20250401")
    yield _entry("same-insurer-again", [earlier, loss_row(earlier, "20240401", "03"), again])
    kept = _new(NATIONAL, "かくう/00128/01", "overlap", "20200401")
    gained = _new(SOCIETY, "12-34/6002/01", "overlap", "20260401")
    yield _entry("overlap", [kept, gained])


def _lost() -> Iterator[_Entry]:
    retired = _new(SOCIETY, "12-34/7001/01", "retired", "19870401")
    yield _entry("lost-on-leaving-work", [retired, loss_row(retired, "20260401", "99")])
    moved = _new(OTHER_NATIONAL, "みほん/0301/01", "moved", "20190401")
    yield _entry("lost-on-moving-away", [moved, loss_row(moved, "20251001", "99")])
    today = _new(ASSOCIATION, "71000004/9/00", "today", "20110401")
    yield _entry("lost-today", [today, loss_row(today, "20260415", "99")])
    yield _entry("not-yet-begun", [_new(SOCIETY, "12-34/7002/01", "future", "20260501")])
    brief = _new(ASSOCIATION, "71000004/10/00", "brief", "20260401")
    yield _entry("lost-on-first-day", [brief, loss_row(brief, "20260401", "99")])
    old = _new(ASSOCIATION, "71000004/11/00", "unlinked", "20080401")
    newer = _new(NATIONAL, "かくう/00129/01", "unlinked", "20260401", individual_number="")
    yield _entry("newer-not-linked", [old, loss_row(old, "20260401", "03"), newer])


def _newer() -> Iterator[_Entry]:
    first = _new(SOCIETY, "12-34/8001/01", "changed", "20150401")
    second = _new(ASSOCIATION, "71000005/21/00", "changed", "20260401")
    yield _entry("job-changed", [first, loss_row(first, "20260401", "03"), second])
    one = _new(ASSOCIATION, "71000005/22/00", "twice", "20100401")
    two = _new(NATIONAL, "かくう/00130/01", "twice", "20251101")
    three = _new(OTHER_SOCIETY, "77-13/900/01", "twice", "20260201")
    losses = [loss_row(one, "20251101", "03"), loss_row(two, "20260201", "03")]
    yield _entry("job-changed-twice", [one, two, three, *losses])
    young = _new(NATIONAL, "かくう/00131/01", "turned", "20110310")
    old = _new(LATTER_STAGE, "/99000026/", "turned", "20260310", copayment_ratio="010")
    yield _entry("turned-75", [young, loss_row(young, "20260310", "03"), old])


def _unknown() -> Iterator[_Entry]:
    typo = _new(SOCIETY, "12-34/9001/01", "typo", "20140401")
    yield _entry("number-mistyped", [typo], number="9010")
    wrong = _new(OTHER_NATIONAL, "みほん/0302/01", "wrong", "20170401")
    yield _entry("birth-date-wrong", [wrong], birth_date="19670727")
    cancelled = _new(SOCIETY, "12-34/9002/01", "cancelled", "20260401")
    yield _entry("cover-cancelled", [cancelled, cancel_row(cancelled)])
    filed = _new(OTHER_NATIONAL, "みほん/0399/01", "filed", "20260410")
    yield _entry("not-registered-yet", [filed])._replace(rows=())


def _several() -> Iterator[_Entry]:
    family = {"relationship": "2", "insured_name": "架空　進"}
    twin = _new(ASSOCIATION, "71000006/31/01", "twin", "20160214", **family)
    other = _new(ASSOCIATION, "71000006/31/02", "twin-2", "20160214", **family)
    yield _entry("twins-without-branch", [twin, other], branch="")
    yield _entry("twin-with-branch", [other])._replace(rows=())
    triplets = [
        _new(NATIONAL, f"かくう/00140/{branch}", key, "20120620", relationship="2")
        for branch, key in (("03", "triplet"), ("04", "triplet-2"), ("05", "triplet-3"))
    ]
    yield _entry("triplets-without-branch", triplets, branch="")


def _assistance(institution_code: str) -> Iterator[_Entry]:
    for place, (person_id, key, month, last_day) in enumerate(
        (
            ("assistance-with-ticket", "ticket", "202604", "30"),
            ("assistance-without-ticket", "no-ticket", "", ""),
            ("assistance-old-ticket", "old-ticket", "202603", "31"),
        ),
        start=1,
    ):
        ticket = {
            "ticket_type": "01",
            "ticket_month": month,
            "ticket_issue_number": f"000{place}",
            "ticket_first_valid_date": f"{month}01",
            "ticket_last_valid_date": f"{month}{last_day}",
            "ticket_institution_code": institution_code,
            "ticket_institution_name": "見本医院",
        }
        more = {"card_classification": "A1", "relationship": "", **(ticket if month else {})}
        card = f"/{with_check_digit(f'90000{place}')}/"
        yield _entry(person_id, [_new(WELFARE_OFFICE, card, key, "20240401", **more)])
