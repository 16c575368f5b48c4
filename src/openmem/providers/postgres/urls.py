"""The URLs of PostgreSQL servers, as people paste them. Pure.

libpq's own parser reads a URL, once and for both drivers; see `openmem.drivers.libpq`. Before that, this module takes
off what came along with the URL when it was copied, reads the parameters that other programs put into it, and refuses
what libpq would misunderstand or complain about with a quotation: any part of a broken URL may be the password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from ..._suggestions import closest
from ...errors import InvalidRequestError
from ...ports.postgres import ConnectionParameters

EXAMPLE: Final = "postgresql://user:password@localhost:5432/database"

LIBPQ_PARAMETERS: Final = frozenset(
    {
        "application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname",
        "fallback_application_name", "gssdelegation", "gssencmode", "gsslib", "host", "hostaddr", "keepalives",
        "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname", "load_balance_hosts",
        "max_protocol_version", "min_protocol_version", "oauth_client_id", "oauth_client_secret", "oauth_issuer",
        "oauth_scope", "options", "passfile", "password", "port", "replication", "require_auth", "requirepeer",
        "scram_client_key", "scram_server_key", "service", "servicefile", "sslcert", "sslcertmode", "sslcompression",
        "sslcrl", "sslcrldir", "sslkey", "sslkeylogfile", "sslmode", "sslnegotiation", "sslpassword", "sslrootcert",
        "sslsni", "ssl_max_protocol_version", "ssl_min_protocol_version", "target_session_attrs", "tcp_user_timeout",
        "user",
    }
)  # fmt: skip

# What other libraries call what libpq or openmem has by another name.
_ELSEWHERE: Final[Mapping[str, str]] = {
    "schema": "for the schema of openmem's tables pass the argument schema=",
    "currentSchema": "for the schema of openmem's tables pass the argument schema=",
    "socket_timeout": "pass the argument timeout=, in seconds",
    "command_timeout": "pass the argument timeout=, in seconds",
    "statement_cache_size": "behind a pooler in transaction mode pgbouncer=true keeps statements from being prepared",
    "prepared_statement_cache_size": (
        "behind a pooler in transaction mode pgbouncer=true keeps statements from being prepared"
    ),
    "prepareThreshold": "behind a pooler in transaction mode pgbouncer=true keeps statements from being prepared",
    "sslaccept": "libpq calls it sslmode: verify-full instead of strict, require instead of accept_invalid_certs",
    "sslidentity": "libpq takes the client's certificate and key as sslcert and sslkey",
    "ssl": "libpq calls it sslmode, as in sslmode=verify-full",
    "database": "libpq calls it dbname, and reads it from the URL's path as well",
    "username": "libpq calls it user",
    "server_settings": "libpq passes settings of the session as options=-c%20name%3Dvalue",
    "search_path": "openmem names every schema itself; for the schema of its tables pass the argument schema=",
    "timeout": "pass the argument timeout=, in seconds",
}


@dataclass(frozen=True, slots=True, repr=False)
class PastedUrl:
    """A URL that libpq can read, and what it has no parameters for.

    Attributes:
        url: may hold a password and is never shown.
        pooled: whether a pooler in transaction mode stands between; None if the URL does not say.
        connection_limit: connections open at most; None if the URL does not say.
        pool_timeout: seconds to wait for a free connection; None if the URL does not say.
    """

    url: str
    pooled: bool | None
    connection_limit: int | None
    pool_timeout: float | None


def read_url(text: str | None, setting: str = "url") -> PastedUrl:
    """What `text` says.

    Args:
        text: a URL, perhaps with white space or quotes around it, or as an argument of ``psql``.
        setting: the argument that the user passed it as, for messages.

    Raises:
        InvalidRequestError: it is no URL of a PostgreSQL server. No part of it is quoted but names of parameters.
    """
    if text is None:
        raise InvalidRequestError(
            f"url: provider 'postgres' needs the server's URL, as in url={EXAMPLE!r}; provider='local' needs no server"
        )

    def refused(reason: str) -> InvalidRequestError:
        return InvalidRequestError(f"{setting}: {reason}")

    url = _unwrapped(text)
    scheme, separator, rest = url.partition("://")
    # SQLAlchemy names its driver in the scheme.
    if not separator or not re.fullmatch(r"postgres(ql)?(\+\w+)?", scheme):
        raise refused(_no_scheme(url))
    if re.search(r"\s", url):
        raise refused(
            "there is white space or a line break inside; if it belongs to the user, the password or a value, "
            "percent-encode it (a space is %20), else remove it"
        )
    if re.search(r"%(?![0-9A-Fa-f]{2})", rest):
        raise refused("a % is not followed by two hexadecimal digits; where a % is meant, write %25")
    if re.search("%00", rest):
        raise refused("it contains the character NUL (%00)")
    base, query = _split_query(rest)
    _check_credentials(base, refused)
    kept, ours = _sorted_out(query, refused)
    return PastedUrl(
        url=f"postgresql://{base}{'?' if kept else ''}{'&'.join(kept)}",
        pooled=_boolean(ours.get("pgbouncer"), refused),
        connection_limit=_whole_number("connection_limit", ours, refused),
        pool_timeout=_whole_number("pool_timeout", ours, refused),
    )


def is_known_pooler(parameters: ConnectionParameters) -> bool:
    """Whether the hosts are by their names poolers in transaction mode: Supabase's and Neon's."""
    return any(
        (host.name.endswith(".pooler.supabase.com") and host.port == 6543)
        or (host.name.endswith(".neon.tech") and host.name.partition(".")[0].endswith("-pooler"))
        for host in parameters.hosts
    )


def _unwrapped(text: str) -> str:
    """`text` without what is around a URL in a file, a shell command or a secret's value."""
    url = text.strip().lstrip("\ufeff")
    command = re.fullmatch(r"psql\s+(.*)", url, re.DOTALL)
    if command:
        url = command[1].strip()
    if len(url) > 1 and url[0] == url[-1] and url[0] in "\"'`":
        url = url[1:-1].strip()
    return url


def _no_scheme(url: str) -> str:
    if url.startswith("jdbc:"):
        return (
            f"it is a URL for JDBC; remove jdbc:, and write the user and the password before the host, as in {EXAMPLE}"
        )
    if re.match(r"(export\s+)?[A-Z_][A-Z0-9_]*\s*=", url):
        return f"it begins with the name of a variable; pass its value alone, as in {EXAMPLE}"
    if re.match(r"[a-z_]+\s*=", url):
        return f"it is a connection string of keywords and values; write it as a URL, as in {EXAMPLE}"
    return f"it does not begin with postgresql://; a libpq URL looks like {EXAMPLE}"


def _split_query(rest: str) -> tuple[str, str]:
    """What comes before the parameters, and these, where libpq parts them: a password may contain a question mark."""
    credentials = re.match(r"[^@/]*@", rest)
    start = rest.find("?", credentials.end() if credentials else 0)
    return (rest, "") if start < 0 else (rest[:start], rest[start + 1 :])


def _check_credentials(base: str, refused: Callable[[str], InvalidRequestError]) -> None:
    """Refuse what libpq would take for a host or a database, though it is part of a user or a password."""
    credentials, separator, server = base.partition("@")
    if separator and "/" in credentials:
        # libpq ends the server at the slash.
        credentials, separator, server = "", "", base
    if "@" in server:
        raise refused(
            "there is an '@' or '/' in the user or the password; percent-encode them there: "
            "'@' is %40, '/' is %2F, ':' is %3A, '#' is %23, '?' is %3F, '%' is %25"
        )
    if "#" in server:
        raise refused("there is a '#' after the host; percent-encode it as %23 where it is part of a name")
    hosts = server.partition("/")[0]
    for host in hosts.split(","):
        name, port = _host_and_port(host)
        if "[" in name or "]" in name:
            raise refused("an IPv6 address is written in brackets, as in postgresql://user@[::1]:5432/database")
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise refused(
                "what follows the ':' of the host is not a port from 1 to 65535; if it is part of the password, "
                "percent-encode the special characters in it ('@' is %40, '/' is %2F, ':' is %3A)"
            )


def _host_and_port(text: str) -> tuple[str, str]:
    address = re.fullmatch(r"\[([0-9A-Fa-f:.%]+)\](?::(.*))?", text)
    if address:
        return address[1], address[2] or ""
    name, _, port = text.partition(":")
    return name, port


def _sorted_out(query: str, refused: Callable[[str], InvalidRequestError]) -> tuple[list[str], dict[str, str]]:
    """The parameters that are libpq's, as they are written, and the values of openmem's own.

    Raises:
        InvalidRequestError: some are neither.
    """
    kept: list[str] = []
    ours: dict[str, str] = {}
    for parameter in filter(None, query.split("&")):
        name, separator, value = parameter.partition("=")
        if not separator or "=" in value:
            raise refused("a parameter after '?' is not written as name=value; a '=' inside of a value is %3D")
        name, value = unquote(name), unquote(value)
        if name in LIBPQ_PARAMETERS or (name, value) == ("ssl", "true"):
            kept.append(parameter)
        elif name in ("pgbouncer", "connection_limit", "pool_timeout"):
            ours[name] = value
        elif (name, value) != ("schema", "public"):
            # Prisma's own tables are in its schema; openmem's never are, and `public` is what its templates say.
            raise _unknown(name, refused, is_shown="@" not in query)
    return kept, ours


def _unknown(name: str, refused: Callable[[str], InvalidRequestError], *, is_shown: bool) -> InvalidRequestError:
    """The error for a parameter, whose name is not shown where it might be a part of a password."""
    if not is_shown or not re.fullmatch(r"\w{1,40}", name):
        return refused("it has a parameter after '?' that is none of libpq's; special characters are percent-encoded")
    meant = closest(name, LIBPQ_PARAMETERS)
    hint = _ELSEWHERE.get(name, "remove it" if meant is None else f"did you mean {meant}?")
    return refused(f"the parameter {name} is none of libpq's; {hint}")


def _boolean(value: str | None, refused: Callable[[str], InvalidRequestError]) -> bool | None:
    if value not in (None, "true", "false"):
        raise refused("the parameter pgbouncer is true or false, as in ?pgbouncer=true")
    return None if value is None else value == "true"


def _whole_number(name: str, values: Mapping[str, str], refused: Callable[[str], InvalidRequestError]) -> int | None:
    value = values.get(name)
    if value is None:
        return None
    if not re.fullmatch("[1-9][0-9]{0,8}", value):
        raise refused(f"the parameter {name} is a whole number from 1, as in ?{name}=5")
    return int(value)
