"""
Made-up people's names with the kana that belong to them, and the spellings that make trouble.

Common family names meet given names of the time of birth by chance, so nobody is meant. Trouble
(insurer-lifecycle.md 4.3): variants such as 髙, characters Shift_JIS lacks, ● in their place, and
foreign residents who go by another name (通称).
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable
from typing import Final, NamedTuple

import jaconv

from simulators.nation.tables import cumulated


class Name(NamedTuple):
    """
    A name as an insurer registers it; `resident` as the resident register has it.

    Kanji and kanji are parted by a full-width blank, half-width kana by a half-width one. `other`
    is the name the person goes by (通称), often empty.
    """

    name: str
    kana: str
    resident: str
    other: str = ""
    other_kana: str = ""


Word = tuple[str, str]
"""A part of a name and its half-width kana."""


def _words(text: str) -> tuple[Word, ...]:
    parts = text.split()
    return tuple(
        (kanji, str(jaconv.z2h(kana, kana=True)))
        for kanji, kana in zip(parts[::2], parts[1::2], strict=True)
    )


FAMILIES: Final = _words(
    """
    佐藤 サトウ 鈴木 スズキ 高橋 タカハシ 田中 タナカ 伊藤 イトウ 渡辺 ワタナベ 山本 ヤマモト
    中村 ナカムラ 小林 コバヤシ 加藤 カトウ 吉田 ヨシダ 山田 ヤマダ 佐々木 ササキ 山口 ヤマグチ
    松本 マツモト 井上 イノウエ 木村 キムラ 林 ハヤシ 斎藤 サイトウ 清水 シミズ 山崎 ヤマザキ
    森 モリ 池田 イケダ 橋本 ハシモト 阿部 アベ 石川 イシカワ 山下 ヤマシタ 中島 ナカジマ
    石井 イシイ 小川 オガワ 前田 マエダ 岡田 オカダ 長谷川 ハセガワ 藤田 フジタ 後藤 ゴトウ
    近藤 コンドウ 村上 ムラカミ 遠藤 エンドウ 青木 アオキ 坂本 サカモト 福田 フクダ 太田 オオタ
    西村 ニシムラ 藤井 フジイ 金子 カネコ 岡本 オカモト 藤原 フジワラ 三浦 ミウラ 中野 ナカノ
    原田 ハラダ 松田 マツダ 竹内 タケウチ 小野 オノ 田村 タムラ 中山 ナカヤマ 和田 ワダ
    石田 イシダ 森田 モリタ 上田 ウエダ 原 ハラ 内田 ウチダ 柴田 シバタ 酒井 サカイ 宮崎 ミヤザキ
    横山 ヨコヤマ 高木 タカギ 安藤 アンドウ 宮本 ミヤモト 大野 オオノ 小島 コジマ 谷口 タニグチ
    今井 イマイ 工藤 クドウ 高田 タカダ 増田 マスダ 丸山 マルヤマ 杉山 スギヤマ 村田 ムラタ
    大塚 オオツカ 新井 アライ 小山 コヤマ 平野 ヒラノ 藤本 フジモト 河野 コウノ 上野 ウエノ
    野口 ノグチ 武田 タケダ 松井 マツイ 千葉 チバ 岩崎 イワサキ 菅原 スガワラ 木下 キノシタ
    久保 クボ 佐野 サノ 野村 ノムラ 松尾 マツオ 市川 イチカワ 菊地 キクチ 杉本 スギモト
    古川 フルカワ 大西 オオニシ 島田 シマダ 水野 ミズノ 桜井 サクライ 高野 タカノ 吉川 ヨシカワ
    山内 ヤマウチ 西田 ニシダ 飯田 イイダ 菊池 キクチ 西川 ニシカワ 小松 コマツ 北村 キタムラ
    安田 ヤスダ 五十嵐 イガラシ 川口 カワグチ 平田 ヒラタ 関 セキ 中田 ナカタ 久保田 クボタ
    服部 ハットリ 東 ヒガシ 岩田 イワタ 土屋 ツチヤ 川崎 カワサキ 福島 フクシマ 本田 ホンダ
    辻 ツジ 樋口 ヒグチ 秋山 アキヤマ 田口 タグチ 永井 ナガイ 山中 ヤマナカ 中川 ナカガワ
    吉村 ヨシムラ 浜田 ハマダ 馬場 ババ 荒木 アラキ 大橋 オオハシ 黒田 クロダ 矢野 ヤノ
    松岡 マツオカ 渋谷 シブヤ 星野 ホシノ 広瀬 ヒロセ 早川 ハヤカワ 尾崎 オザキ 望月 モチヅキ
    小池 コイケ 篠原 シノハラ 大久保 オオクボ 田辺 タナベ 松村 マツムラ 須藤 スドウ 片山 カタヤマ
    奥村 オクムラ 沢田 サワダ 川村 カワムラ 堀 ホリ 三宅 ミヤケ 内藤 ナイトウ 大谷 オオタニ
    石原 イシハラ 上原 ウエハラ 比嘉 ヒガ 金城 キンジョウ 東海林 ショウジ 小鳥遊 タカナシ
    四月一日 ワタヌキ 勅使河原 テシガワラ
    """
)
"""Family names, roughly from the most common on."""
_FAMILY_BOUNDS: Final = cumulated(tuple(1 / (place + 12) for place in range(len(FAMILIES))))

_ODD_FAMILIES: Final = (
    (("髙橋", "ﾀｶﾊｼ"), "髙橋"),
    (("山﨑", "ﾔﾏｻﾞｷ"), "山﨑"),
    (("高橋", "ﾀｶﾊｼ"), "髙橋"),
    (("𠮷田", "ﾖｼﾀﾞ"), "𠮷田"),
    (("●田", "ﾖｼﾀﾞ"), "𠮷田"),
    (("渡●", "ﾜﾀﾅﾍﾞ"), "渡邉"),
    (("柳沢", "ﾔﾅｷﾞｻﾜ"), "栁沢"),
    (("●本", "ﾊｼﾓﾄ"), "𣘺本"),
)
"""A family name as the insurer registers it, and as the resident register has it."""

_GIVEN_MEN: Final = tuple(
    map(
        _words,
        (
            """
            清 キヨシ 正 タダシ 茂 シゲル 勇 イサム 実 ミノル 進 ススム 勝 マサル 昭 アキラ
            一郎 イチロウ 二郎 ジロウ 三郎 サブロウ 義雄 ヨシオ 武 タケシ 稔 ミノル 弘 ヒロシ
            幸男 ユキオ 利夫 トシオ 昇 ノボル 豊 ユタカ 博 ヒロシ 和夫 カズオ 忠 タダシ
            久 ヒサシ 保 タモツ 栄一 エイイチ 健三 ケンゾウ 辰雄 タツオ 敏夫 トシオ 文雄 フミオ
            """,
            """
            浩 ヒロシ 隆 タカシ 誠 マコト 学 マナブ 修 オサム 剛 ツヨシ 淳 ジュン 哲也 テツヤ
            健一 ケンイチ 純一 ジュンイチ 和彦 カズヒコ 英樹 ヒデキ 直樹 ナオキ 浩二 コウジ
            秀樹 ヒデキ 浩一 コウイチ 達也 タツヤ 和也 カズヤ 裕二 ユウジ 信行 ノブユキ 聡 サトシ
            徹 トオル 洋一 ヨウイチ 敦 アツシ 康弘 ヤスヒロ 雅彦 マサヒコ 等 ヒトシ 守 マモル
            """,
            """
            翔太 ショウタ 大輔 ダイスケ 健太 ケンタ 拓也 タクヤ 翼 ツバサ 圭介 ケイスケ
            良太 リョウタ 信吾 シンゴ 亮 リョウ 智也 トモヤ 雄大 ユウダイ 光 ヒカル 祐介 ユウスケ
            一樹 カズキ 雄太 ユウタ 竜也 タツヤ 航平 コウヘイ 駿 シュン 諒 リョウ 慎也 シンヤ
            優 ユウ 匡 マサシ 俊介 シュンスケ 貴大 タカヒロ 正樹 マサキ 新一 シンイチ 涼 リョウ
            """,
            """
            陸 リク 蓮 レン 湊 ミナト 樹 イツキ 蒼 アオイ 悠真 ユウマ 陽翔 ハルト 大和 ヤマト
            颯太 ソウタ 航 ワタル 海斗 カイト 朝陽 アサヒ 律 リツ 新 アラタ 匠 タクミ 仁 ジン
            歩 アユム 岳 ガク 陽太 ヒナタ 結翔 ユイト 凪 ナギ 碧 アオ 暖 ダン 奏 カナデ
            伊織 イオリ 悠人 ユウト 蒼空 ソラ 旭 アサヒ 琉生 ルイ 朔 サク 瑛太 エイタ
            """,
        ),
    )
)
_GIVEN_WOMEN: Final = tuple(
    map(
        _words,
        (
            """
            和子 カズコ 節子 セツコ 幸子 サチコ 千代 チヨ 静江 シズエ 春江 ハルエ 芳江 ヨシエ
            文子 フミコ 八重 ヤエ 花子 ハナコ 富美 フミ 美代子 ミヨコ 悦子 エツコ 照子 テルコ
            清子 キヨコ 久子 ヒサコ 敏子 トシコ 弘子 ヒロコ 栄子 エイコ 勝子 カツコ 光子 ミツコ
            キヨ キヨ ハル ハル 咲子 サキコ 澄江 スミエ 信子 ノブコ 房子 フサコ 道子 ミチコ
            """,
            """
            恵子 ケイコ 洋子 ヨウコ 京子 キョウコ 明美 アケミ 由美 ユミ 真由美 マユミ 直美 ナオミ
            久美子 クミコ 智子 トモコ 裕子 ユウコ 純子 ジュンコ 典子 ノリコ 優子 ユウコ 陽子 ヨウコ
            香 カオリ 美香 ミカ 恵美 エミ 里美 サトミ 美穂 ミホ 裕美 ユミ 貴子 タカコ 聡子 サトコ
            かおり カオリ ゆかり ユカリ 千恵 チエ 順子 ジュンコ 美紀 ミキ 良子 リョウコ
            """,
            """
            恵 メグミ 愛 アイ 彩 アヤ 美咲 ミサキ 香織 カオリ 理恵 リエ 千尋 チヒロ 瞳 ヒトミ
            早紀 サキ 奈々 ナナ 麻衣 マイ 友香 トモカ 舞 マイ 綾 アヤ 茜 アカネ 遥 ハルカ
            詩織 シオリ 麻美 アサミ 未来 ミライ 沙織 サオリ 佳奈 カナ 梨沙 リサ 明日香 アスカ
            成美 ナルミ みさき ミサキ まどか マドカ 春菜 ハルナ 絵理 エリ 友美 トモミ 由佳 ユカ
            """,
            """
            葵 アオイ 結衣 ユイ 陽菜 ヒナ 凛 リン 咲良 サクラ 芽依 メイ 紬 ツムギ 澪 ミオ 杏 アン
            莉子 リコ 桜 サクラ 楓 カエデ 美月 ミヅキ 柚葉 ユズハ 心春 コハル 琴音 コトネ
            ひまり ヒマリ さくら サクラ 花 ハナ 鈴 スズ 翠 スイ 詩 ウタ 陽葵 ヒマリ 結菜 ユイナ
            美桜 ミオ 乃愛 ノア 凪紗 ナギサ 七海 ナナミ 音羽 オトハ 朱莉 アカリ 栞 シオリ
            """,
        ),
    )
)
_COHORT_ENDS: Final = (1945, 1970, 1995)
"""Years of birth at which the fashion in given names turns."""

_FOREIGN: Final = _words(
    """
    ＧＡＩＫＯＫＵ ガイコク ＭＩＨＯＮ ミホン ＳＡＭＰＬＥ サンプル ＫＡＫＵ カク ＹＵＭＥＭＩ
    ユメミ ＮＩＪＩ ニジ ＴＥＳＴＯ テスト ＤＥＭＯ デモ
    """
)
_FOREIGN_GIVEN: Final = _words(
    """
    ＡＬＩＣＥ アリス ＢＯＲＩＳ ボリス ＣＡＲＬＯＳ カルロス ＤＩＮＨ ディン ＥＬＥＮＡ エレナ
    ＦＡＴＩＭＡ ファティマ ＧＩＡ ジア ＨＵＹ フイ ＩＳＡＢＥＬ イザベル ＪＵＮ ジュン ＫＩＭ キム
    ＬＩＮ リン ＭＡＲＩＡ マリア ＮＧＯＣ ゴック ＯＭＡＲ オマール ＰＲＩＹＡ プリヤ
    """
)

ODD_FAMILY_CHANCE: Final = 0.004
FOREIGN_CHANCE: Final = 0.02
OTHER_NAME_CHANCE: Final = 0.4
"""Foreign residents who go by another name."""
_LARGE_KANA: Final = str.maketrans("ｧｨｩｪｫｯｬｭｮ", "ｱｲｳｴｵﾂﾔﾕﾖ")

Draw = Callable[[], float]
"""Gives a number from 0 up to, not including, 1."""


def family_of(draw: Draw) -> tuple[Word, str]:
    """Draw a family name as an insurer registers it, and its kanji in the resident register."""
    if draw() < ODD_FAMILY_CHANCE:
        return _ODD_FAMILIES[int(draw() * len(_ODD_FAMILIES))]
    word = FAMILIES[bisect(_FAMILY_BOUNDS, draw())]
    return word, word[0]


def given_of(draw: Draw, sex: str, birth_year: int) -> Word:
    """Draw a given name of somebody's time; `sex` is 1 for men and 2 for women."""
    cohorts = _GIVEN_MEN if sex == "1" else _GIVEN_WOMEN
    names = cohorts[bisect(_COHORT_ENDS, birth_year)]
    return names[int(draw() * len(names))]


def joined(family: tuple[Word, str], given: Word) -> Name:
    """Give a whole name."""
    (kanji, kana), resident = family
    first, first_kana = given
    name = f"{kanji}　{first}"
    spelled = name if resident is kanji else f"{resident}　{first}"
    return Name(name, f"{kana} {first_kana}", spelled)


def foreign_name(draw: Draw, sex: str, birth_year: int) -> Name:
    """Give a foreign resident's name; some go by a Japanese one as well."""
    family, family_kana = _FOREIGN[int(draw() * len(_FOREIGN))]
    given, given_kana = _FOREIGN_GIVEN[int(draw() * len(_FOREIGN_GIVEN))]
    name, kana = f"{family}　{given}", f"{family_kana} {given_kana}"
    if draw() >= OTHER_NAME_CHANCE:
        return Name(name, kana, name)
    other = joined(family_of(draw), given_of(draw, sex, birth_year))
    return Name(name, kana, name, other.resident, other.kana)


def large_kana(kana: str) -> str:
    """Spell small kana large, as some insurers do (ｼｮｳｲﾁ as ｼﾖｳｲﾁ)."""
    return kana.translate(_LARGE_KANA)
