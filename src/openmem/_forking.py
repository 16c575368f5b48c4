"""What a child made by `os.fork` must not share with its parent.

A fork copies the parent's memory, and with it every connection: parent and child then hold the same socket,
and each can read the answer to the other's question. The child cannot close its copy politely either. A goodbye
on the socket, such as PostgreSQL's Terminate or the close_notify of TLS, would end the parent's connection, and
a lock that another thread held at the moment of the fork is never released in the child.

So a child neither uses nor closes what it has inherited. Whatever holds connections, threads or locks is kept
in a `PerProcess`. After a fork the child has nothing there, makes its own at the first use, and keeps what was its
parent's until it ends, so that no finalizer closes it.

A module that another thread was importing at the moment of the fork could never be imported in the child: Python's lock
of it would stay taken. So would pydantic's lock of the models that it builds. Vendors' SDKs import and build much when
it is first used. So a fork waits until both have ended.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

LONGEST_WAIT_SECONDS: Final = 5.0
"""How long a fork waits for an import at most; some never end, such as that of a module that is a whole program."""

_all: Final[weakref.WeakSet[PerProcess[Any]]] = weakref.WeakSet()
_inherited: Final[list[object]] = []
_endless_imports: Final[set[str]] = set()
_held: Final[list[Any]] = []


class PerProcess(Generic[T]):
    """Something that every process makes for itself, at its first use. Threads share it.

    Args:
        make: makes it. In a forked child it is called again.
        contents: what of it is to be kept in a child beside itself, where it holds things only weakly.
    """

    def __init__(self, make: Callable[[], T], *, contents: Callable[[T], object] = lambda value: None) -> None:
        self._make = make
        self._contents = contents
        self._made: list[T] = []
        self._making = threading.Lock()
        _all.add(self)

    def get(self) -> T:
        """This process's own."""
        made = self._made
        if not made:
            with self._making:
                if not made:
                    made.append(self._make())
        return made[0]

    def peek(self) -> T | None:
        """This process's own; None if it has made none."""
        return self._made[0] if self._made else None

    def _inherit(self) -> None:
        """Give up the parent's."""
        _inherited.extend((self._made, *map(self._contents, self._made)))
        self._made = []
        self._making = threading.Lock()


def _begin_child() -> None:
    if not _inherited:
        _make_immortal(_inherited)
    for thing in list(_all):
        thing._inherit()


def _make_immortal(thing: object) -> None:
    """Keep an object, and what it refers to, from being finalized even when the interpreter ends."""
    import ctypes  # noqa: PLC0415

    interpreter = getattr(ctypes, "pythonapi", None)  # CPython has it, and only CPython finalizes at its end.
    if interpreter is not None:
        interpreter.Py_IncRef(ctypes.py_object(thing))


def _begin_fork() -> None:
    """Wait until no other thread imports a module or builds a pydantic model; let none build before the fork is done."""
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while True:
        if names := _imported_by_others() - _endless_imports:
            if time.monotonic() > deadline:
                _endless_imports.update(names)
            time.sleep(0.002)
            continue
        building = getattr(sys.modules.get("pydantic.main"), "_rebuild_lock", None)
        if building is None or not building.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return
        if not _imported_by_others() - _endless_imports:
            _held.append(building)
            return
        building.release()


def _end_fork() -> None:
    while _held:
        _held.pop().release()


def _imported_by_others() -> set[str]:
    """The modules whose import other threads are in the middle of, as far as this Python tells."""
    locks: dict[str, Callable[[], Any]] = getattr(sys.modules.get("_frozen_importlib"), "_module_locks", {})
    own = threading.get_ident()
    held = ((name, getattr(lock(), "owner", None)) for name, lock in list(locks.items()))
    return {name for name, owner in held if owner not in (None, own)}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_begin_fork, after_in_parent=_end_fork, after_in_child=_end_fork)
    os.register_at_fork(after_in_child=_begin_child)
