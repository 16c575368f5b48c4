"""Runs the tests of the integrations, each framework in an environment of its own, since some exclude each other.

``python -m tests.frameworks.run [--latest] [NAME ...]``

By default each framework has the version that is proven here; with ``--latest`` the newest one that there is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
TOOLS: Final = ("hypothesis", "pytest", "pytest-asyncio", "pytest-xdist")
OPTIONS: Final = (
    # Plugins that come with LangChain's tests; those tests have coroutines.
    *("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
    # What frameworks warn of is theirs.
    *("-W", "default"),
)


@dataclass(frozen=True)
class Framework:
    """A framework: its packages with the versions that are proven, and the tests of its integration."""

    packages: tuple[str, ...]
    tests: tuple[str, ...]
    below: tuple[int, int] | None = None
    """The Python that it does not support any more."""

    def requirements(self, *, latest: bool) -> list[str]:
        return [package.partition("==")[0] if latest else package for package in self.packages]


FRAMEWORKS: Final = {
    "agent-framework": Framework(("agent-framework-core==1.23.0",), ("integrations/test_agent_framework.py",)),
    "anthropic": Framework(("anthropic==2.14.0",), ("integrations/test_anthropic.py",)),
    "crewai": Framework(("crewai==1.15.30",), ("integrations/test_crewai.py",), below=(3, 14)),
    "google-adk": Framework(("google-adk==2.13.0",), ("integrations/test_google_adk.py",)),
    "langchain": Framework(
        ("langchain==1.5.2", "langchain-tests==1.1.9"),
        ("integrations/test_langchain.py", "frameworks/test_langchain_standard.py"),
    ),
    "langgraph": Framework(
        ("langgraph==1.2.24", "langmem==0.0.30", "deepagents==0.7.32", "langgraph-checkpoint-postgres==3.2.0"),
        (
            "integrations/test_langgraph.py",
            "integrations/test_langgraph_oracle.py",
            "frameworks/test_langgraph_consumers.py",
            "frameworks/test_langgraph_migration.py",
        ),
    ),
    "llama-index": Framework(("llama-index-core==0.14.25",), ("integrations/test_llama_index.py",)),
    "openai-agents": Framework(("openai-agents==0.24.0",), ("integrations/test_openai_agents.py",)),
    "pydantic-ai": Framework(("pydantic-ai-slim==2.68.0",), ("integrations/test_pydantic_ai.py",)),
    "pydantic-ai-harness": Framework(("pydantic-ai-harness==0.62.0",), ("integrations/test_pydantic_ai_harness.py",)),
    "strands": Framework(("strands-agents==1.62.0",), ("integrations/test_strands.py",)),
}


def install(name: str, *, latest: bool) -> Path:
    """Make the environment of a framework unless it is there; returns its Python."""
    wanted = FRAMEWORKS[name].requirements(latest=latest)
    venv = ROOT / f".venv-frameworks-{name}{'-latest' if latest else ''}"
    python, mark = venv / "bin" / "python", venv / ".installed"
    if latest or not mark.exists() or mark.read_text() != "\n".join(wanted):
        print(f"Installing {', '.join(wanted)} in {venv.name}", flush=True)
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        pip = [str(python), str(ROOT / "tools" / "install.py"), "--upgrade"]
        subprocess.run([*pip, "pip"], check=True)
        subprocess.run([*pip, *wanted, *TOOLS, "--editable", f"{ROOT}[{name},local]"], check=True)
        mark.write_text("\n".join(wanted))
    return python


def test(name: str, python: Path) -> int:
    """Run the tests of a framework and the examples of its page; what pytest returns."""
    print(f"{name}:", flush=True)
    tests = [str(Path("tests", path)) for path in (*FRAMEWORKS[name].tests, "frameworks/test_pages.py")]
    command = [str(python), "-m", "pytest", "-q", *OPTIONS, *tests]
    settings = {"OPENMEM_TEST_MORE": "5", "OPENMEM_TEST_PAGE": f"docs/frameworks/{name}.md"}
    return subprocess.run(command, cwd=ROOT, env=os.environ | settings, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.frameworks.run", description="Test the integrations.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FRAMEWORKS)}; by default all")
    parser.add_argument("--latest", action="store_true", help="with the newest versions that there are")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - FRAMEWORKS.keys())
    if unknown:
        parser.error(f"{unknown[0]!r} is none of {', '.join(FRAMEWORKS)}")
    failed = []
    for name in options.names or FRAMEWORKS:
        below = FRAMEWORKS[name].below
        if below is not None and sys.version_info >= below:
            print(f"{name}: left out, since it needs a Python below {'.'.join(map(str, below))}", flush=True)
        elif test(name, install(name, latest=options.latest)) != 0:
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "all passed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
