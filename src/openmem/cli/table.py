"""Which commands there are. Nothing of theirs is imported to show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Row(NamedTuple):
    """A command.

    Attributes:
        section: under which heading the help shows it.
        module: the module of `openmem.cli.commands` that has it, as ``<name>_command`` with underscores.
        help: what it does, in a line.
    """

    section: str
    module: str
    help: str


WRITE: Final = "Write"
READ: Final = "Read"
MOVE: Final = "Move"
KEEP: Final = "Look after a store"
SET_UP: Final = "Set up"

COMMANDS: Final[Mapping[str, Row]] = {
    "add": Row(WRITE, "writing", "Store a memory, or many."),
    "search": Row(READ, "reading", "Find the memories that best answer a question."),
    "get": Row(READ, "reading", "Show memories by their ids, or by a key."),
    "list": Row(READ, "reading", "List a user's memories."),
    "export": Row(MOVE, "moving", "Write memories to a file."),
    "import": Row(MOVE, "moving", "Store what a file of a format holds and the backend does not have."),
    "migrate": Row(MOVE, "moving", "Store in the backend of one profile what that of another one holds."),
    "verify": Row(MOVE, "moving", "Compare a file with what the backend has, and store nothing."),
    "mcp": Row(SET_UP, "mcp", "Serve memories to Claude, Cursor and other hosts of MCP."),
}
