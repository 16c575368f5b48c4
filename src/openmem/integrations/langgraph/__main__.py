"""``python -m openmem.integrations.langgraph migrate``: copies LangGraph's `PostgresStore` into openmem."""

from __future__ import annotations

import argparse
import os
import sys

from ...errors import OMPError
from .migration import Migrated, migrate
from .store import OpenmemStore

SOURCE = "LANGGRAPH_POSTGRES_URL"
TARGET = "OMP_POSTGRES_URL"


def command_line() -> argparse.ArgumentParser:
    """The arguments of the command."""
    parser = argparse.ArgumentParser(prog="python -m openmem.integrations.langgraph")
    add = parser.add_subparsers(dest="command", required=True).add_parser
    command = add("migrate", help="copy the items of a PostgresStore", description=str(migrate.__doc__).split("\n")[0])
    command.add_argument("--from", dest="source", metavar="URL", help=f"of the PostgresStore; by default ${SOURCE}")
    command.add_argument("--to", dest="target", metavar="URL", help=f"of openmem's database; by default ${TARGET}")
    command.add_argument("--user-id", default="langgraph", help="as in OpenmemStore (default: %(default)s)")
    command.add_argument("--user-label", type=int, help="as in OpenmemStore")
    command.add_argument("--scope", default="langgraph", help="as in OpenmemStore (default: %(default)s)")
    command.add_argument("--field", dest="fields", action="append", help="as in OpenmemStore, once for each path")
    command.add_argument("--embedder", help="as in Memory")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Copy, and say what became of the items. 0: all are there; 1: some are not; 2: nothing could be done."""
    parser = command_line()
    options = parser.parse_args(arguments)
    source = options.source or os.environ.get(SOURCE)
    target = options.target or os.environ.get(TARGET)
    if not source or not target:
        parser.error(f"give --{'to' if source else 'from'}, or set {TARGET if source else SOURCE}")
    try:
        with OpenmemStore(
            url=target,
            embedder=options.embedder,
            user_id=options.user_id,
            user_label=options.user_label,
            scope=options.scope,
            fields=options.fields or ("$",),
        ) as store:
            done = migrate(source, store, progress=_show)
    except OMPError as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 2
    for refused in done.refused:
        print(f"refused: {refused}", file=sys.stderr)
    print(f"copied {done.copied}, there already {done.present}, refused {len(done.refused)}")
    return int(bool(done.refused))


def _show(done: Migrated) -> None:
    if sys.stderr.isatty():
        print(f"\r{done.copied + done.present + len(done.refused)} items", end="\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
