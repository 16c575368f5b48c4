"""Whether a sentence asks for something, in many languages."""

from __future__ import annotations

import re
from functools import cache
from itertools import islice
from typing import Final

from .characters import folded, normalized
from .stop_words import languages_by_word

_REQUESTS: Final = """
    tell remind show find recall list search describe explain summarize summarise
    sag sage erzähl erzähle erinnere erinner zeig zeige such suche nenn nenne finde
    dis dites rappelle rappelez montre montrez cherche cherchez trouve trouvez donne donnez
    dime dígame recuérdame muéstrame búscame busca encuentra cuéntame
    diga conte lembre mostre procure encontre dimmi ricordami mostrami cerca trova
    vertel herinner toon zoek noem berätta påminn visa hitta fortæl fortell find finn
    powiedz przypomnij pokaż znajdź řekni připomeň ukaž najdi
    скажи скажите напомни напомните покажи покажите найди найдите нагадай нагадайте знайди
    πες θύμισέ δείξε βρες أخبرني ذكرني أرني ספר תזכיר הזכר katakan ingatkan tunjukkan
"""
_QUESTION_WORDS: Final = """
    what whats when where who whom whose which why how did does do is are was were can could would has
    wer wann wo wie welche welcher welches welchen wem wen wessen warum wieso weshalb wohin woher
    que qué quand quando où onde qui qué quel quelle quels quelles comment combien pourquoi
    cuándo cuando dónde donde quién quien cuál cual cuáles cómo como cuánto cuánta cuántos cuántas
    quem qual quais quanto quanta che cosa dove chi quale quali come perché
    wat wanneer waar hoe welke waarom vad vem när var hur vilken vilket vilka hvad hvem hvornår hvor hvordan hvilken
    co kto kiedy gdzie jak jaki jaka jakie który która które dlaczego ile kdo kdy kde jaký proč kolik
    что кто когда где как какой какая какие какое почему сколько куда откуда що хто коли де як яка чому скільки
    τι ποιος ποια πότε πού πώς γιατί πόσο ما ماذا متى أين من كيف كم لماذا هل أي מה מי מתי איפה איך כמה למה
    apa siapa kapan mana bagaimana berapa
"""
# Words of languages in which these do not begin a sentence, or that are written without spaces.
_REQUESTS_ANYWHERE: Final = (
    r"告诉我|告訴我|提醒我|请问|請問|教えて|思い出させ|알려|말해|บอก"
    r"|\b(?:söyle|hatırlat|göster|बताओ|बताइए|बताएं)\w*"
)
_QUESTION_WORDS_ANYWHERE: Final = (
    r"什么|什麼|谁|誰|哪|几|幾|多少|怎么|怎麼|吗|嗎|何|どこ|いつ|どの|どんな|いくつ|뭐|무엇|누구|언제|어디|어떻|어떤|몇|왜|อะไร|ใคร|เมื่อไ|ที่ไหน|กี่"
    r"|\b(?:kim|hangi|nerede|kaç|nasıl|neden|क्या|कौन|कब|कहाँ|कैसे|कितने|कितना|किस)\b"
)
_OPENERS: Final = """
    please so and but also anyway then ok okay bitte und also aber por favor y pero entonces porfa s'il te plaît et mais
    per alsjeblieft пожалуйста и а но proszę
"""
_MAX_OPENERS: Final = 3
# With function words they make up questions that ask for help with what the other sentences say.
_ASKING_FOR_HELP: Final = """
    help could would please advice idea ideas thoughts suggestions suggest think question okay ok right sense make
    hilfe helfen hilf bitte kannst konnen konntest konnten idee ideen aide aider pouvez peux pourriez ayuda ayudar
    ayudarme puedes podrias ajuda ajudar pode poderia aiuto aiutarmi puoi potresti helpen hjalpa hjalp hjelp hjelpe
    yardim pomoc pomoz mozesz помочь помоги помогите можешь можете допоможи допоможіть
"""
_WORD: Final = re.compile(r"[^\W\d_]+")
# Where a question begins in English. Words that also begin relative clauses need a verb of questions behind them.
_BEGINNING: Final = re.compile(
    r"\b(?: (?:what|whats|how|why|whose|whom) \b"
    r" | (?:when|where|who|which) (?:\s+[\w'\u2019-]+){0,3}? \s+"
    r"   (?:is|was|are|were|am|do|does|did|has|have|had|can|could|will|would|should|must|might) \b"
    r" | (?:when|where|who)['\u2019]s \b | (?:in|on|at|to|for|from|by|with|of) \s+ which \b )",
    re.VERBOSE | re.IGNORECASE,
)
# In Greek the question mark is a semicolon.
_ENDS_AS_QUESTION: Final = re.compile(
    r"(?:[?\u061f\uff1f\u037e\u2047-\u2049]|(?<=[\u0370-\u03ff\u1f00-\u1fff]);)[\W_]*\Z"
)


def is_marked(sentence: str) -> bool:
    """Whether a sentence ends in a question mark or begins as a request does, such as "Tell me"."""
    if _ENDS_AS_QUESTION.search(sentence):
        return True
    return _first_word(sentence) in _set(_REQUESTS) or _has(_REQUESTS_ANYWHERE, sentence)


def may_ask(sentence: str) -> bool:
    """Whether a sentence without a question mark has a question word where questions have it."""
    return _first_word(sentence) in _set(_QUESTION_WORDS) or _has(_QUESTION_WORDS_ANYWHERE, sentence)


def question_beginnings(sentence: str) -> list[int]:
    """Where questions begin in a long sentence that is written without punctuation."""
    return [match.start() for match in _BEGINNING.finditer(sentence)]


def only_asks_for_help(sentence: str) -> bool:
    """Whether a sentence does not say with what it asks for help, as "Could you help me, please?"."""
    helping, function_words, asks = _set(_ASKING_FOR_HELP), languages_by_word(), False
    for match in _WORD.finditer(normalized(sentence)):
        word = folded(match[0])
        if word in helping:
            asks = True
        elif word not in function_words:
            return False
    return asks


def _first_word(sentence: str) -> str:
    """The first word that does not merely lead to a request, as "please" does."""
    openers = _set(_OPENERS)
    words = _WORD.finditer(normalized(sentence).casefold())
    return next((word[0] for word in islice(words, _MAX_OPENERS + 1) if word[0] not in openers), "")


def _has(pattern: str, sentence: str) -> bool:
    return re.search(pattern, normalized(sentence).casefold()) is not None


@cache
def _set(words: str) -> frozenset[str]:
    return frozenset(words.casefold().split())
