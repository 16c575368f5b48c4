"""Words of memories and queries in many languages: which find each other, and which do not."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmem.analysis.speech import is_question, speakers
from openmem.analysis.words import memory_lexemes, query_words

LONG = 20_000


def coverage(memory: str, query: str, language: str | None = None) -> float:
    """The share of the weight of a query's words that a memory has."""
    lexemes = memory_lexemes(memory, language)
    words = query_words(query, language)
    total = sum(word.weight for word in words)
    return sum(word.weight for word in words if lexemes.intersection(word.alternatives)) / total if total else 0.0


FORMS = {
    "en": [
        ("She repaired two old bicycles", "bicycle"),
        ("He was running", "runs"),
        ("We bought new knives for the children", "knife"),
        ("We bought new knives for the children", "buying"),
        ("Her favourite colours are organised by hue", "favorite color"),
        ("Her favourite colours are organised by hue", "organized"),
    ],
    "de": [
        ("Lena ist allergisch gegen Erdnüsse", "Erdnuss"),
        ("Ich fahre immer mit dem Zug", "Züge"),
        ("Die Katze schläft", "Katzen"),
        ("Das Passwort steht auf der Rückseite", "Passwörter"),
        ("Unser Nachbar Jürgen hilft mir", "Juergen"),
        ("Wir wohnen in der Hauptstraße", "HAUPTSTRASSE"),
    ],
    "fr": [
        ("Ma fille est allergique aux cacahuètes", "cacahuète"),
        ("Mon loyer est trop cher", "loyers"),
        ("L'eau du robinet a un goût bizarre", "eaux"),
        ("Ma sœur se marie en juin", "soeurs"),
        ("Hélène étudie à Lyon", "helene"),
    ],
    "es": [
        ("Mi coche es azul", "coches"),
        ("Trabajo de enfermero", "enfermera"),
        ("Todas las habitaciones del hotel dan al mar", "habitacion"),
        ("La contraseña está en el calendario", "contraseñas"),
    ],
    "pt": [("O avião para Lisboa sai às sete", "aviões"), ("João comprou um apartamento", "Joao")],
    "it": [("I ragazzi giocano a calcio nel parco", "ragazzo"), ("Andrea lavora nell'ufficio di Bergamo", "uffici")],
    "nl": [
        ("De fietsen staan in de schuur", "fiets"),
        ("Mijn hond heet Bello", "honden"),
        ("Ik heb een afspraak bij de tandarts", "tandartsen"),
    ],
    "sv": [("Bilarna står i garaget bakom huset", "bil"), ("Jag köpte två gamla cyklar", "cykeln")],
    "da": [("Jeg købte to gamle cykler", "cykel")],
    "no": [("Jeg kjøpte to gamle sykler", "sykkelen")],
    "fi": [("Asun pienessä talossa Helsingin lähellä", "talo")],
    "hu": [("A gyerekek a kertben játszanak a kutyával", "kert")],
    "pl": [("Moja siostra mieszka w Krakowie z dwoma kotami", "kot"), ("Mieszkam w Łodzi", "Lodz")],
    "cs": [("Moje sestra bydlí v Brně se třemi kočkami", "kočka")],
    "ro": [("Pisicile dorm pe canapeaua din sufragerie", "pisică")],
    "tr": [("Çocuklar her sabah okula otobüsle gidiyor", "çocuk"), ("Evimiz İstanbul'da", "ISTANBUL")],
    "vi": [
        ("Mật khẩu wifi được viết sau tờ lịch", "mat khau"),
        ("Em gái tôi sống ở Hà Nội", "Hà Nội"),
        ("Con chó của tôi tên là Mực", "chó"),
    ],
    "ca": [("És al·lèrgica als cacauets", "a\u0140lèrgica")],
    "ru": [
        ("Я боюсь летать, езжу на поезде", "поезд"),
        ("Мою кошку зовут Мисо", "кошка"),
        ("Я изучал химию", "химия"),
        ("Моя сестра живёт во Флоренции", "сёстры"),
        ("Фёдор пьёт зелёный чай", "Федор"),
    ],
    "uk": [("Ключі від підвалу висять на кухні", "кухня"), ("Мій п'ятий поверх без ліфта", "п\u02bcятий")],
    "bg": [("Кучето ми се казва Шаро", "куче"), ("Живеем в червена къща до езерото", "къщата")],
    "sr": [("Свирам гитару у бенду", "gitara"), ("Idem vozom u Beograd", "Београду")],
    "el": [("Ο παππούς μου ήταν γιατρός", "ΓΙΑΤΡΟΙ"), ("Ο Νίκος ζει στον Βόλο", "Νίκο")],
    "ka": [("წითელ სახლში ვცხოვრობთ ტბასთან", "სახლი"), ("წითელ სახლში ვცხოვრობთ ტბასთან", "ტბა")],
    "bn": [("বাচ্চারা ঢাকার স্কুলে পড়ে", "ঢাকা"), ("আমরা লেকের পাশে লাল বাড়িতে থাকি", "লেক")],
    "ur": [("میرے کتے کا نام موتی ہے", "کتا"), ("بچے لاہور کے سکول میں پڑھتے ہیں", "بچوں")],
    "ar": [
        ("أخاف من الطيران وأسافر بالقطار", "قطار"),
        ("سيارتي زرقاء", "سيارة"),
        ("أشرب قهوتي بدون سكر", "قهوة"),
        ("تسكن فاطمة مع قطتين", "قطة"),
        ("شَرِبْتُ قَهْوَةً", "قهوة"),
        ("كـــتاب قديم", "كتاب"),
    ],
    "fa": [("کتاب‌های قدیمی پدر در جعبه است", "كتاب")],
    "he": [("המפתחות תלויים במטבח", "מפתח"), ("שָׁלוֹם לך", "שלום")],
    "hi": [
        ("मेरे बच्चे बस से स्कूल जाते हैं", "बच्चों"),
        ("दरवाज़े के पीछे", "दरवाजा"),
        ("मुझे मूंगफली से एलर्जी है", "मूँगफली"),
    ],
    "ko": [
        ("나는 항상 기차를 탄다", "기차"),
        ("커피를 블랙으로 마신다", "커피"),
        ("피렌체에서 결혼한다", "피렌체"),
        ("서울에서 차를 마신다", "차"),
        ("아이들은 학교에 간다", "아이"),
    ],
    "ja": [
        ("娘はピーナッツアレルギーがある", "ピーナッツ"),
        ("猫がいる", "猫"),
        ("りんごを食べる", "りんご"),
        ("コーヒー", "ｺｰﾋｰ"),
    ],
    "zh": [
        ("我女儿对花生过敏", "花生"),
        ("我的猫三岁了", "猫"),
        ("在WiFi密码里", "wifi"),
        ("醫生建議多吃水果", "医生"),
        ("我的猫三岁了", "貓"),
    ],
    "th": [("ลูกสาวของฉันแพ้ถั่วลิสง", "ถั่วลิสง"), ("ฉันกินยาทุกเช้า", "ยา")],
    "lo": [("ແມວຂອງຂ້ອຍຊື່ມີໂຊ", "ແມວ")],
    "my": [("ကျွန်တော့်ကြောင်နာမည်မီဆို", "ကြောင်")],
    "km": [("ឆ្មារបស់ខ្ញុំឈ្មោះមីសូ", "ឆ្មា")],
}
CASES = [(language, *pair) for language, pairs in FORMS.items() for pair in pairs]


@pytest.mark.parametrize(("language", "memory", "word"), CASES)
def test_a_word_is_found_in_another_form(language: str, memory: str, word: str) -> None:
    assert coverage(memory, word) > 0.6
    assert coverage(memory, word, language) >= 0.3


def test_words_of_a_language_that_nothing_tells_have_their_first_letters() -> None:
    assert coverage("Vettem két régi biciklit", "bicikli") >= 0.3


@pytest.mark.parametrize(
    ("memory", "word"),
    [
        ("海上日出很美", "上海"),
        ("Ich mag den Zug nach Berlin", "Zucker"),
        ("Я изучал химию", "кошка"),
        ("أشرب قهوتي بدون سكر", "سيارة"),
        ("나는 기차를 탄다", "비행기"),
        ("The cats are sleeping", "category"),
        ("Error ERR-1043 again", "ERR-1042"),
        ("Version 3.12.1 is out", "3.13"),
        ("The rent is 1,250.50", "1250.75"),
        ("tea at 5pm", "5:00"),
        ("tea at 5pm", "17:30"),
        ("it is work", "IT"),
    ],
)
def test_another_word_is_not_found(memory: str, word: str) -> None:
    assert coverage(memory, word) < 0.5


def test_a_name_is_before_what_only_its_stem_is_like() -> None:
    """The Spanish stem of Maria is that of the sea."""
    assert coverage("Maria trabaja en el hotel", "Maria") > coverage("Mi marido trabaja en el mar", "Maria")


@pytest.mark.parametrize(
    "memory",
    [
        "Maria wohnt in Lissabon",
        "Maria vive en Lisboa",
        "Мария и Maria живут здесь",
        "玛丽亚叫Maria",
        "Maria lives here",
    ],
)
@pytest.mark.parametrize(
    "query",
    ["Where does Maria live?", "¿Dónde vive Maria?", "Wo wohnt Maria?", "maria", "Où est-ce que Maria habite ?"],
)
def test_names_are_found_across_languages(memory: str, query: str) -> None:
    lexemes = memory_lexemes(memory)
    assert any("maria" in word.alternatives and lexemes.intersection(word.alternatives) for word in query_words(query))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Wi-Fi", "wifi"),
        ("the e-mail", "email"),
        ("getUserName()", "user name"),
        ("get_user_name", "getUserName"),
        ("src/auth/user_store.py", "user_store"),
        ("https://docs.example.com/a/b", "example.com"),
        ("db01.internal.example.com", "internal"),
        ("lena.koch@example.org", "Lena Koch"),
        ("lena.koch@example.org", "lena.koch@example.org"),
        ("ERR-1042", "err 1042"),
        ("ERR-1042", "ERR1042"),
        ("v2.14.3", "2.14.3"),
        ("Python 3.12.1", "3.12"),
        ("1,250 euros", "1250"),
        ("1.250 Euro", "1250"),
        ("3,50 Euro", "3.50"),
        ("$1,250.50", "1250.50"),
        ("tea at 5pm", "17:00"),
        ("tea at 17:30", "5:30pm"),
        ("lunch at 12:30pm", "12.30"),
        ("I love \U0001f355 on Fridays", "\U0001f355"),
        ("a trip to \U0001f1e9\U0001f1ea and \U0001f1eb\U0001f1f7", "\U0001f1eb\U0001f1f7"),
        ("\U0001f44d\U0001f3fd, agreed", "\U0001f44d"),
        ("I work in IT", "Who is in IT?"),
        ("1.250,50 Euro", "1,250.50"),
        ("1'250 Franken", "1250"),
        ("12,34,567 rupees", "1234567"),
        ("O'Connor", "oconnor"),
        ("the d\u2019Angelo case", "Angelo"),
        ("O\u2019Brien", "o'brien"),
        ("l\u2019eau", "eau"),
        ("a C++ job", "C++"),
        ("10km", "10 km"),
        ("\uff37\uff49\uff26\uff49", "wifi"),
        ("the \ufb01le", "file"),
        ("6\u00bd sacks", "6"),
        ("hyphen\u00adation", "hyphenation"),
        ("りんごケーキ", "リンゴ"),
        ("utf8", "utf"),
        ("\u0663\u0664", "34"),
    ],
)
def test_what_is_written_together_is_found_by_its_parts(one: str, other: str) -> None:
    assert coverage(one, other) > 0.6
    assert coverage(other, one) > 0 or one.endswith("3.12.1")


@pytest.mark.parametrize(
    "text",
    [
        "https://docs.example.com/a/b/c.html",
        "getUserNameById",
        "src/openmem/analysis/words.py",
        "ERR-1042",
        "550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_what_is_written_together_counts_little_more_than_a_word(text: str) -> None:
    assert sum(word.weight for word in query_words(text)) < 3.5


def test_the_language_of_a_store_decides_where_words_do_not() -> None:
    assert "gift" not in {lexeme for word in query_words("die", "de") for lexeme in word.alternatives}
    assert query_words("die", "de") == []
    assert query_words("die Gifte", "en")[0].alternatives == ("die",)
    assert coverage("Lapset pelaavat jalkapalloa", "lapsen", "fi") > 0.7


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("Was darf meine Tochter nicht essen?", 2),
        ("¿Cómo se llama mi mascota?", 2),
        ("Quel aliment ma fille doit-elle éviter ?", 4),
        ("Кто лечит мои зубы?", 2),
        ("من يعتني بأسناني؟", 2),
        ("मेरी बहन की शादी कब है?", 2),
    ],
)
def test_function_words_of_a_language_do_not_count(query: str, words: int) -> None:
    assert round(sum(word.weight for word in query_words(query))) == words


@pytest.mark.parametrize("word", ["son", "war", "man", "die", "sin", "ella"])
def test_a_noun_that_is_a_function_word_elsewhere_is_a_query(word: str) -> None:
    assert query_words(word)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Maya: I moved to Porto", {"maya"}),
        ("  Tom :\nwhere is it?", {"tom"}),
        ("Mary Ann Smith: hello", {"mari", "ann", "smith"}),
        ("Dr. Okafor: come in March", {"okafor"}),
        ("Ludwig van Beethoven: da da da dum", {"ludwig", "beethoven"}),
        ("O'Brien: yes", {"brien", "obrien"}),
        ("张曼婷：你好", {"张曼", "曼婷"}),
        ("田中さん：こんにちは", {"田中"}),
        ("김민수 씨: 안녕", {"김민", "민수"}),
        ("أحمد: مرحبا", {"احمد"}),
        ("Maya:I moved", set()),
        ("Note: buy milk", set()),
        ("at 10: noon", set()),
        ("Meet at 10:30 today", set()),
        ("http://example.org: tea", set()),
        ("what we need: tea", set()),
        ("12: noon", set()),
        ("no colon", set()),
    ],
)
def test_speakers(text: str, found: set[str]) -> None:
    assert speakers(text) == found


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Is it tea? ", True),
        ('He asked "is it tea?"', True),
        ("你好吗？", True),
        ("你好吗", True),
        ("何ですか。", True),
        ("ما اسمك؟", True),
        ("Τι κάνεις;", True),
        ("Is it tea? Yes.", False),
        ("tea; coffee;", False),
        ("いか", False),
        ("", False),
    ],
)
def test_questions(text: str, question: bool) -> None:
    assert is_question(text) is question


@given(st.text(max_size=60), st.sampled_from([None, "de", "zh", "vi", "en"]))
def test_any_text_has_words_however_its_characters_are_composed(text: str, language: str | None) -> None:
    lexemes = memory_lexemes(text, language)
    assert len(lexemes) <= 8 * len(text)
    assert all(lexemes)
    for form in ("NFC", "NFD"):
        assert memory_lexemes(unicodedata.normalize(form, text), language) == lexemes
        assert query_words(unicodedata.normalize(form, text), language) == query_words(text, language)
    speakers(text)
    is_question(text)


@pytest.mark.parametrize(
    "part",
    [
        "a",
        "aB",
        "a-",
        "a/",
        "a.",
        "a'",
        "1.",
        "1,000",
        "é",
        "ما",
        "中",
        "\u0301",
        "ก",
        "가",
        "A:",
        "x@",
        ":",
        " ",
        "+",
        "_",
    ],
)
def test_long_texts_of_one_kind_are_read(part: str) -> None:
    text = part * (LONG // len(part))
    assert len(memory_lexemes(text)) <= 2 * LONG
    assert len(query_words(text)) <= 2 * LONG
    speakers(text)
    is_question(text)
