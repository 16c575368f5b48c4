"""Dates in texts: which days, months and years they mean, and by which lexemes memories and queries are compared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmem.analysis import dates
from openmem.analysis.analyzer import Analyzer
from openmem.analysis.dates.vocabulary import WORDS

TODAY = date(2026, 11, 28)  # a Saturday
MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "fi": "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta"
    " marraskuuta joulukuuta",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "cs": "ledna února března dubna května června července srpna září října listopadu prosince",
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "uk": "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
    "tr": "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
    "ro": "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie",
    "el": "Ιανουαρίου Φεβρουαρίου Μαρτίου Απριλίου Μαΐου Ιουνίου Ιουλίου Αυγούστου Σεπτεμβρίου Οκτωβρίου Νοεμβρίου"
    " Δεκεμβρίου",
    "id": "Januari Februari Maret April Mei Juni Juli Agustus September Oktober November Desember",
    "ar": "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر",
    "fa": "ژانویه فوریه مارس آوریل مه ژوئن ژوئیه اوت سپتامبر اکتبر نوامبر دسامبر",
    "hi": "जनवरी फ़रवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर",
    "th": "มกราคม กุมภาพันธ์ มีนาคม เมษายน พฤษภาคม มิถุนายน กรกฎาคม สิงหาคม กันยายน ตุลาคม พฤศจิกายน ธันวาคม",
    "he": "ינואר פברואר מרץ אפריל מאי יוני יולי אוגוסט ספטמבר אוקטובר נובמבר דצמבר",
}


def meant(text: str, today: date = TODAY) -> list[tuple[str, ...]]:
    return [mention.periods for mention in dates.mentions_of_query(text, today)]


@pytest.mark.parametrize(
    "text",
    [
        "What happened on September 9, 2023?",
        "What happened on September 9th, 2023?",
        "sept. 9 2023",
        "9 Sep 2023",
        "09 September 2023",
        "the 9th of September, 2023",
        "Saturday, September 9, 2023",
        "What did I do on 2023-09-09?",
        "2023-09-09: we walked along the river",
        "9.9.2023: ein langer Tag",
        "9/9/2023: a walk",
        "logs/2023-09-09/app.log",
        "backup_2023-09-09.zip",
        "posts/2023-09-09-walk.md",
        "logged at 2023-09-09T23:59:59.123+02:00",
        "2023-09-09 10:00",
        "2023/09/09",
        "2023/9/9",
        "2023.09.09",
        "(9/9/2023)",
        "9-9-2023",
        "am 09.09.2023.",
        "am 9. 9. 2023",
        "09.09.23",
        "9/9/23",
        "09-Sep-2023",
        "9-Sep-23",
        "20230909.txt",
        "am Samstag, den 9. September 2023",
        "the ninth of September 2023",
        "Was war am 9. September 2023?",
        "le 9 septembre 2023",
        "el 9 de septiembre de 2023",
        "9 de setembro de 2023",
        "9 сентября 2023 г.",
        "2023. szeptember 9.",
        "ngày 9 tháng 9 năm 2023",
        "2023年9月9日发生了什么？",
        "2023 年 9 月 9 号",
        "二〇二三年九月九日",
        "23年9月9日",
        "2023년 9월 9일에 뭐 했어?",
        "9 กันยายน 2566",
        "9 ก.ย. 2566",
        "٩ سبتمبر ٢٠٢٣",
        "۹ سپتامبر ۲۰۲۳",
    ],
)
def test_a_day_in_any_spelling(text: str) -> None:
    assert meant(text) == [("2023-09-09",)]


@pytest.mark.parametrize("language", MONTHS)
def test_months_of_many_languages(language: str) -> None:
    names = MONTHS[language].split()
    assert [meant(f"9 {name} 2023") for name in names] == [[(f"2023-{month:02}-09",)] for month in range(1, 13)]


@pytest.mark.parametrize(
    ("text", "periods"),
    [
        ("Oct-2020", ("2020-10",)),
        ("3/4/2022", ("2022-04-03", "2022-03-04")),
        ("12/25/2022", ("2022-12-25",)),
        ("3.4.2022", ("2022-04-03",)),
        ("on 9 Sep", ("--09-09",)),
        ("on 9/11", ("--11-09", "--09-11")),
        ("am 3.4. beim Zahnarzt", ("--04-03",)),
        ("9月9日", ("--09-09",)),
        ("what did I buy in May 2023", ("2023-05",)),
        ("2023-05", ("2023-05",)),
        ("05/2023", ("2023-05",)),
        ("May '23", ("2023-05",)),
        ("en mai 2023", ("2023-05",)),
        ("2023年5月", ("2023-05",)),
        ("in May", ("--05",)),
        ("w maju", ("--05",)),
        ("in spring 2024", ("2024-03", "2024-04", "2024-05")),
        ("im Herbst 2024", ("2024-09", "2024-10", "2024-11")),
        ("winter 2024", ("2023-12", "2024-01", "2024-02", "2024-12")),
        ("summer '23", ("2023-06", "2023-07", "2023-08")),
        ("third quarter of 2024", ("2024-07", "2024-08", "2024-09")),
        ("im 3. Quartal 2024", ("2024-07", "2024-08", "2024-09")),
        ("Q3 2024", ("2024-07", "2024-08", "2024-09")),
        ("2024 Q1", ("2024-01", "2024-02", "2024-03")),
        ("3-6 May 2023", ("2023-05-03", "2023-05-04", "2023-05-05", "2023-05-06")),
        ("May 3-4, 2023", ("2023-05-03", "2023-05-04")),
        ("from 2023-05-03 to 2023-05-05", ("2023-05-03", "2023-05-04", "2023-05-05")),
        ("between May 3 and May 5, 2023", ("2023-05-03", "2023-05-04", "2023-05-05")),
        ("from 2023-05-30 until 2023-07-02", ("2023-05", "2023-06", "2023-07")),
    ],
)
def test_days_months_and_longer(text: str, periods: tuple[str, ...]) -> None:
    assert meant(text) == [periods]


def days(first: str, count: int) -> tuple[str, ...]:
    return tuple((date.fromisoformat(first) + timedelta(step)).isoformat() for step in range(count))


YESTERDAY = ("2026-11-27",)
LAST_WEEK = days("2026-11-16", 7)


@pytest.mark.parametrize(
    ("text", "periods"),
    [
        ("today", ("2026-11-28",)),
        ("tomorrow", ("2026-11-29",)),
        ("the day before yesterday", ("2026-11-26",)),
        ("last night", ("2026-11-27", "2026-11-28")),
        ("3 days ago", ("2026-11-25",)),
        ("three days ago", ("2026-11-25",)),
        ("vor drei Tagen", ("2026-11-25",)),
        ("il y a 3 jours", ("2026-11-25",)),
        ("hace tres días", ("2026-11-25",)),
        ("3 giorni fa", ("2026-11-25",)),
        ("3 дня назад", ("2026-11-25",)),
        ("三天前", ("2026-11-25",)),
        ("3日前", ("2026-11-25",)),
        ("3일 전", ("2026-11-25",)),
        ("anoche", YESTERDAY),
        ("on the 9th", ("2026-11-09", "2026-12-09")),
        ("a few days ago", days("2026-11-21", 6)),
        ("vor ein paar Tagen", days("2026-11-21", 6)),
        ("the last two weeks", days("2026-11-15", 14)),
        ("for to uker siden", days("2026-11-11", 7)),
        ("منذ ثلاثة أيام", ("2026-11-25",)),
        ("two weeks ago", days("2026-11-11", 7)),
        ("vor zwei Wochen", days("2026-11-11", 7)),
        ("两周前", days("2026-11-11", 7)),
        ("2 months ago", ("2026-09",)),
        ("a year ago", ("2025",)),
        ("this week", days("2026-11-23", 7)),
        ("next week", days("2026-11-30", 7)),
        ("last month", ("2026-10",)),
        ("letzten Monat", ("2026-10",)),
        ("le mois dernier", ("2026-10",)),
        ("先月", ("2026-10",)),
        ("last year", ("2025",)),
        ("去年", ("2025",)),
        ("去年9月", ("2025-09",)),
        ("last March", ("2026-03",)),
        ("last December", ("2025-12",)),
        ("last summer", ("2026-06", "2026-07", "2026-08")),
        ("last weekend", days("2026-11-21", 2)),
        ("on Friday", ("2026-11-27", "2026-12-04")),
        ("last Monday", ("2026-11-23", "2026-11-16")),
        ("上周五", ("2026-11-27", "2026-11-20")),
        ("in the last 10 days", days("2026-11-18", 11)),
        ("the last 3 months", ("2026-08", "2026-09", "2026-10", "2026-11")),
        *((word, YESTERDAY) for word in ("yesterday", "gestern", "ayer", "ieri", "ontem", "gisteren", "igår", "dün")),
        *((word, YESTERDAY) for word in ("вчера", "wczoraj", "tegnap", "χθες", "دیروز", "kemarin")),
        *((word, YESTERDAY) for word in ("昨天", "昨日", "어제", "hôm qua", "i går", "أمس", "เมื่อวาน", "hier soir")),
        *(
            (phrase, LAST_WEEK)
            for phrase in (
                "last week", "letzte Woche", "la semaine dernière", "la semana pasada", "la settimana scorsa",
                "a semana passada", "vorige week", "förra veckan", "на прошлой неделе", "geçen hafta",
                "w zeszłym tygodniu",
                "上周", "上个星期", "先週", "지난주에", "minggu lalu", "tuần trước", "الأسبوع الماضي",
            )
        ),
    ],
)  # fmt: skip
def test_relative_to_today(text: str, periods: tuple[str, ...]) -> None:
    assert meant(f"{text}?") == [periods]


@pytest.mark.parametrize(
    ("today", "text", "periods"),
    [
        ("2024-01-01", "yesterday", ("2023-12-31",)),
        ("2024-01-01", "last month", ("2023-12",)),
        ("2024-01-01", "last week", days("2023-12-25", 7)),
        ("2024-01-03", "last weekend", days("2023-12-30", 2)),
        ("2024-03-01", "yesterday", ("2024-02-29",)),
        ("2023-12-31", "tomorrow", ("2024-01-01",)),
        ("2023-12-15", "next month", ("2024-01",)),
        ("2024-01-15", "last winter", ("2022-12", "2023-01", "2023-02")),
        ("2024-02-10", "last quarter", ("2023-10", "2023-11", "2023-12")),
        ("2024-07-05", "on Friday", ("2024-06-28", "2024-07-05")),
    ],
)
def test_at_the_ends_of_months_and_years(today: str, text: str, periods: tuple[str, ...]) -> None:
    assert meant(text, date.fromisoformat(today)) == [periods]


@pytest.mark.parametrize(
    "text",
    [
        "What may I eat?",
        "call 555-2023-09-09",
        "release v2023.09.09",
        "part 2023-09-09-12",
        "this may be it",
        "may 5 people join?",
        "a march for peace",
        "the second sun, sat and wed",
        "set 2 alarms",
        "Was ist hier los?",
        "Guten Morgen",
        "por la mañana",
        "version 3.4.22 and 1.2.3, v2023.1.2",
        "10.10.10.10",
        "call 555-2023-11",
        "open 24/7, 1/2 off",
        "2023-13-45",
        "31/31/2023",
        "2023-02-30",
        "issue 2023",
        "Marco left for years, for an hour",
        "let this be the last tag, gun or nap",
        "in diesem Fall, in den letzten Jahren",
        "vor 100 000 Jahren, 100 Jahre vor Christus, years ago",
        "en el marco de",
        "previous years",
        "1000 Kilometer",
        "ここに犬がいます",
        "我的狗叫什么名字？",
        "先生",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert meant(text) == []


def test_a_phrase_beside_a_written_date_may_be_relative_to_that() -> None:
    assert meant("What did she do the last weekend before April 10, 2023?") == [("2023-04-10",)]
    assert meant("the last week of May 2023") == [("2023-05",)]


@pytest.mark.parametrize(
    "text", ["1 " * 20_000, "may " * 10_000, "2023-09-09 " * 4_000, "9月" * 20_000, "a week " * 8_000]
)
def test_long_texts_of_dates(text: str) -> None:
    assert dates.without(text, dates.mentions(text, TODAY)).count(" ") >= text.count(" ")


@given(
    st.lists(st.sampled_from([*WORDS, *"0123456789.,/-'年月日上个周前天"]) | st.integers(0, 3000).map(str)),
    st.booleans(),
    st.dates(),
)
def test_any_words_on_any_day(words: list[str], is_spaced: bool, today: date) -> None:
    text = (" " if is_spaced else "").join(words)
    for mention in dates.mentions_of_query(text, today):
        assert 0 <= mention.start < mention.end <= len(text)
        assert 1 <= len(mention.periods) <= 14
    moment = datetime(today.year, today.month, today.day, 12, tzinfo=UTC)
    assert all(word.alternatives for word in Analyzer().query(text, moment))
    assert today.isoformat() in Analyzer().memory(text, moment).lexemes


SPELLINGS: list[Callable[[date], str]] = [
    lambda d: d.isoformat(),
    lambda d: f"{d.year}/{d.month}/{d.day}",
    lambda d: f"{d.month}/{d.day}/{d.year}",
    lambda d: f"{d.day}.{d.month}.{d.year}",
    lambda d: f"{d:%B} {d.day}, {d.year}",
    lambda d: f"the {d.day}th of {d:%b} {d.year}",
    lambda d: f"{d.day} {MONTHS['ru'].split()[d.month - 1]} {d.year}",
    lambda d: f"am {d.day}. {MONTHS['de'].split()[d.month - 1]} {d.year}",
    lambda d: f"{d.year}年{d.month}月{d.day}日",
    lambda d: f"{d.year}년 {d.month}월 {d.day}일",
    lambda d: f"{d.day} {MONTHS['th'].split()[d.month - 1]} {d.year + 543}",
]


@given(st.dates(date(1950, 1, 1), date(2060, 1, 1)), st.sampled_from(SPELLINGS), st.sampled_from(SPELLINGS))
def test_a_date_is_found_however_memory_and_query_spell_it(
    day: date, one: Callable[[date], str], other: Callable[[date], str]
) -> None:
    noon = datetime(1990, 5, 5, 12, tzinfo=UTC)
    wanted = next(
        word for word in Analyzer().query(f"Who came {other(day)}?", noon) if day.isoformat() in word.alternatives
    )
    from_that_day = Analyzer().memory("Ana came", datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
    that_names_it = Analyzer().memory(f"Ana comes {one(day)}", noon)
    assert not from_that_day.lexemes.isdisjoint(wanted.alternatives)
    assert not that_names_it.lexemes.isdisjoint(wanted.alternatives)


def test_a_date_in_a_query_is_one_word_and_its_parts() -> None:
    words = Analyzer().query("What did I buy on 2023-09-09?", datetime(2026, 11, 28, tzinfo=UTC))
    assert [word.alternatives for word in words] == [
        ("buy",), ("2023-09-09",), ("---09", "9"), ("--09", "septemb"), ("2023",),
    ]  # fmt: skip


def test_a_memory_has_its_day_month_and_year() -> None:
    lexemes = Analyzer().memory("lunch", datetime(2023, 9, 9, tzinfo=UTC)).lexemes
    assert lexemes == {"lunch", "2023-09-09", "--09-09", "---09", "2023-09", "--09", "2023"}


def test_words_that_are_also_months_do_not_find_what_is_from_them() -> None:
    memory = Analyzer().memory("Lunch with Ana", datetime(2023, 5, 9, tzinfo=UTC))
    for word in Analyzer().query("What may I eat?", datetime(2026, 11, 28, tzinfo=UTC)):
        assert memory.lexemes.isdisjoint(word.alternatives)


def test_yesterday_in_a_memory_is_the_day_before() -> None:
    lexemes = Analyzer().memory("I was at the dentist yesterday", datetime(2023, 9, 9, tzinfo=UTC)).lexemes
    assert {"2023-09-08", "2023-09-09"} <= lexemes


def test_a_date_without_a_year_prefers_the_last_and_the_next() -> None:
    words = Analyzer().query("9 Sep", datetime(2026, 11, 28, tzinfo=UTC))
    assert words[:2] == ((("--09-09",), 1.0), (("2026-09-09", "2027-09-09"), 0.5))


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        (datetime(2023, 9, 10, 6, 30, tzinfo=UTC), UTC, "2023-09-10"),
        (datetime(2023, 9, 10, 6, 30, tzinfo=UTC), ZoneInfo("America/Los_Angeles"), "2023-09-09"),
        (datetime(2023, 9, 9, 23, 30, tzinfo=timezone(timedelta(hours=-7))), UTC, "2023-09-09"),
        (datetime(2023, 9, 9, 23, 30, tzinfo=timezone(timedelta(hours=-7))), ZoneInfo("Asia/Tokyo"), "2023-09-09"),
        (datetime(2024, 3, 10, 9, 30, tzinfo=UTC), ZoneInfo("America/Los_Angeles"), "2024-03-10"),
        (datetime(2024, 3, 10, 7, 30, tzinfo=UTC), ZoneInfo("America/Los_Angeles"), "2024-03-09"),
        (datetime(9999, 12, 31, 23, tzinfo=UTC), ZoneInfo("Asia/Tokyo"), "9999-12-31"),
    ],
)
def test_the_day_of_a_memory_is_local(moment: datetime, zone: ZoneInfo, day: str) -> None:
    assert day in Analyzer(timezone=zone).memory("Lunch", moment).lexemes


@pytest.mark.parametrize(
    ("now", "zone", "yesterday"),
    [
        (datetime(2024, 1, 1, 2, tzinfo=UTC), UTC, "2023-12-31"),
        (datetime(2024, 1, 1, 2, tzinfo=UTC), ZoneInfo("America/New_York"), "2023-12-30"),
        (datetime(2023, 12, 31, 20, tzinfo=UTC), ZoneInfo("Asia/Tokyo"), "2023-12-31"),
        (datetime(2024, 3, 11, 3, tzinfo=UTC), ZoneInfo("America/New_York"), "2024-03-09"),
    ],
)
def test_yesterday_depends_on_the_time_zone(now: datetime, zone: ZoneInfo, yesterday: str) -> None:
    assert Analyzer(timezone=zone).query("What did I do yesterday?", now)[0].alternatives == (yesterday,)


def test_a_date_is_found_in_a_message_of_several_sentences() -> None:
    for text in (
        "I have a question. Who came on Sept. 9, 2023?",
        "Hallo! Ich war krank. Wer kam am 9. September 2023?",
    ):
        words = Analyzer().query(text, datetime(2026, 11, 28, tzinfo=UTC))
        assert (("2023-09-09",), 1.0) in words


@pytest.mark.parametrize(
    ("query", "embedded"),
    [
        ("What did I buy on 2023-09-09?", "What did I buy on ?"),
        ("gestern beim Zahnarzt", "beim Zahnarzt"),
        ("2023-09-09", "2023-09-09"),
        ("What is the name of the  dog?", "What is the name of the  dog?"),
        ("yoga on Friday", "yoga on Friday"),
    ],
)
def test_a_date_is_not_compared_by_its_meaning(query: str, embedded: str) -> None:
    assert Analyzer().asked(query) == embedded
