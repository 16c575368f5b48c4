"""Sets that anyone can measure without data: benchmarks/data/languages, and those that are made here.

None of them was used to tune the ranking, and none should be, so that they can tell how it generalises.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from .datasets import Data, Question, Remembered, invented, sets

LANGUAGES: Final = Path(__file__).parent / "data" / "languages"

_MONTHS: Final = {
    line.split()[0]: line.split()[1:]
    for line in """
        en January February March April May June July August September October November December
        de Januar Februar März April Mai Juni Juli August September Oktober November Dezember
        fr janvier février mars avril mai juin juillet août septembre octobre novembre décembre
        es enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
    """.strip().splitlines()
}
_DIARY_FROM: Final = date(2024, 2, 1)
_DIARY_DAYS: Final = 240
_DEEDS: Final = [
    "Walked to",
    "Had breakfast at",
    "Took photos of",
    "Met the caretaker of",
    "Wrote a poem about",
    "Sketched",
]
_PLACES: Final = """
    the lighthouse|the old mill|the harbour office|the botanical garden|the clock tower|the fish market|the chapel|
    the railway bridge|the quarry|the tram depot|the observatory|the ice rink|the cider farm|the windmill|the ruins|
    the planetarium|the ferry dock|the boathouse|the vineyard|the sawmill
""".replace("\n", "").split("|")

# What one says, what the other answers, what is asked later; the topics; the values of the answer.
_EXCHANGES: Final = [
    [part.strip() for part in line.split(" / ")]
    for line in """
        How was the {x}? / Honestly, {v}. / What did {p} think of the {x}? /
            pottery class|job interview|ferry trip|wine tasting|museum tour|language exam /
            louder than I like|a complete waste of money|the best day in months|too short|rather confusing|fine
        Did you ever repair the {x}? / Yes, my {v} came over with the right tools. / Who helped {p} with the {x}? /
            dishwasher|gutter|bike chain|garden gate|heater|printer / uncle|neighbour|cousin|flatmate|landlord|boss
        What do you bring to the {x}? / A {v}, I ordered it already. / Which present has {p} for the {x}? /
            graduation|baptism|retirement party|housewarming|silver wedding|farewell /
            teapot|kite|cheese board|raincoat|voucher for a massage|framed map
        When does the {x} start? / Not before {v}, they told me. / At what time is {p}'s {x}? /
            choir rehearsal|parents' evening|auction|swimming lesson|fire drill|board meeting /
            seven|half past four|noon|quarter to nine|six in the morning|ten
        How much was the {x} in the end? / About {v} euros, more than I had planned. / What did {p} pay for the {x}? /
            sofa|root canal|plane ticket|telescope|winter coat|used van / ninety|400|1,250|seventy|3,800|220
        Who is coming along to the {x}? / Just {v} and me. / With whom does {p} go to the {x}? /
            regatta|book fair|sauna|flea market|tango night|eclipse / Ruth|Igor|Salma|Pierre|Yuki|my dad
        Which colour did you choose for the {x}? / {v}, after a week of thinking. / What does {p}'s {x} look like? /
            front door|bathroom tiles|scarf|canoe|lampshade|bookshelf / Teal|Mustard|Plain white|Burgundy|Lilac|Olive
        Why did you cancel the {x}? / Because of {v}, what else. / What kept {p} from the {x}? /
            camping weekend|piano lesson|subscription|dinner at the Greek place|half marathon|guided hike /
            my back|the weather|the price|a strike|the flu|my in-laws
    """.replace("/\n            ", "/ ")
    .strip()
    .splitlines()
]
_CHATTER: Final = (
    """
    Oh, I see.|That reminds me of last year.|You should have called me!|Anyway, back to work now.|Really?|
    I could not do that.|Makes sense.|Let us talk about it over coffee.|I am so tired today.|Good for you!
""".replace("\n    ", "")
    .strip()
    .split("|")
)
_PAIRS: Final = [("Noor", "Viktor"), ("Beatriz", "Callum"), ("Oleg", "Fatou"), ("Mirjam", "Dev")]
_EXCHANGES_PER_SESSION: Final = 8


def made_up() -> list[Data]:
    """All of them, in the order of their names."""
    return sorted([*sets(LANGUAGES), invented(), diary(), dialogues()], key=lambda data: data.name)


def diary() -> Data:
    """A line for each day of some months, and the question what was on a day, in many spellings of the day."""
    chance = random.Random("diary")
    lines = [f"{deed} {place.strip()}" for deed in _DEEDS for place in _PLACES]
    days = sorted(chance.sample([_DIARY_FROM + timedelta(number) for number in range(_DIARY_DAYS)], len(lines)))
    chance.shuffle(lines)
    memories = [
        Remembered("diary", str(number), line, datetime(day.year, day.month, day.day, 19, tzinfo=UTC).isoformat())
        for number, (day, line) in enumerate(zip(days, lines, strict=True))
    ]
    questions = [Question("diary", _asking(day, number), frozenset({str(number)})) for number, day in enumerate(days)]
    random.Random(1).shuffle(questions)
    return Data("diary", memories, questions)


def _asking(day: date, number: int) -> str:
    names = {language: months[day.month - 1] for language, months in _MONTHS.items()}
    ordinal = f"{day.day}{'th' if day.day in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(day.day % 10, 'th')}"
    spellings = [
        f"What did I do on {names['en']} {day.day}, {day.year}?",
        f"What was on {day.isoformat()}?",
        f"Where was I on {day:%Y/%m/%d}?",
        f"What did I do on the {ordinal} of {names['en']} {day.year}?",
        f"{day.day} {names['en'][:3]} {day.year}: what happened?",
        f"Was habe ich am {day.day}. {names['de']} {day.year} gemacht?",
        f"Was war am {day:%d.%m.%Y}?",
        f"Qu'est-ce que j'ai fait le {day.day} {names['fr']} {day.year} ?",
        f"¿Qué hice el {day.day} de {names['es']} de {day.year}?",
        f"{day.year}年{day.month}月{day.day}日我做了什么\uff1f",
    ]
    return spellings[number % len(spellings)]


def dialogues() -> Data:
    """Conversations in which one asks and the other answers, half of the time without a word of the question."""
    memories: list[Remembered] = []
    questions: list[Question] = []
    for number, (one, other) in enumerate(_PAIRS):
        user = f"dialogue-{number}"
        chance = random.Random(user)
        exchanges = [
            (exchange, topic, value)
            for exchange in _EXCHANGES
            for topic, value in _paired(chance, exchange[3].split("|"), exchange[4].split("|"))
        ]
        chance.shuffle(exchanges)
        for position, ((said, answered, asked, *_), topic, value) in enumerate(exchanges):
            asking, answering = chance.sample([one, other], 2)
            moment = datetime(2025, 3, 1, 18, tzinfo=UTC) + position // _EXCHANGES_PER_SESSION * timedelta(days=9)
            ref = f"{position}:1"
            echo = f"The {topic}? " if chance.random() < 0.5 else ""
            turns = {
                f"{position}:0": f"{asking}: {said.format(x=topic)}",
                ref: f"{answering}: {echo}{answered.format(v=value)}",
                f"{position}:2": f"{asking}: {chance.choice(_CHATTER)}",
                f"{position}:3": f"{answering}: {chance.choice(_CHATTER)}",
            }
            memories += [Remembered(user, key, text, moment.isoformat()) for key, text in turns.items()]
            questions.append(Question(user, asked.format(x=topic, p=answering), frozenset({ref})))
    random.Random(1).shuffle(questions)
    return Data("dialogues", memories, questions)


def _paired(chance: random.Random, topics: list[str], values: list[str]) -> list[tuple[str, str]]:
    return list(zip(topics, chance.sample(values, len(values)), strict=True))
