"""The commands that write and remove memories."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import click

from ...errors import InvalidRequestError, OMPError
from ...operations import CHANGEABLE, Add, Delete, DeleteMany, Put, Update
from ...wire.routes import ADD, ADD_MANY, DELETE_MANY, PUT, UPDATE
from ..fields import FIELDS, operation, options_of, values_of
from ..lines import read_objects
from ..output import Answer
from ..records import MEMORIES, id_of, memories
from ..session import Session, SessionCommand, confirm
from ..streams import names_of, text_of

CLEARABLE: Final = {FIELDS[name].flag.removeprefix("--"): name for name in CHANGEABLE - {"content", "supersedes"}}
"""The fields that an update can clear, by the names of their flags."""

FILTERS: Final = tuple(name for name in DeleteMany.model_fields if name not in ("user_id", "everything", "dry_run"))


def add(session: Session, content: str | None, batch: str | None, idempotency_key: str | None, **given: Any) -> None:
    if (content is None) == (batch is None):
        raise InvalidRequestError("add: give a text, - for standard input, or --batch FILE")
    if batch is not None:
        _add_many(session, batch, idempotency_key, given)
        return
    op = operation(Add, given, content=text_of(str(content)), user_id=session.require_user())
    with session.memory(embeds=True) as memory:
        record = session.run(memory.client.run(op, idempotency_key=idempotency_key))
    session.output.document(ADD.reply.encode(record), [record.id], lambda: f"added {record.id}")


def _add_many(session: Session, path: str, idempotency_key: str | None, given: dict[str, Any]) -> None:
    defaults = values_of(Add, given)
    if session.user is not None:
        defaults["user_id"] = session.user

    lines: list[int] = []

    def records() -> Iterator[dict[str, Any]]:
        for line, record in read_objects(path):
            lines.append(line)
            yield {**defaults, **record}

    with session.memory(embeds=True) as memory, session.progress("added") as progress:
        try:
            stored = session.run(memory.client.add_many(records(), progress, idempotency_key))
        except OMPError as error:
            found = re.match(r"records\[(\d+)\]\W+", error.message)
            if found is not None:
                error.message = f"line {lines[int(found[1])]}: {error.message[found.end() :]}"
            raise
    body = ADD_MANY.reply.encode(stored)
    if session.output.format == "table":
        click.echo(f"added {memories(len(stored))}")
    else:
        session.output.rows(body, body["memories"], MEMORIES, id_of)


def put(session: Session, key: str, content: str, **given: Any) -> None:
    op = operation(Put, given, key=key, content=text_of(content), user_id=session.require_user())
    with session.memory(embeds=True) as memory:
        record = session.run(memory.client.run(op))
    session.output.document(PUT.reply.encode(record), [record.id], lambda: f"put {record.id}")


def update(session: Session, id: str, content: str | None, clear: tuple[str, ...], **given: Any) -> None:
    changes: dict[str, Any] = {CLEARABLE[name]: None for name in clear}
    if content is not None:
        changes["content"] = text_of(content)
    both = sorted(name for name in changes if given.get(name))
    if both:
        raise InvalidRequestError(f"--clear: {FIELDS[both[0]].flag} is given, too; pass only one of them")
    op = operation(Update, given, id=id, user_id=session.user, **changes)
    with session.memory(embeds=True) as memory:
        record = session.run(memory.client.run(op))
    session.output.document(UPDATE.reply.encode(record), [record.id], lambda: f"updated {record.id}")


def forget(session: Session, ids: tuple[str, ...], **given: Any) -> int:
    end = values_of(Update, given).get("valid_to", datetime.now(UTC))
    names = names_of(ids)
    with session.memory() as memory:

        def end_one(id: str) -> Answer:
            op = Update(id=id, user_id=session.user, valid_to=end)
            record = session.run(memory.client.run(op))
            return Answer(UPDATE.reply.encode(record), [record.id], lambda: f"forgot {record.id}")

        return session.each(names, end_one)


def delete(session: Session, ids: tuple[str, ...], is_sure: bool, if_version: str | None, **given: Any) -> int:
    selects = any(value not in (None, (), False) for value in given.values())
    if bool(ids) == selects:
        raise InvalidRequestError("delete: give ids, or filters such as --tag with --user; --all is all of a user's")
    if selects:
        return _delete_many(session, is_sure, given)
    names = names_of(ids)
    version = values_of(Delete, {"if_version": if_version})
    confirm(session, f"Delete {memories(len(names.values))} for good?", is_sure)
    with session.memory() as memory:

        def remove(id: str) -> Answer:
            session.run(memory.client.run(Delete(id=id, user_id=session.user, **version)))
            return Answer({"deleted": id}, [id], lambda: f"deleted {id}")

        return session.each(names, remove)


def _delete_many(session: Session, is_sure: bool, given: dict[str, Any]) -> int:
    user = session.require_user()
    op = operation(DeleteMany, given, user_id=user)
    with session.memory() as memory:
        if not op.dry_run and not is_sure:
            number = session.run(memory.client.run(op.model_copy(update={"dry_run": True})))
            confirm(session, f"Delete {memories(number)} of {user} for good?", is_sure)
        number = session.run(memory.client.run(op))
    did = "would delete" if op.dry_run else "deleted"
    session.output.document(DELETE_MANY.reply.encode(number), [str(number)], lambda: f"{did} {memories(number)}")
    return 0


_IDS: Final = click.Argument(["ids"], nargs=-1, required=True, metavar="ID...")

add_command = SessionCommand(
    "add",
    help="Store a memory, or many. TEXT is one; - reads it from standard input.",
    callback=add,
    params=[
        click.Argument(["content"], metavar="[TEXT]", required=False),
        click.Option(
            ["--batch"],
            metavar="FILE",
            help="Store a memory for each line of JSON, all of them or none; - for standard input. A line has the "
            'arguments of add, as in {"content": "…"}.',
        ),
        click.Option(["--idempotency-key"], metavar="KEY", help="Store nothing if this key was used within a day."),
        *options_of(Add, without=("content",)),
    ],
)
put_command = SessionCommand(
    "put",
    help="Store a memory under a key, in place of the one that has it. - reads TEXT from standard input.",
    callback=put,
    params=[
        click.Argument(["key"], metavar="KEY"),
        click.Argument(["content"], metavar="TEXT"),
        *options_of(Put, without=("key", "content")),
    ],
)
update_command = SessionCommand(
    "update",
    help="Change a memory. What is not given stays as it is.",
    callback=update,
    params=[
        click.Argument(["id"], metavar="ID"),
        *options_of(Update, without=("id",)),
        click.Option(
            ["--clear"],
            multiple=True,
            type=click.Choice(sorted(CLEARABLE)),
            metavar="FIELD",
            help=f"Leave a field empty; give it several times. There are {', '.join(sorted(CLEARABLE))}.",
        ),
    ],
)
forget_command = SessionCommand(
    "forget",
    help="End the validity of memories. They stay readable, and 'update --clear valid-to' undoes it. - reads ids from "
    "standard input.",
    callback=forget,
    params=[_IDS, *options_of(Update, only=("valid_to",))],
)
delete_command = SessionCommand(
    "delete",
    help="Remove memories for good, by their ids or by filters. - reads ids from standard input.",
    callback=delete,
    params=[
        click.Argument(["ids"], nargs=-1, metavar="[ID]..."),
        *options_of(DeleteMany, without=("ids",)),
        *options_of(Delete, only=("if_version",)),
        click.Option(["is_sure", "-y", "--yes"], is_flag=True, help="Do not ask."),
    ],
)
