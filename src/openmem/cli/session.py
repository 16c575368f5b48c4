"""What every command on memories has in common: its options, the client, and its output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ..errors import InvalidRequestError, OMPError
from .connection import FLAGS, KNOWN, Connection, find_connection
from .failures import EXIT_PARTLY, exit_status, say_error
from .output import Answer, Output
from .profiles import read_config
from .progress import Progress
from .streams import Names, is_terminal

if TYPE_CHECKING:
    from ..memory import Memory

R = TypeVar("R")

SECTION_OF_OUTPUT: Final = "Output"
SECTION_OF_BACKEND: Final = "Backend"

_NOT_ON_A_COMMAND_LINE: Final = {
    f"--{spelling}": name
    for name, setting in KNOWN.items()
    if setting.is_secret
    for spelling in (name.replace("_", "-"), setting.option)
}
"""The settings that may hold secrets, by the options that somebody may look for."""


class Session:
    """One run of a command.

    Args:
        flags: the settings that are flags, by their names in Python.
        profile: the profile that is asked for.
        output: where results go.
        is_verbose: whether errors tell their request ids.
        asks_nothing: whether there must be no questions.

    Attributes:
        output: where results go.
        is_verbose: whether errors tell their request ids.
        asks_nothing: whether there must be no questions.
    """

    def __init__(
        self,
        flags: Mapping[str, Any],
        profile: str | None,
        output: Output,
        *,
        is_verbose: bool = False,
        asks_nothing: bool = False,
    ) -> None:
        self.output = output
        self.is_verbose = is_verbose
        self.asks_nothing = asks_nothing
        self._flags = flags
        self._profile = profile
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection:
        """The backend.

        Raises:
            InvalidRequestError: a setting is wrong.
        """
        if self._connection is None:
            self._connection = find_connection(self._flags, self._profile)
        return self._connection

    @property
    def user(self) -> str | None:
        """The user that is named; None for none."""
        return self.connection.user

    def require_user(self) -> str:
        """The user that is named.

        Raises:
            InvalidRequestError: none is.
        """
        if self.user is None:
            raise InvalidRequestError(
                "--user: whose memories? pass -u NAME, set OMP_USER, or run 'openmem config set user NAME'"
            )
        return self.user

    @contextmanager
    def memory(self, *, embeds: bool = False) -> Iterator[Memory]:
        """The client, until the end of the block.

        Args:
            embeds: whether a text is going to be compared or stored, so that the embedder is needed.

        Raises:
            OMPError: a setting is wrong, or the backend cannot be reached.
            ImportError: an extra is not installed; the message has the command.
        """
        with self.connection.open(embeds=embeds) as memory:
            yield memory

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """The result of a method of the client.

        Raises:
            OMPError: it was refused or failed; the message names parameters as the command line does.
        """
        try:
            from ..ports import run_blocking  # noqa: PLC0415 - comes with the client
            from .fields import in_flags  # noqa: PLC0415

            try:
                return run_blocking(work)
            except InvalidRequestError as error:
                raise in_flags(error) from None
            except OMPError as error:
                if self._connection is not None:
                    error.message = self._connection.given.translated(error.message)
                raise
        finally:
            # Who interrupts before it has begun would else be told that it was never awaited.
            work.close()

    def progress(self, what: str) -> Progress:
        """Shows how far long work is; see `Progress`."""
        return Progress(what)

    def each(self, names: Names, work: Callable[[str], Answer]) -> int:
        """Do something for each of several ids, write what comes of it, and tell of each that fails.

        As one JSON document it is an array, but for a single id on the command line. What was done is written also
        where something else than `OMPError` ends it.

        Returns:
            The exit status: 0, that of the first error if all failed, or the one for what is done in part.
        """
        errors: list[OMPError] = []
        is_array = self.output.format == "json" and not names.is_single
        documents: list[Any] = []
        try:
            for name in names.values:
                try:
                    answer = work(name)
                except OMPError as error:
                    if names.is_single:
                        raise
                    errors.append(error)
                    self.say_error(error)
                    continue
                if is_array:
                    documents.append(answer.document)
                else:
                    self.output.document(*answer)
        finally:
            if is_array:
                self.output.document(documents)
        if not errors:
            return 0
        return exit_status(errors[0]) if len(errors) == len(names.values) else EXIT_PARTLY

    def say_error(self, error: OMPError) -> None:
        """Tell an error that does not end the command."""
        say_error(error, as_json=self.output.is_for_programs, is_verbose=self.is_verbose)


class SharedOption(click.Option):
    """An option that every command on memories has, in a section of the help of its own.

    Args:
        section: the section.
    """

    def __init__(self, declarations: Sequence[str], section: str, **attributes: Any) -> None:
        super().__init__(list(declarations), **attributes)
        self.section = section


class SessionCommand(click.Command):
    """A command whose function takes a `Session` before its own parameters.

    Args:
        has_backend: whether it has the options of the backend.
        without: options that commands on memories share, and it does not have, by their names.
    """

    def __init__(
        self,
        name: str | None,
        *,
        params: Sequence[click.Parameter] | None = None,
        has_backend: bool = True,
        without: Iterable[str] = (),
        **rest: Any,
    ) -> None:
        params = params or ()
        own = {flag for parameter in params for flag in parameter.opts}
        shared = [option for option in shared_options(has_backend=has_backend) if own.isdisjoint(option.opts)]
        shared = [option for option in shared if option.name not in without]
        super().__init__(name, params=[*params, *shared], **rest)
        self._shared = frozenset(option.name for option in shared)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # click itself would show what is too much, which may be a memory or a query.
        ctx.allow_extra_args = True
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name not in _NOT_ON_A_COMMAND_LINE:
                raise
            name = _NOT_ON_A_COMMAND_LINE[error.option_name]
            raise click.UsageError(
                f"{error.option_name}: it may hold a secret, and others can read a command line; set "
                f"{KNOWN[name].variable}, or run 'openmem config set {name}'",
                ctx,
            ) from None
        if rest and not ctx.resilient_parsing:
            is_one = len(rest) == 1
            what = "is an argument" if is_one else f"are {len(rest)} arguments"
            has_content = is_one and any(parameter.opts == ["--content"] for parameter in self.params)
            hint = "a new text goes behind --content" if has_content else "a text of several words goes in quotes"
            ctx.fail(f"there {what} too many; {hint}, see '{ctx.command_path} --help'")
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        given = {name: ctx.params.pop(name) for name in list(ctx.params) if name in self._shared}
        session = Session(
            {name: given.get(name) for name in FLAGS},
            given.get("profile"),
            Output.of(**{name: bool(given.get(name)) for name in ("json", "jsonl", "quiet")}),
            is_verbose=bool(given.get("verbose")),
            asks_nothing=bool(given.get("no_input")),
        )
        assert self.callback is not None
        return ctx.invoke(self.callback, session, **ctx.params)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and record[1]:
                sections.setdefault(getattr(parameter, "section", "Options"), []).append(record)
        for section, records in sections.items():
            if records:
                with formatter.section(section):
                    formatter.write_dl(records)


def shared_options(*, has_backend: bool) -> list[SharedOption]:
    """The options that commands on memories share."""
    output = SECTION_OF_OUTPUT
    options = [
        SharedOption(["json", "--json"], output, is_flag=True, help="Write one JSON document, as the protocol has it."),
        SharedOption(["jsonl", "--jsonl"], output, is_flag=True, help="Write a line of JSON for each result."),
        SharedOption(["quiet", "-q", "--quiet"], output, is_flag=True, help="Write ids only."),
        SharedOption(["no_input", "--no-input"], output, is_flag=True, help="Ask no questions."),
        SharedOption(["verbose", "--verbose"], output, is_flag=True, help="Tell the request ids of errors."),
    ]  # fmt: skip
    if not has_backend:
        return options
    options.append(
        SharedOption(
            ["profile", "-p", "--profile"], SECTION_OF_BACKEND, metavar="NAME",
            help="Profile of the configuration file. [OPENMEM_PROFILE]", shell_complete=_complete_profile,
        )
    )  # fmt: skip
    for name, setting in FLAGS.items():
        spellings = [name, "-u", "--user"] if name == "user" else [name, str(setting.flag)]
        section = "Options" if name == "user" else SECTION_OF_BACKEND
        text = f"{setting.help[:1].upper()}{setting.help[1:]}. [{setting.variable}]"
        options.append(SharedOption(spellings, section, metavar=_metavar(name), help=text))
    return options


def client_command(
    name: str, *, help: str, has_backend: bool = True
) -> Callable[[Callable[..., int | None]], click.Command]:
    """Make a command of a function that takes a `Session` and then its own parameters.

    Options and arguments are added by `click.option` and `click.argument` below it. What the function returns is the
    exit status; None is 0.

    Args:
        name: the command.
        help: what it does. The first sentence is the row of `openmem.cli.table`.
        has_backend: whether it has the options that say which backend is used.
    """
    return click.command(name, cls=SessionCommand, help=help, has_backend=has_backend)


def confirm(session: Session, question: str, is_sure: bool) -> None:
    """Ask whether to go on with what cannot be undone.

    Raises:
        InvalidRequestError: nobody can be asked.
        click.Abort: the answer is no.
    """
    if is_sure:
        return
    if session.asks_nothing or not is_terminal(sys.stdin):
        raise InvalidRequestError(f"{question[:1].lower()}{question[1:].rstrip('?')}: pass --yes if it is meant")
    click.confirm(question, abort=True, err=True)


def _complete_profile(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    try:
        names = list(read_config().profiles)
    except InvalidRequestError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def _metavar(name: str) -> str:
    return {"user": "NAME", "timeout": "SECONDS"}.get(name, name.rpartition("_")[2].upper())
