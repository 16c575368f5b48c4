"""Who says a memory, and whether it asks."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from .characters import MARKS, normalized
from .terms import MAX_SPEAKERS
from .tokens import tokens

LONGEST_NAME: Final = 60
LONGEST_NAME_WORDS: Final = 5

_NO_NAME: Final = re.compile(rf"[^\w\s'\u2019.\-{MARKS}]|(?:\A|\s)\d")
_LABEL_WORDS: Final = """
    answer caution edit error example fact fwd hint important info note notes ps question re reminder subject summary
    task tip title todo update warning achtung hinweis notiz wichtig nota notas importante aviso remarque attention
    важно заметка примечание ملاحظة 备注 注意 注 メモ 메모
"""
_LABELS: Final = frozenset(_LABEL_WORDS.split())
_TITLE_WORDS: Final = """
    dr mr mrs ms miss mx prof professor sir frau herr madame monsieur mme señor señora sra sig 씨
"""
_TITLES: Final = frozenset(_TITLE_WORDS.split())
_PARTICLE_WORDS: Final = "al bin da de del della den der di dos du el ibn la le van von y zu"
_PARTICLES: Final = frozenset(_PARTICLE_WORDS.split())
_HONORIFIC: Final = re.compile(r"(?:さん|くん|ちゃん|様|君|氏|先生|老师|老師|씨|님)\Z")
_QUESTION: Final = re.compile(
    r"""
    (?: [?\u061f\u037e\u055e\u1367\u2047-\u2049\u2e2e\ua60f] | (?<=[\u0370-\u03ff\u1f00-\u1fff]);
      | [吗嗎][。.]? | (?:です|ます|でした|ました|せん)か[。.]? )
    [\s"'\u2019\u201d\u00bb)\]\u300d\u300f]*\Z
    """,
    re.VERBOSE,
)
_LAST: Final = 64
_ASCII_CLOSING: Final = "\"')] \t\n\r\f\v\x1c\x1d\x1e\x1f"


def speakers(text: str) -> frozenset[str]:
    """What a query has if it names the speaker of a text such as ``Maya: I moved to Porto``: words of the name.

    Names have up to five words, of which those of several begin with capital letters where the script has them. A label
    such as ``Note:`` names nobody.
    """
    start = normalized(text[: 2 * LONGEST_NAME])
    end = start.find(":")
    name = start[: max(end, 0)].strip()
    if not name or len(name) > LONGEST_NAME or "\n" in name or not _ends_name(start, end + 1):
        return frozenset()
    return _named(name)


@lru_cache(4_096)
def _named(name: str) -> frozenset[str]:
    words = [word for part in name.split() if (word := part.strip("."))]
    if not words or len(words) > LONGEST_NAME_WORDS or _NO_NAME.search(name) or words[0].casefold() in _LABELS:
        return frozenset()
    if len(words) > 1 and any(map(_is_common, words)):
        return frozenset()
    names = [_HONORIFIC.sub("", word) or word for word in words if word.casefold() not in _TITLES | _PARTICLES]
    whole = [word for token in tokens(" ".join(names or words)) for word in token.words if word.weight > 0.5]
    return frozenset([lexeme for word in whole for lexeme in word.lexemes][:MAX_SPEAKERS])


def is_question(text: str) -> bool:
    """Whether a text ends in a question mark of any script, or as questions end in Chinese and Japanese."""
    end = text[-_LAST:]
    if end.isascii():
        return end.rstrip(_ASCII_CLOSING).endswith("?")
    return _QUESTION.search(normalized(end)) is not None


def _ends_name(text: str, at: int) -> bool:
    """Whether a colon stands before a space, or after a name in a script without spaces."""
    return at < len(text) and (text[at].isspace() or text[at - 2] > "\u2e80")


def _is_common(word: str) -> bool:
    """Whether a word in a script with capital letters begins without one, and is not one that names have in them."""
    return word[0].islower() and word not in _PARTICLES
