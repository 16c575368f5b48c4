"""Recall on folders of sets, by openmem and by the baselines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks import recall
from benchmarks.baselines import BM25, RRF, VECTORS, Baselines
from benchmarks.datasets import Data, Question, Remembered, sets
from benchmarks.embedding import Remembering
from benchmarks.made_up import made_up
from benchmarks.results import RecallRun
from benchmarks.tables import min_score_grids, recall_grids, recall_summary
from openmem.embedders.hashing import HashingEmbedder
from openmem.providers.postgres.retrieval.searches import parts
from openmem.ranking import constants

from ..servers import Server
from .test_datasets import written

CONTENTS = {
    "a": ["Maya grows tomatoes on the balcony", "Maya plays the cello", "The old cello needs a new string"],
    "b": ["Ben collects fossils", "Ben is afraid of moths"],
}


class Counting:
    """An embedder that tells queries apart and counts what it embeds."""

    model = "counting"
    dim = 2

    def __init__(self) -> None:
        self.embedded: list[str] = []
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.embedded += texts
        return [[3.0, 4.0] for _ in texts]

    def embed_query(self, text: str) -> list[float]:
        self.asked.append(text)
        return [0.0, 2.0]


def a_set(folder: Path, name: str = "notes") -> Path:
    folder = folder / name
    folder.mkdir(parents=True)
    rows: list[dict[str, object]] = [
        {"user_id": user, "ref": str(number), "content": content}
        for user, contents in CONTENTS.items()
        for number, content in enumerate(contents)
    ]
    written(folder, "memories.jsonl", rows)
    questions: list[dict[str, object]] = [
        {"user_id": "a", "question": "Who grows tomatoes?", "evidence": ["0"]},
        {"user_id": "b", "question": "Who collects fossils?", "evidence": ["0"]},
        {"user_id": "b", "question": "What was never said?", "evidence": []},
    ]
    written(folder, "questions.jsonl", questions)
    return folder


def facts_set(folder: Path) -> Path:
    folder.mkdir(parents=True)
    facts: list[dict[str, object]] = [
        {"lang": "en", "n": 1, "fact": "My cat is Miso", "question": "Which pet have I?", "keyword": "cat"},
        {"lang": "de", "n": 1, "fact": "Meine Katze heißt Miso", "question": "Welches Tier?", "keyword": "Katze"},
        {"lang": "en", "n": 2, "fact": "I play chess", "question": "Which game do I like?", "keyword": "chess"},
        {"lang": "de", "n": 2, "fact": "Ich spiele Schach", "question": "Welches Spiel?", "keyword": "Schach"},
    ]
    written(folder, "facts.jsonl", facts)
    return folder


def test_a_folder_of_sets_is_each_of_them_in_the_order_of_the_names(tmp_path: Path) -> None:
    a_set(tmp_path, "two")
    a_set(tmp_path, "one")
    facts_set(tmp_path / "three")
    (tmp_path / "README.md").write_text("not a set")
    names = ["one", "three, question", "three, keyword", "three, in English", "two"]
    assert [data.name for data in sets(tmp_path)] == names
    assert [data.name for data in sets(tmp_path / "one")] == ["one"]


def test_a_folder_without_sets_is_an_error(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(FileNotFoundError, match="neither"):
            sets(folder)


def test_facts_are_asked_in_three_ways(tmp_path: Path) -> None:
    question, keyword, english = sets(facts_set(tmp_path / "facts"))
    assert question.memories == keyword.memories == english.memories
    assert question.users == ["en", "de"]
    assert Question("de", "Welches Spiel?", frozenset({"2"})) in question.questions
    assert Question("de", "Katze", frozenset({"1"})) in keyword.questions
    assert [(one.user, one.text) for one in english.questions] == [
        ("de", "Which pet have I?"),
        ("de", "Which game do I like?"),
    ]


def test_dates_can_be_left_out_or_made_up() -> None:
    data = Data("d", [Remembered("u", "1", "tea", "2026-01-01T00:00:00+00:00"), Remembered("u", "2", "x", None)], [])
    assert [memory.valid_from for memory in data.undated().memories] == [None, None]
    first, second = data.undated().apart(timedelta(hours=5)).memories
    assert first.valid_from is not None
    assert second.valid_from is not None
    moments = [datetime.fromisoformat(moment) for moment in (first.valid_from, second.valid_from)]
    assert moments[1] - moments[0] == timedelta(hours=5)
    assert data.apart(timedelta(hours=5)).memories[0] == data.memories[0]


def test_no_text_is_embedded_twice(tmp_path: Path) -> None:
    inner = Counting()
    embedder = Remembering(inner, tmp_path)
    done: list[int] = []
    embedder.read(["a", "b", "a"], ["q"], done.append)
    assert embedder.embed(["a"]) == [[3, 4]]
    assert embedder.embed_query("q") == [0, 2]
    assert sum(done) == 4
    assert (inner.embedded, inner.asked) == (["a", "b"], ["q"])
    assert np.allclose(embedder.documents(["b"]), [[0.6, 0.8]])
    assert np.allclose(embedder.queries(["q"]), [[0, 1]])
    assert (embedder.model, embedder.dim) == ("counting", 2)
    assert not hasattr(embedder, "aembed")

    embedder.save()
    again = Counting()
    assert Remembering(again, tmp_path).embed(["a", "b"]) == [[3, 4], [3, 4]]
    assert again.embedded == []


def test_an_embedder_without_queries_of_its_own_has_none() -> None:
    embedder = Remembering(HashingEmbedder())
    assert not hasattr(embedder, "embed_query")
    assert np.array_equal(embedder.queries(["tea"]), embedder.documents(["tea"]))


def test_baselines_rank_by_their_own_rules(tmp_path: Path) -> None:
    [data] = sets(a_set(tmp_path))
    baselines = Baselines(data, Remembering(HashingEmbedder()))
    found = baselines.best(Question("a", "the cello", frozenset()), "a", 2)
    # Both have the word: the shorter memory comes first.
    assert [ref for ref, _ in found[BM25]] == ["1", "2"]
    assert {ref for ref, _ in found[VECTORS]} == {"1", "2"}
    assert found[RRF][0][1] <= 2 / 61
    assert all(0 < score <= 1 for _, score in found[VECTORS])
    assert baselines.best(Question("a", "xylophone", frozenset()), "a", 2)[BM25] == []


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = Server()
    server.start()
    try:
        yield server.url()
    finally:
        server.remove()


def result_of(arguments: list[str], output: Path, monkeypatch: pytest.MonkeyPatch) -> RecallRun:
    monkeypatch.setattr("sys.argv", ["recall", "--embedder", "hashing", *arguments, "--output", str(output)])
    recall.main()
    return RecallRun.model_validate_json(output.read_text(encoding="utf-8"))


@pytest.mark.parametrize("order", recall.ORDERS)
@pytest.mark.parametrize("provider", ["postgres", "memory"])
def test_a_run(
    provider: str,
    order: str,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = a_set(tmp_path / "sets").parent
    facts_set(data / "facts")
    result = result_of(
        ["--data", str(data), "--provider", provider, "--url", url, "--order", order], tmp_path / "out", monkeypatch
    )
    assert [(one.data, one.ranking) for one in result.sets] == [
        (name, ranking)
        for name in ("facts, question", "facts, keyword", "facts, in English", "notes")
        for ranking in (VECTORS, BM25, RRF, recall.OURS)
    ]
    notes = result.sets[-1]
    assert (notes.memories, notes.users, notes.retrieval.questions) == (5, 2, 2)
    assert notes.retrieval.recall == {1: 1, 5: 1, 10: 1}
    assert notes.retrieval.mrr == 1
    assert notes.right is not None
    assert notes.unrelated is None or notes.unrelated < notes.right
    assert notes.p50 is not None
    assert {one.embedder for one in result.sets} == {HashingEmbedder().model}
    [grid] = recall_grids(result)
    assert len(grid.rows) == len(result.sets) + 4
    for each in (grid, *recall_grids(result, times=False), recall_summary(result), *min_score_grids(result)):
        assert {len(row) for row in each.rows} == {len(each.heads)}, each.title
    assert "mean" in capsys.readouterr().out


def test_the_baselines_do_not_depend_on_the_provider(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = ["--data", str(a_set(tmp_path))]
    one = result_of([*data, "--provider", "memory"], tmp_path / "one", monkeypatch)
    other = result_of([*data, "--url", url], tmp_path / "other", monkeypatch)
    assert one.sets[:3] == other.sets[:3]
    assert one.sets[3].retrieval == other.sets[3].retrieval


def test_what_is_unrelated() -> None:
    memories = [Remembered(user, "1", "x", None) for user in ("a", "b", "c")]
    data = Data("d", memories, [])
    assert [recall.stranger(data, user) for user in "abc"] == ["b", "c", "a"]
    assert recall.stranger(data.first_users(1), "a") is None

    alone = recall.Answers(data.first_users(1))
    hits = [(str(number), 1 - number / 100) for number in range(20)]
    alone.add(Question("a", "?", frozenset({"3", "12"})), hits)
    found = alone.found("e", recall.OURS)
    assert found.right == 0.97
    assert found.unrelated == pytest.approx(0.85, abs=0.011)
    assert found.p50 is None
    assert found.right_kept == {0.1: 1, 0.2: 1, 0.3: 1, 0.5: 1}
    assert found.unrelated_kept[0.5] == 1


def test_what_a_min_score_keeps() -> None:
    data = Data("d", [Remembered("a", "1", "x", None), Remembered("b", "1", "y", None)], [])
    answers = recall.Answers(data)
    answers.add(Question("a", "?", frozenset({"1"})), [("1", 0.3), ("2", 0.2)])
    answers.add(Question("a", "?", frozenset({"1"})), [("2", 0.4), ("1", 0.15)])
    answers.add_unrelated([("1", 0.25), ("2", 0.05)])
    found = answers.found("e", recall.OURS)
    assert found.right_kept == {0.1: 1, 0.2: 0.5, 0.3: 0.5, 0.5: 0}
    assert found.unrelated_kept == {0.1: 0.5, 0.2: 0.5, 0.3: 0, 0.5: 0}
    assert answers.found("e", BM25).right_kept == {}


def test_a_constant_can_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SEEDS", constants.SEEDS), ("NEIGHBOR_WEIGHT", constants.NEIGHBOR_WEIGHT)):
        monkeypatch.setattr(constants, name, value)
    recall.change(["SEEDS=3", "NEIGHBOR_WEIGHT=0"])
    assert (constants.SEEDS, constants.NEIGHBOR_WEIGHT) == (3, 0.0)
    with pytest.raises(AttributeError):
        recall.change(["NO_SUCH=1"])


def test_what_is_made_up_can_be_answered_and_is_always_the_same() -> None:
    every = made_up()
    assert every == made_up()
    assert len({data.name for data in every}) == len(every)
    for data in every:
        known = {(memory.user, memory.ref) for memory in data.memories}
        assert len(known) == len(data.memories)
        assert data.answerable == data.questions
        for question in data.questions:
            assert {(question.user, ref) for ref in question.evidence} <= known
        texts = [*(memory.content for memory in data.memories), *(question.text for question in data.questions)]
        assert not any(mark in text for text in texts for mark in "{}|")


def test_the_statements_have_the_constants_that_were_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "NEIGHBOR_DISTANCE", constants.NEIGHBOR_DISTANCE)
    recall.change(["NEIGHBOR_DISTANCE=1"])
    assert parts()["neighbor_steps"] == "(-1), (1)"
