"""Counting tokens: the estimate against a real vocabulary, and counters by name."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmem._ids import new_memory_id
from openmem.errors import InvalidRequestError, ProviderError
from openmem.tokens import TiktokenCounter, estimate_tokens, resolve_token_counter

ROOT = Path(__file__).resolve().parents[2]

SENTENCES = [
    "Maya prefers dark mode in all of her editors, and she's allergic to peanuts.",
    "Siobhan Nguyen-Szczepański flew to Reykjavík on 2024-03-11 at 17:45.",
    "Lives at 221B Baker Street; phone +44 20 7946 0958, e-mail maya.k@example.org.",
    "Kauft am liebsten Käse und Würstchen auf dem Straßenmarkt in Düsseldorf.",
    "Elle préfère le thé à la bergamote, surtout en hiver, près de la fenêtre.",
    "Lubi chodzić po górach i zbierać grzyby jesienią z całą rodziną.",
    "Pitää saunomisesta ja juoksee puolimaratonin joka syksy Tampereella.",
    "Saya lebih suka bekerja pada malam hari dan bangun terlambat keesokan harinya.",
    "Gece geç saatlere kadar çalışmayı seviyor, kahvesini şekersiz içiyor.",
    "Thích uống trà xanh và đi bộ quanh hồ mỗi buổi sáng.",
    "Она любит чай без сахара и играет на виолончели по вечерам.",
    "Προτιμά το τσάι και παίζει βιολοντσέλο κάθε βράδυ.",
    "היא אוהבת תה ירוק ומנגנת בצ'לו בערבים.",
    "تفضل الشاي الأخضر وتعزف على التشيلو كل مساء.",
    "उसे हरी चाय पसंद है और वह हर शाम सेलो बजाती है।",
    "เธอชอบดื่มชาเขียวและเล่นเชลโลทุกเย็น",
    "彼女は緑茶が好きで、毎晩チェロを弾きます。",
    "她喜欢喝绿茶，每天晚上拉大提琴。",
    "그녀는 녹차를 좋아하고 매일 저녁 첼로를 연주한다.",
    "I love it 😍🎉❤️ so much 👩‍👩‍👧‍👦 – really… “truly”!",
    '{"id": 17, "tags": ["tea", "home"], "score": 0.8312, "ok": true, "next": null}',
    "https://example.org/a/b-c/index.html?q=tea&utm_source=mail&page=2#section-3",
    "for (let i = 0; i < items.length; ++i) { total += items[i].unitPrice * QUANTITY; }",
    "        return    x\n\n\n\t\t\tdeep\r\n\r\n  \u00a0 end   ",
    "0xDEADBEEF 550e8400-e29b-41d4-a716-446655440000 1,234,567.89 -40°C ½ №5 §7",
    "PLEASE CALL THE NHS ABOUT THE MRI; ASAP!!! #urgent @maya_k C++ C# F#",
    "happens",
    "\nGlad",
    "\n\tawesome!",
    "pilot\nbegan\nagain\nmuch",
    "\x00\r\x00",
    "the \x00 \ufffd\x1f\ufffd",
    "\u0403 \u045c \u2016 \u2023",
    "\u0218 \u01c4 \u1e9e",
    "\u134d\u122c\u121d \u12a0\u1208",
    "\ud31d\uc5c5 \uba54\ub274",
    "the Kisiramu the",
    "(tulkittu)",
    "XRGJUFY= WGLKUJOBEY qkxb",
]


# The most tokens that any of the vocabularies named in docs/retrieval.md has for each text.
COUNTS = {"doubt": 3, "happening": 3, "easier to": 4, "recently in": 4, "towards?": 4, "\u040d\u040f": 4}


@pytest.mark.parametrize(("text", "count"), COUNTS.items())
def test_the_estimate_is_not_below_the_count_of_other_vocabularies(text: str, count: int) -> None:
    assert estimate_tokens(text) >= count


@cache
def llama() -> Callable[[str], int]:
    """Llama 2's tokenizer, which needs more tokens for nearly every text than later ones."""
    tokenizers = pytest.importorskip("tokenizers")
    wordllama = pytest.importorskip("wordllama")
    [vocabulary] = (Path(wordllama.__file__).parent / "tokenizers").glob("l2_supercat*.json")
    tokenizer: Any = tokenizers.Tokenizer.from_file(str(vocabulary))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def assert_not_below(text: str) -> None:
    assert estimate_tokens(text) >= llama()(text), text


@pytest.mark.parametrize("text", SENTENCES)
def test_the_estimate_is_not_below_a_real_count(text: str) -> None:
    assert_not_below(text)


def files() -> Iterator[Path]:
    for pattern in ("*.md", "docs/*.md", "src/openmem/**/*.py", "tests/pure/*.py", "spec/*.yaml", "Makefile"):
        yield from ROOT.glob(pattern)


def test_nor_is_it_on_any_line_of_this_project() -> None:
    lines = {line for file in files() for line in file.read_text(encoding="utf-8").splitlines()}
    assert len(lines) > 3000
    assert [line for line in lines if estimate_tokens(line) < llama()(line)] == []


def test_nor_on_ids_and_codes() -> None:
    draw = random.Random(1)
    for _ in range(300):
        data = draw.randbytes(draw.randrange(8, 48))
        for text in (f"[{new_memory_id('maya')}]", data.hex(), base64.b64encode(data).decode(), str(draw.random())):
            assert_not_below(text)


WORDS = sorted({word for sentence in SENTENCES for word in sentence.split()})
GAPS = st.sampled_from([" "] * 8 + [", ", ". ", "\n", "  ", " - ", " (", ") ", "\t", "_", "/"])
TEXTS = st.lists(st.tuples(st.sampled_from(WORDS), GAPS), max_size=40).map(
    lambda pairs: "".join(word + gap for word, gap in pairs)
)


@given(TEXTS)
def test_nor_on_any_mixture_of_words(text: str) -> None:
    assert_not_below(text)


@given(TEXTS, TEXTS)
def test_lines_can_be_counted_one_by_one(first: str, second: str) -> None:
    together = estimate_tokens(f"{first}.\n{second}.")
    assert together == estimate_tokens(f"{first}.") + estimate_tokens(f"{second}.")


@given(st.text())
def test_any_text_can_be_counted(text: str) -> None:
    assert 0 <= estimate_tokens(text) <= 4 * len(text) + len(text) + 1
    assert (estimate_tokens(text) == 0) == (text == "")


ENGLISH = """
Maya told me last week that she would like to visit her grandmother in the autumn, before the schools
begin again. She has been saving money for the journey since March, and her brother offered to drive
her to the station. We talked about what she should bring: a warm coat, some books for the train, and the
old photographs that her mother found in the kitchen. When I asked whether she was nervous, she laughed and said
that everything would be fine as long as somebody looked after the dog.
"""


def test_english_is_not_counted_much_too_high() -> None:
    assert estimate_tokens(ENGLISH) < 1.25 * llama()(ENGLISH)


def words(text: str) -> int:
    return len(text.split())


def test_choosing_a_counter() -> None:
    assert resolve_token_counter(None) is estimate_tokens
    assert resolve_token_counter(words) is words


@pytest.mark.parametrize("counter", ["cl100k", "tiktoken", "tiktoken:", "o200k_base", 5, ""])
def test_what_is_no_counter(counter: Any) -> None:
    with pytest.raises(InvalidRequestError, match=r"token_counter.*tiktoken:<encoding>"):
        resolve_token_counter(counter)


def test_an_encoding_that_there_is_none_of() -> None:
    pytest.importorskip("tiktoken")
    with pytest.raises(InvalidRequestError, match=r"no encoding 'o300k_base'; choose from .*o200k_base"):
        resolve_token_counter("tiktoken:o300k_base")


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openmem._extras.is_installed", lambda module: False)
    with pytest.raises(ImportError, match=r"pip install 'openmem\[tiktoken\]'"):
        resolve_token_counter("tiktoken:o200k_base")


@pytest.fixture
def fresh_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """tiktoken as if no encoding had been loaded."""
    registry = pytest.importorskip("tiktoken.registry")
    monkeypatch.setattr(registry, "ENCODINGS", {})
    monkeypatch.setattr(registry, "ENCODING_CONSTRUCTORS", None)
    registry._available_plugin_modules.cache_clear()


@pytest.fixture
def letters(fresh_registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An encoding of one token for each byte, and one for "th", installed as tiktoken's plug-ins are."""
    folder = tmp_path / "tiktoken_ext"
    folder.mkdir()
    (folder / "letters.py").write_text(
        "def letters():\n"
        "    ranks = {bytes([byte]): byte for byte in range(256)} | {b'th': 256}\n"
        "    return dict(name='letters', pat_str=r'\\w+|\\W', mergeable_ranks=ranks, special_tokens={'<end>': 257})\n"
        "ENCODING_CONSTRUCTORS = {'letters': letters}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    tiktoken_ext = pytest.importorskip("tiktoken_ext")
    monkeypatch.setattr(tiktoken_ext, "__path__", [*tiktoken_ext.__path__, str(folder)])
    yield
    monkeypatch.undo()
    pytest.importorskip("tiktoken.registry")._available_plugin_modules.cache_clear()


@pytest.mark.usefixtures("letters")
def test_counting_with_tiktoken() -> None:
    counter = resolve_token_counter("tiktoken:letters")
    assert isinstance(counter, TiktokenCounter)
    assert counter("the thaw") == 6
    assert counter("<end>") == 5
    assert counter("") == 0


@pytest.mark.usefixtures("fresh_registry")
def test_a_vocabulary_that_cannot_be_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    counter = resolve_token_counter("tiktoken:o200k_base")
    with pytest.raises(ProviderError, match=r"'o200k_base' could not be loaded.*TIKTOKEN_CACHE_DIR") as caught:
        counter("tea")
    assert caught.value.code == "provider_unavailable"
    assert caught.value.__cause__ is not None
