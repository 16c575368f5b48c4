"""Dates in Chinese, Japanese, Korean and Thai, which write words without spaces between them or with endings."""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from typing import Final, TypeVar

from . import periods
from .periods import Periods

_Key = TypeVar("_Key", int, str)
_N: Final = r"(?:\d{1,3}|[一二两兩三四五六七八九]?十?[一二两兩三四五六七八九十])"
_DIGITS: Final = {
    "\u3007": 0,
    "零": 0,
    "一": 1,
    "二": 2,
    "两": 2,
    "兩": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
}
_OFFSETS: Final = {
    -3: "大前天",
    -2: "前天 一昨日 おととい 그저께 그제 엊그제 เมื่อวานซืน",
    -1: "昨天 昨日 昨夜 昨晚 昨晩 きのう 어제 어젯밤 เมื่อวานนี้ เมื่อวาน เมื่อคืน",
    0: "今天 今日 今晚 今夜 今晩 今早 今朝 本日 きょう 오늘 วันนี้ คืนนี้",
    1: "明天 明日 あした 내일 พรุ่งนี้",
    2: "后天 後天 明後日 あさって 모레 มะรืนนี้",
}
_YEARS: Final = {
    -2: "前年 一昨年 재작년",
    -1: "去年 昨年 작년 지난해 ปีที่แล้ว",
    0: "今年 올해 ปีนี้",
    1: "明年 来年 來年 내년 ปีหน้า",
}
_STEPS: Final = {
    -2: "上上个 上上個 上上 先々 先先 지지난",
    -1: "上个 上個 上一个 上一個 上 先 지난",
    0: "这个 這個 这 這 本 今 この 이번",
    1: "下个 下個 下 来 來 翌 다음",
}
_THAI_STEPS: Final = {-1: "ที่แล้ว ก่อน ที่ผ่านมา", 0: "นี้", 1: "หน้า"}
_UNITS: Final = {
    "d": "天 日間 日 일 วัน",
    "e": "周末 週末 주말",
    "w": "周 週間 週 个星期 個星期 星期 个礼拜 個禮拜 礼拜 禮拜 주일 주 สัปดาห์ อาทิตย์",
    "m": "个月 個月 か月 ヶ月 カ月 ヵ月 ケ月 月 개월 달 เดือน",
    "y": "年間 年 년 ปี",
}
_WEEKDAYS: Final = (
    "一 月 월 จันทร์",
    "二 火 화 อังคาร",
    "三 水 수 พุธ",
    "四 木 목 พฤหัสบดี พฤหัส",
    "五 金 금 ศุกร์",
    "六 土 토 เสาร์",
    "日 天 일 อาทิตย์",
)
_SEASONS: Final = ("春 봄", "夏 여름", "秋 가을", "冬 겨울")
_THAI_MONTHS: Final = (
    "มกราคม ม.ค.", "กุมภาพันธ์ ก.พ.", "มีนาคม มี.ค.", "เมษายน เม.ย.", "พฤษภาคม พ.ค.", "มิถุนายน มิ.ย.",
    "กรกฎาคม ก.ค.", "สิงหาคม ส.ค.", "กันยายน ก.ย.", "ตุลาคม ต.ค.", "พฤศจิกายน พ.ย.", "ธันวาคม ธ.ค.",
)  # fmt: skip


def _any(*names: str) -> str:
    words = sorted({word for line in names for word in line.split()}, key=len, reverse=True)
    return "(?:" + "|".join(map(re.escape, words)) + ")"


_UNIT: Final = _any(*_UNITS.values())
_STEP: Final = _any(*_STEPS.values())
_YEAR: Final = _any(*_YEARS.values())
_WRITTEN_YEAR: Final = r"(?:\d{4}|[\u3007零一二三四五六七八九]{4})"
_THAI_WEEKDAY: Final = _any(*(names.split()[3] for names in _WEEKDAYS), "พฤหัส")
_THAI_MONTH: Final = _any(*_THAI_MONTHS)

_UNSPACED: Final = rf"""
    (?P<offset> {_any(*_OFFSETS.values())} )
    | (?P<ago> (?<!\d)(?P<ago_n>{_N}) \s? (?P<ago_u>{_UNIT}) \s? (?:之前|以前|前|전|ก่อน|ที่แล้ว) )
    | (?P<recent> (?:最近|过去|過去|近|ここ|この|지난|최근) \s? (?P<recent_n>{_N}) \s? (?P<recent_u>{_UNIT}) )
    | (?P<date> (?: (?<!\d)(?P<y>\d\d|{_WRITTEN_YEAR}) \s?[年년]\s? | (?P<ry>{_YEAR})[的の]?\s? )?
        (?<!\d) (?P<m>{_N}) \s?[月월]份? (?: \s? (?P<d>{_N}) \s?[日号號일] )? )
    | (?P<season> (?: (?<!\d)(?P<sy>\d{{4}})\s?[年년] | (?P<sry>{_YEAR}) ) [的の]?\s? (?P<s>{_any(*_SEASONS)}) )
    | (?P<quarter> (?<!\d)(?P<qy>\d{{4}})\s?[年년] \s?第?(?P<q>[1-4一二三四])(?:季度|四半期|분기) )
    | (?P<year> (?<!\d)(?P<yy>{_WRITTEN_YEAR})\s?[年년](?!前|전|間) | (?P<yr>{_YEAR}) )
    | (?P<weekday> (?:(?P<w_s>{_STEP})\s?(?:(?:周|週|주)の?\s?)?)?
        (?: (?:星期|周|週|礼拜|禮拜)(?P<w1>[一二三四五六日天])(?!間)
        | (?P<w2>[月火水木金土日])曜 日? | (?P<w3>[월화수목금토일])요일 ) | วัน(?P<w4>{_THAI_WEEKDAY}) )
    | (?P<step> (?P<st>{_STEP})\s?(?P<su>{_any(_UNITS["e"], "周 週 星期 礼拜 禮拜 주 月 달")})
        (?![一二三四五六日天月火水木金土]) )
    | (?P<thai_step> (?P<tu>{_any("สัปดาห์ อาทิตย์ เดือน")})(?P<ts>{_any(*_THAI_STEPS.values())}) )
    | (?P<thai_date> (?: (?<!\d)(?P<td>\d\d?)\s? )? (?P<tm>{_THAI_MONTH})
        (?:\s?(?:[พค]\.ศ\.)?\s?(?P<ty>\d{{4}}))? )
    """
HINT: Final = re.compile(
    "[年月日天周週曜星礼禮春夏秋冬昨今明前去后後本翌월일주년달어오내그모엊작올봄여가겨해\u0e00-\u0e7f]|おととい|きのう|きょう|あした|あさって"
)
"""What every match of `unspaced` has."""


@cache
def unspaced() -> re.Pattern[str]:
    """The pattern of dates. It is compiled at the first text that may have one, since it takes its time."""
    return re.compile(_UNSPACED, re.VERBOSE)


def periods_of(found: re.Match[str], today: date) -> tuple[Periods, bool]:
    """What a match of `unspaced` means, nothing if there is no such day, and whether that depends on today."""
    match found.lastgroup:
        case "offset":
            return periods.offset(today, _key(_OFFSETS, found["offset"])), True
        case "ago":
            return periods.ago(today, _number(found["ago_n"]), _key(_UNITS, found["ago_u"])), True
        case "recent":
            return periods.recent(today, _number(found["recent_n"]), _key(_UNITS, found["recent_u"])), True
        case "step":
            return periods.step(today, _key(_STEPS, found["st"]), _key(_UNITS, found["su"])), True
        case "thai_step":
            return periods.step(today, _key(_THAI_STEPS, found["ts"]), _key(_UNITS, found["tu"])), True
        case "weekday":
            letter = found["w1"] or found["w2"] or found["w3"] or found["w4"]
            number = next(number for number, names in enumerate(_WEEKDAYS) if letter in names.split())
            return periods.weekday(today, number, _key(_STEPS, found["w_s"]) if found["w_s"] else None), True
        case "season":
            year, relative = _year(found["sy"], found["sry"], today)
            number = next(number for number, names in enumerate(_SEASONS) if found["s"] in names.split())
            return periods.season(year or today.year, number), relative
        case "quarter":
            return periods.quarter(int(found["qy"]), _number(found["q"])), False
        case "year":
            year, relative = _year(found["yy"], found["yr"], today)
            return ((f"{year:04}",) if year else ()), relative
        case "date":
            year, relative = _year(found["y"], found["ry"], today)
            return _day(year, _number(found["m"]), _number(found["d"]) if found["d"] else None), relative
        case _:
            month = 1 + next(number for number, names in enumerate(_THAI_MONTHS) if found["tm"] in names.split())
            return _day(_year(found["ty"], None, today)[0], month, int(found["td"]) if found["td"] else None), False


def _day(year: int | None, month: int, day: int | None) -> Periods:
    if not 1 <= month <= 12:
        return ()
    if year is None:
        return periods.month_of_year(month) if day is None else periods.day_of_year(month, day)
    return periods.month(year, month) if day is None else periods.day(year, month, day)


def _year(written: str | None, named: str | None, today: date) -> tuple[int | None, bool]:
    if named:
        return today.year + _key(_YEARS, named), True
    if not written:
        return None, False
    return periods.year_of(int("".join(str(_DIGITS.get(digit, digit)) for digit in written))), False


def _number(written: str) -> int:
    """A number up to 99 in Chinese, or one of any digits."""
    if written.isdecimal():
        return int(written)
    tens, ten, ones = written.rpartition("十")
    return (10 * _DIGITS.get(tens, 1) if ten else 0) + _DIGITS.get(ones, 0)


def _key(table: dict[_Key, str], name: str) -> _Key:
    return next(key for key, names in table.items() if name in names.split())
