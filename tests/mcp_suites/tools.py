"""The programs that test a server: their versions, how they are installed, and how they are called."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

CONFORMANCE: Final = "@modelcontextprotocol/conformance"
INSPECTOR: Final = "@modelcontextprotocol/inspector"
VERSIONS: Final = {CONFORMANCE: "0.2.0-alpha.12", INSPECTOR: "2.12.0"}
LEAST_NODE: Final = (22, 19)
NODE_VERSION: Final = "24.22.3"
TIMEOUT: Final = 120.0


@dataclass(frozen=True)
class Check:
    """One check of a scenario: its id, ``SUCCESS``, ``FAILURE``, ``WARNING`` or another word, and what was wrong."""

    id: str
    status: str
    message: str


class Tools:
    """The programs, in a directory of their own.

    Args:
        directory: where they are, or are installed to.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._modules = directory / "node_modules"
        self._node = _node_of_the_machine()
        self._packages = dict(VERSIONS)
        if self._node is None:
            package = _node_package()
            self._packages[package] = NODE_VERSION
            self._node = str(self._modules / package / "bin" / "node")

    def install(self) -> None:
        """Install the programs unless they are there in these versions."""
        mark = self._directory / ".installed"
        wanted = json.dumps(self._packages, sort_keys=True)
        if mark.exists() and mark.read_text() == wanted:
            return
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit("npm is not installed; on Debian and Ubuntu: apt install npm")
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)
        (self._directory / "package.json").write_text('{"private": true}\n')
        packages = [f"{name}@{version}" for name, version in self._packages.items()]
        print(f"Installing {' '.join(packages)} in {self._directory}, once; it takes a minute", flush=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "--save-exact", *packages]
        subprocess.run(command, cwd=self._directory, check=True, stdin=subprocess.DEVNULL)
        mark.write_text(wanted)

    def conformance(self, url: str, scenario: str, version: str) -> list[Check]:
        """The checks of a scenario on a server that is to speak a version of the protocol."""
        with tempfile.TemporaryDirectory(prefix="mcp-") as results:
            arguments = ["server", "--url", url, "--scenario", scenario, "--spec-version", version, "-o", results]
            done = self._run(CONFORMANCE, "dist/index.js", arguments)
            found = list(Path(results).rglob("checks.json"))
            if not found:
                return [Check(scenario, "FAILURE", f"no result: {done.stdout[-2000:]}{done.stderr[-2000:]}")]
            return [
                Check(check["id"], check["status"], check.get("errorMessage", ""))
                for check in json.loads(found[0].read_text())
            ]

    def inspect(self, target: list[str], method: str, era: str, *options: str) -> tuple[int, Any, str]:
        """What the Inspector says of a method of a server: its exit status, the result, and its complaints.

        Args:
            target: the address of the server, or a program with its arguments.
            era: ``legacy`` or ``modern``.
        """
        arguments = ["--cli", "--method", method, "--format", "json", "-q", "--protocol-era", era, *options]
        done = self._run(INSPECTOR, "clients/launcher/build/index.js", [*arguments, "--", *target])
        try:
            result = json.loads(done.stdout)["result"]
        except (ValueError, KeyError):
            result = None
        return done.returncode, result, done.stderr.strip() or done.stdout.strip()[-2000:] * (done.returncode != 0)

    def _run(self, package: str, script: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        assert self._node is not None
        with tempfile.TemporaryDirectory(prefix="mcp-home-") as home:
            return subprocess.run(
                [self._node, str(self._modules / package / script), *arguments],
                env=_environment() | {"HOME": home},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
            )


def _environment() -> dict[str, str]:
    """Without proxies, since servers are on this machine, and with what starts openmem."""
    return {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}


def _node_of_the_machine() -> str | None:
    """The Node of this machine, if it is new enough."""
    node = shutil.which("node")
    if node is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    return node if found is not None and (int(found[1]), int(found[2])) >= LEAST_NODE else None


def _node_package() -> str:
    """The package that has Node for this machine."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    return f"node-{sys.platform}-{machine}"
