"""What of a message counts."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest

from openmem.analysis.analyzer import Analyzer
from openmem.analysis.sentences import CONTEXT_WEIGHT, OTHER_WEIGHT, sentences
from openmem.analysis.words import query_words

NOW = datetime(2026, 11, 28, tzinfo=UTC)
ANALYZER = Analyzer()

ASKED = {
    "I was in Porto yesterday. Remind me of the recipe Maya gave me. Thanks a lot!": (
        "Remind me of the recipe Maya gave me."
    ),
    "Hi! How are you? The trains were late again. What did Dr. Chen say about my knee? No hurry, I am out now.": (
        "What did Dr. Chen say about my knee?"
    ),
    "Back at last, and it rains. I read a novel in the library. What was its name?": (
        "I read a novel in the library. What was its name?"
    ),
    "The cat sat on my keyboard all morning. This is what I wanted to ask you: where did Maya move last spring?": (
        "where did Maya move last spring?"
    ),
    "i was at the market. the fish was fresh. where did maya buy the old lamp": "where did maya buy the old lamp",
    "What did I say about hotels near Porto? By the sea? Thanks, that helps a lot.": (
        "What did I say about hotels near Porto? By the sea?"
    ),
    "Hallo, ich komme gerade vom Markt. Sag mir bitte, wann Jonas Geburtstag hat. Vielen Dank!": (
        "Sag mir bitte, wann Jonas Geburtstag hat."
    ),
    "¡Buenas tardes! Acabo de volver del trabajo. ¿Qué regalo compró Lucía para su hermana? Hasta luego.": (
        "¿Qué regalo compró Lucía para su hermana?"
    ),
    "Только что вернулась с работы. Напомни рецепт бабушкиного пирога. Спасибо!": (
        "Напомни рецепт бабушкиного пирога."
    ),
    "Hi.\n\nOn Monday the committee met.\nA vote was postponed.\n\nWhich allergy does my sister Anna have?\n\nBye": (
        "Which allergy does my sister Anna have?"
    ),
    "Μόλις γύρισα από τη δουλειά στο κέντρο. Πώς λένε τον παιδικό οδοντίατρο της Μαρίας; Ευχαριστώ!": (
        "Πώς λένε τον παιδικό οδοντίατρο της Μαρίας;"
    ),
    "γύρισα από τη δουλειά στο κέντρο. πώς λένε τον παιδικό οδοντίατρο της μαρίας": (
        "πώς λένε τον παιδικό οδοντίατρο της μαρίας"
    ),
    unicodedata.normalize("NFD", "Llegué tarde del trabajo. ¿Quién reparó la bicicleta de Lucía ayer. Gracias"): (
        unicodedata.normalize("NFC", "¿Quién reparó la bicicleta de Lucía .")
    ),
}


@pytest.mark.parametrize("message", ASKED)
def test_the_question_is_what_is_asked(message: str) -> None:
    assert ANALYZER.asked(message) == ASKED[message]


@pytest.mark.parametrize(
    "message",
    [
        "dark mode editor",
        "Who is Maya?",
        "Maya: where did you move?",
        "The trip to Porto was lovely. We stayed in a hotel by the sea.",
        "Thanks! Bye.",
        "Which of these did I order: pizza or pasta?",
        'Did she say "Who is there?" when Mr. Smith knocked?',
        "What did Maya say\nabout the trip?",
        "Can you help? I need the number of my dentist.",
        "My dentist has moved to Porto. Any ideas?",
        "Kannst du mir bitte helfen? Ich suche den Zahnarzt von Lena.",
        "?",
        "...",
        " \n ",
    ],
)
def test_all_counts_of_what_is_one_sentence_or_asks_nothing(message: str) -> None:
    assert ANALYZER.asked(message) == message
    assert list(ANALYZER.query(message, NOW)) == query_words(message)


def test_words_count_by_their_sentence() -> None:
    message = "The bus was late. I read a novel in the garden. What was its name? The weather is nice, a nice name."
    weights = {word.alternatives[0]: word.weight for word in ANALYZER.query(message, NOW)}
    assert weights["bus"] == weights["weather"] == OTHER_WEIGHT
    assert weights["novel"] == weights["garden"] == CONTEXT_WEIGHT
    assert weights["name"] == 1.0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three? Four… Five", 5),
        ("一。二！三？四", 4),
        ("यह एक है। यह दो है।", 2),
        ("أين هي؟ لا أعرف.", 2),
        ("Mr. A. Smith vs. Dr. Jones, i.e. no. 5. September", 2),
        ("version 1.2.3 of example.org", 1),
        ("What?!\u201d she said. \u201cNo.\u201d He left.", 3),
    ],
)
def test_sentences_of_any_script(text: str, count: int) -> None:
    assert len(sentences(text)) == count


@pytest.mark.parametrize("unit", ["a: ", "? ", "a. ", "the: the\n", ".", "a b? ", "。", " ", "Mr. ", '."', "\n"])
def test_a_message_of_nothing_but_ends_is_read(unit: str) -> None:
    message = unit * (20_000 // len(unit))
    assert set(ANALYZER.asked(message).split()) <= set(message.split())


CHATTER = "so I was at the market with Ana at dawn and the rain came down and we ran all the way home"


@pytest.mark.parametrize(
    "question",
    [
        "what is the phone number of my dentist",
        "where did my sister buy the red boat",
        "how many cups of coffee does Tom drink",
        "in which street is the old bakery",
    ],
)
def test_a_question_in_a_message_without_punctuation_counts_most(question: str) -> None:
    message = f"{CHATTER} anyway {question}"
    assert ANALYZER.asked(message) == question
    weights = {word.alternatives[0]: word.weight for word in ANALYZER.query(message, NOW)}
    assert weights["market"] == OTHER_WEIGHT
    for word in query_words(question):
        assert weights[word.alternatives[0]] >= 0.1


@pytest.mark.parametrize(
    "message",
    [
        "market rain what is the name of my dentist",
        f"{CHATTER} after the storm",
        f"{CHATTER} when we visited Rome with the children",
        f"{CHATTER} you know how",
        f"{CHATTER}, and what is the phone number of my dentist?",
    ],
)
def test_a_message_without_punctuation_that_is_short_or_asks_nothing_counts_as_a_whole(message: str) -> None:
    assert ANALYZER.asked(message) == message
