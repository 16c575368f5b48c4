"""The command that has all others, and imports one when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from .. import __version__
from .failures import EXIT_CLOSED_PIPE
from .table import COMMANDS, Row


class LazyGroup(click.Group):
    """``openmem``.

    Args:
        rows: its commands.
    """

    def __init__(self, rows: Mapping[str, Row] = COMMANDS) -> None:
        super().__init__(
            "openmem",
            help="Keep what is worth knowing about people, and find it again.",
            epilog="'openmem COMMAND --help' says more of a command. With nothing set up, memories are kept in your "
            "data directory, by the provider local.",
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
            no_args_is_help=True,
            subcommand_metavar="COMMAND [ARGS]...",
        )
        self._rows = rows
        self.params.append(
            click.Option(
                ["--version"], is_flag=True, expose_value=False, is_eager=True, help="Show the version.",
                callback=_show_version,
            )
        )  # fmt: skip

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # click itself would end the process with another status.
            raise click.exceptions.Exit(EXIT_CLOSED_PIPE) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        row = self._rows.get(cmd_name)
        if row is None:
            return None
        module = importlib.import_module(f"openmem.cli.commands.{row.module}")
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self._rows and not ctx.resilient_parsing and not name.startswith("-"):
            from .._suggestions import closest  # noqa: PLC0415 - the help starts without

            meant = next((row for row in self._rows if row.startswith(name)), None) or closest(name, self._rows, 0.6)
            hint = "'openmem --help' has the commands" if meant is None else f"did you mean {meant!r}?"
            raise click.UsageError(f"there is no command {name[:80]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, row in self._rows.items():
            sections.setdefault(row.section, []).append((name, row.help))
        width = max(len(name) for name in self._rows)
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), help) for name, help in rows])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only for a shell that asks

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=row.help) for name, row in self._rows.items() if name.startswith(incomplete)]


def _show_version(ctx: click.Context, parameter: click.Parameter, is_asked: bool) -> None:
    if is_asked and not ctx.resilient_parsing:
        click.echo(f"openmem {__version__}")
        ctx.exit()
