"""Whether a connection still has another end: what the kernel knows, and what the server knows."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Mapping
from typing import Final

from ...errors import ProviderError
from ...ports.postgres import Query, Statement
from .sqlstate import unreachable

# In libpq's parameters. The kernel gives a connection up after four seconds in which nobody acknowledged what
# was sent on it, and finds out by itself about one on which nothing is sent. The packets it sends
# for that also keep a gateway from forgetting the connection.
TCP_DEFAULTS: Final[Mapping[str, str]] = {
    "keepalives": "1",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "4000",
}

_OPTIONS: Final = {
    "keepalives_idle": ("TCP_KEEPIDLE", "TCP_KEEPALIVE"),
    "keepalives_interval": ("TCP_KEEPINTVL",),
    "keepalives_count": ("TCP_KEEPCNT",),
    "tcp_user_timeout": ("TCP_USER_TIMEOUT",),
}

# The first fields of Linux's struct tcp_info: eight bytes, then numbers of 32 bits.
_TCP_INFO: Final = struct.Struct("=8x13I")
_UNACKNOWLEDGED, _SINCE_SENT, _SINCE_RECEIVED = 4, 9, 11

_BRIEF_CHARACTERS: Final = 100_000
_NUMBER_CHARACTERS: Final = 8
_TEXTS: Final = (str, bytes)

# How far the server and the client may be apart in their view of a connection's age.
_AGE_TOLERANCE_SECONDS: Final = 5


class LostError(TimeoutError):
    """There is no answer, and the server works on none."""


def no_answer(error: TimeoutError, timeout: float) -> ProviderError:
    """The error for a statement or a connection that was given up.

    Args:
        timeout: seconds that it had, unless it was lost.
    """
    if isinstance(error, LostError):
        return unreachable("there is no answer, and the server works on none; the network has lost the connection")
    return unreachable(f"no answer within {timeout:g} s")


def set_tcp_options(descriptor: int, parameters: Mapping[str, str]) -> None:
    """Do what libpq does with its parameters for TCP, those of `TCP_DEFAULTS`, where the platform can.

    Args:
        descriptor: of a socket, which is not TCP's where the server is on this machine.
        parameters: numbers as text, as URLs have them; 0 is the system's default.
    """
    with socket.socket(fileno=_duplicate(descriptor)) as wire:
        if wire.family not in (socket.AF_INET, socket.AF_INET6):
            return
        keepalives = parameters["keepalives"] != "0"
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, keepalives)
        for name, options in _OPTIONS.items():
            value = int(parameters[name])
            option = next((getattr(socket, option) for option in options if hasattr(socket, option)), None)
            if option is not None and value > 0 and (keepalives or name == "tcp_user_timeout"):
                wire.setsockopt(socket.IPPROTO_TCP, option, value)


def has_input(descriptor: int) -> bool:
    """Whether a server has said something unasked, such as goodbye."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([descriptor], [], [], 0)[0])


def is_silent(descriptor: int, seconds: float) -> bool:
    """Whether a TCP connection took all that was sent on it, and has been silent since, for about so long.

    False where the kernel does not say; only Linux does.
    """
    with socket.socket(fileno=_duplicate(descriptor)) as wire:
        option = getattr(socket, "TCP_INFO", None)
        if option is None or wire.family not in (socket.AF_INET, socket.AF_INET6):
            return False
        try:
            numbers = _TCP_INFO.unpack(wire.getsockopt(socket.IPPROTO_TCP, option, _TCP_INFO.size))
        except (OSError, struct.error):
            return False
    silence: int = min(numbers[_SINCE_SENT], numbers[_SINCE_RECEIVED])
    return not numbers[_UNACKNOWLEDGED] and silence > seconds * 900


def is_brief(statement: Statement[object]) -> bool:
    """Whether a statement reaches the server at once, however slow the tunnel that took it over."""
    characters = 0
    for arg in statement.args:
        if isinstance(arg, _TEXTS):
            characters += len(arg)
        elif isinstance(arg, list):
            if arg and (arg[0] is None or isinstance(arg[0], _TEXTS)):
                characters += sum(len(item) if isinstance(item, _TEXTS) else _NUMBER_CHARACTERS for item in arg)
            else:
                characters += _NUMBER_CHARACTERS * len(arg)
    return characters < _BRIEF_CHARACTERS


_WAITS_FOR_CLIENT: Final = Query(
    f"""
    SELECT count(*) > 0 FROM pg_catalog.pg_stat_activity a
    WHERE a.pid = :backend::int AND a.datname = pg_catalog.current_database() AND a.state LIKE 'idle%'
        AND abs(extract(epoch FROM clock_timestamp() - a.backend_start) - :age::float8) < {_AGE_TOLERANCE_SECONDS}
    """  # noqa: S608 - what is pasted in is a constant
)


def waits_for_its_client(backend: int, age: float) -> Statement[bool]:
    """Ask whether a session of this database waits for a statement.

    The answer is false if there is no such session, as behind a pooler.

    Args:
        backend: number of the session's process.
        age: seconds since the session was opened, which distinguishes it from one of another server of the same name.
    """
    return _WAITS_FOR_CLIENT.bind({"backend": backend, "age": age}, lambda rows: bool(rows[0][0]))


def _duplicate(descriptor: int) -> int:
    return socket.dup(descriptor)
