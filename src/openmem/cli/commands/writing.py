"""The commands that write memories."""

from __future__ import annotations

from typing import Any

import click

from ...errors import InvalidRequestError
from ...operations import Add
from ...wire.routes import ADD
from ..fields import in_flags, options_of, values_of
from ..session import Session, SessionCommand
from .reading import text_of


def add(session: Session, content: str, **given: Any) -> None:
    try:
        op = Add(content=text_of(content), user_id=session.require_user(), **values_of(Add, given))
    except InvalidRequestError as error:
        raise in_flags(error) from None
    with session.memory() as memory:
        record = ADD.reply.encode(session.run(memory.client.run(op)))
    session.output.document(record, [record["id"]], lambda: f"added {record['id']}")


add_command = SessionCommand(
    "add",
    help="Store a memory. - reads the text from standard input.",
    callback=add,
    params=[click.Argument(["content"], metavar="TEXT"), *options_of(Add, without=("content",))],
)
