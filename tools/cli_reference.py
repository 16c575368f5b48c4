"""Writes what every command of openmem takes into docs/cli.md, below the line that says so.

``cli_reference.py`` rewrites the page; ``cli_reference.py --check`` fails if it is not current.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from openmem.cli.application import application
from openmem.cli.session import SECTION_OF_BACKEND, SECTION_OF_OUTPUT, SharedOption, shared_options
from openmem.cli.table import COMMANDS

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
MARK: Final = "<!-- What follows is written by tools/cli_reference.py. -->\n"


def reference() -> str:
    """The generated part of the page."""
    lines = ["## Every command", ""]
    for section in dict.fromkeys(row.section for row in COMMANDS.values()):
        names = [f"[{name}](#openmem-{name})" for name, row in COMMANDS.items() if row.section == section]
        lines.append(f"- {section}: {', '.join(names)}")
    lines += ["", "### Options of most commands", ""]
    lines += ["Commands have those of them that mean something for them; `openmem COMMAND --help` shows which.", ""]
    shared = shared_options(has_backend=True)
    for section in (SECTION_OF_OUTPUT, SECTION_OF_BACKEND):
        lines += [f"{section}:", "", *options([option for option in shared if option.section == section]), ""]
    context = click.Context(application, info_name="openmem")
    for name in COMMANDS:
        command = application.get_command(context, name)
        assert command is not None
        lines += page_of(command, click.Context(command, context, name))
    return "\n".join(lines).rstrip() + "\n"


def page_of(command: click.Command, context: click.Context) -> Iterator[str]:
    """What a command takes, and the commands below it."""
    title = context.command_path
    yield from (f"### {title}" if title.count(" ") == 1 else f"#### {title}", "")
    yield from (escaped(" ".join((command.help or "").split())), "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from page_of(inner, click.Context(inner, context, name))
        return
    pieces = [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    yield from ("```text", " ".join([title, "[OPTIONS]", *pieces]), "```", "")
    own = [
        option
        for option in command.params
        if isinstance(option, click.Option) and (not isinstance(option, SharedOption) or option.section == "Options")
    ]
    if own:
        yield from (*options(own), "")


def options(found: list[click.Option] | list[SharedOption]) -> Iterator[str]:
    """A table of options."""
    yield from ("| option | meaning |", "|---|---|")
    for option in found:
        spelled = ", ".join(f"`{flag}`" for flag in option.opts)
        value = "" if option.is_flag or option.metavar is None else f" `{option.metavar}`"
        required = " Required." if option.required else ""
        yield f"| {spelled}{value} | {escaped(option.help or '')}{required} |"


def escaped(text: str) -> str:
    """A text of the help in Markdown."""
    for character in "\\|*_<[":
        text = text.replace(character, f"\\{character}")
    return text


def main() -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="fail if the page is not current")
    arguments = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    guide, mark, _ = text.partition(MARK)
    if not mark:
        print(f"{PAGE} has no line {MARK.strip()}", file=sys.stderr)
        return 1
    current = f"{guide}{mark}\n{reference()}"
    if arguments.check:
        if current != text:
            print(f"{PAGE} is not current; run tools/cli_reference.py", file=sys.stderr)
        return int(current != text)
    PAGE.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
