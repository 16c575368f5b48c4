"""How the parameters of the verbs are given on the command line: one flag for each, the same in every command."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click

from ..errors import InvalidRequestError
from ..moments import read_moment
from ..operations import Operation
from ..settings import Interval
from ..wire.parameters import decode, kind_of
from ..wire.strict_json import read_json


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter of verbs on the command line.

    Attributes:
        spellings: its flags.
        help: what it is.
        metavar: what its value is called in the help; None for a switch.
        read: from text to value, where the kind of the parameter does not say it; raises `ValueError`.
        switch: the value that a switch stands for.
    """

    spellings: tuple[str, ...]
    help: str
    metavar: str | None = "TEXT"
    read: Callable[[str], Any] | None = None
    switch: bool = True

    @property
    def flag(self) -> str:
        """The long flag, which messages name."""
        return self.spellings[-1]


def _past(text: str) -> datetime:
    return read_moment(text, datetime.now(UTC), is_past=True)


def _future(text: str) -> datetime:
    return read_moment(text, datetime.now(UTC))


def _json(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError as error:
        raise ValueError(f"it {error}") from None


Op = TypeVar("Op", bound=Operation[Any])

WHEN: Final = "WHEN"

FIELDS: Final[Mapping[str, Field]] = {
    "any_tags": Field(("--any-tag",), "Only with one of these tags; give it several times.", "TAG"),
    "app": Field(("--app",), "Only what this application wrote, or did.", "NAME"),
    "as_of": Field(("--as-of",), "Only what is valid at this moment: 2027-01-31, or 90d for 90 days ago.", WHEN, _past),
    "audit_before": Field(("--audit-before",), "Also remove audit entries from before.", WHEN, _past),
    "batch_size": Field(("--batch-size",), "Memories at a time.", "N"),
    "by": Field(("FIELD",), "What is counted: scope, tag, app or metadata.PATH.", "FIELD"),
    "confidence": Field(("--confidence",), "How sure it is, 0 to 1.", "NUMBER", float),
    "content": Field(("--content",), "New text; - for standard input.", "TEXT"),
    "cursor": Field(("--cursor",), "Go on behind the page that named this cursor.", "CURSOR"),
    "dry_run": Field(("--dry-run",), "Only count them.", None),
    "ended_before": Field(("--ended-before",), "Also remove memories that ended before.", WHEN, _past),
    "everything": Field(("--all",), "All of them.", None),
    "explain": Field(("--explain",), "Show what each score is made of.", None),
    "expires_at": Field(("--expires",), "No verb shows it from then on: 2027-01-31, or 90d from now.", WHEN, _future),
    "extensions": Field(("--extension",), "Field of another system, such as x-notes='{\"page\": 3}'.", "NAME=JSON"),
    "id": Field(("ID",), "The memory's id.", "ID"),
    "ids": Field(("--id",), "Only with one of these ids; give it several times.", "ID"),
    "if_version": Field(("--if-version",), "Only if this is its version.", "N"),
    "indexed": Field(("--unindexed",), "Keep it out of search and context.", None, switch=False),
    "keep_history": Field(("--keep-history",), "Keep what is replaced as a memory that has ended.", None),
    "key": Field(("--key",), "Name of your own, unique among the user's memories of one scope.", "KEY"),
    "keys": Field(("--key",), "Only with one of these keys; give it several times.", "KEY"),
    "limit": Field(("-n", "--limit"), "How many at most.", "N"),
    "metadata": Field(("--metadata",), "JSON object of your own.", "JSON"),
    "min_score": Field(("--min-score",), "Leave out what scores less, 0 to 1.", "NUMBER"),
    "order": Field(("--order",), "newest, oldest or updated.", "ORDER"),
    "prefix": Field(("--prefix",), "Only users whose id begins like this.", "TEXT"),
    "query": Field(("QUERY",), "A question, or a few words; - for standard input.", "QUERY"),
    "recency": Field(("--recency",), "Prefer newer ones: age at which half of that counts, as in 30d.", "AGE",
                     Interval().parse),
    "scope": Field(("--scope",), "Scope such as coding/preferences; to read also coding/* and coding/**.", "SCOPE"),
    "since": Field(("--since",), "Only from then on: 2027-01-31, or 90d for 90 days ago.", WHEN, _past),
    "source": Field(("--source",), "Where it came from, as in '{\"app\": \"notes\"}'.", "JSON", _json),
    "supersede_ended": Field(("--supersede-ended",), "Also replace memories that have ended already.", None),
    "supersedes": Field(("--supersedes",), "Id of a memory that it replaces; give it several times.", "ID"),
    "tag": Field(("--one-tag",), "Only with this tag.", "TAG"),
    "tags": Field(("-t", "--tag"), "Tag; give it several times. To read: only with all of these.", "TAG"),
    "timezone": Field(("--timezone",), "Time zone in which days are meant, as in Europe/Lisbon.", "ZONE"),
    "timeout": Field(("--within",), "Seconds to wait at most.", "SECONDS", float),
    "token_budget": Field(("--budget",), "Tokens at most.", "N"),
    "until": Field(("--until",), "Only from before: 2027-01-31, or 90d for 90 days ago.", WHEN, _past),
    "user_id": Field(("-u", "--user"), "Whose memories.", "NAME"),
    "valid_from": Field(("--valid-from",), "From when on it holds: 2027-01-31, now, or 90d from now.", WHEN, _future),
    "valid_to": Field(("--valid-to",), "Until when it holds: 2027-01-31, now, or 90d from now.", WHEN, _future),
    "where": Field(("--where",), "Only with metadata like this, as in '{\"n\": {\"$gte\": 9}}'.", "JSON"),
}  # fmt: skip
"""Every parameter of a verb that is given on the command line, by its name in Python."""

_LEADING: Final = re.compile(r"^(\w+)(?=[:.\[])")


def options_of(
    verb: type[Operation],
    *,
    without: Iterable[str] = (),
    only: Iterable[str] | None = None,
    optional: Iterable[str] = (),
) -> list[click.Parameter]:
    """The options of a verb's parameters.

    Args:
        without: parameters that the command gives in another way.
        only: the parameters to have; by default all.
        optional: parameters that need not be given, though the verb needs them.
    """
    options: list[click.Parameter] = []
    for name, parameter in verb.model_fields.items():
        if name in without or name in ("user_id", "progress") or (only is not None and name not in only):
            continue
        field = FIELDS[name]
        if field.metavar is None:
            options.append(click.Option([name, *field.spellings], is_flag=True, help=field.help))
            continue
        kind = kind_of(parameter.annotation)
        options.append(
            click.Option(
                [name, *field.spellings],
                multiple=kind in ("list", "scopes") or name == "extensions",
                required=parameter.is_required() and name not in optional,
                metavar=field.metavar,
                help=field.help,
            )
        )
    return options


def values_of(verb: type[Operation], given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a verb that texts stand for; those that are not given are left out.

    Args:
        given: a text, several or a switch for each parameter, as click has read them.

    Raises:
        InvalidRequestError: a text does not stand for a value.
    """
    values: dict[str, Any] = {}
    for name, texts in given.items():
        if texts is None or texts is False or texts == ():
            continue
        field = FIELDS[name]
        if texts is True:
            values[name] = field.switch
        elif name == "extensions":
            values[name] = dict(_extension(text) for text in texts)
        elif field.read is not None:
            try:
                values[name] = field.read(texts)
            except ValueError as error:
                raise InvalidRequestError(f"{field.flag}: {error}") from None
        else:
            several: Sequence[str] = (texts,) if isinstance(texts, str) else texts
            values[name] = decode(field.flag, kind_of(verb.model_fields[name].annotation), several)
    return values


def operation(verb: type[Op], given: Mapping[str, Any], **fixed: Any) -> Op:
    """The operation that a command line asks for.

    Args:
        given: parameters as click has read them.
        fixed: parameters as the operation takes them.

    Raises:
        InvalidRequestError: one is wrong; the message names it as the command line does.
    """
    try:
        return verb(**fixed, **values_of(verb, given))
    except InvalidRequestError as error:
        raise in_flags(error) from None


def in_flags(error: InvalidRequestError) -> InvalidRequestError:
    """The same error, which names parameters as the command line does."""
    context = click.get_current_context(silent=True)
    arguments = {
        parameter.name: str(parameter.metavar).strip("[].")
        for parameter in (context.command.params if context is not None else ())
        if isinstance(parameter, click.Argument)
    }

    def flag(found: re.Match[str]) -> str:
        if found[1] in arguments:
            return arguments[found[1]]
        field = FIELDS.get(found[1])
        return found[1] if field is None else field.flag

    error.message = _LEADING.sub(flag, error.message)
    return error


def _extension(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign:
        raise InvalidRequestError("--extension: it is not like x-notes='{\"page\": 3}'")
    try:
        return name, _json(value)
    except ValueError as error:
        raise InvalidRequestError(f"--extension: {name[:80]}: {error}") from None
