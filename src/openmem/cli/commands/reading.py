"""The commands that read memories."""

from __future__ import annotations

from typing import Any

import click

from ...errors import InvalidRequestError
from ...operations import Audit, Context, Count, Facets, Get, GetByKey, History, List, Search
from ...wire.routes import AUDIT, CONTEXT, COUNT, FACETS, HISTORY, LIST, SEARCH
from ..fields import operation, options_of
from ..output import Answer
from ..paging import show_pages
from ..plain import safe_text
from ..records import AUDIT_ENTRIES, EXPLAINED_RESULTS, FACET_VALUES, MEMORIES, RESULTS, id_of, id_of_result
from ..session import Session, SessionCommand
from ..streams import names_of, text_of


def search(session: Session, query: str, **given: Any) -> None:
    op = operation(Search, given, query=text_of(query), user_id=session.require_user())
    with session.memory(embeds=True) as memory:
        body = SEARCH.reply.encode(session.run(memory.client.run(op)))
    columns = EXPLAINED_RESULTS if op.explain else RESULTS
    session.output.rows(body, body["results"], columns, id_of_result)


def context(session: Session, query: str, **given: Any) -> None:
    op = operation(Context, given, query=text_of(query), user_id=session.require_user())
    with session.memory(embeds=True) as memory:
        block = session.run(memory.client.run(op))
    ids = [citation.memory_id for citation in block.citations]
    if block.text or session.output.format != "table":
        session.output.document(CONTEXT.reply.encode(block), ids, lambda: safe_text(block.text))
    else:
        session.output.note("nothing found")


def list_memories(session: Session, is_all: bool, **given: Any) -> None:
    op = operation(List, given, user_id=session.require_user())
    show_pages(session, op, LIST.reply, "items", MEMORIES, id_of, is_all=is_all)


def get(session: Session, ids: tuple[str, ...], key: str | None, **given: Any) -> int:
    if bool(ids) == (key is not None):
        raise InvalidRequestError("get: give ids, or --key and --user; - reads ids from standard input")
    if key is None and given.get("scope") is not None:
        raise InvalidRequestError("--scope: it says where a --key is; an id needs none")
    by_key = None if key is None else operation(GetByKey, given, key=key, user_id=session.require_user())
    names = names_of(ids)
    with session.memory() as memory:
        if by_key is not None:
            record = session.run(memory.client.run(by_key)).to_wire()
            session.output.document(record, [record["id"]])
            return 0

        def show(id: str) -> Answer:
            found = session.run(memory.client.run(Get(id=id, user_id=session.user))).to_wire()
            return Answer(found, [found["id"]])

        return session.each(names, show)


def history(session: Session, id: str) -> None:
    with session.memory() as memory:
        memories = session.run(memory.client.run(History(id=id, user_id=session.user)))
    body = HISTORY.reply.encode(memories)
    session.output.rows(body, body["memories"], MEMORIES, id_of)


def count(session: Session, **given: Any) -> None:
    op = operation(Count, given, user_id=session.require_user())
    with session.memory() as memory:
        number = session.run(memory.client.run(op))
    session.output.document(COUNT.reply.encode(number), [str(number)], lambda: str(number))


def facets(session: Session, by: str, **given: Any) -> None:
    op = operation(Facets, given, by=by, user_id=session.require_user())
    with session.memory() as memory:
        body = FACETS.reply.encode(session.run(memory.client.run(op)))
    session.output.rows(body, body["facets"], FACET_VALUES, lambda facet: str(facet.get("value", "")))


def audit(session: Session, is_all: bool, **given: Any) -> None:
    op = operation(Audit, given, user_id=session.require_user())
    show_pages(session, op, AUDIT.reply, "entries", AUDIT_ENTRIES, _id_of_entry, is_all=is_all)


def _id_of_entry(entry: Any) -> str:
    return str(entry.get("memory_id") or "")


search_command = SessionCommand(
    "search",
    help="Find the memories that best answer a question. Those that are valid now, best first.",
    callback=search,
    params=[click.Argument(["query"], metavar="QUERY"), *options_of(Search, without=("query",))],
)
context_command = SessionCommand(
    "context",
    help="Write the best memories as text for a prompt. Each is cited by its id, within a budget of tokens.",
    callback=context,
    params=[click.Argument(["query"], metavar="QUERY"), *options_of(Context, without=("query",))],
)
list_command = SessionCommand(
    "list",
    help="List a user's memories. Also those that are not valid now.",
    callback=list_memories,
    params=[
        *options_of(List, without=("tag",)),
        click.Option(["is_all", "--all"], is_flag=True, help="All pages."),
    ],
)
get_command = SessionCommand(
    "get",
    help="Show memories by their ids, or one by its key. - reads ids from standard input.",
    callback=get,
    params=[
        click.Argument(["ids"], nargs=-1, metavar="[ID]..."),
        *options_of(GetByKey, optional=("key",)),
    ],
)
history_command = SessionCommand(
    "history",
    help="Show what a memory replaced, and what replaced it. The oldest first.",
    callback=history,
    params=[click.Argument(["id"], metavar="ID")],
)
count_command = SessionCommand(
    "count",
    help="Count a user's memories.",
    callback=count,
    params=options_of(Count),
)
facets_command = SessionCommand(
    "facets",
    help="Count a user's memories by scope, tag, app or metadata. FIELD is scope, tag, app or metadata.PATH.",
    callback=facets,
    params=[click.Argument(["by"], metavar="FIELD"), *options_of(Facets, without=("by",))],
)
audit_command = SessionCommand(
    "audit",
    help="Show what was done with a user's memories. The newest first.",
    callback=audit,
    params=[*options_of(Audit), click.Option(["is_all", "--all"], is_flag=True, help="All pages.")],
)
