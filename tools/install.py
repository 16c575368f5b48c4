"""Runs pip with its arguments, and shows one counting line in place of pip's own output.

A failure shows everything pip said. Without a terminal the count is left out.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time

_SEEN = re.compile(r"Collecting ([A-Za-z0-9._-]+)")


def main(arguments: list[str]) -> int:
    """Run ``pip install`` with `arguments`.

    Returns:
        pip's exit status.
    """
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    began = time.monotonic()
    said: list[str] = []
    packages: set[str] = set()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            said.append(line)
            packages.update(_SEEN.findall(line))
            doing = "installing" if line.startswith("Installing collected") else "fetching"
            _show(f"{doing} {len(packages)} packages")
    if pip.returncode != 0:
        _show("")
        sys.stderr.writelines(said)
        return pip.returncode
    _show("")
    print(f"  {len(packages)} packages in {time.monotonic() - began:.0f} s", flush=True)
    return 0


def _show(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\x1b[K{'  ' + text if text else ''}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
