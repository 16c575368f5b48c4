"""What concurrent tasks ask of a remote embedder travels in few requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from openmem import AsyncMemory, OMPError, ProviderError, RateLimitedError
from openmem.drivers.asyncio import AsyncPorts
from openmem.drivers.asyncio_models import REQUEST_TEXTS, REQUESTS
from openmem.embedders.openai import OpenAIEmbedder
from openmem.ports.models import EmbedderIO

from ..service import Reply
from .service import Request, Service, error, vector_of


def remote() -> OpenAIEmbedder:
    return OpenAIEmbedder("some-model", dim=4, max_retries=0)


def run(use: Callable[[EmbedderIO], Awaitable[None]]) -> None:
    """Run `use` with an embedder whose connection to the service stands."""

    async def main() -> None:
        embedder, ports = remote(), AsyncPorts()
        await embedder.aembed(["first"])
        io = ports.embedder(embedder, owned=False)
        try:
            await use(io)
        finally:
            await io.close()
            await embedder.aclose()
            await ports.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


@asynccontextmanager
async def client(url: str) -> AsyncIterator[AsyncMemory]:
    embedder = remote()
    try:
        async with AsyncMemory(url=url, embedder=embedder) as mem:
            yield mem
    finally:
        await embedder.aclose()


def asked(service: Service) -> list[list[str]]:
    """The texts of each request but the first."""
    return [body["input"] for body in service.bodies[1:]]


async def hung(service: Service, requests: int) -> None:
    for _ in range(requests):
        assert await asyncio.to_thread(service.stuck.acquire, True, 10)


def test_a_hundred_verbs_at_once_make_two_requests(service: Service, url: str) -> None:
    async def main() -> None:
        async with client(url) as mem:
            await mem.add(content="first", user_id="batching")
            texts = [f"note {number}" for number in range(100)]
            added = await asyncio.gather(*(mem.add(content=text, user_id="batching") for text in texts))
            assert [record.content for record in added] == texts
            assert [len(inputs) for inputs in asked(service)] == [REQUEST_TEXTS, 100 - REQUEST_TEXTS]
            await mem.search("first", "batching")  # calibrates the embedder
            before = len(service.requests)
            await asyncio.gather(*(mem.search(text, "batching") for text in texts))
            assert len(service.requests) - before == 2

    asyncio.run(main())


def test_each_text_gets_its_own_vector(service: Service) -> None:
    async def use(io: EmbedderIO) -> None:
        texts = [f"note {number}" for number in range(150)]
        answers = await asyncio.gather(*(io.embed([text]) for text in texts))
        assert answers == [[vector_of(text, 4)] for text in texts]
        assert len(asked(service)) == 3

    run(use)


def test_what_comes_while_requests_run_goes_together(service: Service) -> None:
    async def use(io: EmbedderIO) -> None:
        service.script += [service.hang] * REQUESTS
        calls = []
        for number in range(REQUESTS + 20):
            calls.append(asyncio.create_task(io.embed([f"note {number}"])))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await hung(service, REQUESTS)
        assert sorted(asked(service)) == [[f"note {number}"] for number in range(REQUESTS)]
        service.release.set()
        await asyncio.gather(*calls)
        assert asked(service)[REQUESTS:] == [[f"note {number}" for number in range(REQUESTS, REQUESTS + 20)]]

    run(use)


def test_many_texts_of_one_call_are_divided(service: Service) -> None:
    async def use(io: EmbedderIO) -> None:
        service.script += [service.hang] * REQUESTS
        texts = [f"note {number}" for number in range(REQUEST_TEXTS * REQUESTS + 1)]
        call = asyncio.create_task(io.embed(texts))
        await hung(service, REQUESTS)
        assert [len(inputs) for inputs in asked(service)] == [REQUEST_TEXTS] * REQUESTS
        service.release.set()
        assert await call == [vector_of(text, 4) for text in texts]
        assert asked(service)[-1] == texts[-1:]

    run(use)


def test_many_texts_of_one_call_fail_as_one(service: Service) -> None:
    async def use(io: EmbedderIO) -> None:
        def refuse_the_last(request: Request) -> Reply:
            for _ in range(REQUESTS - 1):
                service.stuck.acquire(timeout=10)
            return error(429, "slow down", retry_after="7")

        service.script += [*[service.hang] * (REQUESTS - 1), refuse_the_last]
        with pytest.raises(RateLimitedError) as caught:
            await io.embed([f"note {number}" for number in range(REQUEST_TEXTS * 2 * REQUESTS)])
        assert caught.value.retry_after == 7
        assert caught.value.__cause__ is None
        assert len(asked(service)) == REQUESTS

    run(use)


def refuse_poison(service: Service, request: Request) -> Reply:
    if "poison" in request.body["input"]:
        return error(400, "this text is refused")
    return service.perform(request)


def test_a_refused_text_fails_alone(service: Service) -> None:
    async def use(io: EmbedderIO) -> None:
        service.script += [lambda request: refuse_poison(service, request)] * 100
        texts = [*(f"note {number}" for number in range(40)), "poison", "last"]
        answers = await asyncio.gather(*(io.embed([text]) for text in texts), return_exceptions=True)
        assert isinstance(answers[40], ProviderError)
        assert "this text is refused" in answers[40].message
        assert [*answers[:40], answers[41]] == [[vector_of(text, 4)] for text in texts if text != "poison"]
        assert len(asked(service)) <= 13

    run(use)


@pytest.mark.parametrize(
    "refusal",
    [error(429, "slow down"), error(500, "out of order"), error(401, "no such key"), Reply(cut=-1)],
    ids=["too many requests", "out of order", "wrong key", "no reply"],
)
def test_what_is_no_texts_fault_is_not_tried_again(service: Service, url: str, refusal: Reply) -> None:
    async def main() -> None:
        async with client(url) as mem:
            await mem.search("first", "batching")
            before = len(service.bodies)
            service.script.append(refusal)
            answers = await asyncio.gather(
                *(mem.search(f"note {number}", "batching") for number in range(5)), return_exceptions=True
            )
            errors = [answer for answer in answers if isinstance(answer, OMPError)]
            assert len({error.request_id for error in errors}) == 5
            assert all((error.__cause__ is not None) == (refusal.cut is not None) for error in errors)
            assert len(service.bodies) == before + 1

    asyncio.run(main())


def test_a_cancelled_caller_leaves_the_others_alone(service: Service) -> None:
    async def use(io: EmbedderIO) -> None:
        service.script.append(service.hang)
        calls = [asyncio.create_task(io.embed([text])) for text in ("a", "b", "c")]
        await hung(service, 1)
        calls[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(calls[1], 0.5)
        service.release.set()
        assert await calls[0] == [vector_of("a", 4)]
        assert await calls[2] == [vector_of("c", 4)]
        assert asked(service) == [["a", "b", "c"]]

    run(use)


def test_a_request_that_nobody_wants_any_more_makes_room(service: Service) -> None:
    async def use(io: EmbedderIO) -> None:
        service.script += [service.hang] * REQUESTS
        calls = []
        for number in range(REQUESTS):
            calls.append(asyncio.create_task(io.embed([f"note {number}"])))
            await hung(service, 1)
        for call in calls:
            call.cancel()
        async with asyncio.timeout(5):
            assert await io.embed(["tea"]) == [vector_of("tea", 4)]

    run(use)
