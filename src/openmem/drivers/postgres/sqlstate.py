"""From SQLSTATE to openmem's errors, once for both drivers.

The classes are those of PostgreSQL's documentation, appendix A, "PostgreSQL Error Codes".
"""

from __future__ import annotations

import re
from typing import Final

from ...errors import OMPError, ProviderError, UnauthorizedError, unavailable
from ...ports.errors import ConnectionFailedError, DeadlockError, DuplicateKeyError, ReadOnlyDatabaseError

# connection_exception; admin_shutdown, crash_shutdown and cannot_connect_now
_LOST_CLASSES = ("08", "57P")
# The server ended the session, and rolled back what it was doing, or did not let it begin.
_ENDED = ("57P01", "57P03")
# insufficient_resources
_UNAVAILABLE_CLASS = "53"
_NOT_PREPARED = ("26000", "42P05")
_DEADLOCK = "40P01"
_RETRYABLE = ("40001", "55P03", "57014")
_READ_ONLY = "25006"
_DUPLICATE_KEY = "23505"

# undefined_table, undefined_function, undefined_object, invalid_schema_name, undefined_column
_MISSING = ("42P01", "42883", "42704", "3F000", "42703")

# libpq keeps the SQLSTATE of a refused connection to itself.
_REFUSALS: Final = (
    (
        re.compile(r"authentication failed|no password supplied|no pg_hba\.conf entry|role \".*\" does not exist"),
        "28000",
    ),
    (re.compile(r"database \".*\" does not exist"), "3D000"),
)
_UNTRUSTED: Final = re.compile(
    r"certificate verify failed|CERTIFICATE_VERIFY_FAILED|does not match host name|does not support SSL|not support TLS"
    r"|channel.binding|authentication method requirement|require_auth|requirepeer|root certificate file|could not read "
    r"root certificate|WRONG_VERSION|UNSUPPORTED_PROTOCOL|unsupported protocol|protocol version",
    re.IGNORECASE,
)


def is_missing(sqlstate: str | None) -> bool:
    """Whether the server lacks what an open client had found or made there."""
    return sqlstate in _MISSING


def server_error(sqlstate: str | None, message: str) -> OMPError:
    """The error for what a PostgreSQL server answered.

    Args:
        message: its first line is taken. Those that follow, such as DETAIL and CONTEXT, may quote whole rows.
    """
    state = sqlstate or ""
    message = message.strip().partition("\n")[0]
    if state.startswith("28"):
        return UnauthorizedError(f"PostgreSQL refused the login: {message}; check the user and password in url")
    if state == "3D000":
        return ProviderError(f"PostgreSQL: {message}; create the database, or correct its name in url")
    if state == "42501":
        return ProviderError(f"PostgreSQL refused: {message}; grant the role of url what it lacks")
    if state == _READ_ONLY:
        return ReadOnlyDatabaseError(f"PostgreSQL: the database is read-only: {message}")
    if state == _DEADLOCK:
        return DeadlockError(f"PostgreSQL: {message}; nothing was changed, try again")
    if state == _DUPLICATE_KEY:
        return DuplicateKeyError("PostgreSQL: another row has the same key or id; nothing was changed")
    if state in _NOT_PREPARED:
        return ProviderError(
            f"PostgreSQL: a prepared statement is on another connection (SQLSTATE {state}); "
            "where a pooler in transaction mode stands between, url needs ?pgbouncer=true"
        )
    if state.startswith(_LOST_CLASSES):
        lost = ConnectionFailedError(f"PostgreSQL is not available: {message} (SQLSTATE {state})")
        lost.nothing_done = state in _ENDED
        return lost
    if state.startswith(_UNAVAILABLE_CLASS) or state in _RETRYABLE:
        return unavailable(f"PostgreSQL is not available: {message} (SQLSTATE {state})")
    return ProviderError(f"PostgreSQL: {message} (SQLSTATE {state or 'unknown'})")


def unreachable(reason: str) -> ConnectionFailedError:
    """The error for a server that cannot be reached or stopped answering."""
    return ConnectionFailedError(
        f"PostgreSQL cannot be reached: {' '.join(reason.split()) or 'the connection was lost'}; "
        "check that the server runs, and that url= names its host and port"
    )


def connection_refused(reason: str) -> OMPError:
    """The error for a connection that was not made, or broke, for which the driver has no SQLSTATE."""
    for pattern, sqlstate in _REFUSALS:
        if pattern.search(reason):
            return server_error(sqlstate, reason.strip())
    if _UNTRUSTED.search(reason):
        return ProviderError(
            f"PostgreSQL is not what url asks for: {reason.strip()}; correct the server, or what url asks of it"
        )
    return unreachable(reason)
