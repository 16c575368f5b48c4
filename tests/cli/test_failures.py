"""Exit statuses, and what is told of a failure."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import get_completion_class

from openmem import Memory
from openmem.cli.failures import exit_status
from openmem.client import Client
from openmem.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OMPError,
    ProviderError,
    RateLimitedError,
    ScopeDeniedError,
    UnauthorizedError,
    UnsupportedCapabilityError,
    unavailable,
)

from .conftest import Shell


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ProviderError("x"), 1), (ConflictError("x"), 1), (InvalidRequestError("x"), 2),
        (UnsupportedCapabilityError("x"), 2), (NotFoundError("x"), 3), (UnauthorizedError("x"), 4),
        (ScopeDeniedError("x"), 4), (RateLimitedError("x"), 75), (unavailable("x"), 75),
        (ProviderError("x", code="ingestion_timeout"), 75),
    ],
)  # fmt: skip
def test_each_kind_of_error_has_its_status(error: OMPError, status: int) -> None:
    assert exit_status(error) == status


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["serch"], "there is no command 'serch'; did you mean 'search'?"),
        (["xyz"], "there is no command 'xyz'; 'openmem --help' has the commands"),
        (["search"], "missing argument 'QUERY'; see 'openmem search --help'"),
        (["search", "x", "--nonsense"], "--nonsense"),
        (
            ["search", "what", "does", "she", "eat"],
            "there are 3 arguments too many; a text of several words goes in quotes, see 'openmem search --help'",
        ),
        (["update", "mem_x", "secret text"], "there is an argument too many; a new text goes behind --content"),
        (
            ["search", "x", "--url", "postgresql://bob:s3cret@localhost/x"],
            "--url: it may hold a secret, and others can read a command line; set OMP_POSTGRES_URL, or run "
            "'openmem config set url'",
        ),
        (["search", "x", "--api-key=s3cret"], "--api-key: it may hold a secret"),
        (["search", "x", "--postgres-url", "postgresql://x"], "--postgres-url: it may hold a secret"),
        (
            ["search", "x", "--provider", "postgres"],
            "OMP_POSTGRES_URL: provider 'postgres' needs the server's URL, as in OMP_POSTGRES_URL='postgresql://"
            "user:password@localhost:5432/database'; --provider 'local' needs no server",
        ),
        (["search", "x", "--limit", "many"], "--limit: 'many' is not a whole number"),
        (["search", "x", "--limit", "0"], "--limit: 0 is less than 1, the least that is allowed"),
        (["search", "x", "--since", "then"], "--since: 'then' is not a time such as 90d, 12h or 2027-01-31"),
        (["search", "x", "--where", "{"], "--where: is not valid JSON: "),
        (["search", "x", "--recency", "soon"], "--recency: 'soon' is not a time such as '30m', '1h' or '7d'"),
        (["search", " "], "QUERY: is empty; give some text"),
        (["add", " "], "TEXT: is empty; give some text"),
        (["put", " ", "text"], "KEY: is empty; give some text"),
        (["search", "x", "--json", "-q"], "--json, --jsonl and -q exclude each other"),
        (["list", "--cursor", "nonsense"], "--cursor: "),
        (["add", "x", "--supersedes", "nowhere"], "--supersedes: "),
        (["add", "x", "--extension", "mem0"], "--extension: it is not like"),
        (["add", "x", "--extension", "mem0=1"], "--extension: 'mem0' is not a field of this verb"),
        (["add", "x", "--metadata", "[1]"], "--metadata: is of type list"),
        (["add", "x", "--confidence", "2"], "--confidence: 2.0 is not between 0 and 1"),
        (["add", "x", "--confidence", "high"], "--confidence: "),
        (["add"], "add: give a text, - for standard input, or --batch FILE"),
        (["get"], "get: give ids, or --key and --user"),
        (["get", "some-id", "--scope", "x"], "--scope: it says where a --key is"),
        (["facets", "colour"], "FIELD: 'colour' is not 'scope', 'tag', 'app'"),
        (["config"], "Usage: openmem config"),
        (["completion", "tcsh"], "invalid value for"),
    ],
)
def test_wrong_usage_is_told_in_the_words_of_the_command_line(shell: Shell, arguments: list[str], told: str) -> None:
    ran = shell(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert told in ran.err
    if told[0].islower():
        assert ran.err.count("\n") == 1


def test_with_json_an_error_is_the_object_of_the_protocol(shell: Shell) -> None:
    ran = shell("get", "nowhere", "--json")
    assert (ran.status, ran.out) == (3, "")
    assert ran.error["code"] == "not_found"
    assert ran.error["message"] == "there is no memory 'nowhere'"
    assert ran.error["request_id"]
    assert shell("search", "--jsonl").error["type"] == "invalid"
    text = shell("get", "nowhere", "--verbose").err
    assert text.startswith("openmem: there is no memory 'nowhere' [request ")


def test_a_text_that_looks_like_a_flag(shell: Shell) -> None:
    assert shell.ok("add", "--", "--json").out.startswith("added ")
    assert shell("get", "--", "--json").err == "openmem: there is no memory '--json'\n"


def test_an_interrupt(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "run", interrupted)
    ran = shell("search", "x")
    assert (ran.status, ran.out, ran.err) == (130, "", "\nopenmem: interrupted\n")


def test_a_defect_is_told_without_a_traceback_and_without_texts(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("text of a memory")

    monkeypatch.setattr(Client, "run", broken)
    ran = shell("search", "x")
    assert ran.status == 1
    assert ran.err == (
        "openmem: this is a defect of openmem (ValueError); run it again with OPENMEM_TRACEBACK=1 for more\n"
    )
    assert "Traceback" in shell("search", "x", env={"OPENMEM_TRACEBACK": "1"}).err


def test_a_missing_extra(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("provider='local' needs x, which is not installed: pip install 'openmem[local]'")

    monkeypatch.setattr(Memory, "__init__", missing)
    ran = shell("search", "x")
    assert (ran.status, "pip install 'openmem[local]'" in ran.err) == (1, True)
    assert shell("status").status == 1


def test_an_unreachable_backend_says_try_again(shell: Shell) -> None:
    ran = shell("list", env={"OMP_PROVIDER": None, "OMP_EMBEDDER": None, "OMP_BASE_URL": "http://127.0.0.1:9"})
    assert ran.status == 75


def test_status(shell: Shell) -> None:
    shell.ok("add", "x")
    report = shell.ok("status", "--json").json
    assert report["is_healthy"] is True
    assert report["backend"]["provider"] == "memory"
    assert report["backend"]["embedder"].startswith("hashing")
    assert report["backend"]["memories_of_user"] == 1
    assert {row["name"]: row["origin"] for row in report["settings"]} == dict.fromkeys(
        ("provider", "user", "embedder"), "environment"
    )
    assert shell.ok("status").lines[-1] == "healthy"
    assert shell.ok("status", "-q").out == "healthy\n"


def test_status_of_what_is_not_healthy(shell: Shell) -> None:
    away = {"OMP_PROVIDER": None, "OMP_EMBEDDER": None, "OMP_BASE_URL": "http://127.0.0.1:9"}
    ran = shell("status", "--json", env=away)
    assert ran.status == 75
    assert ran.json["is_healthy"] is False
    assert ran.json["error"] == ran.error
    wrong = shell("status", env={"OMP_TIMEOUT": "soon"})
    assert (wrong.status, wrong.lines[-1]) == (2, "unhealthy")
    assert wrong.err.startswith("openmem: bad config: OMP_TIMEOUT: ")


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish", "powershell"])
def test_completion(shell: Shell, shell_name: str) -> None:
    if get_completion_class(shell_name) is None:
        told = "openmem: the installed click knows no completion for powershell: pip install 'click>=8.5'\n"
        assert shell("completion", shell_name).err == told
        return
    assert "_OPENMEM_COMPLETE" in shell.ok("completion", shell_name).out


def test_wrong_settings_of_serve(shell: Shell) -> None:
    for arguments, told in (
        (["--port", "x"], "openmem: bad config: --port: "),
        (["--provider", "passthrough"], "openmem: missing config: provider 'passthrough' needs OMP_BASE_URL"),
    ):
        ran = shell("serve", *arguments)
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.startswith(told)


def test_who_has_no_key_is_told_the_command_that_makes_one(shell: Shell, tmp_path: Path) -> None:
    missing = str(tmp_path / "keys.json")
    for arguments in (
        ["serve", "--host", "0.0.0.0"],
        ["serve", "--host", "0.0.0.0", "--no-auth", "--ui"],
        ["serve", "--keys-file", missing],
        ["keys", "list", "--keys-file", missing],
        ["keys", "revoke", "0123456789ab", "--keys-file", missing],
    ):
        ran = shell(*arguments)
        assert (ran.status, ran.out) == (2, "")
        assert "make a key with 'openmem keys create'" in ran.err


def test_keys(shell: Shell, tmp_path: Path) -> None:
    file = str(tmp_path / "keys.json")
    made = shell.ok("keys", "create", "--app", "chat", "--user", "maya", "--expires", "90d", "--keys-file", file)
    [key] = made.lines
    assert key.startswith("omk_")
    assert key not in made.err
    [entry] = shell("keys", "list", "--json", env={"OMP_KEYS_FILE": file}).json["keys"]
    assert (entry["app"], entry["users"]) == ("chat", ["maya"])
    assert "sha256" not in entry
    assert shell.ok("keys", "list", "-q", "--keys-file", file).lines == [entry["id"]]
    assert shell.ok("keys", "list", "--keys-file", file).lines[1].split()[:4] == [entry["id"], "chat", "maya", "all"]
    shell.ok("keys", "revoke", entry["id"], "--keys-file", file)
    assert shell("keys", "revoke", entry["id"], "--keys-file", file).status == 2
    wrong = shell("keys", "create", "--app", "x", "--expires", "soon", "--keys-file", file)
    assert wrong.err == "openmem: --expires: 'soon' is not a time such as 90d, 12h or 2027-01-31\n"
    assert (
        shell("keys", "list").err
        == "openmem: missing config: the file of API keys; pass --keys-file, or set OMP_KEYS_FILE\n"
    )
