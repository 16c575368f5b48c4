"""Runs pip with its arguments, and shows one counting line in place of pip's own output.

A failure shows everything pip said. Without a terminal the count is left out.
"""

from __future__ import annotations

import subprocess
import sys
import time

_FOUND = ("Collecting ", "Processing ")
_DONE = "Successfully installed "


def main(arguments: list[str]) -> int:
    """Run ``pip install`` with `arguments`, and return its exit status."""
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    began = time.monotonic()
    said: list[str] = []
    found = installed = 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            said.append(line)
            found += line.startswith(_FOUND)
            if line.startswith(_DONE):
                installed = len(line.removeprefix(_DONE).split())
            _show(f"{'installing' if line.startswith('Installing collected') else 'fetching'} {found} packages")
    _show("")
    if pip.returncode != 0:
        sys.stderr.writelines(said)
        return pip.returncode
    print(f"  {installed} packages in {time.monotonic() - began:.0f} s", flush=True)
    return 0


def _show(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\x1b[K{'  ' + text if text else ''}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
