"""The types of the public interface, as mypy shows them to users."""

from __future__ import annotations

import re
from pathlib import Path

from mypy import api

USAGE = Path(__file__).with_name("usage.txt").read_text()
CACHE = Path(__file__).parents[2] / ".mypy_cache" / "users"
MODULES = re.compile(r"\b(?:[a-z_]+\.)+(?=[a-zA-Z])")


def test_revealed_types_and_refused_mistakes(tmp_path: Path) -> None:
    source = tmp_path / "usage.py"
    source.write_text(USAGE)
    options = ("--strict", "--no-error-summary", "--config-file=", f"--cache-dir={CACHE}")
    output, complaints, _ = api.run([*options, str(source)])
    assert complaints == ""
    said: dict[int, list[str]] = {}
    for line in output.splitlines():
        match = re.search(r"usage\.py:(\d+): (?:error|note): (.*)$", line)
        assert match, line
        said.setdefault(int(match[1]), []).append(MODULES.sub("", match[2]))
    for number, line in enumerate(USAGE.splitlines(), start=1):
        code, _, comment = line.rpartition("  # ")
        messages = said.pop(number, [])
        if comment.startswith("error: "):
            assert any(comment.removeprefix("error: ") in message for message in messages), (line, messages)
        elif code:
            assert messages == [f'Revealed type is "{comment}"'], line
        else:
            assert messages == [], line
