"""Installs a browser and what drives it, and runs the tests of the memory browser in it, all of them.

``python -m tests.browser.run [--install-only] [ARGUMENT ...]``

Further arguments are pytest's. The browser is Chromium of the distribution, or the one that OPENMEM_TEST_CHROMIUM
names. The packages of the dependency group ``browser`` come into the environment that runs this.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from .chromium import PATH_VARIABLE, chromium_path, missing
from .conftest import WHOLE_VARIABLE

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = "chromium"


def install_browser() -> None:
    """Install Chromium from the distribution, as far as that can be done here.

    Raises:
        SystemExit: it cannot; the message says what to do.
    """
    if chromium_path() is not None:
        return
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        command = f"on Debian, as root: apt-get install {PACKAGE}" if apt else "install Chromium or Chrome"
        raise SystemExit(f"there is no Chromium: {command}; or {PATH_VARIABLE} says where it is")
    print(f"Installing {PACKAGE}; it takes a minute", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "-qq"], ["install", "-qq", "--yes", "--no-install-recommends", PACKAGE]):
        done = subprocess.run(
            [apt, *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"apt-get {arguments[0]} failed:\n{done.stdout}{done.stderr}")


def install_packages() -> None:
    """Install what drives the browser."""
    command = [sys.executable, str(ROOT / "tools" / "install.py"), "--group", "browser"]
    subprocess.run([*command, "--constraint", "constraints.txt"], cwd=ROOT, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.run", description="Test the memory browser.")
    parser.add_argument("--install-only", action="store_true", help="run no test")
    options, arguments = parser.parse_known_args()
    install_browser()
    if missing() is not None:
        install_packages()
    if options.install_only:
        return 0
    command = [sys.executable, "-m", "pytest", *(arguments or ["-q"]), "tests/browser"]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {WHOLE_VARIABLE: "whole"}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
