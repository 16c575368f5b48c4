"""An application that uses the local provider, driven by lines on its standard input.

``application.py MODE PATH`` answers every command with one line. At the end of its input it ends
without closing the client. ``become`` makes an application of root one of an ordinary user, who may
be unable to start Python from root's directories.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from typing import Any

from openmem import AsyncMemory, Memory, OMPError


def main(mode: str, path: str) -> None:
    """Obey until the input ends."""
    facade: Any = {"sync": Memory, "async": AsyncMemory}[mode]
    memory = facade("local", path=path or None, embedder="hashing")
    with asyncio.Runner() as runner:

        def finished(result: Any) -> Any:
            return runner.run(result) if inspect.iscoroutine(result) else result

        def tried(text: str) -> str:
            try:
                return str(finished(memory.add(content=text, user_id="u")).id)
            except OMPError as error:
                return f"{error.code}: {error}".replace("\n", " ")

        for line in sys.stdin:
            match line.split():
                case ["open"]:
                    finished(memory.__enter__() if mode == "sync" else memory.__aenter__())
                    answer = "opened"
                case ["add", text]:
                    answer = finished(memory.add(content=text, user_id="u")).id
                case ["try", text]:
                    answer = tried(text)
                case ["flood"]:
                    while True:
                        print(tried("one of many"), flush=True)
                case ["list"]:
                    answer = " ".join(record.id for record in finished(memory.list("u", limit=500)).items)
                case ["fork"]:
                    child = os.fork()
                    if child == 0:
                        sys.exit()
                    answer = str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
                case ["become", user, group]:
                    os.setgroups([])
                    os.setgid(int(group))
                    os.setuid(int(user))
                    answer = "done"
                case ["use", other]:
                    memory = facade("local", path=other, embedder="hashing")
                    answer = "done"
                case ["close"]:
                    finished(memory.close())
                    answer = "closed"
                case unknown:
                    answer = f"unknown: {unknown}"
            print(answer, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
