"""Memories and questions: read from a folder, or made up.

A set is a folder with ``memories.jsonl`` (user_id, ref, content, valid_from) and ``questions.jsonl``
(user_id, question, evidence: refs), or with ``facts.jsonl`` (lang, n, fact, question, keyword), the same facts in
several languages, which is three sets: each fact is asked for by its question, by its keyword, and by its question in
English.
`invented` writes a set of its own: people, and facts about them that are asked for in other words.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

SYNTHETIC: Final = "synthetic"
MEMORIES: Final = "memories.jsonl"
QUESTIONS: Final = "questions.jsonl"
FACTS: Final = "facts.jsonl"

_FIRST: Final = datetime(2025, 1, 6, 8, tzinfo=UTC)
_USERS: Final = 8
_QUESTIONS_PER_USER: Final = 60
_PEOPLE: Final = ["Anna", "Ben", "Chloe", "Dario", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Liam"]
# What is said, what is asked, and the values that tell the people apart.
_TOPICS: Final = [
    line.strip().split(" / ")
    for line in """
        {p} moved to {v} last spring / Which city does {p} live in? / Lisbon|Oslo|Turin|Ghent|Riga|Cork|Malmö|Graz
        {p} is allergic to {v} / What must {p} not eat? / peanuts|shellfish|gluten|kiwi|sesame|soy|eggs|celery
        {p} plays the {v} in a small band / Which instrument does {p} practise? / cello|drums|flute|bass|piano|trumpet
        {p} adopted a {v} from the shelter / What kind of pet does {p} have? / greyhound|parrot|tabby cat|rabbit|gecko
        {p} found a new job as a {v} / What does {p} do for a living? / nurse|welder|translator|pilot|florist|notary
        {p} runs {v} before breakfast / How does {p} keep fit in the morning? / five miles|the stairs|along the canal
        {p} is reading a novel about {v} / Which book is {p} in the middle of? / whaling|a lighthouse|Mars|two sisters
        {p} drives an old {v} / What car does {p} own? / Volvo|Fiat Panda|Land Rover|Citroën|Skoda|Beetle|Mazda
        {p}'s birthday party was held in {v} / Where did {p} celebrate? / a barn|the garden|a bowling alley|a museum
        {p} is learning {v} with a tutor / Which language is {p} taking lessons in? / Finnish|Korean|Welsh|Arabic|Dutch
        {p} broke a {v} while skiing / What injury did {p} have? / wrist|collarbone|thumb|rib|ankle|knee|finger
        {p} wants to save for a {v} / What is {p} putting money aside for? / sailing boat|loft|camper van|piano
        {p} paints {v} in watercolour / What does {p} like to draw? / mushrooms|harbours|portraits|beetles|old doors
        {p} gave up {v} in January / What has {p} stopped having? / coffee|sugar|meat|cigarettes|late nights|alcohol
        {p} grows {v} on the balcony / Which plants does {p} look after? / tomatoes|chillies|basil|strawberries|orchids
        {p} volunteers at the {v} on Saturdays / Where does {p} help out for free? / food bank|library|animal shelter
        {p}'s sister teaches {v} / What subject is {p}'s sibling a teacher of? / physics|history|dance|woodwork
        {p} orders {v} at the corner restaurant / What is {p}'s usual dish? / ramen|lasagne|falafel|pad thai|pierogi
        {p} is afraid of {v} / What scares {p}? / heights|spiders|thunder|deep water|needles|moths|lifts
        {p} collects {v} / What hobby fills {p}'s shelves? / stamps|fossils|vinyl records|teapots|maps|board games
        {p} has an appointment with the {v} on Monday / Which doctor is {p} going to see? / dentist|optician
        {p} sleeps badly because of {v} / Why is {p} tired at night? / the neighbours|street lights|back pain|the baby
        {p} supports {v} and never misses a match / Which team does {p} cheer for? / Benfica|Celtic|Ajax|Bologna
        {p} uses {v} for every project at work / Which tool does {p} program with? / Rust|Elixir|Excel|Fortran|Julia
    """.strip().splitlines()
]


@dataclass(frozen=True)
class Remembered:
    """One memory of the data: whose it is, its key within the user, its text, and since when it holds."""

    user: str
    ref: str
    content: str
    valid_from: str | None


@dataclass(frozen=True)
class Question:
    """A question to one user's memories, with the keys of the memories that answer it."""

    user: str
    text: str
    evidence: frozenset[str]


@dataclass(frozen=True)
class Data:
    """Memories in the order they are to be added, and questions in an order without a pattern.

    Attributes:
        parallel: the users' memories say the same, each user's in another language.
    """

    name: str
    memories: list[Remembered]
    questions: list[Question]
    parallel: bool = False

    @classmethod
    def of(cls, folder: Path | None) -> Data:
        """What a folder holds; without one, `invented`."""
        if folder is None:
            return invented()
        if not (folder / MEMORIES).exists():
            raise FileNotFoundError(f"{folder} has no {MEMORIES}")
        memories = [
            Remembered(row["user_id"], row["ref"], row["content"], row.get("valid_from"))
            for row in read(folder / MEMORIES)
        ]
        questions = [
            Question(row["user_id"], row["question"], frozenset(row["evidence"])) for row in read(folder / QUESTIONS)
        ]
        random.Random(1).shuffle(questions)
        return cls(folder.absolute().name, memories, questions)

    @property
    def answerable(self) -> list[Question]:
        """The questions that have evidence."""
        return [question for question in self.questions if question.evidence]

    @property
    def users(self) -> list[str]:
        """The users, in the order of their first memories."""
        return list(dict.fromkeys(memory.user for memory in self.memories))

    def apart(self, gap: timedelta) -> Data:
        """The same, but memories without a date are from moments that are so far apart."""
        return replace(
            self,
            memories=[
                memory if memory.valid_from else replace(memory, valid_from=(_FIRST + number * gap).isoformat())
                for number, memory in enumerate(self.memories)
            ],
        )

    def undated(self) -> Data:
        """The same without dates."""
        return replace(self, memories=[replace(memory, valid_from=None) for memory in self.memories])

    def first_users(self, count: int) -> Data:
        """The same, of the first users only."""
        users = set(self.users[:count])
        return replace(
            self,
            memories=[memory for memory in self.memories if memory.user in users],
            questions=[question for question in self.questions if question.user in users],
        )

    def texts(self, seed: str, count: int) -> Iterator[str]:
        """`count` texts of two memories each, for one seed always the same."""
        chance = random.Random(seed)
        for _ in range(count):
            yield f"{chance.choice(self.memories).content} {chance.choice(self.memories).content}"


def sets(folder: Path) -> list[Data]:
    """The sets of a folder: the folder itself if it is one, else those of its folders, in the order of their names.

    Raises:
        FileNotFoundError: there is none.
    """
    if (folder / MEMORIES).exists():
        return [Data.of(folder)]
    if (folder / FACTS).exists():
        return facts(folder)
    found = [
        data
        for one in sorted(folder.iterdir() if folder.is_dir() else ())
        if (one / MEMORIES).exists() or (one / FACTS).exists()
        for data in sets(one)
    ]
    if not found:
        raise FileNotFoundError(f"{folder} has neither {MEMORIES} nor {FACTS}, nor have its folders")
    return found


def facts(folder: Path) -> list[Data]:
    """The three sets of a ``facts.jsonl``: one user for each language."""
    rows = read(folder / FACTS)
    name = folder.absolute().name
    memories = [Remembered(row["lang"], str(row["n"]), row["fact"], row.get("valid_from")) for row in rows]
    english = {row["n"]: row["question"] for row in rows if row["lang"] == "en"}

    def asked(how: str, texts: Iterable[tuple[dict[str, Any], str]]) -> Data:
        questions = [Question(row["lang"], text, frozenset({str(row["n"])})) for row, text in texts]
        return Data(f"{name}, {how}", memories, questions, parallel=True)

    return [
        asked("question", [(row, row["question"]) for row in rows]),
        asked("keyword", [(row, row["keyword"]) for row in rows]),
        asked("in English", [(row, english[row["n"]]) for row in rows if row["lang"] != "en" and row["n"] in english]),
    ]


def read(path: Path) -> list[dict[str, Any]]:
    """The objects of a file with one JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def invented() -> Data:
    """Every topic for each of twelve people, told to eight users in an order of their own. Always the same."""
    memories: list[Remembered] = []
    questions: list[Question] = []
    for number in range(_USERS):
        user = f"synthetic-{number:02}"
        chance = random.Random(user)
        facts = [(person, topic) for person in _PEOPLE for topic in range(len(_TOPICS))]
        chance.shuffle(facts)
        for position, (person, topic) in enumerate(facts):
            said, _, values = _TOPICS[topic]
            content = said.format(p=person, v=chance.choice(values.split("|")))
            moment = (_FIRST + position * timedelta(hours=7)).isoformat()
            memories.append(Remembered(user, f"{person}:{topic}", content, moment))
        for person, topic in chance.sample(facts, _QUESTIONS_PER_USER):
            questions.append(Question(user, _TOPICS[topic][1].format(p=person), frozenset({f"{person}:{topic}"})))
    random.Random(1).shuffle(questions)
    return Data(SYNTHETIC, memories, questions)
