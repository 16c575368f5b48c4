"""``openmem mcp``: serve a user's memories to a host of the Model Context Protocol."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import click

from ...access import Grants
from ...errors import InvalidRequestError
from ...mcp import require_mcp_extra
from ..connection import FLAGS, find_connection
from ..session import SECTION_OF_OUTPUT, shared_options

SERVE: Final = "serve"


class Part(NamedTuple):
    """A command below ``openmem mcp``.

    Attributes:
        module: the module of `openmem.cli.commands` that has it.
        attribute: its name there.
        help: what it does, in a line.
    """

    module: str
    attribute: str
    help: str


PARTS: Final[Mapping[str, Part]] = {
    SERVE: Part("mcp", "serve_command", "Serve over standard input and output; what 'openmem mcp' does by itself."),
    "install": Part("mcp_hosts", "install_command", "Put openmem into the configuration of a host."),
    "uninstall": Part("mcp_hosts", "uninstall_command", "Take openmem out of the configuration of a host."),
}


class McpGroup(click.Group):
    """``openmem mcp``, which serves unless it is told to do something else."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(PARTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        part = PARTS.get(cmd_name)
        if part is None:
            return None
        module = importlib.import_module(f"openmem.cli.commands.{part.module}")
        command: click.Command = getattr(module, part.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, part.help) for name, part in PARTS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_named = bool(args) and (args[0] in PARTS or not args[0].startswith("-"))
        return super().parse_args(ctx, args if is_named or args[:1] in (["--help"], ["-h"]) else [SERVE, *args])


def serve(
    profile: str | None,
    grant: tuple[str, ...],
    is_read_only: bool,
    for_chatgpt: bool,
    **flags: Any,
) -> int:
    require_mcp_extra("openmem mcp")
    connection = find_connection({name: flags.get(name) for name in FLAGS}, profile)
    if connection.user is None:
        raise InvalidRequestError(
            "--user: whose memories? pass -u NAME, set OMP_USER, or run 'openmem config set user NAME'"
        )
    # A collection in between would look in vain at what is being imported.
    gc.disable()
    stdio = importlib.import_module("openmem.mcp.stdio")
    gc.enable()

    def make() -> Any:
        return connection.client(importlib.import_module("openmem.async_memory").AsyncMemory)

    backend = stdio.Backend(
        make=make,
        user_id=connection.user,
        grants=_grants(grant, is_read_only),
        app=connection.given.values.get("app"),
        explain=connection.given.translated,
    )
    status: int = stdio.serve(backend, for_chatgpt=for_chatgpt)
    return status


def _grants(texts: tuple[str, ...], is_read_only: bool) -> Grants:
    granted = Grants.parse(texts or None)
    if not is_read_only:
        return granted
    return Grants.parse([text for text in texts if text.startswith("read:")] if texts else ["read:*"])


serve_command = click.Command(
    SERVE,
    help="Serve a user's memories over standard input and output, to one host of the Model Context Protocol.",
    callback=serve,
    params=[
        click.Option(
            ["--grant"], multiple=True, metavar="GRANT", help="What the host may do, as in 'read:*'; by default all."
        ),
        click.Option(["is_read_only", "--read-only"], is_flag=True, help="Offer no tool that writes or deletes."),
        click.Option(["for_chatgpt", "--chatgpt"], is_flag=True, help="Offer search and fetch, as ChatGPT wants them."),
        *(option for option in shared_options(has_backend=True) if option.section != SECTION_OF_OUTPUT),
    ],
)
mcp_command = McpGroup("mcp", help="Serve memories to Claude, Cursor and other hosts of the Model Context Protocol.")
