"""A network that is gone, on which packets vanish: the kernel gives a connection up within seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ..proxy import Proxy
from ..servers import Server
from .harness import Database

HOST, GUEST = "10.215.77.1", "10.215.77.2"

CLIENT = """
import asyncio, sys, time
from openmem import AsyncMemory, Memory, ProviderError

def say(*words):
    print(*words, flush=True)
    sys.stdin.readline()

def blocking(url):
    with Memory(url=url, embedder="hashing") as memory:
        memory.list("subject")
        say("ready")
        begun = time.monotonic()
        try:
            memory.list("subject")
            say("no error", 0)
        except ProviderError as error:
            say(error.code, time.monotonic() - begun)
        memory.list("subject")

async def suspending(url):
    async with AsyncMemory(url=url, embedder="hashing") as memory:
        await memory.list("subject")
        say("ready")
        begun = time.monotonic()
        try:
            await memory.list("subject")
            say("no error", 0)
        except ProviderError as error:
            say(error.code, time.monotonic() - begun)
        await memory.list("subject")

if sys.argv[1] == "blocking":
    blocking(sys.argv[2])
else:
    asyncio.run(suspending(sys.argv[2]))
say("works")
"""


def ip(*arguments: str) -> None:
    """Change the networks of this machine."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=10)


@pytest.fixture
def network() -> Iterator[str]:
    """Another network, beside this one, reached by a wire that can be cut: ``ip link set om-host down``."""
    if sys.platform != "linux" or shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("a network of its own needs Linux, root and the command ip (apt install iproute2)")
    try:
        ip("netns", "add", "om-guest")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine does not let root make networks: {error.stderr.strip()}")
    try:
        ip("link", "add", "om-host", "type", "veth", "peer", "name", "om-peer", "netns", "om-guest")
        ip("address", "add", f"{HOST}/30", "dev", "om-host")
        ip("link", "set", "om-host", "up")
        ip("-n", "om-guest", "address", "add", f"{GUEST}/30", "dev", "om-peer")
        ip("-n", "om-guest", "link", "set", "om-peer", "up")
        yield "om-guest"
    finally:
        ip("netns", "delete", "om-guest")


@pytest.mark.parametrize("mode", ["blocking", "suspending"])
def test_a_route_that_is_gone_fails_a_call_within_seconds(
    server: Server, db: Database, network: str, mode: str
) -> None:
    with Proxy(server.port, HOST) as proxy:
        url = db.through(proxy.port).replace("127.0.0.1", HOST)
        command = ["ip", "netns", "exec", network, sys.executable, "-c", CLIENT, mode, url]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdin is not None
            assert client.stdout is not None

            def next_words() -> list[str]:
                assert client.stdout is not None
                return client.stdout.readline().split()

            def go_on() -> None:
                assert client.stdin is not None
                client.stdin.write("\n")
                client.stdin.flush()

            try:
                assert next_words() == ["ready"]
                ip("link", "set", "om-host", "down")
                go_on()
                code, seconds = next_words()
                assert code == "provider_unavailable"
                assert 1 < float(seconds) < 5
                ip("link", "set", "om-host", "up")
                go_on()
                assert next_words() == ["works"]
                go_on()
                assert client.wait(10) == 0
            finally:
                client.kill()
