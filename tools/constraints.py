"""Writes the versions that a fresh environment gets: names and versions, one a line.

``constraints.py FILE`` takes the newest versions, ``constraints.py --lowest FILE`` the oldest ones
that pyproject.toml allows for the package's own dependencies. ``--group`` names the dependency group
that is installed with the package, ``dev`` if not given.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def lower_bounds(project: dict[str, Any]) -> Iterator[str]:
    """The direct dependencies as ``name==version``, at their lower bounds, with those of the extras that tests need."""
    extras: dict[str, list[str]] = project["optional-dependencies"]
    [everything] = extras["all"]
    for text in chain(project["dependencies"], *map(extras.__getitem__, ["testing", *Requirement(everything).extras])):
        requirement = Requirement(text)
        if requirement.name == project["name"] or (requirement.marker and not requirement.marker.evaluate()):
            continue
        [bound] = [item.version for item in requirement.specifier if item.operator == ">="]
        yield f"{requirement.name}=={bound}"


def resolve(pins: list[str], group: str) -> str:
    """What ``pip freeze`` says of a fresh environment with the package, all extras and a dependency group."""
    with tempfile.TemporaryDirectory() as home:
        venv.create(home, with_pip=True)
        pip = [str(Path(home, "bin", "python")), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-qq", "--upgrade", "pip"], check=True)
        wanted = ["--group", group, "--editable", ".[all]"]
        subprocess.run([*pip, "install", "-qq", *pins, *wanted], check=True, cwd=ROOT)
        frozen = [*pip, "freeze", "--all", "--exclude-editable"]
        return subprocess.run(frozen, check=True, cwd=ROOT, capture_output=True, text=True).stdout


def main() -> None:
    """Write the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lowest", action="store_true", help="the oldest versions that pyproject.toml allows")
    parser.add_argument("--group", default="dev", help="a dependency group of pyproject.toml (default: %(default)s)")
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = list(lower_bounds(project)) if options.lowest else []
    lines = [
        line for line in resolve(pins, options.group).splitlines() if not line.startswith(("setuptools==", "wheel=="))
    ]
    foreign = [line for line in lines if line.count("==") != 1 or "/" in line]
    if foreign:
        sys.exit(f"not a name and a version: {', '.join(foreign)}")
    options.file.write_text("\n".join(lines) + "\n")
    print(f"{options.file}: {len(lines)} packages")


if __name__ == "__main__":
    main()
