"""What commands show that a backend has in pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..operations import Audit, List, Users
from ..wire.replies import Reply
from .output import Column
from .session import Session


def show_pages(
    session: Session,
    op: Audit | List | Users,
    reply: Reply[Any],
    items: str,
    columns: Sequence[Column],
    read_id: Callable[[Any], str],
    *,
    is_all: bool,
) -> None:
    """Write the page that is asked for, or all from there on. Where the output has a line for each, pages do not wait.

    Args:
        reply: how the verb answers.
        items: the member of the answer that has the page.
        columns: of the table.
        read_id: what ``-q`` writes of each.
    """
    in_pages = is_all and session.output.format in ("jsonl", "ids")
    found: list[Any] = []
    with session.memory() as memory:
        while True:
            page: Any = session.run(memory.client.run(op))
            body = reply.encode(page)
            if in_pages:
                session.output.rows(body, body[items], columns, read_id)
            else:
                found += body[items]
            if not is_all or page.next_cursor is None:
                break
            op = op.model_copy(update={"cursor": page.next_cursor})
    if in_pages:
        return
    session.output.rows({**body, items: found}, found, columns, read_id)
    if page.next_cursor is not None:
        session.output.note(f"there are more: pass --all, or --cursor {page.next_cursor}")
