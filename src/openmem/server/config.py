"""Settings of omp-server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from .._network import is_loopback
from ..config import SETTINGS
from ..errors import InvalidRequestError
from ..settings import FilePath, Interval, Seconds, Setting, Several, Switch, Text, Whole, settings_of
from ..wire import MAX_BODY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OmpServerConfig:
    """How omp-server serves, and what. It has no ``repr``, since it holds secrets.

    Attributes:
        provider: backend behind the server, by name.
        settings: further arguments of `openmem.AsyncMemory`, such as ``url`` or ``embedder``.
        host, port: where to listen; port 0 is any free one.
        keys_file: file of API keys made by ``omp-server keys``; None for none. It is read again
            whenever it changes.
        keys: API keys in clear, beside or in place of the file, for example from the environment.
            They may do everything.
        no_auth: serve other machines although there are no keys. Without it, a server that has no keys
            listens on loopback only.
        loopback_only: answer only to requests whose ``Host`` is this machine, so that no web page can
            reach the server through a name of its own that resolves to this machine. The command
            ``omp-server`` sets it where there are no keys.
        cors_origins: origins that browsers may call from, or ``"*"``; none by default.
        max_body_bytes: size of a request body at most.
        head_timeout: seconds a client may take to send the head of a request.
        read_timeout: seconds a client may take to send a body, or to take in some of a reply.
        max_in_flight: requests worked on at the same time; beyond it the answer is 503.
        max_connections: connections open at the same time; beyond it new ones wait, and those that have waited
            for a second without a request make room. None for as many as the allowed number of open files
            leaves. Only the command ``omp-server`` heeds it.
        rate_limit_per_minute: requests a minute for one key, or for one address where there are no
            keys; None for no limit.
        shutdown_grace: seconds that running requests get when the server stops.
        purge_every: seconds between two times that what has expired is removed, the first at the start; None for
            never. One server of a database is enough; more do no harm.
        metrics: whether to serve Prometheus metrics at ``/metrics``.
        mcp: whether to serve the Model Context Protocol at ``/mcp``, with the same keys and limits.
        mcp_chatgpt: whether it has the tools ``search`` and ``fetch``, too, which ChatGPT asks for by name.
        ui: whether to serve the memory browser at ``/ui``, with the same keys and limits.
        ui_ticket: a secret that signs one web browser in, the first that opens `openmem.ui.opening_path`, as with
            the first of `keys`; None for none.
    """

    provider: Annotated[str, Setting(Text(), "backend behind the server", option="provider")] = "postgres"
    settings: Mapping[str, Any] = field(default_factory=dict)
    host: Annotated[str, Setting(Text(), "address to listen on", option="host")] = "127.0.0.1"
    port: Annotated[int, Setting(Whole(0, 65_535), "port to listen on; 0 is any free one", option="port")] = 8080
    keys_file: Annotated[Path | None, Setting(FilePath(), "file of API keys", option="keys-file")] = None
    keys: Annotated[
        Sequence[str],
        Setting(
            Several(),
            "further API keys, separated by commas",
            option="api-keys",
            is_secret=True,
            only_in_environment=True,
        ),
    ] = ()
    no_auth: Annotated[bool, Setting(Switch(), "serve other machines without API keys", option="no-auth")] = False
    loopback_only: bool = False
    cors_origins: Annotated[
        Sequence[str], Setting(Several(), "origins that browsers may call from, by commas", option="cors-origins")
    ] = ()
    max_body_bytes: int = MAX_BODY_BYTES
    head_timeout: Annotated[
        float, Setting(Seconds(), "seconds a client may take to send a request's head", option="head-timeout")
    ] = 10.0
    read_timeout: Annotated[
        float, Setting(Seconds(), "seconds a client may take to send a body", option="read-timeout")
    ] = 10.0
    max_in_flight: Annotated[int, Setting(Whole(1), "requests at the same time", option="max-in-flight")] = 64
    max_connections: Annotated[
        int | None, Setting(Whole(1), "connections of clients at the same time", option="max-connections")
    ] = None
    rate_limit_per_minute: Annotated[
        int | None, Setting(Whole(1), "requests a minute for each key", option="rate-limit")
    ] = None
    shutdown_grace: Annotated[
        float, Setting(Seconds(), "seconds running requests get at the end", option="shutdown-grace")
    ] = 10.0
    purge_every: Annotated[
        float | None,
        Setting(Interval(), "how often to remove what has expired, as in 1h", option="purge-every"),
    ] = None
    metrics: Annotated[bool, Setting(Switch(), "serve Prometheus metrics at /metrics", option="metrics")] = False
    mcp: Annotated[bool, Setting(Switch(), "serve the Model Context Protocol at /mcp", option="mcp")] = False
    mcp_chatgpt: Annotated[
        bool, Setting(Switch(), "offer ChatGPT's tools search and fetch at /mcp, too", option="mcp-chatgpt")
    ] = False
    ui: Annotated[bool, Setting(Switch(), "serve the memory browser at /ui", option="ui")] = False
    ui_ticket: str | None = None

    @property
    def has_keys(self) -> bool:
        """Whether requests need an API key."""
        return self.keys_file is not None or bool(self.keys)

    @property
    def pool_size(self) -> int:
        """How many connections to the backend there may be."""
        size: int = self.settings.get("pool_max_size", SETTINGS["pool_max_size"].default)
        return size

    def check_exposure(self) -> None:
        """Refuse to serve other machines without keys, unless `no_auth` is set, and the browser even then.

        Raises:
            InvalidRequestError: the host is not loopback, there are no keys, and `no_auth` is off or `ui` is on.
        """
        if not self.has_keys and not self.no_auth and not is_loopback(self.host):
            raise InvalidRequestError(
                f"host: without API keys the server only listens on loopback, not on {self.host!r}; make a key "
                "with 'omp-server keys create' and pass --keys-file, or pass --no-auth if everyone who reaches "
                "this port may read and write every memory"
            )
        if self.ui and not self.has_keys and not is_loopback(self.host):
            raise InvalidRequestError(
                f"ui: without API keys the memory browser is for this machine only, not for {self.host!r}; make a key "
                "with 'omp-server keys create' and pass --keys-file, or leave out --no-auth and --host"
            )


SERVER_SETTINGS: Final = settings_of(OmpServerConfig)
"""The settings of a server that its command line has, by name."""
