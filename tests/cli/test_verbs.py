"""Every verb from the command line: its arguments, and the output in each format."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from openmem.cli.application import application
from openmem.cli.fields import FIELDS
from openmem.cli.table import COMMANDS
from openmem.operations import VERBS

from .conftest import Shell
from .test_table import CONTEXT

COMMAND_OF = {"get_by_key": "get", "add_many": "add", "delete_many": "delete", "restore": "import",
              "wait_for_ingest": "wait"}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_a_command(verb: type) -> None:
    name = verb.verb  # type: ignore[attr-defined]
    assert COMMAND_OF.get(name, name.replace("_", "-")) in COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_no_two_options_of_a_command_have_the_same_flag(name: str) -> None:
    command = application.get_command(CONTEXT, name)
    assert command is not None
    flags = [flag for option in command.params for flag in option.opts]
    assert len(flags) == len(set(flags))


def test_every_field_is_a_parameter_of_a_verb() -> None:
    assert set(FIELDS) <= {name for verb in VERBS for name in verb.model_fields}


def test_add_and_search(shell: Shell) -> None:
    added = shell.ok("add", "Maya is vegan", "-t", "diet", "-t", "food", "--scope", "health/diet", "--json").json
    assert added["tags"] == ["diet", "food"]
    assert shell.ok("search", "is Maya vegan?", "--json").json["results"][0]["memory"] == added
    assert shell.ok("search", "vegan", "-q").lines == [added["id"]]
    [line] = shell.ok("search", "vegan", "--jsonl").lines
    assert json.loads(line)["memory"]["id"] == added["id"]
    heading, row = shell.ok("search", "vegan").lines
    assert heading.split() == ["SCORE", "MEMORY", "SCOPE", "CREATED", "ID"]
    assert "Maya is vegan" in row
    assert row.endswith(added["id"])


def test_a_search_shows_what_its_scores_are_made_of(shell: Shell) -> None:
    shell.ok("add", "Maya moved to Porto on 9 September 2023")
    shell.ok("add", "Is Tom from Leeds?")
    heading, first, second = shell.ok("search", "who moved in September 2023 from Leeds", "--explain").lines
    assert {"SCORE", "MEANING", "WORDS", "DATES", "KEPT", "FOUND", "MISSING", "MEMORY", "ID"} <= set(heading.split())
    assert "moved, September 2023  " in first
    assert "85%" in second
    found = shell.ok("search", "who moved in September 2023", "--explain", "--json").json["results"][0]
    assert found["x-openmem"]["explanation"]["score"] == found["score"]


def test_a_search_that_finds_nothing_writes_nothing(shell: Shell) -> None:
    ran = shell.ok("search", "anything")
    assert (ran.out, ran.err) == ("", "nothing found\n")
    assert shell.ok("search", "anything", "--json").json == {"results": []}
    assert shell.ok("search", "anything", "-q").out == ""


def test_all_arguments_of_add(shell: Shell) -> None:
    first = shell.ok("add", "She is vegetarian", "-q").lines[0]
    record = shell.ok(
        *("add", "-", "--json", "--metadata", '{"n": 9}', "--key", "diet", "--confidence", "0.5", "--unindexed"),
        *("--source", '{"app": "notes", "ref": "7"}', "--valid-from", "2026-01-31T08:00+02:00", "--expires", "90d"),
        *("--supersedes", first, "--extension", 'x-notes={"page": [1]}'),
        input="She is vegan,\nsays the note\n",
    ).json
    assert record["content"] == "She is vegan,\nsays the note"
    assert record["metadata"] == {"n": 9}
    assert (record["key"], record["confidence"], record["indexed"]) == ("diet", 0.5, False)
    assert record["source"] == {"app": "notes", "ref": "7"}
    assert record["valid_from"] == "2026-01-31T06:00:00Z"
    assert record["supersedes"] == [first]
    assert record["x-notes"] == {"page": [1]}
    left = datetime.fromisoformat(record["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < left <= timedelta(days=90)
    assert [m["id"] for m in shell.ok("history", record["id"], "--json").json["memories"]] == [first, record["id"]]
    assert "valid_to" in shell.ok("get", first, "--json").json
    assert shell.ok("get", "--key", "diet", "-q").lines == [record["id"]]


def test_put_replaces(shell: Shell) -> None:
    first = shell.ok("put", "diet", "vegan", "--json").json
    second = shell.ok("put", "diet", "-", "--if-version", "1", "--json", input="vegetarian").json
    assert (second["id"], second["version"], second["content"]) == (first["id"], 2, "vegetarian")
    refused = shell("put", "diet", "meat", "--if-version", "1", "--json")
    assert (refused.status, refused.error["code"]) == (1, "conflict")


def test_update_changes_what_is_given_and_clears_what_is_named(shell: Shell) -> None:
    id = shell.ok("add", "x", "-t", "a", "--scope", "s", "-q").lines[0]
    record = shell.ok("update", id, "--content", "y", "-t", "b", "-t", "c", "--clear", "scope", "--json").json
    assert (record["content"], record["tags"], record.get("scope")) == ("y", ["b", "c"], None)
    assert shell("update", id).status == 2
    both = shell("update", id, "--clear", "tag", "-t", "d")
    assert (both.status, both.err) == (2, "openmem: --clear: --tag is given, too; pass only one of them\n")


def test_forget_ends_validity_and_can_be_undone(shell: Shell) -> None:
    id = shell.ok("add", "Maya is vegan", "-q").lines[0]
    assert shell.ok("forget", "-", input=f"{id}\n\n").lines == [f"forgot {id}"]
    assert shell.ok("search", "vegan", "-q").out == ""
    assert shell.ok("search", "vegan", "-q", "--as-of", "1m").lines == [id]
    assert shell.ok("list", "-q").lines == [id]
    shell.ok("update", id, "--clear", "valid-to")
    assert shell.ok("search", "vegan", "-q").lines == [id]


def test_delete_by_id_asks_first(shell: Shell) -> None:
    id = shell.ok("add", "x", "-q").lines[0]
    refused = shell("delete", id)
    assert (refused.status, refused.err) == (2, "openmem: delete 1 memory for good: pass --yes if it is meant\n")
    assert shell.ok("delete", id, "--yes").lines == [f"deleted {id}"]
    gone = shell("delete", id, "--yes")
    assert (gone.status, gone.err) == (3, f"openmem: there is no memory '{id}'\n")


def test_what_is_done_in_part_is_told(shell: Shell) -> None:
    ids = [shell.ok("add", text, "-q").lines[0] for text in ("a", "b")]
    ran = shell("delete", ids[0], "nowhere", ids[1], "--yes", "-q")
    assert (ran.status, ran.lines) == (5, ids)
    assert ran.err == "openmem: there is no memory 'nowhere'\n"
    assert shell("get", "one", "two", "--jsonl").status == 3


def test_several_ids_are_one_document(shell: Shell) -> None:
    ids = [shell.ok("add", text, "-q").lines[0] for text in ("a", "b")]
    assert [found["id"] for found in shell.ok("get", *ids, "--json").json] == ids
    assert shell.ok("get", ids[0], "--json").json["id"] == ids[0]
    assert [json.loads(line)["id"] for line in shell.ok("get", *ids, "--jsonl").lines] == ids
    assert [found["id"] for found in shell.ok("get", "-", "--json", input=f"{ids[1]}\n").json] == ids[1:]
    assert shell.ok("get", "-", "--json", input="").json == []
    ran = shell("forget", ids[0], "nowhere", "--json")
    assert (ran.status, [found["id"] for found in ran.json], ran.error["code"]) == (5, ids[:1], "not_found")
    assert shell.ok("delete", *ids, "--yes", "--json").json == [{"deleted": id} for id in ids]


def test_delete_by_filter(shell: Shell) -> None:
    shell.ok("add", "a", "-t", "x")
    shell.ok("add", "b")
    assert shell.ok("delete", "--all", "--dry-run", "--json").json == {"deleted": 2}
    refused = shell("delete", "--tag", "x")
    assert (refused.status, refused.err) == (
        2,
        "openmem: delete 1 memory of maya for good: pass --yes if it is meant\n",
    )
    assert shell.ok("delete", "--tag", "x", "--yes").out == "deleted 1 memory\n"
    assert shell.ok("count").out == "1\n"
    assert shell("delete", "--yes").status == 2
    assert shell("delete", "some-id", "--all", "--yes").status == 2


def test_list_goes_through_pages(shell: Shell, tmp_path: Path) -> None:
    batch = tmp_path / "batch.jsonl"
    batch.write_text("".join(f'{{"content": "note {n}"}}\n' for n in range(7)))
    assert shell.ok("add", "--batch", str(batch)).out == "added 7 memories\n"
    assert shell.ok("add", "--batch", "-", "-u", "one", input='{"content": "x"}').out == "added 1 memory\n"
    first = shell.ok("list", "-n", "3", "--json").json
    second = shell.ok("list", "-n", "3", "--cursor", first["next_cursor"], "--json").json
    assert [m["content"] for m in first["items"] + second["items"]] == [f"note {n}" for n in (6, 5, 4, 3, 2, 1)]
    assert len(shell.ok("list", "-n", "3", "--all", "--jsonl").lines) == 7
    whole = shell.ok("list", "-n", "3", "--all", "--json").json
    assert (len(whole["items"]), whole.get("next_cursor")) == (7, None)
    table = shell.ok("list", "-n", "3")
    assert len(table.lines) == 4
    assert table.err == f"there are more: pass --all, or --cursor {first['next_cursor']}\n"


def test_a_batch_is_stored_as_a_whole_or_not_at_all(shell: Shell) -> None:
    ran = shell("add", "--batch", "-", input='{"content": "a"}\n\n{"content": ""}\n')
    assert (ran.status, ran.err) == (2, "openmem: line 3: content: is empty; give some text\n")
    broken = shell("add", "--batch", "-", input='{"content": "a"}\n{"content": \n')
    assert broken.status == 2
    assert broken.err.startswith("openmem: standard input: line 2 is not valid JSON")
    assert shell("add", "--batch", "-", input=b'{"content": "\xff"}').err.endswith("line 1 is not UTF-8\n")
    assert shell("add", "--batch", "/no/such/file").err == "openmem: /no/such/file: No such file or directory\n"
    assert shell.ok("count").out == "0\n"
    shell.ok("add", "--batch", "-", "-t", "x", input='{"content": "a", "user_id": "ben"}\n{"content": "b"}')
    assert shell.ok("list", "-u", "ben", "--json").json["items"][0]["tags"] == ["x"]


def test_an_idempotency_key(shell: Shell) -> None:
    assert shell.ok("add", "x", "--idempotency-key", "k", "-q").out == shell.ok(
        "add", "x", "--idempotency-key", "k", "-q"
    ).out  # fmt: skip


def test_context_is_text_for_a_prompt(shell: Shell) -> None:
    id = shell.ok("add", "Maya is vegan", "-q").lines[0]
    assert shell.ok("context", "vegan dinner").out == f"- Maya is vegan [{id}]\n"
    assert shell.ok("context", "vegan dinner", "-q").lines == [id]
    assert shell.ok("context", "-", "--budget", "1", input="vegan dinner").out == ""


def test_filters(shell: Shell) -> None:
    shell.ok("add", "a vegan dish", "-t", "x", "--metadata", '{"n": 1}', "--scope", "food/good")
    shell.ok("add", "a vegan cake", "-t", "y", "--metadata", '{"n": 2}', "--scope", "food")
    for arguments in (
        ["--where", '{"n": {"$lt": 2}}'], ["--tag", "x"], ["--any-tag", "x", "--any-tag", "z"],
        ["--scope", "food/*"], ["--scope", "food/good", "--scope", "drink"],
    ):  # fmt: skip
        assert shell.ok("count", *arguments).out == "1\n"
        assert len(shell.ok("search", "vegan", "-q", *arguments).lines) == 1
    assert shell.ok("count", "--since", "1d").out == "2\n"
    assert shell.ok("count", "--until", "1d").out == "0\n"
    assert shell.ok("count", "--until", "2100-01-31").out == "2\n"
    assert {row["value"] for row in shell.ok("facets", "tag", "--json").json["facets"]} == {"x", "y"}
    assert sorted(shell.ok("facets", "metadata.n", "-q").lines) == ["1", "2"]


def test_audit_users_and_forgetting_one(shell: Shell) -> None:
    id = shell.ok("add", "x", "-q").lines[0]
    shell.ok("add", "y", "-u", "ben")
    [entry] = shell.ok("audit", "--json").json["entries"]
    assert (entry["action"], entry["app"], entry["memory_id"]) == ("add", "openmem-cli", id)
    shell.ok("count")
    assert shell.ok("audit", "-n", "1").err.startswith("there are more: pass --all, or --cursor ")
    for output in ("--jsonl", "-q"):
        assert len(shell.ok("audit", "-n", "1", "--all", output).lines) == 2
    assert [e["action"] for e in shell.ok("audit", "-n", "1", "--all", "--json").json["entries"]] == ["count", "add"]
    assert shell.ok("users", "-q").lines == ["ben", "maya"]
    assert shell.ok("users", "-q", "--prefix", "m").lines == ["maya"]
    assert shell.ok("users", "-n", "1").err.startswith("there are more: pass --all, or --cursor ")
    assert shell.ok("users", "-n", "1", "--all", "-q").lines == ["ben", "maya"]
    assert shell("forget-user", "ben").status == 2
    assert shell.ok("forget-user", "ben", "--yes").out == "removed 1 memory and 1 audit entry\n"


def test_what_looks_after_a_store(shell: Shell) -> None:
    id = shell.ok("add", "x", "-q").lines[0]
    assert shell.ok("purge", "--json").json == {"memories": 0, "audit_entries": 0}
    assert shell("purge", "--audit-before", "1d").status == 2
    assert shell.ok("purge", "--audit-before", "2100-01-01", "--yes", "--json").json["audit_entries"] == 1
    assert "search" in shell.ok("capabilities", "-q").lines
    assert shell.ok("capabilities", "--json").json["provider"] == "memory"
    assert shell.ok("wait", id).out == "ready\n"


def test_users_are_apart(shell: Shell) -> None:
    id = shell.ok("add", "x", "-q").lines[0]
    assert shell("get", id, "-u", "ben").status == 3
    assert shell("delete", id, "-u", "ben", "--yes").status == 3
    assert shell("forget", id, "-u", "ben").status == 3
    assert shell("update", id, "-u", "ben", "--content", "y").status == 3
    assert shell("history", id, "-u", "ben").status == 3


def test_tables_are_spread_over_a_cluster_only(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_POSTGRES_URL", raising=False)
    assert "OMP_POSTGRES_URL: name the coordinator" in shell("scale-out", "--dry-run").err
