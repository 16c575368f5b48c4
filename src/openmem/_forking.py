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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

LONGEST_WAIT_SECONDS: Final = 20.0
"""How long a fork waits for an import at most; some never end, such as that of a module that is a whole program."""

_all: Final[weakref.WeakSet[PerProcess[Any]]] = weakref.WeakSet()
_inherited: Final[list[object]] = []
_endless_imports: Final[set[str]] = set()
_forking: Final = threading.RLock()
_held: Final[list[Any]] = []
_busy: Final[list[int]] = []


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
    own = threading.get_ident()
    _busy[:] = [thread for thread in _busy if thread == own]
    if not _inherited:
        _make_immortal(_inherited)
    for thing in list(_all):
        thing._inherit()


def _make_immortal(thing: object) -> None:
    """Keep an object, and what it refers to, from being finalized even when the interpreter ends."""
    import ctypes  # noqa: PLC0415 - only a forked child needs it

    interpreter = getattr(ctypes, "pythonapi", None)  # CPython has it, and only CPython finalizes at its end.
    if interpreter is not None:
        interpreter.Py_IncRef(ctypes.py_object(thing))


@contextmanager
def undisturbed() -> Iterator[None]:
    """A fork in another thread waits until the block has ended.

    For work with locks that a library cannot make anew in a child, as OpenSSL cannot where it makes a context.
    """
    own = threading.get_ident()
    with _forking:
        _busy.append(own)
    try:
        yield
    finally:
        _busy.remove(own)


def _begin_fork() -> None:
    """Wait until no other thread imports, builds or is undisturbed; hold back those that would begin to."""
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while True:
        late = time.monotonic() > deadline
        if late or not _is_anybody_busy():
            building = getattr(sys.modules.get("pydantic.main"), "_rebuild_lock", None)
            held = [lock for lock in (_forking, building) if lock and lock.acquire(timeout=LONGEST_WAIT_SECONDS)]
            if late or not _is_anybody_busy():
                _held.extend(held)
                _endless_imports.update(_imported_by_others())
                return
            for lock in held:
                lock.release()
        time.sleep(0.002)


def _end_fork() -> None:
    while _held:
        _held.pop().release()


def _is_anybody_busy() -> bool:
    own = threading.get_ident()
    return any(thread != own for thread in _busy) or bool(_imported_by_others() - _endless_imports)


def _imported_by_others() -> set[str]:
    """The modules whose import other threads are in the middle of, as far as this Python shows them."""
    locks: dict[str, Callable[[], Any]] = getattr(sys.modules.get("_frozen_importlib"), "_module_locks", {})
    own = threading.get_ident()
    held = ((name, getattr(lock(), "owner", None)) for name, lock in list(locks.items()))
    return {name for name, owner in held if owner not in (None, own)}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_begin_fork, after_in_parent=_end_fork, after_in_child=_end_fork)
    os.register_at_fork(after_in_child=_begin_child)
