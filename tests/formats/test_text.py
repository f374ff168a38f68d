"""How text, kana, postal codes and days are spelt."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.period import TOKYO
from gateway.formats.text import (
    codec,
    day_digits,
    encoding_named,
    half_width_kana,
    is_in_code_page,
    legible,
    moment_digits,
    postal_code,
    ratio_digits,
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("山田　太郎", "山田　太郎"),
        ("１〜２", "１～２"),
        ("−１—‖", "－１―∥"),
        ("¥100¢£¬", "￥100￠￡￢"),
        ("𠮷田", "●田"),
        ("𠮷𠮷", "●●"),
        ("髙﨑 ㈱①Ⅲ", "髙﨑 ㈱①Ⅲ"),
        ("葛\U000e0100飾", "葛飾"),
        ("か\u3099", "が"),
        ("\uf91d", "欄"),
        ("한", "●"),
        ("\ue000", "●"),
        ("a\x07b", "a●b"),
        ("a\u00a0b", "a b"),
    ],
)
def test_text_for_shift_jis_takes_its_best_fit_or_a_black_circle(raw: str, shown: str) -> None:
    """What code page 932 lacks becomes its best fit, or one circle a character."""
    assert shown == legible(raw, "shift_jis")


def test_text_for_utf8_changes_only_where_xml_cannot_hold_it() -> None:
    """In UTF-8 every character stays, but for control characters."""
    expected = "𠮷田〜●"
    assert expected == legible("𠮷田〜\x00", "utf-8")


@given(st.text())
def test_legible_text_can_always_be_written(text: str) -> None:
    """Whatever was registered can be encoded, and reads back as the same text."""
    shown = legible(text, "shift_jis")
    assert is_in_code_page(shown)
    assert shown == legible(shown, "shift_jis")
    legible(text, "utf-8").encode()


def test_every_code_page_character_keeps_its_length() -> None:
    """Decoding and encoding again gives as many bytes, which offsets into a request rely on."""
    changed = []
    for lead in range(256):
        for spelt in (bytes([lead]), *(bytes([lead, trail]) for trail in range(256))):
            try:
                text = spelt.decode("cp932")
            except UnicodeDecodeError:
                continue
            if len(text.encode("cp932")) != len(spelt):
                changed.append(spelt)
    assert not changed


@pytest.mark.parametrize(
    ("raw", "kana"),
    [
        ("オンシ　タロウ", "ｵﾝｼ ﾀﾛｳ"),
        ("おんし たろう", "ｵﾝｼ ﾀﾛｳ"),
        ("キョウコ", "ｷｮｳｺ"),
        ("カ\u3099ッハ\u309a", "ｶﾞｯﾊﾟ"),
        ("ヴィー・ア", "ｳﾞｨｰ･ｱ"),
        ("ｵﾝｼ ﾊﾅｺ", "ｵﾝｼ ﾊﾅｺ"),
        ("ＡＢｃ１", "ABc1"),
        ("", ""),
    ],
)
def test_kana_become_half_width_and_small_ones_stay_small(raw: str, kana: str) -> None:
    """Names in kana are half-width with a half-width blank; small kana stay as registered."""
    assert kana == half_width_kana(raw)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("1000001", "100-0001"),
        ("100-0001", "100-0001"),
        ("１００－０００１", "100-0001"),
        ("100", "100"),
        ("", ""),
    ],
)
def test_postal_codes_have_a_hyphen(raw: str, code: str) -> None:
    """Seven digits are written nnn-nnnn; anything else stays."""
    assert code == postal_code(raw)


def test_days_moments_and_ratios_are_digits_of_fixed_length() -> None:
    """Days have 8 digits, moments 14, ratios 3."""
    moment = datetime(2026, 4, 1, 9, 5, 7, 999999, TOKYO)
    expected = ("18680125", "20260401090507", "010", "100")
    assert expected == (
        day_digits(date(1868, 1, 25)),
        moment_digits(moment),
        ratio_digits(10),
        ratio_digits(100),
    )


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("UTF-8", "utf-8"),
        ("Shift_JIS", "shift_jis"),
        ("Windows-31J", "shift_jis"),
        ("MS932", "shift_jis"),
        ("EUC-JP", None),
        ("UTF-16", None),
    ],
)
def test_encodings_are_known_by_their_usual_names(name: str, encoding: str | None) -> None:
    """A declaration may use any usual name of the two encodings, in any case."""
    assert encoding == encoding_named(name)


def test_shift_jis_means_windows_code_page_932() -> None:
    """The codec knows the circled digits that plain Shift_JIS lacks."""
    expected = b"\x87\x40"
    assert expected == "①".encode(codec("shift_jis"))
