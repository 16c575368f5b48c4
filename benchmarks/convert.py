"""Makes sets for `benchmarks.recall` from public data that you download yourself.

LoCoMo (https://github.com/snap-research/locomo, CC BY-NC 4.0), ``data/locomo10.json``: a memory for each turn, from the
moment of its session, and the questions that have evidence, but for the adversarial ones. openmem's ranking was tuned
on the conversations conv-26, conv-30, conv-41, conv-42 and conv-43; conv-44, conv-47, conv-48, conv-49 and conv-50 are
new to it.

    python -m benchmarks.convert locomo locomo10.json DIR --conversations conv-44 conv-47 conv-48 conv-49 conv-50

XQuAD (https://github.com/google-deepmind/xquad, CC BY-SA 4.0), ``xquad.<language>.json``: a memory for each sentence,
16 articles for each user; the sentence with the answer is the evidence. The ranking was tuned on English, German,
Spanish and Chinese.

    python -m benchmarks.convert xquad xquad.tr.json DIR
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from .datasets import MEMORIES, QUESTIONS

Row = dict[str, object]

ADVERSARIAL: Final = 5
ARTICLES_PER_USER: Final = 16

_TURN: Final = re.compile(r"D(\d+):(\d+)")
_SESSION: Final = re.compile(r"session_(\d+)")
# What ends a sentence: a mark before a space that does not follow an initial, or one of the full-width marks.
_SENTENCE: Final = re.compile(
    r".+?(?:(?<!\b\w)[.!?\u0964\u061f]+[^\w\s]*(?=\s)|[\u3002\uff01\uff1f]+[\u201d\u300d\u300f\uff09]*|$)", re.DOTALL
)


def locomo(file: Path, conversations: Collection[str] | None = None) -> tuple[list[Row], list[Row]]:
    """The memories and the questions of conversations, by default of all."""
    memories: list[Row] = []
    questions: list[Row] = []
    for sample in json.loads(file.read_text(encoding="utf-8")):
        user = sample["sample_id"]
        if conversations is not None and user not in conversations:
            continue
        turns = list(_turns(sample["conversation"]))
        memories += [{"user_id": user, **turn} for turn in turns]
        known = {turn["ref"] for turn in turns}
        for asked in sample["qa"]:
            refs = [f"D{session}:{turn}" for session, turn in _TURN.findall(" ".join(asked.get("evidence", [])))]
            evidence = [ref for ref in dict.fromkeys(refs) if ref in known]
            if evidence and asked["category"] != ADVERSARIAL:
                questions.append({"user_id": user, "question": asked["question"], "evidence": evidence})
    return memories, questions


def _turns(conversation: dict[str, Any]) -> Iterator[Row]:
    numbers = sorted(int(found[1]) for found in map(_SESSION.fullmatch, conversation) if found)
    for number in numbers:
        date = datetime.strptime(conversation[f"session_{number}_date_time"], "%I:%M %p on %d %B, %Y")
        for turn in conversation[f"session_{number}"]:
            yield {
                "ref": turn["dia_id"],
                "content": f"{turn['speaker']}: {turn['text']}",
                "valid_from": date.replace(tzinfo=UTC).isoformat(),
            }


def xquad(file: Path, at_most: int | None = None) -> tuple[list[Row], list[Row]]:
    """The memories and the questions of a language; of the questions every nth, so that there are `at_most`."""
    memories: list[Row] = []
    questions: list[Row] = []
    language = file.stem.rpartition(".")[2]
    for article, entry in enumerate(json.loads(file.read_text(encoding="utf-8"))["data"]):
        user = f"{language}{article // ARTICLES_PER_USER}"
        for number, paragraph in enumerate(entry["paragraphs"]):
            spans = list(_sentences(paragraph["context"]))
            refs = [f"{article}.{number}.{index}" for index in range(len(spans))]
            for ref, (start, end) in zip(refs, spans, strict=True):
                memories.append({"user_id": user, "ref": ref, "content": paragraph["context"][start:end]})
            for asked in paragraph["qas"]:
                [answer, *_] = asked["answers"]
                first, last = answer["answer_start"], answer["answer_start"] + len(answer["text"])
                evidence = [ref for ref, (start, end) in zip(refs, spans, strict=True) if start < last and end > first]
                questions.append({"user_id": user, "question": asked["question"], "evidence": evidence})
    step = 1 if at_most is None else max(1, -(-len(questions) // at_most))
    return memories, questions[::step]


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where the sentences of a text begin and end, without the space around them."""
    for found in _SENTENCE.finditer(text):
        sentence = found[0]
        start = found.start() + len(sentence) - len(sentence.lstrip())
        end = found.start() + len(sentence.rstrip())
        if end > start:
            yield start, end


def write(folder: Path, memories: list[Row], questions: list[Row]) -> None:
    """Write a set."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in ((MEMORIES, memories), (QUESTIONS, questions)):
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / name).write_text("".join(lines), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind in ("locomo", "xquad"):
        one = kinds.add_parser(kind)
        one.add_argument("file", type=Path)
        one.add_argument("folder", type=Path, help="where the set is written")
        if kind == "locomo":
            one.add_argument("--conversations", nargs="+", help="ids such as conv-44 (default: all)")
        else:
            one.add_argument("--questions", type=int, help="about so many, spread over the articles (default: all)")
    options = parser.parse_args()
    if options.kind == "locomo":
        memories, questions = locomo(options.file, options.conversations)
    else:
        memories, questions = xquad(options.file, options.questions)
    write(options.folder, memories, questions)
    print(f"{len(memories):,} memories, {len(questions):,} questions: {options.folder}")


if __name__ == "__main__":
    main()
