"""The commands that read memories."""

from __future__ import annotations

import sys
from typing import Any

import click

from ...errors import InvalidRequestError
from ...operations import Get, GetByKey, List, Search
from ...wire.routes import LIST, SEARCH
from ..fields import in_flags, options_of, values_of
from ..records import MEMORIES, RESULTS, id_of, id_of_result
from ..session import Session, SessionCommand
from ..streams import read_input, read_lines


def text_of(argument: str) -> str:
    """An argument, or all of standard input if it is ``-``."""
    return read_input().rstrip("\n") if argument == "-" else argument


def ids_of(arguments: tuple[str, ...]) -> list[str]:
    """Ids of the command line, with those of standard input in place of ``-``."""
    ids: list[str] = []
    for argument in arguments:
        if argument == "-":
            ids += [line.strip() for line in read_lines() if line.strip()]
        else:
            ids.append(argument)
    return ids


def search(session: Session, query: str, **given: Any) -> None:
    try:
        op = Search(query=text_of(query), user_id=session.require_user(), **values_of(Search, given))
    except InvalidRequestError as error:
        raise in_flags(error) from None
    with session.memory() as memory:
        results = session.run(memory.client.run(op))
    body = SEARCH.reply.encode(results)
    session.output.rows(body, body["results"], RESULTS, id_of_result)


search_command = SessionCommand(
    "search",
    help="Find the memories that best answer a question.",
    callback=search,
    params=[click.Argument(["query"], metavar="QUERY"), *options_of(Search, without=("query",))],
)


def list_memories(session: Session, is_all: bool, **given: Any) -> None:
    try:
        op = List(user_id=session.require_user(), **values_of(List, given))
    except InvalidRequestError as error:
        raise in_flags(error) from None
    with session.memory() as memory:
        page = session.run(memory.client.run(op))
        body = LIST.reply.encode(page)
        while is_all and page.next_cursor is not None:
            op = op.model_copy(update={"cursor": page.next_cursor})
            page = session.run(memory.client.run(op))
            body["items"] += LIST.reply.encode(page)["items"]
    if is_all:
        body.pop("next_cursor", None)
    session.output.rows(body, body["items"], MEMORIES, id_of)
    if body.get("next_cursor"):
        session.output.note(f"there are more: pass --all, or --cursor {body['next_cursor']}")


list_command = SessionCommand(
    "list",
    help="List a user's memories, whether or not they are valid now.",
    callback=list_memories,
    params=[
        *options_of(List, without=("tag",)),
        click.Option(["is_all", "--all"], is_flag=True, help="All pages."),
    ],
)


def get(session: Session, ids: tuple[str, ...], key: str | None, scope: str | None) -> int:
    if bool(ids) == (key is not None):
        raise InvalidRequestError("get: give ids, or --key and --user")
    with session.memory() as memory:
        if key is not None:
            op = GetByKey(key=key, user_id=session.require_user(), scope=scope)
            record = session.run(memory.client.run(op)).to_wire()
            session.output.document(record, [record["id"]])
            return 0

        def show(id: str) -> None:
            record = session.run(memory.client.run(Get(id=id, user_id=session.user))).to_wire()
            session.output.document(record, [record["id"]])
            sys.stdout.flush()

        return session.each(ids_of(ids), show)


get_command = SessionCommand(
    "get",
    help="Show memories by their ids, or by a key. - reads ids from standard input.",
    callback=get,
    params=[click.Argument(["ids"], nargs=-1, metavar="[ID]..."), *options_of(GetByKey)],
)
