"""Ctrl-C in a blocking verb."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ..proxy import Proxy
from .harness import STOP_BOUND, USER, Database, until_blocking


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """Python's own. A shell starts programs in the background such that they ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@contextmanager
def interrupted_once(condition: Callable[[], bool]) -> Iterator[None]:
    """Send this process the signal of Ctrl-C as soon as `condition` holds."""

    def interrupt() -> None:
        until_blocking(condition, within=5)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        thread.join()


def test_while_a_statement_waits_for_a_lock(db: Database) -> None:
    with db.open(pool_max_size=1) as mem:
        with db.locked():
            with interrupted_once(lambda: db.waiting() == 1):
                mem.add(content="tea", user_id=USER)
            until_blocking(lambda: not db.running(), within=STOP_BOUND)
        mem.get(db.id)
        assert db.connections() == 1
    db.check_audited()


def test_while_the_pool_is_exhausted(db: Database) -> None:
    with db.open(pool_max_size=1) as mem:
        with db.locked():
            busy = threading.Thread(target=mem.get, args=(db.id,))
            busy.start()
            until_blocking(lambda: db.waiting() == 1, within=5)
            began = time.perf_counter()
            with interrupted_once(lambda: time.perf_counter() > began + 0.1):
                mem.get(db.id)
        busy.join()
        mem.get(db.id)


def test_while_the_network_is_frozen(db: Database, proxy: Proxy) -> None:
    with db.open(url=db.through(proxy.port), pool_max_size=1) as mem:
        proxy.freeze()
        began = time.perf_counter()
        with interrupted_once(lambda: time.perf_counter() > began + 0.1):
            mem.get(db.id)
        assert time.perf_counter() - began < 1.5
        proxy.thaw()
        mem.get(db.id)


def test_while_connecting(db: Database, proxy: Proxy) -> None:
    mem = db.open(url=db.through(proxy.port), pool_max_size=1)
    proxy.freeze()
    with interrupted_once(lambda: proxy.connections == 1):
        mem.get(db.id)
    proxy.thaw()
    mem.get(db.id)
    mem.close()
