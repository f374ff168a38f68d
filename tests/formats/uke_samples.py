"""Made-up medical claim files, built record by record; nobody in them exists."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.formats.uke import UkeClaim, UkeItem, UkeLimits, UkeReader
from gateway.formats.uke_tables import LAYOUTS, place_of

END = b"\x1a"

HEADER = {
    "審査支払機関": "1",
    "都道府県": "13",
    "点数表": "1",
    "医療機関コード": "0123458",
    "医療機関名称": "架空診療所",
    "請求年月": "202604",
    "マルチボリューム識別情報": "00",
    "電話番号": "03-0000-0000",
}
PATIENT = {
    "レセプト番号": "1",
    "レセプト種別": "1112",
    "診療年月": "202603",
    "氏名": "架空　太郎",
    "男女区分": "1",
    "生年月日": "19840229",
    "カタカナ（氏名）": "カクウタロウ",
}
INSURER = {
    "保険者番号": "01130012",
    "記号": "12345678",
    "番号": "12",
    "診療実日数": "2",
    "合計点数": "364",
}
PUBLIC = {"負担者番号": "54136015", "受給者番号": "1234566", "診療実日数": "2", "合計点数": "364"}
CHECK = {"負担者種別": "1", "確認区分": "01", "枝番": "00"}
VISITS = {"負担者種別": "1", "3日の情報": "1", "10日の情報": "1"}
COPAY = {"窓口負担額区分": "00"}
DISEASE = {
    "傷病名コード": "0000999",
    "診療開始日": "20260303",
    "転帰区分": "1",
    "傷病名称": "架空病",
}
FIRST_VISIT = {
    "診療識別": "11",
    "負担区分": "1",
    "診療行為コード": "111000110",
    "点数": "291",
    "回数": "1",
    "3日の情報": "1",
}
NEXT_VISIT = {
    "診療識別": "12",
    "負担区分": "1",
    "診療行為コード": "112007410",
    "点数": "73",
    "回数": "1",
    "10日の情報": "1",
}


def record(kind: str, cells: dict[str, str] | None = None) -> bytes:
    """One record with its CRLF, the cells by column name."""
    texts = [kind, *("" for _ in LAYOUTS[kind].fields[1:])]
    for label, text in (cells or {}).items():
        texts[place_of(kind, label)] = text
    return ",".join(texts).encode("cp932") + b"\r\n"


def claim(**cells: dict[str, str] | None) -> bytes:
    """
    The records of an ordinary claim, with cells of some of its records changed.

    `RE={...}` changes cells, `SN=None` leaves the record out, `KO={...}` puts one in.
    """
    usual: dict[str, dict[str, str]] = {
        "RE": PATIENT, "HO": INSURER, "SN": CHECK, "JD": VISITS, "MF": COPAY, "SY": DISEASE,
        "SI": FIRST_VISIT,
    }  # fmt: skip
    parts = []
    for kind in ("RE", "HO", "KO", "SN", "JD", "MF", "SY", "SI"):
        changed = cells.get(kind, {})
        if changed is None or (kind not in usual and kind not in cells):
            continue
        parts.append(record(kind, usual.get(kind, PUBLIC) | changed))
    if cells.get("SI", {}) is not None:
        parts.append(record("SI", NEXT_VISIT))
    return b"".join(parts)


def total(claims: int = 1, points: int = 364) -> bytes:
    """The GO record."""
    return f"GO,{claims},{points},99\r\n".encode("ascii")


def a_file(*claims: bytes, count: int | None = None, points: int | None = None) -> bytes:
    """A whole file with these claims, each of one payer and 364 points unless said otherwise."""
    count = len(claims) if count is None else count
    points = 364 * len(claims) if points is None else points
    return record("IR", HEADER) + b"".join(claims) + total(count, points) + END


def read(data: bytes, pieces: Iterable[int] = (), limits: UkeLimits | None = None) -> list[UkeItem]:
    """Read a file, cut at these places."""
    reader = UkeReader(limits or UkeLimits())
    items, start = [], 0
    for place in (*sorted(pieces), len(data)):
        items.extend(reader.feed(data[start:place]))
        start = max(start, place)
    return items + reader.finish()


def only_claim(data: bytes) -> UkeClaim:
    """The one claim of a file."""
    (found,) = [item for item in read(data) if isinstance(item, UkeClaim)]
    return found
