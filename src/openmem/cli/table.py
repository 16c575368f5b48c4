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
SERVE: Final = "Serve"
SET_UP: Final = "Set up"

COMMANDS: Final[Mapping[str, Row]] = {
    "add": Row(WRITE, "writing", "Store a memory, or many."),
    "put": Row(WRITE, "writing", "Store a memory under a key, in place of the one that has it."),
    "update": Row(WRITE, "writing", "Change a memory."),
    "forget": Row(WRITE, "writing", "End the validity of memories."),
    "delete": Row(WRITE, "writing", "Remove memories for good, by their ids or by filters."),
    "search": Row(READ, "reading", "Find the memories that best answer a question."),
    "context": Row(READ, "reading", "Write the best memories as text for a prompt."),
    "list": Row(READ, "reading", "List a user's memories."),
    "get": Row(READ, "reading", "Show memories by their ids, or one by its key."),
    "history": Row(READ, "reading", "Show what a memory replaced, and what replaced it."),
    "count": Row(READ, "reading", "Count a user's memories."),
    "facets": Row(READ, "reading", "Count a user's memories by scope, tag, app or metadata."),
    "audit": Row(READ, "reading", "Show what was done with a user's memories."),
    "users": Row(KEEP, "keeping", "List the users that have memories."),
    "forget-user": Row(KEEP, "keeping", "Remove all that is stored of a user for good."),
    "status": Row(KEEP, "status", "Check the settings and the backend."),
    "capabilities": Row(KEEP, "keeping", "Show what the backend is and can do."),
    "reembed": Row(KEEP, "keeping", "Embed again what another model embedded."),
    "reindex": Row(KEEP, "keeping", "Analyse again the words that another version analysed."),
    "purge": Row(KEEP, "keeping", "Remove what has expired, of all users."),
    "scale-out": Row(KEEP, "spreading", "Divide the tables over the nodes of a Citus cluster."),
    "wait": Row(KEEP, "keeping", "Wait until memories can be searched."),
    "export": Row(MOVE, "moving", "Write memories to a file."),
    "import": Row(MOVE, "moving", "Store what a file of a format holds and the backend does not have."),
    "migrate": Row(MOVE, "moving", "Store in the backend of one profile what that of another one holds."),
    "verify": Row(MOVE, "moving", "Compare a file with what the backend has, and store nothing."),
    "mcp": Row(SET_UP, "mcp", "Serve memories to Claude, Cursor and other hosts of MCP."),
    "ui": Row(SERVE, "browsing", "Open the memory browser."),
    "serve": Row(SERVE, "serving", "Serve the backend over HTTP, as the Open Memory Protocol."),
    "keys": Row(SERVE, "serving", "Make, list and revoke the API keys of a server."),
    "config": Row(SET_UP, "setting_up", "Show and change settings."),
    "profile": Row(SET_UP, "setting_up", "List profiles, choose one, and remove one."),
    "completion": Row(SET_UP, "setting_up", "Write the completion script of a shell."),
}
