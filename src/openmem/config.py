"""The settings of a client, as its constructor received them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from os import PathLike
from typing import Any, Literal, TypeAlias, get_args

from ._suggestions import closest
from ._text import MAX_NAME_LENGTH, check_text, quoted
from .access import Grants
from .errors import InvalidRequestError
from .ports.models import Embedder, Reranker
from .tokens import TokenCounter, resolve_token_counter

AuditMode: TypeAlias = Literal["all", "writes", "off"]

DEFAULT_POOL_TIMEOUT = 30.0

_TEXTS = ("url", "replica_url", "base_url", "api_key", "host", "app")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClientConfig:
    """Everything a provider may be configured with; each provider reads what concerns it.

    The meaning of the fields is documented at `openmem.Memory`. The object has no ``repr``, since
    ``url``, ``replica_url`` and ``api_key`` are secrets. `options` holds arguments that only a third-party provider
    knows; the built-in ones refuse those they do not declare.
    """

    url: str | None = None
    replica_url: str | None = None
    base_url: str | None = None
    api_key: str | None = None
    host: str | None = None
    timeout: float | None = None
    path: str | PathLike[str] | None = None
    config: Mapping[str, Any] | None = None
    embedder: Embedder | str | None = None
    reranker: Reranker | str | None = None
    schema: str = "openmem"
    pool_min_size: int = 1
    pool_max_size: int = 10
    pool_timeout: float = DEFAULT_POOL_TIMEOUT
    executor_max_workers: int | None = None
    app: str | None = None
    grants: Grants = field(default_factory=Grants)
    audit: AuditMode = "all"
    token_counter: TokenCounter
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
        settings["url"] = url if url is not None else dsn
        for name in _TEXTS:
            settings[name] = _text(name, settings.get(name))
        config = cls(
            embedder=embedder,
            grants=Grants.parse(grants),
            token_counter=resolve_token_counter(token_counter),
            **settings,
        )
        config._check()
        return config

    def _check(self) -> None:
        if self.audit not in get_args(AuditMode):
            raise InvalidRequestError(f"audit: {quoted(self.audit)} is not one of 'all', 'writes', 'off'")
        for name in ("pool_min_size", "pool_max_size", "executor_max_workers"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise InvalidRequestError(f"{name}: {quoted(value)} is not a whole number from 0")
        if self.executor_max_workers == 0:
            raise InvalidRequestError("executor_max_workers: at least one thread is needed")
        if self.pool_max_size < max(1, self.pool_min_size):
            raise InvalidRequestError(
                f"pool_max_size: {self.pool_max_size} is less than 1 or than pool_min_size {self.pool_min_size}"
            )
        for name in ("pool_timeout", "timeout"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
                raise InvalidRequestError(f"{name}: {quoted(value)} is not a positive number of seconds")
        if self.api_key is not None and re.search(r"[^\x21-\x7e]", self.api_key):
            raise InvalidRequestError("api_key: it has white space in or around it, or characters that no key has")
        if self.app is not None and len(self.app) > MAX_NAME_LENGTH:
            raise InvalidRequestError(f"app: {len(self.app)} characters are over the limit of {MAX_NAME_LENGTH}")

    def refuse_options(self, known_options: frozenset[str] = frozenset()) -> None:
        """Raise `TypeError`, as Python does, if there is an argument that nobody knows.

        Args:
            known_options: arguments that the provider knows.
        """
        for name in [option for option in self.options if option not in known_options]:
            known = [*(setting.name for setting in fields(self)), *known_options]
            meant = closest(name, known, min_similarity=0.6)
            hint = "" if meant is None else f"; did you mean {meant!r}?"
            raise TypeError(f"unexpected keyword argument {name!r}{hint}")


def _text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequestError(f"{name}: must be text that is not empty")
    try:
        return check_text(value)
    except ValueError as error:
        raise InvalidRequestError(f"{name}: {error}") from None
