"""What reaches the terminal: widths, colours, control characters, encodings, pages, progress."""

from __future__ import annotations

import io
import json
import sys

import pytest

from openmem.cli import main
from openmem.cli.output import Column, members, table
from openmem.cli.plain import cut, one_line, safe_json, safe_text, width
from openmem.cli.progress import Progress, describe
from openmem.cli.streams import prepare_streams

from .conftest import Shell

HOSTILE = (
    "plain \x1b[2J\x1b]0;title\x07 red \x9b31m \x08\x7f tab\there \r over\nnew \u202eevil\u2066 "
    "bell\x07 zero\u200eend \x1b]8;;http://evil.example\x1b\\link"
)
FORBIDDEN = [chr(c) for c in (*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x202E, 0x2066, 0x200E)]
COLUMNS = (Column("TEXT", lambda row: row[0], is_flexible=True), Column("N", lambda row: row[1], is_right=True))


class Terminal(io.StringIO):
    """A stream that a person sees."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"], ["list", "--json"], ["list", "--jsonl"], ["list", "-q"], ["search", "plain"],
        ["search", "plain", "--json"],
        ["context", "plain"], ["context", "plain", "--json"], ["facets", "tag"], ["facets", "tag", "-q"], ["users"],
        ["facets", "metadata.n"], ["get", "--key", "k\x1b[1m"], ["get", "--key", "k\x1b[1m", "--json"],
        ["history", "nowhere\x1b[2J"], ["get", "nowhere\x1b[2J"], ["get", "nowhere\x1b[2J", "--json"],
        ["add", "x", "--tag", ""],
        ["\x1b[2J"], ["list", "--nonsense\x1b[2J"], ["list", "--cursor", "\x1b[2J"], ["list", "-p", "\x1b[2J"],
    ],
)  # fmt: skip
def test_no_control_character_reaches_the_terminal(shell: Shell, arguments: list[str]) -> None:
    shell.ok("add", "-", "-t", HOSTILE.replace("\n", ""), "--key", "k\x1b[1m", "--metadata", json.dumps({"n": HOSTILE}),
             input=HOSTILE)  # fmt: skip
    ran = shell(*arguments)
    assert [c for c in FORBIDDEN if c in ran.out + ran.err] == []
    assert ran.out + ran.err


def test_json_has_the_text_as_it_is(shell: Shell) -> None:
    shell.ok("add", "-", input=HOSTILE)
    [item] = shell.ok("list", "--json").json["items"]
    assert item["content"] == HOSTILE


def test_safe_text() -> None:
    assert safe_text("a\x1b[2J\u202e\tb\r\nc\rd") == "a\\x1b[2J\\u202e\tb\nc\\x0dd"
    assert one_line(" a\n\r\n b\t\x1f\x85c ") == " a b c "
    assert json.loads(safe_json(json.dumps(HOSTILE, ensure_ascii=False))) == HOSTILE


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("日本語", 6), ("e\u0301", 1), ("😀", 2), ("ｱ", 1), ("\u200b", 0), ("한글", 4), ("", 0)],
)
def test_widths(text: str, columns: int) -> None:
    assert width(text) == columns


def test_a_text_is_cut_by_columns() -> None:
    assert cut("日本語です", 6) == "日本…"
    assert cut("abcdef", 4) == "abc…"
    assert cut("ab cdef", 4) == "ab…"
    assert cut("abc", 3) == "abc"


def test_a_table_fits_the_terminal_by_its_flexible_columns() -> None:
    rows = [("日本語のとても長いテキストです。もっと長いテキスト", 1), ("short", 12345)]
    narrow = table(rows, COLUMNS, 30).split("\n")
    assert {width(line) for line in narrow} == {30}
    assert "…" in narrow[1]
    assert "…" not in table(rows, COLUMNS, None)
    assert table(rows, COLUMNS, 5).split("\n")[0].startswith("TEXT")
    assert table([("", 1)], COLUMNS, None) == "N\n1"
    assert table(rows, COLUMNS, None, is_colored=True).startswith("\x1b[1mTEXT")


def test_members_of_an_object() -> None:
    shown = members({"a": "x\ny", "list": ["p", "q"], "inner": {"n": 1, "none": None}, "empty": {}})
    assert shown.split("\n") == [
        "a:     x", "       y", "list:  p, q", "inner:", "  n:    1", "  none: null", "empty: {}",
    ]  # fmt: skip


def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let a person see standard output. Not for fixtures, after which pytest captures it again."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm")
    return stream


def lists_one(terminal: Terminal) -> str:
    assert main(["add", "x"]) == 0
    assert main(["list"]) == 0
    return terminal.getvalue()


def test_headings_are_bold_on_a_terminal(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[1mMEMORY" in lists_one(at_terminal(monkeypatch))


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_refused(shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    terminal = at_terminal(monkeypatch)
    monkeypatch.setenv(name, value)
    text = lists_one(terminal)
    assert "MEMORY" in text
    assert "\x1b" not in text


def test_long_output_goes_through_a_pager_where_there_is_a_terminal(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_terminal(monkeypatch)
    paged: list[str] = []
    monkeypatch.setattr("click.echo_via_pager", lambda text, color: paged.append(text))
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setenv("LINES", "3")
    for text in "abcd":
        assert main(["add", text]) == 0
    assert main(["list", "-n", "1"]) == 0
    assert paged == []
    assert main(["list"]) == 0
    assert len(paged) == 1


@pytest.mark.parametrize("encoding", ["cp1252", "cp437"])
def test_characters_that_the_encoding_does_not_have(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    for arguments in (["add", "日本 😀 é", "-q"], ["list"], ["list", "--jsonl"]):
        assert main(arguments) == 0
    text = raw.getvalue().decode(encoding)
    assert "\\u65e5" in text
    assert json.loads(text.splitlines()[-1])["content"] == "日本 😀 é"


def test_streams_that_are_not_wrappers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    prepare_streams()


def test_input_is_utf_8_whatever_the_locale_says(shell: Shell) -> None:
    assert shell.ok("add", "-", "--json", input="\ufeffé 日本\r\n".encode()).json["content"] == "é 日本"
    ran = shell("add", "-", input=b"fine\n\xe9\n")
    assert (ran.status, ran.err) == (
        2,
        "openmem: standard input: line 2 is not UTF-8 at its byte 1; convert it first\n",
    )


def test_progress_is_shown_after_a_second_and_only_to_people(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("openmem.cli.progress.time.monotonic", lambda: now)
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        now = 0.0
        with Progress("embedded") as progress:
            for now in (0.5, 0.9, 1.1, 1.15, 1.5):
                progress(int(now * 100), 1000)
        shown = stream.getvalue().split("\r\x1b[K")
        expected = ["", "embedded 110 of 1,000, 100/s, 9 s left", "embedded 150 of 1,000, 100/s, 8 s left", ""]
        assert shown == (expected if isinstance(stream, Terminal) else [""])


def test_how_far_it_is() -> None:
    assert describe("read", 0, None, 0.0) == "read 0"
    assert describe("read", 5, None, 10.0) == "read 5, 0.5/s"
    assert describe("read", 10_000, 1_000_000, 1.0) == "read 10,000 of 1,000,000, 10,000/s, 2 min left"
    assert describe("read", 1, 7_201, 1.0) == "read 1 of 7,201, 1.0/s, 2 h 0 min left"
