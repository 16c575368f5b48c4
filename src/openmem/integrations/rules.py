"""What every integration does in the same way.

The user comes from the run and never from the model. The query is the latest text of the user. A read that the backend
fails may leave the run without memories, if the application wants that; a write that fails is an error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from inspect import iscoroutine
from typing import Final, Literal, TypeAlias, TypeVar, get_args

from .._text import mended
from ..delimited import Note, delimit_notes
from ..errors import InvalidRequestError, ProviderError, RateLimitedError, UnauthorizedError
from ..models import MemoryRecord, SearchResults

Run = TypeVar("Run")

OnError: TypeAlias = Literal["warn", "raise"]
"""What becomes of a run whose memories cannot be read: ``warn`` logs it, and the run goes on without them."""

RECALL_TOKENS: Final = 2_000
"""Of what a model is shown of a search, at most."""

MAX_CONTENT_CHARACTERS: Final = 65_536
"""Of a text that a search finds."""

MAX_QUERY_CHARACTERS: Final = 16_384
"""Of a user's text that is searched with; of a longer one the beginning and the end are."""

USER_ROLES: Final = frozenset(("user", "human"))

logger = logging.getLogger("openmem")


def checked_on_error(on_error: str) -> OnError:
    """`on_error` if it is one of the two.

    Raises:
        InvalidRequestError: it is not.
    """
    if on_error not in get_args(OnError):
        raise InvalidRequestError(f"on_error: {on_error!r} is neither 'warn' nor 'raise'")
    return "warn" if on_error == "warn" else "raise"


@contextmanager
def reading(on_error: OnError, purpose: str) -> Iterator[None]:
    """Read memories within the block. With ``warn``, a failure of the backend ends the block, and is logged.

    Errors of the application, such as a wrong argument, a closed client or a client of another event loop, are raised
    in any case. The log has the code of the error and the id of the call, and no text of a user.

    Args:
        on_error: what the application wants.
        purpose: what was to be read, for the log.
    """
    try:
        yield
    except (ProviderError, RateLimitedError, UnauthorizedError) as error:
        if on_error == "raise":
            raise
        logger.warning(
            "%s failed, and the run goes on without memories: code=%s request_id=%s",
            purpose,
            error.code,
            error.request_id,
        )


def latest_user_text(messages: Iterable[tuple[str, str]]) -> str | None:
    """What to search with: the latest text of the user that is not blank.

    Args:
        messages: the role and the text of each message, in their order.
    """
    texts = [text for role, text in messages if role in USER_ROLES and text.strip()]
    return as_query(texts[-1]) if texts else None


def as_query(text: str) -> str:
    """A text as a query: of a long one the beginning and the end, since one of the two has the question.

    What no text may hold is replaced, since the user of a chat may write anything.
    """
    text = mended(text)
    if len(text) <= MAX_QUERY_CHARACTERS:
        return text
    half = MAX_QUERY_CHARACTERS // 2
    return f"{text[: half - 1]}\n{text[-half:]}"


def as_reference(text: str | None) -> str | None:
    """The id of a conversation as a reference: what no text may hold is replaced, since clients may choose such ids."""
    return None if text is None else mended(text)


def turn_as_contents(text: str) -> list[str]:
    """What somebody said in a conversation as contents of memories: one, or several where it is too long for one.

    A turn that could not be stored would stop those behind it, so what no text may hold is replaced. A blank turn has
    no contents.
    """
    left, contents = mended(text), []
    while len(left) > MAX_CONTENT_CHARACTERS:
        part = left[:MAX_CONTENT_CHARACTERS]
        end = max(part.rfind(" "), part.rfind("\n")) + 1
        contents.append(part[: end or None])
        left = left[len(contents[-1]) :]
    return [content for content in (*contents, left) if content.strip()]


def within_budget(results: SearchResults, query: str, token_budget: int) -> list[tuple[MemoryRecord, float, str]]:
    """What was found, from the best one on as far as a budget of tokens goes, with the texts to show.

    A long text is shown by an excerpt that answers the query, so that one memory cannot fill a prompt.
    """
    notes = delimit_notes(
        [Note.of(result.memory, result.score) for result in results],
        query=query,
        token_budget=token_budget,
        most_of_one=token_budget // 4,
    ).notes
    return [
        (result.memory, result.score, note.content if note.is_excerpt else result.memory.content)
        for result, note in zip(results, notes, strict=False)
    ]


def user_of(user_id: str | Callable[[Run], str | None], run: Run) -> str:
    """The user of a run.

    Args:
        user_id: the id, or a function that finds it in what the framework knows of the run.
        run: what the framework knows of the run.

    Raises:
        InvalidRequestError: there is none, or what was found is no id.
    """
    found: object = user_id(run) if callable(user_id) else user_id
    if iscoroutine(found):
        found.close()
        raise InvalidRequestError(
            "user_id: the function is a coroutine function; find the user before the run starts, "
            "and give a function that returns the id"
        )
    if found is not None and not isinstance(found, str):
        raise InvalidRequestError(f"user_id: a user's id is a text, and this is of type {type(found).__name__}")
    if not found or not found.strip():
        raise InvalidRequestError(
            "user_id: this run has no user; give it one where the run is started, so that the model cannot choose it"
        )
    return found
