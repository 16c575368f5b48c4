"""How many tokens a text has: by an estimate that needs no vocabulary, or by a tokenizer of the user's choice."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final, TypeAlias

from ._extras import require_extra
from ._text import quoted
from .errors import InvalidRequestError, unavailable

TokenCounter: TypeAlias = Callable[[str], int]

TIKTOKEN_ENCODINGS: Final = (
    "o200k_base",
    "o200k_harmony",
    "cl100k_base",
    "p50k_base",
    "p50k_edit",
    "r50k_base",
    "gpt2",
)

# The most that any of 20,000 ids had in any of the vocabularies that the estimate was held against.
_TOKENS_OF_AN_ID: Final = 20

_ID = re.compile(r"(?<![^\W_])mem_[0-9a-z]{18}(?![^\W_])")
# Letters and punctuation that are one token wherever they stand; their alphabets' other letters often are two.
_SINGLE = "\u0430-\u044f\u0451\u0456\u2010\u2011\u2013-\u2015\u2018\u2019\u201c-\u201e\u2020\u2022\u2026"
# What may be one token with the space before it; before all else the space can be a token of its own.
_AFTER_SPACE = re.compile(r"[!-/:-~\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff\u0391-\u03c9\u0410-\u044f]")
_PART = re.compile(
    r"(?P<contraction>(?<=[a-z]')(?:re|ve|ll)(?![^\W_]))"
    r"|(?P<word>(?<![^\W_])(?:[A-Z]?[a-z]+|[A-Z])(?![^\W_]))"
    r"|(?P<capitals>[A-Z]+(?![a-z]))"
    r"|(?P<letters>[A-Z]?[a-z]+)"
    rf"|(?P<single>[{_SINGLE}])"
    r"|(?P<other>.)",
    re.DOTALL,
)
# Vocabularies have no long pieces of letters that cannot be pronounced.
_CONSONANTS = re.compile(r"[^aeiouyhAEIOUYH]{4}|^[^aeiouyAEIOUY]{3,}$")


def estimate_tokens(text: str) -> int:
    """A count of tokens that errs on the high side of real tokenizers, made without their vocabularies.

    It was held against the vocabularies of OpenAI (``cl100k_base``, ``o200k_base``), Llama 2, Mistral, Qwen and
    DeepSeek, on prose and code, on 152 languages, and on numbers, JSON, URLs and hexadecimal digits.
    Frequent English words are one token after a space, and more at the start of a line. Other words are one for
    every three letters and one more in a line where fewer than one word in three is such, and five for nine
    letters and one more in any other, since vocabularies know fewer words of other languages. Capitals in a row,
    digits and punctuation are one each, and so is white space beyond one space between words; other characters
    are as many as they have UTF-8 bytes. Each line is one more.
    """
    if not text:
        return 0
    rest, ids = _ID.subn("", text)
    lines = rest.split("\n")
    # Before a line break, some vocabularies put a space of their own.
    return text.startswith("\n") + len(lines) + sum(map(_tokens_of_line, lines)) + ids * _TOKENS_OF_AN_ID


def _tokens_of_line(line: str) -> int:
    spaces = line.count(" ")
    certain = common = other = in_english = elsewhere = 0
    first = True
    for chunk in filter(None, line.split(" ")):
        counts = _tokens_of_chunk(chunk, first)
        spaces -= not first
        first = False
        certain += counts[0]
        common += counts[1]
        other += counts[2]
        in_english += counts[3]
        elsewhere += counts[4]
    return spaces + certain + common + (in_english if 2 * other < common else elsewhere)


@cache
def _common_words() -> frozenset[str]:
    """The 4,000 most frequent English words that are one token, after a space, in all those vocabularies."""
    data = pkgutil.get_data(__package__, "common_words.txt")
    assert data is not None, "the file is part of the package"
    return frozenset(data.decode().split())


@lru_cache(maxsize=8192)
def _tokens_of_chunk(chunk: str, first: bool) -> tuple[int, int, int, int, int]:
    """The tokens of what stands between two spaces, or before the first one of a line.

    Returns:
        The tokens of all but words; 1 if it begins with a common word, and 1 if with another one; the
        tokens of its words that are not common, in an English line, and in any other.
    """
    certain = int(_AFTER_SPACE.match(chunk) is None)
    common = other = in_english = elsewhere = 0
    for part in _PART.finditer(chunk):
        size = part.end() - part.start()
        match part.lastgroup:
            case "word" if part.start() == 0 and part.group() in _common_words():
                common = 1
                # Few words are one token without the space; more of those that begin sentences are.
                if first:
                    certain += size // (4 if chunk[0].isupper() else 3)
            case "word" | "letters" if size > 2 and _CONSONANTS.search(part.group()):
                other = 1
                certain += size
            case "word":
                other |= part.start() == 0 or (size > 4 and part.group().lower() not in _common_words())
                in_english += max(min(size, 2), size // 3 + 1)
                elsewhere += 5 * size // 9 + 1
            case "letters":
                certain += max(min(size, 4), (2 * size + 2) // 3)
            case "capitals":
                certain += size
            case "single" | "contraction":
                certain += 1
            case _:
                certain += len(part.group().encode(errors="surrogatepass"))
    return certain, common, other, in_english, elsewhere


class TiktokenCounter:
    """Tokens by one of OpenAI's encodings, through ``tiktoken``.

    The vocabulary is loaded for the first text; ``tiktoken`` downloads it then, unless the directory that the
    environment variable ``TIKTOKEN_CACHE_DIR`` names has it.

    Args:
        encoding: name of the encoding, such as ``o200k_base``.

    Raises:
        InvalidRequestError: there is no such encoding.
        ImportError: the ``tiktoken`` extra is not installed.
    """

    def __init__(self, encoding: str) -> None:
        require_extra(f"token_counter={f'tiktoken:{encoding}'!r}", "tiktoken", ("tiktoken",))
        if encoding not in TIKTOKEN_ENCODINGS:
            names = importlib.import_module("tiktoken").list_encoding_names()
            if encoding not in names:
                raise InvalidRequestError(
                    f"token_counter: tiktoken has no encoding {quoted(encoding, 'of that name')}; "
                    f"choose from {', '.join(sorted(names))}"
                )
        self.encoding = encoding
        self._loaded: Any = None

    def __repr__(self) -> str:
        return f"TiktokenCounter({self.encoding!r})"

    def __call__(self, text: str) -> int:
        """The tokens of `text`, in which special tokens are text like any other.

        Raises:
            ProviderError: ``provider_unavailable``; the vocabulary could not be loaded.
        """
        if self._loaded is None:
            self._loaded = self._load()
        return len(self._loaded.encode_ordinary(text))

    def _load(self) -> Any:
        try:
            return importlib.import_module("tiktoken").get_encoding(self.encoding)
        except (OSError, ValueError) as error:
            raise unavailable(
                f"token_counter: the vocabulary of {self.encoding!r} could not be loaded; tiktoken downloads it once, "
                "and looks for it first in the directory that TIKTOKEN_CACHE_DIR names"
            ) from error


def resolve_token_counter(counter: TokenCounter | str | None) -> TokenCounter:
    """The counter behind the `token_counter` argument; by default `estimate_tokens`.

    Raises:
        InvalidRequestError: it is neither a function nor ``"tiktoken:<encoding>"`` with an encoding there is.
        ImportError: ``tiktoken`` is not installed; the message has the command.
    """
    if counter is None:
        return estimate_tokens
    if callable(counter):
        return counter
    kind, _, encoding = counter.partition(":") if isinstance(counter, str) else ("", "", "")
    if kind == "tiktoken" and encoding:
        return TiktokenCounter(encoding)
    raise InvalidRequestError(
        f"token_counter: {quoted(counter)} is neither a function from text to its number of tokens nor "
        f"'tiktoken:<encoding>', as in 'tiktoken:{TIKTOKEN_ENCODINGS[0]}'"
    )
