"""The settings of a client, as its constructor received them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from os import PathLike
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from ._suggestions import closest
from ._text import MAX_NAME_CHARACTERS
from .access import Grants
from .analysis import LANGUAGES
from .errors import InvalidRequestError
from .ports.models import Embedder, Reranker
from .settings import Choice, FilePath, Part, Seconds, Setting, Text, TimeZone, Whole, settings_of
from .tokens import TokenCounter, estimate_tokens, resolve_token_counter

__all__ = ["DEFAULT_POOL_TIMEOUT_SECONDS", "AuditMode", "ClientConfig"]

AuditMode: TypeAlias = Literal["all", "writes", "off"]

DEFAULT_POOL_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClientConfig:
    """Everything a provider may be configured with. A provider names the settings that it reads.

    The meaning of the fields is documented at `openmem.Memory`. The object has no ``repr``, since some of them are
    secrets. `options` holds arguments that only a third-party provider knows; the built-in ones refuse those they do
    not declare.
    """

    url: Annotated[
        str | None,
        Setting(Text(), "libpq URL of the PostgreSQL server", option="postgres-url", is_secret=True, aliases=("dsn",)),
    ] = None
    replica_url: Annotated[str | None, Setting(Text(), "libpq URL of a replica for reads", is_secret=True)] = None
    base_url: Annotated[str | None, Setting(Text(), "URL of the backend's HTTP interface", option="base-url")] = None
    api_key: Annotated[
        str | None,
        Setting(
            Text(is_token=True),
            "credential for the backend",
            option="api-key",
            is_secret=True,
            only_in_environment=True,
        ),
    ] = None
    host: Annotated[str | None, Setting(Text(), "URL of the vendor's service")] = None
    timeout: Annotated[
        float | None, Setting(Seconds(), "seconds a statement or an upstream request may take", option="timeout")
    ] = None
    path: Annotated[
        str | PathLike[str] | None, Setting(FilePath(), "data directory of provider local", option="path")
    ] = None
    config: Annotated[Mapping[str, Any] | None, Setting(Part(), "settings of mem0's open-source engine")] = None
    embedder: Annotated[
        Embedder | str | None,
        Setting(Part(), "embedder, as 'name' or 'provider:model'", option="embedder", aliases=("use_openai",)),
    ] = None
    reranker: Annotated[
        Reranker | str | None, Setting(Part(), "reranker, as 'name' or 'provider:model'", option="reranker")
    ] = None
    language: Annotated[
        str | None, Setting(Choice(LANGUAGES), "language of all texts, as a code such as 'en'", option="language")
    ] = None
    timezone: Annotated[
        tzinfo, Setting(TimeZone(), "time zone of days, as an IANA name such as 'Europe/Lisbon'", option="timezone")
    ] = UTC
    schema: Annotated[str, Setting(Text(), "PostgreSQL schema of the tables", option="schema")] = "openmem"
    pool_min_size: Annotated[int, Setting(Whole(0), "connections to the backend kept open")] = 1
    pool_max_size: Annotated[int, Setting(Whole(1), "connections to the backend", option="pool-max-size")] = 10
    pool_timeout: Annotated[float, Setting(Seconds(), "seconds to wait for a free connection")] = (
        DEFAULT_POOL_TIMEOUT_SECONDS
    )
    executor_max_workers: Annotated[int | None, Setting(Whole(1), "threads for what blocks")] = None
    app: Annotated[str | None, Setting(Text(max_length=MAX_NAME_CHARACTERS), "name of the application")] = None
    grants: Annotated[Grants, Setting(Part(), "scope grants that the client is limited to")] = field(
        default_factory=Grants
    )
    audit: Annotated[
        AuditMode, Setting(Choice(get_args(AuditMode)), "what is audited: all, writes or off", option="audit")
    ] = "all"
    token_counter: Annotated[
        TokenCounter, Setting(Part(), "what counts tokens, as 'tiktoken:o200k_base'", option="token-counter")
    ] = estimate_tokens
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        *,
        url: str | None,
        dsn: str | None,
        embedder: Embedder | str | None,
        use_openai: bool,
        grants: Iterable[str] | None,
        token_counter: TokenCounter | str | None,
        options: Mapping[str, Any],
        **settings: Any,
    ) -> ClientConfig:
        """The settings behind the facades' arguments, with the alternative spellings resolved.

        Raises:
            InvalidRequestError: a setting is out of its range, or two of them contradict each other.
        """
        if url is not None and dsn is not None and url != dsn:
            raise InvalidRequestError("url and dsn are two names of one setting; pass only one of them")
        if use_openai:
            if embedder is not None:
                raise InvalidRequestError("use_openai=True and embedder= exclude each other; pass only one")
            embedder = "openai"
        settings |= {
            "url": url if url is not None else dsn,
            "embedder": embedder,
            "grants": Grants.parse(grants),
            "token_counter": resolve_token_counter(token_counter),
        }
        config = cls(**{name: _checked(SETTINGS[name], value) for name, value in settings.items()}, options=options)
        if config.pool_max_size < config.pool_min_size:
            raise InvalidRequestError(
                f"pool_max_size: {config.pool_max_size} is less than pool_min_size {config.pool_min_size}"
            )
        return config

    def refuse_unread(
        self, provider: str, reads: frozenset[str], readers: Callable[[str], Sequence[str]] = lambda name: ()
    ) -> None:
        """Raise `UnreadSettingError` if a setting is given that this provider does not read.

        A setting is given if it has another value than its default.

        Args:
            provider: the provider's name, for the message.
            reads: the settings that the provider reads.
            readers: the names of the providers that read a setting, for the message.
        """
        for name in sorted(PROVIDER_SETTINGS - reads):
            value, setting = getattr(self, name), SETTINGS[name]
            is_default = value is setting.default or (not isinstance(setting.kind, Part) and value == setting.default)
            if not is_default:
                raise UnreadSettingError.of(setting, provider, reads, readers(name))

    def refuse_options(self, known_options: frozenset[str] = frozenset()) -> None:
        """Raise `TypeError`, as Python does, if there is an argument that nobody knows.

        Args:
            known_options: arguments that the provider knows.
        """
        for name in [option for option in self.options if option not in known_options]:
            meant = closest(name, [*SETTINGS, *known_options], min_similarity=0.6)
            hint = "" if meant is None else f"; did you mean {meant!r}?"
            raise TypeError(f"unexpected keyword argument {name!r}{hint}")


SETTINGS: Final = settings_of(ClientConfig)
"""The settings of a client, by name."""

COMMON_SETTINGS: Final = frozenset({"app", "executor_max_workers", "grants", "reranker", "token_counter"})
"""What every client reads, whatever its provider."""

PROVIDER_SETTINGS: Final = frozenset(SETTINGS) - COMMON_SETTINGS
"""What only some providers read."""


class UnreadSettingError(InvalidRequestError):
    """A setting is given that the provider does not read.

    Attributes:
        setting: the setting.
        refused_by: name of the provider.
        reads: names of the settings that the provider reads.
        readers: names of the providers that read the setting.
    """

    setting: Setting
    refused_by: str
    reads: frozenset[str]
    readers: Sequence[str]

    @classmethod
    def of(
        cls, setting: Setting, refused_by: str, reads: frozenset[str], readers: Sequence[str] = ()
    ) -> UnreadSettingError:
        """The error for this setting."""
        error = cls("")
        error.setting, error.refused_by, error.reads, error.readers = setting, refused_by, reads, readers
        names = " or ".join((setting.name, *setting.aliases))
        error.message = error.told(names, "provider=", sorted(reads))
        error.args = (error.message,)
        return error

    def told(self, name: str, choice: str, reads: Sequence[str]) -> str:
        """The message, in the words of whoever gave the setting.

        Args:
            name: what the setting is called there.
            choice: what goes before the name of a provider to choose it.
            reads: what the settings that the provider reads are called there.
        """
        *others, last = map(repr, self.readers or ("",))
        either = f"{', '.join(others)} or {last}" if others else last
        does = f" ({choice}{either} does)" if self.readers else ""
        return (
            f"{name}: provider {self.refused_by!r} does not read it{does}; "
            f"it reads {', '.join(reads) or 'none of these'}"
        )


def _checked(setting: Setting, value: Any) -> Any:
    if value is None and setting.default is None:
        return None
    try:
        return setting.kind.check(value)
    except ValueError as error:
        raise InvalidRequestError(f"{setting.name}: {error}") from None
