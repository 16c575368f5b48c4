"""Forms of English words that no rule makes, and spellings of English outside America."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from .memo import Memo

# A word, and forms of it. Left out are forms that are more often another word, such as "rose", "saw" or "leaves".
_FORMS: Final = """
    arise arose arisen|awake awoke awoken|bear borne|become became|begin began begun|bend bent|bite bitten|bleed bled
    blow blew blown|break broke broken|breed bred|bring brought|build built|burn burnt|buy bought|catch caught
    choose chose chosen|cling clung|come came|creep crept|deal dealt|dig dug|draw drew drawn|dream dreamt
    drink drank drunk|drive drove driven|eat ate eaten|fall fell fallen|feed fed|feel felt|fight fought|find found
    flee fled|fly flew flown|forbid forbade forbidden|forget forgot forgotten|forgive forgave forgiven
    freeze froze frozen|get got gotten|give gave given|go went gone|grow grew grown|hang hung|hear heard
    hide hid hidden|hold held|keep kept|know knew known|lay laid|lead led|learn learnt|lend lent|light lit|lose lost
    make made|mean meant|meet met|mistake mistook mistaken|overcome overcame|pay paid|prove proven|ride rode ridden
    ring rang rung|rise risen|run ran|say said|see seen|seek sought|sell sold|send sent|sew sewn|shake shook shaken
    shine shone|shoot shot|show shown|shrink shrank shrunk|sing sang sung|sink sank sunk|sit sat|sleep slept
    slide slid|smell smelt|sow sown|speak spoke spoken|spell spelt|spend spent|spill spilt|spin spun|spit spat
    spoil spoilt|spring sprang sprung|stand stood|steal stole stolen|stick stuck|sting stung|stink stank
    strike struck|strive strove|swear swore sworn|sweep swept|swell swollen|swim swam swum|swing swung
    take took taken|teach taught|tear tore torn|tell told|think thought|throw threw thrown|understand understood
    undertake undertook undertaken|wake woke woken|wear wore worn|weave wove woven|weep wept|win won
    withdraw withdrew withdrawn|write wrote written
    analysis analyses analyse analysed analysing analyze analyzed analyzing|calf calves|child children|crisis crises
    diagnosis diagnoses diagnose diagnosed|elf elves|foot feet|goose geese|half halves|hypothesis hypotheses
    knife knives|loaf loaves|louse lice|man men|mouse mice|oasis oases|ox oxen|parenthesis parentheses|scarf scarves
    shelf shelves|synthesis syntheses|thief thieves|tooth teeth|wife wives|wolf wolves|woman women
"""
_SPELLINGS: Final = """
    gray grey|curb kerb|plow plough|pajamas pyjamas|mustache moustache|jewelry jewellery|yogurt yoghurt
    donut doughnut|whiskey whisky|mom mum|mommy mummy|skeptic sceptic|artifact artefact|check cheque
    aluminum aluminium|airplane aeroplane|program programme|catalog catalogue|dialog dialogue|analog analogue
    theater theatre|center centre|meter metre|liter litre|fiber fibre|kilometer kilometre|centimeter centimetre
    millimeter millimetre|somber sombre|defense defence|offense offence|license licence|practice practise
    pretense pretence|enroll enrol|fulfill fulfil|skillful skilful|color colour|favor favour|favorite favourite
    flavor flavour|neighbor neighbour|neighborhood neighbourhood|behavior behaviour|honor honour|humor humour
    labor labour|harbor harbour|rumor rumour|odor odour|vapor vapour|armor armour|parlor parlour|splendor splendour
    tumor tumour|vigor vigour|endeavor endeavour|savor savour|honorable honourable|favorable favourable
    colorful colourful|mold mould|smolder smoulder|maneuver manoeuvre|pediatric paediatric|anemia anaemia
    anesthesia anaesthesia|diarrhea diarrhoea|encyclopedia encyclopaedia
"""
_ENDINGS: Final = frozenset(("", "s", "d", "ed", "ing", "er", "ers", "less"))
_LONGEST_ENDING: Final = 4
_ISE: Final = re.compile(
    r"\A(?!advert|comprom|enterpr|exerc|expert|franch|improv|merchand|otherw|parad|prec|superv|surpr|telev|treat)"
    r"([a-z]{3,}[^aeiou])is(e|ed|es|er|ers|ing|ation|ations)\Z"
)


def regular(word: str) -> str:
    """The word that an English word is a form of, in American spelling; most words as they are."""
    return _regular_words[word]


def _regular(word: str) -> str:
    if (found := _words(_FORMS).get(word)) is not None:
        return found
    spellings = _words(_SPELLINGS)
    for size in range(_LONGEST_ENDING + 1):
        root, ending = word[: len(word) - size], word[len(word) - size :]
        if ending in _ENDINGS and (found := spellings.get(root)) is not None:
            return found + ending
    return _ISE.sub(r"\1iz\2", word)


_regular_words: Final = Memo(_regular, 16_384)


@cache
def _words(lines: str) -> dict[str, str]:
    """Words by their forms."""
    words = (line.split() for line in lines.replace("\n", "|").split("|"))
    return {form: line[0] for line in words if line for form in line[1:]}
