"""The URLs of PostgreSQL servers, as far as they are not a driver's business. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from ...errors import InvalidRequestError


def check_url(url: str | None, setting: str = "url") -> str:
    """`url` if it names a PostgreSQL server, else `InvalidRequestError`, which names the `setting`."""
    example = "postgresql://user:password@localhost:5432/database"
    if url is None:
        raise InvalidRequestError(
            f"url: provider 'postgres' needs the server's URL, as in url={example!r}; provider='local' needs no server"
        )
    if urlsplit(url).scheme not in ("postgresql", "postgres"):
        raise InvalidRequestError(f"{setting}: it does not begin with postgresql://; a libpq URL looks like {example}")
    return url


def split_pooler(url: str, setting: str = "url") -> tuple[str, bool]:
    """`url` without the parameter ``pgbouncer``, which drivers do not know, and whether it was ``true``.

    Raises:
        InvalidRequestError: it was neither ``true`` nor ``false``.
    """
    head, _, query = url.partition("?")
    others, values = [], []
    for parameter in query.split("&") if query else ():
        name, _, value = parameter.partition("=")
        if name == "pgbouncer":
            values.append(value)
        else:
            others.append(parameter)
    if not values:
        return url, False
    if not {"true", "false"}.issuperset(values):
        raise InvalidRequestError(f"{setting}: the parameter pgbouncer is true or false, as in ?pgbouncer=true")
    return "?".join([head, "&".join(others)] if others else [head]), values[-1] == "true"
