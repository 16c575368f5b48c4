"""Where settings come from, the configuration file, and secrets, which are shown nowhere."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from openmem.cli.connection import FLAGS, KNOWN, connection_of_profile, find_connection
from openmem.cli.toml_lines import with_value
from openmem.config import SETTINGS
from openmem.errors import InvalidRequestError

from .conftest import Shell

SECRET = "sEcr3t-pw"


@pytest.fixture
def bare(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Commands without settings in the environment."""
    for name in ("OMP_PROVIDER", "OMP_EMBEDDER", "OMP_USER"):
        monkeypatch.delenv(name)
    return shell


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    """Write the configuration file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def settings(shell: Shell, *arguments: str) -> dict[str, tuple[Any, str]]:
    rows = shell.ok("config", "show", "--json", *arguments).json["settings"]
    return {row["name"]: (row["value"], row["origin"]) for row in rows}


def test_with_nothing_set_it_is_the_local_provider(bare: Shell) -> None:
    assert settings(bare) == {"provider": ("local", "default")}
    ran = bare("search", "x")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == (
        "openmem: --user: whose memories? pass -u NAME, set OMP_USER, or run 'openmem config set user NAME'\n"
    )


def test_a_flag_counts_before_the_environment_before_the_profile(
    bare: Shell, nothing_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(nothing_set, '[profiles.default]\nuser = "p"\nembedder = "hashing"\nlanguage = "de"\naudit = "off"\n')
    monkeypatch.setenv("OMP_LANGUAGE", "fr")
    monkeypatch.setenv("OMP_USER", "e")
    assert settings(bare, "-u", "f") == {
        "provider": ("local", "default"),
        "user": ("f", "flag"),
        "embedder": ("hashing", "profile default"),
        "language": ("fr", "environment"),
        "audit": ("off", "profile default"),
    }


def test_profiles_are_chosen_by_flag_by_variable_and_by_the_file(
    bare: Shell, nothing_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(nothing_set, 'profile = "a"\n[profiles.a]\nuser="ua"\n[profiles.b]\nuser="ub"\n[profiles.c]\nuser="uc"\n')
    assert settings(bare)["user"] == ("ua", "profile a")
    monkeypatch.setenv("OPENMEM_PROFILE", "b")
    assert settings(bare)["user"] == ("ub", "profile b")
    assert settings(bare, "-p", "c")["user"] == ("uc", "profile c")
    missing = bare("list", "-p", "d")
    assert (missing.status, "there is no profile 'd'" in missing.err) == (2, True)


def test_a_file_in_the_current_directory_is_not_read(
    bare: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("config.toml", "openmem.toml", ".openmem.toml", ".openmem/config.toml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text('[profiles.default]\nbase_url = "https://evil.example"\n')
    monkeypatch.chdir(tmp_path)
    assert settings(bare) == {"provider": ("local", "default")}


def test_the_environment_of_another_backend_takes_no_key_from_a_profile(
    nothing_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        nothing_set,
        f'[profiles.default]\nbase_url = "https://a.example"\napi_key = "{SECRET}"\nuser = "maya"\ntimeout = 5\n',
    )
    own = find_connection({}, None, {})
    assert (own.provider, own.settings["api_key"]) == ("passthrough", SECRET)
    for other in (
        find_connection({"base_url": "https://evil.example"}, None, {}),
        find_connection({}, "default", {"OMP_BASE_URL": "https://evil.example"}),
        find_connection({"provider": "local"}, None, {}),
        find_connection({}, None, {"OMP_POSTGRES_URL": "postgresql://localhost/db"}),
    ):
        assert "api_key" not in other.settings
        assert "timeout" not in other.settings
        assert other.user == "maya"
    assert find_connection({"base_url": "https://a.example"}, None, {}).settings["api_key"] == SECRET
    assert find_connection({"provider": "passthrough"}, None, {}).settings["timeout"] == 5


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o602])
def test_a_file_that_others_can_read_or_change_is_refused(bare: Shell, nothing_set: Path, mode: int) -> None:
    path = write(nothing_set, f'[profiles.default]\napi_key = "{SECRET}"\n', mode)
    ran = bare("list", "-u", "maya")
    assert ran.status == 2
    assert ran.err == (
        f"openmem: {path}: other accounts may read or change it, and it may hold secrets; run: chmod 600 '{path}'\n"
    )


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_account_is_refused_unless_it_is_roots(bare: Shell, nothing_set: Path) -> None:
    os.chown(write(nothing_set, ""), 1, 1)
    assert "belongs to another account" in bare("list", "-u", "maya").err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[profiles", "it is not TOML"),
        ("user = 'x'", "unknown key 'user'; settings stand below [profiles.NAME]"),
        ("profiles = 3", "profiles are tables"),
        ("profile = 3", "'profile' is a name"),
        ("[profiles.default]\nbase_ulr = 'x'", "unknown key 'base_ulr'; did you mean 'base_url'?"),
        ("[profiles.default]\ntimeout = 'soon'", "bad config: timeout in profile default: 'soon' is not a positive"),
        ("[profiles.default]\npool_max_size = 0", "bad config: pool_max_size in profile default: 0 is not a whole"),
        ("[profiles.default]\npath = 'here'", "bad config: path in profile default: it is relative"),
        ("[profiles.default]\nprovider = 'oracle'", "bad config: provider in profile default: there is no provider"),
        ("[profiles.default]\nbase_url = 'https://a.example'\nschema = 'x'",
         "bad config: schema in profile default: provider 'passthrough' does not read it (--provider 'local' or"),
        ("[profiles.default]\noptions = 1", "options is not a table"),
        ("[profiles.default.options]\nfoo = 1", "bad config: unexpected keyword argument 'foo'"),
        ("[profiles.default]\nuser = 3", "bad config: user in profile default: must be text"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_in_one_line(bare: Shell, nothing_set: Path, text: str, told: str) -> None:
    write(nothing_set, text)
    ran = bare("list", *([] if "user" in text else ["-u", "maya"]))
    assert ran.status == 2
    assert told in ran.err
    assert ran.err.count("\n") == 1


def test_settings_are_kept_in_profiles_and_the_rest_of_the_file_stays(bare: Shell, nothing_set: Path) -> None:
    bare.ok("config", "set", "user", "maya")
    path = nothing_set / "config.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.write_text(f"# mine\n{path.read_text()}language = 'en'  # English\n\n[profiles.other]\nuser='x'\n")
    bare.ok("config", "set", "timeout", "7.5")
    bare.ok("config", "set", "pool_max_size", "3", "-p", "other")
    bare.ok("config", "set", "grants", "read:*, write:a/*", "-p", "third")
    bare.ok("config", "set", "user", 'a "b"\\c')
    bare.ok("config", "unset", "language")
    text = path.read_text()
    assert text.startswith("# mine\n")
    assert tomllib.loads(text)["profiles"] == {
        "default": {"user": 'a "b"\\c', "timeout": 7.5},
        "other": {"user": "x", "pool_max_size": 3},
        "third": {"grants": ["read:*", "write:a/*"]},
    }
    assert bare.ok("config", "get", "user").out == 'a "b"\\c\n'
    assert bare("config", "get", "schema").status == 1
    assert bare.ok("config", "path").out == f"{path}\n"
    assert bare.ok("profile", "list", "-q").lines == ["default", "other", "third"]
    bare.ok("profile", "use", "other")
    assert bare.ok("config", "get", "user").out == "x\n"
    assert [row["chosen"] for row in bare.ok("profile", "list", "--json").json["profiles"]] == [False, True, False]
    assert bare("profile", "use", "nowhere").status == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonsense", "x"], "there is no setting 'nonsense'"),
        (["usr", "x"], "did you mean 'user'?"),
        (["timeout", "soon"], "timeout: 'soon' is not a positive number of seconds"),
        (["path", "here"], "path: it is relative"),
        (["config", "x"], "config: it is a table"),
        (["user"], "user: give a value"),
        (["user", "x", "-p", "a b"], "profile: a name has letters"),
    ],
)
def test_config_set_refuses_what_cannot_be(bare: Shell, nothing_set: Path, arguments: list[str], told: str) -> None:
    ran = bare("config", "set", *arguments)
    assert ran.status == 2
    assert told in ran.err
    assert not nothing_set.exists()


def test_a_secret_is_never_on_the_command_line_and_never_shown(bare: Shell, nothing_set: Path) -> None:
    assert not any(setting.is_secret for setting in FLAGS.values())
    url = f"postgresql://bob:{SECRET}@127.0.0.1:9/x"
    refused = bare("config", "set", "url", url)
    assert refused.status == 2
    bare.ok("config", "set", "url", input=url + "\n")
    bare.ok("config", "set", "api_key", "-", "-p", "work", input=SECRET)
    assert tomllib.loads((nothing_set / "config.toml").read_text())["profiles"] == {
        "default": {"url": url},
        "work": {"api_key": SECRET},
    }
    ran = [
        refused,
        bare("config", "show"), bare("config", "show", "--json"), bare("config", "get", "url"),
        bare("config", "get", "api_key", "-p", "work"), bare("profile", "list", "--json"),
        bare("status"), bare("status", "--json"), bare("list", "-u", "maya", "--verbose"),
        bare("list", "-u", "maya", "--json"), bare("list", "-u", "maya", "--provider", "passthrough"),
        bare("list", "-u", "maya", "-p", "work", "--base-url", "http://127.0.0.1:9"),
        bare("list", "-u", "maya", env={"OMP_POSTGRES_URL": f"mysql://bob:{SECRET}@h/d"}),
        bare("list", "-u", "maya", env={"OMP_BASE_URL": f"http://bob:{SECRET}@localhost:1", "OMP_PROVIDER": "letta"}),
        bare("list", "-u", "maya", "--provider", url),
    ]  # fmt: skip
    assert [SECRET in one.out + one.err for one in ran] == [False] * len(ran)
    assert settings(bare)["url"] == ("(not shown)", "profile default")


def test_a_key_of_a_program(nothing_set: Path, bare: Shell, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text(
        f'#!/bin/sh\n[ "$1" = ok ] && echo {SECRET} && exit\n[ "$1" = none ] && exit\necho {SECRET}; exit 3\n'
    )
    tool.chmod(0o755)
    text = "".join(
        f'[profiles.{name}]\nbase_url = "http://127.0.0.1:9"\napi_key_command = "{tool} {name}"\n'
        for name in ("ok", "none", "bad")
    ) + '[profiles.gone]\nbase_url = "http://127.0.0.1:9"\napi_key_command = "/no/such/tool"\n'  # fmt: skip
    write(nothing_set, text)
    connection = find_connection({}, "ok", {})
    assert connection.arguments()["api_key"] == SECRET
    assert find_connection({}, "ok", {"OMP_API_KEY": "other"}).arguments()["api_key"] == "other"
    assert "api_key" not in find_connection({"base_url": "http://evil.example"}, "ok", {}).arguments()
    for name, told in (
        ("none", "wrote no key"), ("bad", "ended with status 3"), ("gone", "cannot be run (FileNotFoundError)"),
    ):  # fmt: skip
        ran = bare("list", "-u", "maya", "-p", name)
        assert (ran.status, told in ran.err, SECRET in ran.err) == (2, True, False)
    assert settings(bare, "-p", "ok")["api_key"] == ("(not shown)", "api_key_command")


def test_a_profile_is_removed_and_the_rest_of_the_file_stays(bare: Shell, nothing_set: Path) -> None:
    nothing_set.mkdir(parents=True)
    path = nothing_set / "config.toml"
    path.write_text(
        "profile = 'work'\n\n[profiles.work]\nbase_url = 'https://a.example'\napi_key = 'sesame'\n\n"
        "[profiles.work.options]\nfoo = 1\n\n# at home\n[profiles.home]\nprovider = 'local'\n"
    )
    path.chmod(0o600)
    refused = bare("profile", "remove", "work")
    assert (refused.status, refused.err) == (
        2,
        "openmem: remove the profile work for good: pass --yes if it is meant\n",
    )
    assert "profile work is removed" in bare.ok("profile", "remove", "work", "--yes").err
    assert tomllib.loads(path.read_text()) == {"profiles": {"home": {"provider": "local"}}}
    assert "# at home" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert bare("profile", "remove", "work", "--yes").status == 2
    path.write_text("profiles = {home = {provider = 'local'}}\n")
    assert "only an editor" in bare("profile", "remove", "home", "--yes").err


def test_two_terminals_that_change_settings_at_once_keep_both(
    nothing_set: Path, bare: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[subprocess.Popen[bytes]] = []

    def while_another_one_begins(*arguments: Any) -> str:
        if not others:
            command = [sys.executable, "-m", "openmem.cli", "config", "set", "language", "de"]
            others.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
            with suppress(subprocess.TimeoutExpired):
                # Without a lock it would be done before this one writes.
                others[0].wait(timeout=3)
        return with_value(*arguments)

    monkeypatch.setattr("openmem.cli.commands.setting_up.with_value", while_another_one_begins)
    bare.ok("config", "set", "user", "maya")
    assert others[0].wait(timeout=60) == 0
    document = tomllib.loads((nothing_set / "config.toml").read_text())
    assert document == {"profiles": {"default": {"user": "maya", "language": "de"}}}


def test_a_profile_by_itself(nothing_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(nothing_set, "[profiles.a]\nprovider = 'mem0'\n[profiles.a.options]\ninfer = false\n")
    monkeypatch.setenv("OMP_PROVIDER", "memory")
    connection = connection_of_profile("a")
    assert (connection.provider, connection.settings) == ("mem0", {"infer": False})
    with pytest.raises(InvalidRequestError, match="there is no profile"):
        connection_of_profile("b")


def test_the_flags_are_those_of_the_table_of_settings() -> None:
    assert {name for name in KNOWN if name in SETTINGS} == set(SETTINGS)
    for name, setting in FLAGS.items():
        assert setting.flag is not None
        if name in SETTINGS:
            assert setting is SETTINGS[name]


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", "[a.b]\nk = 1\n"),
        ("x = 2", "x = 2\n\n[a.b]\nk = 1\n"),
        ("[a.b]\nj = 0\n[c]\nk = 5\n", "[a.b]\nk = 1\nj = 0\n[c]\nk = 5\n"),
        ("[ 'a' . b ] # note\n  k=7 # old\n", "[ 'a' . b ] # note\nk = 1\n"),
    ],
)
def test_one_value_of_a_document_is_changed(text: str, changed: str) -> None:
    assert with_value(text, ("a", "b"), "k", 1) == changed


@pytest.mark.parametrize("text", ["a = {b = {k = 2}}\n", "a.b.k = 2\n", '[a.b]\nk = """\n1\n"""\n', "[a]\nb.k = 2\n"])
def test_what_cannot_be_changed_line_by_line_is_refused(text: str) -> None:
    tomllib.loads(text)
    with pytest.raises(ValueError, match="only an editor"):
        with_value(text, ("a", "b"), "k", 1)


@pytest.mark.parametrize("value", ["", "a\nb\t\x00\x7f\x1b", "é😀\u2028", '"\\', True, 1.5, ["x", 2]])
def test_every_value_is_read_back(value: object) -> None:
    assert tomllib.loads(with_value("", (), "k", value)) == {"k": value}


def test_json_of_a_wrong_setting(bare: Shell) -> None:
    ran = bare("list", "-u", "maya", "--timeout", "soon", "--json")
    assert json.loads(ran.err)["error"]["message"].startswith("bad config: --timeout: 'soon' is not")
