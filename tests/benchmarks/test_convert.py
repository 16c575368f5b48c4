"""Sets from files in the formats of public data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import convert
from benchmarks.datasets import sets

SESSION = [
    {"speaker": "Ana", "dia_id": "D2:1", "text": "Which pet did you adopt?"},
    {"speaker": "Bo", "dia_id": "D2:2", "text": "A greyhound."},
]
SAMPLE = {
    "sample_id": "conv-1",
    "conversation": {
        "speaker_a": "Ana",
        "speaker_b": "Bo",
        "session_10_date_time": "12:05 am on 1 January, 2024",
        "session_10": [{"speaker": "Bo", "dia_id": "D10:1", "text": "Happy new year"}],
        "session_2_date_time": "1:56 pm on 8 May, 2023",
        "session_2": SESSION,
    },
    "qa": [
        {"question": "What is Bo's pet?", "evidence": ["D2:1; D2:2", "D2:2"], "category": 1},
        {"question": "What is Ana's pet?", "evidence": ["D2:2"], "category": 5},
        {"question": "What is not there?", "evidence": ["D9:9"], "category": 2},
    ],
}
TEXT = "J. R. Smith won in 1905. Who lost? 彼が負けた。"
ARTICLE = {
    "title": "a",
    "paragraphs": [
        {
            "context": TEXT,
            "qas": [
                {"question": "When?", "answers": [{"text": "1905", "answer_start": TEXT.index("1905")}]},
                {"question": "Who?", "answers": [{"text": "彼", "answer_start": TEXT.index("彼")}]},
            ],
        }
    ],
}


def test_turns_are_memories_in_the_order_of_the_sessions(tmp_path: Path) -> None:
    file = tmp_path / "locomo10.json"
    file.write_text(json.dumps([SAMPLE, SAMPLE | {"sample_id": "conv-2"}]), encoding="utf-8")
    convert.write(tmp_path / "set", *convert.locomo(file, ["conv-1"]))
    [data] = sets(tmp_path / "set")
    assert [(memory.ref, memory.content, memory.valid_from) for memory in data.memories] == [
        ("D2:1", "Ana: Which pet did you adopt?", "2023-05-08T13:56:00+00:00"),
        ("D2:2", "Bo: A greyhound.", "2023-05-08T13:56:00+00:00"),
        ("D10:1", "Bo: Happy new year", "2024-01-01T00:05:00+00:00"),
    ]
    assert data.users == ["conv-1"]
    assert [(question.text, question.evidence) for question in data.questions] == [
        ("What is Bo's pet?", frozenset({"D2:1", "D2:2"}))
    ]
    assert {row["user_id"] for row in convert.locomo(file)[0]} == {"conv-1", "conv-2"}


def test_sentences_are_memories_and_the_one_with_the_answer_is_evidence(tmp_path: Path) -> None:
    file = tmp_path / "xquad.ja.json"
    file.write_text(json.dumps({"data": [ARTICLE] * 17}), encoding="utf-8")
    convert.write(tmp_path / "set", *convert.xquad(file))
    [data] = sets(tmp_path / "set")
    assert [memory.content for memory in data.memories][:3] == ["J. R. Smith won in 1905.", "Who lost?", "彼が負けた。"]
    assert data.users == ["ja0", "ja1"]
    assert {(one.text, one.evidence) for one in data.questions if one.user == "ja1"} == {
        ("When?", frozenset({"16.0.0"})),
        ("Who?", frozenset({"16.0.2"})),
    }
    assert len(convert.xquad(file, 10)[1]) == 9


@pytest.mark.parametrize("kind", ["locomo", "xquad"])
def test_the_command_writes_a_set(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.en.json"
    file.write_text(json.dumps([SAMPLE] if kind == "locomo" else {"data": [ARTICLE]}), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["convert", kind, str(file), str(tmp_path / "set")])
    convert.main()
    assert "3 memories" in capsys.readouterr().out
    assert len(sets(tmp_path / "set")[0].memories) == 3
