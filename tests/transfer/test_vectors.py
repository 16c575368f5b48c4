"""Vectors that are exported, and taken as they are where the embedder is the same."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import pytest

from openmem import Memory, UnsupportedCapabilityError, transfer
from openmem.embedders.hashing import HashingEmbedder
from openmem.ports.models import Vectors
from openmem.transfer import Choice

from ..properties.strategies import new_user
from ..servers import Server
from .test_exporting import SCHEMA

COUNT = 30


class Counting(HashingEmbedder):
    """An embedder that knows which texts it was asked for.

    Args:
        model: the name that it gives itself.
    """

    def __init__(self, model: str = "counting", dim: int = 64) -> None:
        super().__init__(dim)
        self.model = model
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += [text for text in texts if text.startswith("fact ")]
        return super().embed(texts)


@pytest.fixture
def file(server: Server, tmp_path: Path) -> tuple[str, Path]:
    """A user with memories, one of which no search finds, and an export of them."""
    user, path = new_user(), tmp_path / "memories"
    with Memory("postgres", url=server.create_database(), embedder=Counting()) as store:
        store.add_many([{"content": f"fact {number}", "user_id": user} for number in range(COUNT)])
        store.add(content="a document", user_id=user, indexed=False)
        transfer.export(store, path, Choice(users=[user], with_vectors=True))
    return user, path


def bodies(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:]


def test_a_store_with_the_same_embedder_takes_them_as_they_are(
    server: Server, file: tuple[str, Path], tmp_path: Path
) -> None:
    user, path = file
    embedder = Counting()
    with Memory("postgres", url=server.create_database(), embedder=embedder) as target:
        report = transfer.import_(target, "omp", path)
        assert (report.written, report.lost()) == (COUNT + 1, {})
        assert embedder.asked == ["fact 0"]
        transfer.export(target, tmp_path / "again", Choice(users=[user], with_vectors=True))
        assert bodies(tmp_path / "again") == bodies(path)
        assert target.search("fact 7", user, limit=1)[0].memory.content == "fact 7"
        assert transfer.verify(target, "omp", path).equal == COUNT + 1


def test_a_migration_takes_them_along_where_the_embedder_is_the_same(server: Server) -> None:
    user = new_user()
    with Memory("postgres", url=server.create_database(), embedder=Counting()) as source:
        source.add_many([{"content": f"fact {number}", "user_id": user} for number in range(COUNT)])
        for embedder, asked in ((Counting(), 1), (Counting("another"), COUNT)):
            with Memory("postgres", url=server.create_database(), embedder=embedder) as target:
                _, report = transfer.migrate(source, target, Choice(users=[user]))
                assert (report.written, report.lost(), len(embedder.asked)) == (COUNT, {}, asked)
                assert target.search("fact 7", user, limit=1)[0].memory.content == "fact 7"


def test_the_lines_are_those_of_the_schema(file: tuple[str, Path]) -> None:
    _, path = file
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        jsonschema.validate(line, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert lines[0]["vectors"] == "float16-base64"
    with_vector = [line for line in lines if "vector" in line]
    assert len(with_vector) == COUNT
    values = struct.unpack("<64e", base64.b64decode(with_vector[0]["vector"]))
    assert values == pytest.approx(HashingEmbedder(64).embed(["fact 0"])[0], abs=1e-3)


@pytest.mark.parametrize("embedder", [Counting("another"), Counting(dim=32)], ids=["other name", "same name"])
def test_a_store_with_another_embedder_embeds_and_says_so(
    server: Server, file: tuple[str, Path], embedder: Counting
) -> None:
    user, path = file
    with Memory("postgres", url=server.create_database(), embedder=embedder) as target:
        report = transfer.import_(target, "omp", path)
        assert (report.written, report.lost()) == (COUNT + 1, {"vector": COUNT})
        assert set(embedder.asked) == {f"fact {number}" for number in range(COUNT)}
        assert target.search("fact 7", user, limit=1)[0].memory.content == "fact 7"


def test_a_vector_that_cannot_be_one_is_made_anew(server: Server, file: tuple[str, Path]) -> None:
    user, path = file
    lines = [json.loads(line) for line in path.read_text().splitlines()[:-1]]
    infinite, short = b"\x00\x7c" * 64, b"\x00\x3c" * 63
    wrong = ["?", "AAA", "", *(base64.b64encode(raw).decode() for raw in (bytes(128), infinite, short))]
    for line, vector in zip(lines[5:], wrong, strict=False):
        line["vector"] = vector
    path.write_text("\n".join(map(json.dumps, lines)))
    embedder = Counting()
    with Memory("postgres", url=server.create_database(), embedder=embedder) as target:
        dry = transfer.import_(target, "omp", path, transfer.ImportSettings(dry_run=True))
        assert dry.lost() == {"vector": len(wrong) - 1}, "that one is too short, only the embedder can tell"
        report = transfer.import_(target, "omp", path)
        assert (report.written, report.lost()) == (COUNT + 1, {"vector": len(wrong)})
        assert sorted(embedder.asked) == sorted(["fact 0", *(f"fact {number}" for number in range(4, 4 + len(wrong)))])
        for number in range(COUNT):
            assert target.search(f"fact {number}", user, limit=1)[0].memory.content == f"fact {number}"


def test_a_backend_without_vectors_of_its_own(file: tuple[str, Path], tmp_path: Path) -> None:
    _, path = file
    with Memory("memory", embedder=Counting()) as target:
        dry = transfer.import_(target, "omp", path, transfer.ImportSettings(dry_run=True))
        report = transfer.import_(target, "omp", path)
        assert report.lost() == dry.lost() == {"vector": COUNT}
        with pytest.raises(
            UnsupportedCapabilityError, match="vectors: provider 'memory' does not hand out its vectors"
        ):
            transfer.export(target, tmp_path / "f", Choice(with_vectors=True))
