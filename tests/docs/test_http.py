"""The curl commands of the pages, sent to a real server, and their documented replies held against its own."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from openmem.server.commands import OPTIONS
from openmem.wire import CAPABILITIES_PATH, HEALTH_PATH
from openmem.wire.errors import STATUS_OF_CODE
from openmem.wire.routes import ROUTES

from ..servers import Server
from .pages import PAGES, ROOT, Block, Notebook, blocks

HOST = "localhost:8080"
VOLATILE = {"request_id", "next_cursor", "created_at", "updated_at", "timestamp", "valid_to", "newest"}
CURL = argparse.ArgumentParser(exit_on_error=False)
CURL.add_argument("-s", action="store_true")
CURL.add_argument("-X", dest="method")
CURL.add_argument("-H", dest="headers", action="append", default=[])
CURL.add_argument("-d", dest="data")
CURL.add_argument("url")


def commands(block: Block) -> Iterator[list[str]]:
    """The arguments of the block's curl commands for the server."""
    words = shlex.split(block.source.replace("\\\n", " ").replace("\ncurl ", " ; curl "))
    while "curl" in words:
        words = words[words.index("curl") + 1 :]
        end = words.index(";") if ";" in words else len(words)
        yield words[:end]


PAGES_WITH_CURL = [
    page for page in PAGES if any(block.language == "bash" and HOST in block.source for block in blocks(page))
]


class Reader:
    """Sends what a page shows, and reads the replies as the page's reader would.

    Ids and other values that differ from run to run are taken to mean what the server says where
    they are first shown; after that they must agree.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._means: dict[str, str] = {}
        self.sent: set[tuple[str, str]] = set()

    def send(self, arguments: list[str]) -> httpx.Response:
        call = CURL.parse_args(arguments)
        method = call.method or ("POST" if call.data else "GET")
        target = self._translated(call.url.removeprefix(HOST))
        headers = dict(re.split(r":\s*", header, maxsplit=1) for header in call.headers)
        self.sent.add((method, _route_of(target.partition("?")[0])))
        content = None if call.data is None else self._translated(call.data).encode()
        return self._client.request(method, target, headers=headers, content=content)

    def compare(self, shown: Any, real: Any, name: str = "") -> None:
        """Hold a documented value against the real one."""
        assert type(shown) is type(real), (name, shown, real)
        if isinstance(shown, dict):
            assert list(shown) == list(real), name
            for key in shown:
                self.compare(shown[key], real[key], key)
        elif isinstance(shown, list):
            assert len(shown) == len(real), (name, real)
            for one, other in zip(shown, real, strict=True):
                self.compare(one, other, name)
        elif name == "score":
            assert 0 < real <= 1
        elif name == "audit_entries":  # those of reads are written a little later
            assert 0 <= real <= shown
        elif name == "token_count":  # varies with the ids in the text
            assert abs(shown - real) < 10
        elif isinstance(shown, str) and (name in VOLATILE or re.fullmatch(r"mem_\w+", shown)):
            assert self._means.setdefault(shown, real) == real, name
        else:
            assert (self._translated(shown) if isinstance(shown, str) else shown) == real, name

    def _translated(self, text: str) -> str:
        for shown, real in self._means.items():
            text = text.replace(shown, real)
        return text


def _route_of(path: str) -> str:
    """The path with names in place of values."""
    return re.sub(r"^/users/\w+$", "/users/{user_id}", re.sub(r"/mem_\w+", "/{id}", path))


@pytest.mark.parametrize("page", PAGES_WITH_CURL)
def test_curl_commands_are_answered_as_shown(page: str, server: Server) -> None:
    with Notebook(server) as notebook, httpx.Client(base_url=notebook.omp_url, trust_env=False, verify=False) as client:
        reader = Reader(client)
        reply = None
        for block in blocks(page):
            if block.language == "bash" and HOST in block.source:
                for arguments in commands(block):
                    reply = reader.send(arguments)
            elif block.language == "json":
                assert reply is not None
                shown = json.loads(block.source)
                assert reply.is_error == ("error" in shown), (str(block), reply.text)
                reader.compare(shown, reply.json())
                reply = None
            elif reply is not None:
                assert reply.is_success, (str(block), reply.text)
        if page == "docs/http.md":
            paths = {(route.method, route.path) for route in ROUTES}
            assert reader.sent == paths | {("GET", CAPABILITIES_PATH), ("GET", HEALTH_PATH)}


def test_the_table_of_routes_is_the_servers() -> None:
    text = (ROOT / "docs/http.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^\| `(\w+) (/\S+)` \|.*\| (\d+) \|$", text, re.MULTILINE))
    served = {(route.method, route.path, str(route.status)) for route in ROUTES}
    assert shown == served | {("GET", CAPABILITIES_PATH, "200"), ("GET", HEALTH_PATH, "200")}


def test_the_table_of_errors_is_the_servers() -> None:
    text = (ROOT / "docs/http.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", text, re.MULTILINE)
    assert {code: int(status) for status, code in shown} == STATUS_OF_CODE


def test_the_table_of_settings_is_the_servers() -> None:
    text = (ROOT / "docs/server.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`--[^|]+)?) ?\| (`OMP_[^|]+) \| ([^|]*)\| ", text, re.MULTILINE)
    shown: dict[str | None, tuple[str | None, str]] = {}
    for flags, variables, defaults in rows:
        names = re.findall(r"OMP_\w+", variables)
        given = re.findall(r"--[\w-]+", flags) or [None] * len(names)
        texts = [part.strip().strip("`") for part in defaults.split(",")]
        texts = texts if len(texts) == len(names) else [defaults.strip()] * len(names)
        shown |= {name: (flag, text) for name, flag, text in zip(names, given, texts, strict=True)}
    options = OPTIONS.values()
    assert {name: flag for name, (flag, _) in shown.items()} == {option.variable: option.flag for option in options}
    for option in options:
        default = option.default
        if isinstance(default, bool):
            assert (shown[option.variable][1] == "off") is not default
        elif isinstance(default, int | float | str):
            assert shown[option.variable][1] == f"{default:g}" if not isinstance(default, str) else default
