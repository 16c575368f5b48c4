"""A real `PostgresStore` is copied, with its times."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

pytest.importorskip("langgraph.store.postgres")

from langgraph.store.postgres import PostgresStore

from openmem.integrations.langgraph import OpenmemStore
from openmem.integrations.langgraph.__main__ import main
from openmem.integrations.langgraph.migration import migrate

from ..servers import Server

COUNT = 450


def names(items: list[Any]) -> list[Any]:
    return sorted((item.namespace, item.key, item.value, item.created_at, item.updated_at) for item in items)


def test_all_items_are_copied_once(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = server.create_database(), server.create_database()
    user = f"maya-{uuid.uuid4()}"
    with PostgresStore.from_conn_string(source) as old:
        old.setup()
        for number in range(COUNT):
            old.put(("memories", user, str(number % 7)), f"k/{number}", {"n": number, "text": f"fact {number}"})
        old.put(("memories", "ben"), "short", {"n": 1}, ttl=90)
        old.put(("memories", "ben"), "large", {"text": "x" * 40_000, "n": 1e23})
        expected = names(old.search((), limit=1000))
        arguments = ["migrate", "--from", source, "--to", target, "--embedder", "hashing", "--user-label", "1"]
        assert main(arguments) == 0
        assert capsys.readouterr().out == f"copied {COUNT + 2}, there already 0, refused 0\n"
        assert main(arguments) == 0
        assert capsys.readouterr().out == f"copied 0, there already {COUNT + 2}, refused 0\n"
        with OpenmemStore(url=target, embedder="hashing", user_label=1) as store:
            assert names(store.search((), limit=1000, refresh_ttl=False)) == expected
            assert store.search(("memories", user), query="fact 99", limit=1)[0].value["n"] == 99
            old.put(("memories", "ben"), "n" * 600, {})
            done = migrate(source, store)
            assert (done.copied, done.present, len(done.refused)) == (0, COUNT + 2, 1)


def test_a_store_that_is_not_there(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    target = server.create_database()
    assert main(["migrate", "--from", server.create_database(), "--to", target, "--embedder", "hashing"]) == 2
    assert "cannot be read: UndefinedTable" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["migrate", "--from", target])
    assert "OMP_POSTGRES_URL" in capsys.readouterr().err
