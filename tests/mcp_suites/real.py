"""Installs the official conformance suite and the Inspector of MCP, and runs them on real servers.

``python -m tests.mcp_suites.real [--tools DIRECTORY]``

The servers are ``omp-server`` with ``/mcp`` on a PostgreSQL of its own, and ``openmem mcp`` over standard input and
output. Most scenarios of the suite want a server with tools of given names; those that fit any server are run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

import openmem
from openmem.server import OmpServerConfig, create_app

from ..server.harness import Process, running
from ..servers import Server
from .tools import Tools

SOURCE = str(Path(openmem.__file__).parent.parent)
ROOT = Path(__file__).resolve().parents[2]
LEGACY = "2025-11-25"
MODERN = "2026-07-28"
SCENARIOS = (
    ("server-initialize", LEGACY),
    ("server-session-lifecycle", LEGACY),
    ("ping", LEGACY),
    ("tools-list", LEGACY),
    ("tools-list", MODERN),
    ("resources-list", LEGACY),
    ("resources-list", MODERN),
    ("prompts-list", LEGACY),
    ("prompts-list", MODERN),
    ("dns-rebinding-protection", LEGACY),
    ("dns-rebinding-protection", MODERN),
    ("server-stateless", MODERN),
    ("caching", MODERN),
    ("http-header-validation", MODERN),
    ("sep-2164-resource-not-found", MODERN),
)
"""Those that need no tool, resource or prompt of a given name, each with a version of the protocol."""

NEED_A_TOOL = {
    "sep-2575-server-rejects-undeclared-capability": "test_missing_capability",
    "sep-2575-missing-capability-http-400": "test_missing_capability",
    "sep-2575-http-server-no-independent-requests-on-stream": "test_streaming_elicitation",
    "sep-2575-server-no-log-without-loglevel": "test_logging_tool",
    "sep-2575-server-sends-prompts-list-changed-on-subscription": "test_trigger_prompt_change",
    "sep-2575-server-sends-tools-list-changed-on-subscription": "test_trigger_tool_change",
}
"""Checks within these scenarios that call a tool which only a server for the suite has."""

OF_A_USER = ("caching",)
"""Scenarios that read a resource, which needs a user; the suite can send no header that says which."""

INSPECTED = (
    ("tools/list", ("--strict",)),
    ("resources/list", ()),
    ("resources/templates/list", ()),
    ("prompts/list", ()),
    ("tools/call", ("--tool-name", "add_memory", "--tool-arg", "content=Maya is vegan")),
    ("tools/call", ("--tool-name", "search_memories", "--tool-arg", "query=what does Maya eat?")),
    ("tools/call", ("--tool-name", "get_context", "--tool-arg", "query=dinner with Maya")),
    ("resources/read", ("--uri", "memory://recent")),
    ("prompts/get", ("--prompt-name", "recall", "--prompt-args", "topic=food")),
)


def run_conformance(tools: Tools, url: str, url_of_a_user: str) -> int:
    """Run the scenarios; returns how many failed."""
    failed = 0
    for scenario, version in SCENARIOS:
        checks = tools.conformance(url_of_a_user if scenario in OF_A_USER else url, scenario, version)
        passed = [check for check in checks if check.status in ("SUCCESS", "INFO")]
        skipped = [check for check in checks if check.status == "SKIPPED"]
        left = [check for check in checks if check not in passed and check not in skipped]
        wrong = [check for check in left if check.id not in NEED_A_TOOL]
        failed += bool(wrong or not passed)
        note = f", {len(left) - len(wrong)} need a tool of the suite" if len(left) > len(wrong) else ""
        note += f", {len(skipped)} are of what the server does not offer" if skipped else ""
        _tell(not wrong and bool(passed), f"{scenario} {version}", f"{len(passed)}/{len(checks)}{note}")
        for check in wrong:
            print(f"       {check.status} {check.id}: {check.message}", flush=True)
    return failed


def run_inspector(tools: Tools, name: str, target: list[str], *options: str) -> int:
    """Call a server with the Inspector in both eras; returns how many calls failed."""
    failed = 0
    for era in ("legacy", "modern"):
        for method, arguments in INSPECTED:
            status, result, complaints = tools.inspect(target, method, era, *options, *arguments)
            is_right = status == 0 and result is not None and not complaints and not result.get("isError")
            failed += not is_right
            _tell(is_right, f"inspector {name} {era} {method} {arguments[1] if len(arguments) > 1 else ''}", "")
            if not is_right:
                print(f"       exit status {status}: {complaints or result}", flush=True)
    return failed


class OfUser:
    """Takes every request as one of a user."""

    def __init__(self, app: ASGIApp, user_id: str) -> None:
        self._app = app
        self._header = (b"x-user-id", user_id.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], self._header]}
        await self._app(scope, receive, send)


def _tell(is_right: bool, what: str, more: str) -> None:
    print(f"{'passed' if is_right else 'FAILED'} {what} {more}".rstrip(), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=Path, default=ROOT / ".mcp-tools")
    options = parser.parse_args()
    tools = Tools(options.tools.resolve())
    tools.install()
    postgres = Server()
    try:
        postgres.start()
        url = postgres.create_database()
        arguments = ("--port", "0", "--provider", "postgres", "--mcp")
        with Process(*arguments, OMP_POSTGRES_URL=url) as server:
            config = OmpServerConfig(settings={"url": url, "embedder": "hashing"}, mcp=True, loopback_only=True)
            app = create_app(config)
            app.add_middleware(OfUser, user_id="maya")
            with running(config, app) as other:
                failed = run_conformance(tools, f"{server.url}/mcp", f"{other.url}/mcp")
            failed += run_inspector(tools, "/mcp", [f"{server.url}/mcp"], "--header", "X-User-Id: maya")
        # Like other hosts, the Inspector passes on no variables of its own.
        variables = {"OMP_USER": "maya", "OMP_POSTGRES_URL": url, "OMP_EMBEDDER": "hashing", "PYTHONPATH": SOURCE}
        given = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
        failed += run_inspector(tools, "stdio", [sys.executable, "-m", "openmem.cli", "mcp"], *given)
    finally:
        postgres.remove()
    print(f"{failed} failed" if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
