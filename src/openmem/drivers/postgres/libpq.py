"""What libpq makes of a URL, the service file, the environment and the password file, as one value for both drivers.

A parameter has its value from the first of these that gives one: the URL, the service file, the environment, libpq's
default; as https://www.postgresql.org/docs/current/libpq-connect.html says. What AsyncMemory cannot do, and what
openmem cannot use, is refused here, before anything is sent.
"""

from __future__ import annotations

import configparser
import logging
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from ...errors import InvalidRequestError
from ...ports.postgres import ConnectionParameters, PostgresHost

logger = logging.getLogger("openmem.postgres")

_CHOICES: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(values.split())
    for name, values in {
        "channel_binding": "disable prefer require",
        "gssdelegation": "0 1",
        "gssencmode": "disable prefer require",
        "keepalives": "0 1",
        "load_balance_hosts": "disable random",
        "sslcertmode": "disable allow require",
        "sslmode": "disable allow prefer require verify-ca verify-full",
        "sslnegotiation": "postgres direct",
        "sslsni": "0 1",
        "ssl_max_protocol_version": "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3",
        "ssl_min_protocol_version": "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3",
        "target_session_attrs": "any read-write read-only primary standby prefer-standby",
    }.items()
}
_NUMBERS: Final = (
    "connect_timeout", "keepalives_count", "keepalives_idle", "keepalives_interval", "tcp_user_timeout",
)  # fmt: skip
_AUTH_METHODS: Final = frozenset({"password", "md5", "gss", "sspi", "scram-sha-256", "oauth", "none"})
_WEAK_MODES: Final = frozenset({"disable", "allow", "prefer"})

# Refused for both clients: what openmem has no use for.
_USELESS: Final[Mapping[str, str]] = {
    "replication": "openmem sends statements, which a replication connection does not take",
    "scram_client_key": "openmem logs in with a password",
    "scram_server_key": "openmem logs in with a password",
    "oauth_issuer": "openmem cannot log in by OAuth",
    "oauth_client_id": "openmem cannot log in by OAuth",
    "oauth_client_secret": "openmem cannot log in by OAuth",
    "oauth_scope": "openmem cannot log in by OAuth",
    "sslkeylogfile": "openmem does not write the keys of connections to a file",
    "servicefile": "name the file in the variable PGSERVICEFILE",
}
_LIBPQ_SOCKETS: Final = ("/var/run/postgresql", "/run/postgresql", "/tmp")


def resolve(url: str, setting: str, *, for_asyncio: bool, ignores_environment: bool = False) -> ConnectionParameters:
    """The connection that a URL means here.

    Args:
        url: as `openmem.providers.postgres.urls.read_url` gives it.
        setting: the argument that holds it, for messages.
        for_asyncio: whether asyncpg is to connect, and libpq is not there to help.
        ignores_environment: whether only the URL and libpq's own defaults count.

    Raises:
        InvalidRequestError: libpq cannot read it, a parameter is out of its range, or cannot be honoured.
    """

    variables: dict[str, str] = {}

    def refused(reason: str) -> InvalidRequestError:
        parameter = re.match(r"the parameter (\w+)", reason)
        if parameter and parameter[1] in variables:
            return InvalidRequestError(f"{setting}: {reason} (it is from the variable {variables[parameter[1]]})")
        return InvalidRequestError(f"{setting}: {reason}")

    try:
        given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value not in (None, "")}
    except psycopg.ProgrammingError:
        # libpq's message may quote the password.
        raise refused(
            "libpq cannot read it; percent-encode special characters in the user and the password, and check the "
            f"parameters after '?' (this is libpq {pq.version() // 10000})"
        ) from None
    _check_given(given, refused)
    values = dict(given)
    service = given.get("service") or ("" if ignores_environment else os.environ.get("PGSERVICE", ""))
    if service:
        values["service"] = service
        for name, value in _service(service, refused).items():
            values.setdefault(name, value)
    is_mode_given = "sslmode" in values or (not ignores_environment and "PGSSLMODE" in os.environ)
    for option in pq.Conninfo.get_defaults():
        name = option.keyword.decode()
        inherited = os.environ.get(option.envvar.decode()) if option.envvar and not ignores_environment else None
        value = inherited or (option.compiled or b"").decode()
        if inherited and name not in values and option.envvar:
            variables[name] = option.envvar.decode()
        if name == "user" and not inherited:
            value = (option.val or b"").decode()
        if value:
            values.setdefault(name, value)
    if values.get("sslrootcert") == "system" and not is_mode_given:
        values["sslmode"] = "verify-full"
    values.setdefault("dbname", values.get("user", ""))
    values["client_encoding"] = "UTF8"
    _check(values, refused)
    passfile = values.get("passfile") or ("" if ignores_environment else _default_passfile())
    hosts = _hosts(values, passfile, refused)
    if for_asyncio:
        _check_for_asyncio(values, hosts, refused)
    for name in ("host", "hostaddr", "port"):
        values.pop(name, None)
    if not values.get("user"):
        raise refused(
            "it names no user, and this system has no name for the one that runs this; write user@ before the host"
        )
    return ConnectionParameters(
        hosts=hosts,
        values=tuple(sorted((name, value) for name, value in values.items() if value)),
        ignores_environment=ignores_environment,
    )


def _check_given(given: Mapping[str, str], refused: Callable[[str], InvalidRequestError]) -> None:
    for name, reason in _USELESS.items():
        if given.get(name) and given[name] not in ("0", "false", "off", "no"):
            raise refused(f"the parameter {name} cannot be honoured: {reason}; remove it")
    encoding = given.get("client_encoding", "UTF8")
    if encoding.replace("-", "").upper() not in ("UTF8", "UNICODE", "AUTO"):
        raise refused("the parameter client_encoding is UTF8 in every connection of openmem; remove it")


def _check(values: Mapping[str, str], refused: Callable[[str], InvalidRequestError]) -> None:
    for name, choices in _CHOICES.items():
        if name in values and values[name] not in choices:
            raise refused(f"the parameter {name} must be one of {', '.join(sorted(choices))}")
    for name in _NUMBERS:
        if name in values and not re.fullmatch(r"-?[0-9]{1,9}", values[name].strip()):
            raise refused(f"the parameter {name} is a whole number")
    if values.get("sslcompression", "0") != "0":
        raise refused("the parameter sslcompression=1 cannot be honoured: TLS no longer compresses; remove it")
    mode = values["sslmode"]
    if values.get("sslnegotiation") == "direct" and mode in _WEAK_MODES:
        raise refused("the parameter sslnegotiation=direct needs sslmode=require, verify-ca or verify-full")
    root = values.get("sslrootcert", "")
    if root == "system" and mode != "verify-full":
        raise refused("the parameter sslrootcert=system needs sslmode=verify-full")
    if root and root != "system" and mode not in _WEAK_MODES and not os.path.exists(root):
        raise refused("the parameter sslrootcert names a file that does not exist, so that nothing could be verified")
    required = [method.removeprefix("!") for method in _methods(values)]
    if not _AUTH_METHODS.issuperset(required):
        raise refused(f"the parameter require_auth has other names than {', '.join(sorted(_AUTH_METHODS))}")
    if len({method.startswith("!") for method in _methods(values)}) > 1:
        raise refused("the parameter require_auth either names methods or, each with '!', rules them out; not both")


def _methods(values: Mapping[str, str]) -> list[str]:
    return [method.strip() for method in values.get("require_auth", "").split(",") if method.strip()]


def _check_for_asyncio(
    values: Mapping[str, str], hosts: tuple[PostgresHost, ...], refused: Callable[[str], InvalidRequestError]
) -> None:
    """Refuse what only libpq can do."""

    def only_libpq(what: str, instead: str) -> InvalidRequestError:
        return refused(f"the parameter {what} cannot be honoured by AsyncMemory; {instead}, or use Memory, which can")

    if values.get("gssencmode") == "require":
        raise only_libpq("gssencmode=require", "encrypt with sslmode=verify-full")
    if values.get("gssdelegation") == "1":
        raise only_libpq("gssdelegation=1", "remove it")
    if values.get("sslcertmode") == "require":
        raise only_libpq("sslcertmode=require", "let the server ask for certificates in its pg_hba.conf")
    if re.match(r"\w+:", values.get("sslkey", "")) and os.name != "nt":
        raise only_libpq("sslkey with an OpenSSL engine", "name a file")
    if values.get("min_protocol_version", "3.0") not in ("3.0",):
        raise only_libpq("min_protocol_version", "remove it")
    if values.get("sslsni") == "0" and values["sslmode"] == "verify-full":
        raise only_libpq("sslsni=0 together with sslmode=verify-full", "remove one of them")
    if values.get("requirepeer") and any(host.is_socket for host in hosts) and sys.platform != "linux":
        raise only_libpq("requirepeer on this system", "remove it")


def _hosts(
    values: Mapping[str, str], passfile: str, refused: Callable[[str], InvalidRequestError]
) -> tuple[PostgresHost, ...]:
    names, addresses, ports = (values.get(name, "").split(",") for name in ("host", "hostaddr", "port"))
    count = max(len(names), len(addresses))
    if addresses != [""] and names != [""] and len(names) != len(addresses):
        raise refused(f"{len(names)} hosts do not match {len(addresses)} addresses in the parameter hostaddr")
    if len(ports) not in (1, count):
        raise refused(f"{len(ports)} ports do not match {count} hosts")
    names, addresses, ports = (list(_stretched(part, count)) for part in (names, addresses, ports))
    hosts = []
    for name, address, port in zip(names, addresses, ports, strict=True):
        number = port.strip() or "5432"
        if not (number.isascii() and number.isdigit() and 0 < int(number) < 65536):
            raise refused("the parameter port is a number from 1 to 65535")
        host = PostgresHost(name or ("" if address else _default_host(int(number))), address, int(number), "")
        hosts.append(host)
    return tuple(replace(host, password=values.get("password") or _password(host, values, passfile)) for host in hosts)


def _stretched(parts: list[str], count: int) -> Iterator[str]:
    return (parts[index] if len(parts) > 1 else parts[0] for index in range(count))


def _default_host(port: int) -> str:
    """The socket of a server on this machine. Builds of libpq look in different directories, so all are tried."""
    if os.name == "nt":
        return "localhost"
    found = (directory for directory in _LIBPQ_SOCKETS if os.path.exists(f"{directory}/.s.PGSQL.{port}"))
    return next(found, _LIBPQ_SOCKETS[0])


def _service(name: str, refused: Callable[[str], InvalidRequestError]) -> dict[str, str]:
    """The parameters of a service.

    Raises:
        InvalidRequestError: no file defines it.
    """
    for path in _service_files():
        parser = configparser.RawConfigParser(
            delimiters=("=",), comment_prefixes=("#",), interpolation=None, strict=False, default_section="\0"
        )
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except OSError:
            continue
        except (configparser.Error, UnicodeDecodeError):
            raise refused(
                f"the service file {path} cannot be read; each line is [service], name=value or # comment"
            ) from None
        if parser.has_section(name):
            return {key: value.strip() for key, value in parser.items(name) if value and value.strip()}
    raise refused(f"no service file defines the service {name!r}; see PGSERVICE and PGSERVICEFILE")


def _service_files() -> Iterator[Path]:
    if "PGSERVICEFILE" in os.environ:
        yield Path(os.environ["PGSERVICEFILE"])
    elif home := _home():
        yield home / ".pg_service.conf"
    yield Path(os.environ.get("PGSYSCONFDIR", "/etc/postgresql-common")) / "pg_service.conf"


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:
        return None


def _password(host: PostgresHost, values: Mapping[str, str], passfile: str) -> str:
    """The password in the password file for this host; empty if there is none."""
    if not passfile:
        return ""
    path = Path(passfile)
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            return ""
        if os.name != "nt" and state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            logger.warning("the password file %s is ignored: others can read it; chmod 600", path)
            return ""
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    name = "localhost" if host.is_socket and host.name in _LIBPQ_SOCKETS else host.name or host.address
    wanted = (name, str(host.port), values.get("dbname", ""), values.get("user", ""))
    for line in lines:
        if line.startswith("#"):
            continue
        fields = [re.sub(r"\\(.)", r"\1", field) for field in re.findall(r"((?:[^:\\]|\\.)*)(?::|$)", line)]
        if len(fields) >= 5 and all(field in ("*", value) for field, value in zip(fields, wanted, strict=False)):
            return fields[4]
    return ""


def _default_passfile() -> str:
    if os.name == "nt":
        return os.path.join(os.environ.get("APPDATA", ""), "postgresql", "pgpass.conf")
    home = _home()
    return str(home / ".pgpass") if home else ""
