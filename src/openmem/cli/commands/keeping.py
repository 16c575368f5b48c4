"""The commands that look after a store as a whole."""

from __future__ import annotations

from typing import Any

import click

from ...operations import ForgetUser, Purge, Reembed, Reindex, Users, WaitForIngest
from ...wire.routes import FORGET_USER, PURGE, USERS
from ..fields import operation, options_of
from ..paging import show_pages
from ..records import USER_SUMMARIES, memories, removed
from ..session import Session, SessionCommand, confirm
from ..streams import names_of


def users(session: Session, is_all: bool, **given: Any) -> None:
    op = operation(Users, given)
    show_pages(session, op, USERS.reply, "items", USER_SUMMARIES, lambda user: str(user["user_id"]), is_all=is_all)


def forget_user(session: Session, user_id: str, is_sure: bool) -> None:
    op = operation(ForgetUser, {}, user_id=user_id)
    confirm(session, f"Remove all that is stored of {user_id} for good?", is_sure)
    with session.memory() as memory:
        erased = session.run(memory.client.run(op))
    session.output.document(
        FORGET_USER.reply.encode(erased),
        [user_id],
        lambda: removed(erased),
    )


def capabilities(session: Session) -> None:
    with session.memory() as memory:
        found = session.run(memory.client.capabilities())
    session.output.document(found.to_wire(), found.verbs)


def reembed(session: Session, **given: Any) -> None:
    with session.memory() as memory, session.progress("embedded") as progress:
        number = session.run(memory.client.run(operation(Reembed, given, progress=progress)))
    session.output.document({"reembedded": number}, [str(number)], lambda: f"embedded {memories(number)}")


def reindex(session: Session, **given: Any) -> None:
    with session.memory() as memory, session.progress("analysed") as progress:
        number = session.run(memory.client.run(operation(Reindex, given, progress=progress)))
    session.output.document({"reindexed": number}, [str(number)], lambda: f"analysed {memories(number)}")


def purge(session: Session, is_sure: bool, **given: Any) -> None:
    if any(given.values()):
        confirm(session, "Remove what ended and what was audited before, of all users, for good?", is_sure)
    with session.memory() as memory, session.progress("removed") as progress:
        purged = session.run(memory.client.run(operation(Purge, given, progress=progress)))
    session.output.document(
        PURGE.reply.encode(purged),
        [str(purged.memories)],
        lambda: removed(purged),
    )


def wait(session: Session, ids: tuple[str, ...], **given: Any) -> None:
    op = operation(WaitForIngest, given, ids=names_of(ids).values, user_id=session.require_user())
    with session.memory() as memory:
        session.run(memory.client.run(op))
    session.output.document({"ready": list(op.ids)}, op.ids, lambda: "ready")


_YES = click.Option(["is_sure", "-y", "--yes"], is_flag=True, help="Do not ask.")

users_command = SessionCommand(
    "users",
    help="List the users that have memories. In the order of their ids.",
    callback=users,
    params=[*options_of(Users), click.Option(["is_all", "--all"], is_flag=True, help="All pages.")],
)
forget_user_command = SessionCommand(
    "forget-user",
    help="Remove all that is stored of a user for good. Memories, keys and audit entries.",
    callback=forget_user,
    params=[click.Argument(["user_id"], metavar="USER"), _YES],
)
capabilities_command = SessionCommand(
    "capabilities",
    help="Show what the backend is and can do.",
    callback=capabilities,
)
reembed_command = SessionCommand(
    "reembed",
    help="Embed again what another model embedded. Of all users; it may be stopped at any time, and goes on.",
    callback=reembed,
    params=options_of(Reembed),
)
reindex_command = SessionCommand(
    "reindex",
    help="Analyse again the words that another version analysed. Of all users; it may be stopped at any time, and "
    "goes on.",
    callback=reindex,
    params=options_of(Reindex),
)
purge_command = SessionCommand(
    "purge",
    help="Remove what has expired, of all users. And what is older than asked.",
    callback=purge,
    params=[*options_of(Purge), _YES],
)
wait_command = SessionCommand(
    "wait",
    help="Wait until memories can be searched. - reads ids from standard input.",
    callback=wait,
    params=[
        click.Argument(["ids"], nargs=-1, required=True, metavar="ID..."),
        *options_of(WaitForIngest, without=("ids",)),
    ],
)
