"""What every contract builds on: the clients under test, and how a test is declared."""

from __future__ import annotations

import functools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar, cast
from unittest import mock

import pytest

from ..async_memory import AsyncMemory
from ..errors import NotFoundError, UnsupportedCapabilityError
from ..models import Capabilities, CapabilityFeatures, MemoryRecord
from ..providers.base import Provider
from . import cases
from .modes import Async, IngestedClient, Mode, Sync

C = TypeVar("C", bound="Contract")
P = ParamSpec("P")

MODES: dict[str, Callable[[], Mode]] = {"sync": Sync, "async": Async}


def requires(
    *needs: str,
) -> Callable[[Callable[Concatenate[C, P], Coroutine[Any, Any, None]]], Callable[Concatenate[C, P], None]]:
    """Make a test of a coroutine method of a `Contract`.

    Args:
        needs: verbs and features (names of fields of `CapabilityFeatures`) that the test uses. If
            the provider does not advertise all of them, the test asserts that it refuses those it lacks.
    """

    def decorate(body: Callable[Concatenate[C, P], Coroutine[Any, Any, None]]) -> Callable[Concatenate[C, P], None]:
        @functools.wraps(body)
        def test(self: C, /, *args: P.args, **kwargs: P.kwargs) -> None:
            async def run() -> None:
                missing = [need for need in needs if not self.offers(need)]
                if not missing:
                    await body(self, *args, **kwargs)
                for need in missing:
                    await self.assert_refused(need)

            self.mode.run(run())

        return test

    return decorate


class Contract:
    """A part of what a provider promises, as tests; subclass it and say how to reach the provider.

    The clients that `make` describes must all see the same memories. The tests share one client and
    use fresh users, so that what a backend holds already does not matter. Those of `purge` concern all users,
    though: memories that have expired or ended before the year 991 are removed, and the audit log. What is
    ``queued`` is waited for with `wait_for_ingest` before the test goes on.

    Attributes:
        deviations: tests that the provider does not pass, each with the reason. A key is the name of a
            test, which then must fail in all its cases, or the name and one case, as in
            ``test_times_are_kept_in_utc[year 1]``. A test that passes in spite of its deviation fails,
            and so does a name that no test has.
        mode: how the client is made and run: `Memory` or `AsyncMemory`.
        memory: the client under test, open and without grants.
        capabilities: what that client tells of its backend.
        user, other: ids of two users without memories.
    """

    deviations: ClassVar[Mapping[str, str]] = {}

    mode: Mode
    memory: AsyncMemory
    capabilities: Capabilities
    user: str
    other: str

    _verbs: frozenset[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in cls.deviations:
            test = name.partition("[")[0]
            if not (test.startswith("test_") and callable(getattr(cls, test, None))):
                raise TypeError(f"{cls.__name__}.deviations: there is no test {test!r}")

    # Hooks of the author of a provider.

    def make(self, **settings: Any) -> dict[str, Any]:
        """Constructor arguments of a client of the provider: its own, and `settings` over them."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> None:
        """Runs before the first client is made; override it to start something, or to name several backends."""

    def offers(self, need: str) -> bool:
        """Whether the provider advertises a verb or feature."""
        if need in CapabilityFeatures.model_fields:
            return getattr(self.capabilities.features, need) not in (False, None, "none")
        return need in self._verbs

    # What the tests use.

    def client(self, **settings: Any) -> AsyncMemory:
        """One more client, not open yet, in the mode of the running test."""
        return cast(AsyncMemory, IngestedClient(self.mode.client(**self.make(**settings)), waits=self.memory))

    @asynccontextmanager
    async def no_io_client(self, **settings: Any) -> AsyncIterator[AsyncMemory]:
        """A client that must not open its provider: what it refuses, it refuses before any I/O."""

        async def fail(provider: Provider) -> None:
            raise AssertionError(f"{provider.name!r} was opened for a call that it has to refuse")

        client = self.client(**settings)
        with opening_replaced(fail):
            yield client
        await client.close()

    async def assert_refused(self, need: str) -> None:
        """Assert that a verb or feature is refused, before anything is sent."""
        if need in cases.VALID:
            calls = [(need, cases.VALID[need])]
        else:
            uses = cases.FEATURE_USES.get(need, [])
            calls = [(verb, cases.VALID[verb] | used) for verb, used in uses if self.offers(verb)]
        async with self.no_io_client() as client:
            for verb, arguments in calls:
                with pytest.raises(UnsupportedCapabilityError) as refusal:
                    await getattr(client, verb)(**arguments)
                assert (refusal.value.code, refusal.value.type) == ("unsupported_capability", "invalid")

    async def assert_not_found(self, verb: str) -> None:
        """Assert that a verb finds nothing by an unknown id, with an error of its own for each call."""
        errors = []
        for _ in range(2):
            with pytest.raises(NotFoundError) as found:
                await getattr(self.memory, verb)(**cases.VALID[verb])
            errors.append(found.value)
        for error in errors:
            assert (error.code, error.type) == ("not_found", "not_found")
            assert error.provider == self.capabilities.provider
            assert error.request_id
        assert errors[0].request_id != errors[1].request_id

    async def two_users(self) -> MemoryRecord:
        """The memory of `user`, after `other` has one too."""
        await self.memory.add(content="green tea is hers", user_id=self.other)
        return await self.memory.add(content="green tea is mine", user_id=self.user)

    async def add_corpus(self) -> dict[str, str]:
        """The texts of `cases.CORPUS` by the ids of their memories."""
        return {(await self.memory.add(content=content, user_id=self.user)).id: content for content in cases.CORPUS}

    # Fixtures.

    @pytest.fixture(autouse=True)
    def _bound(
        self,
        backend: object,
        _mode: Mode,
        _memory: tuple[AsyncMemory, Capabilities, frozenset[str]],
        _deviating_cases: None,
        request: pytest.FixtureRequest,
    ) -> None:
        self.mode = _mode
        self.memory, self.capabilities, self._verbs = _memory
        self.user = f"user-{uuid.uuid4().hex}"
        self.other = f"other-{uuid.uuid4().hex}"
        for name, reason in self.deviations.items():
            if _names(name, request.node.name):
                request.node.add_marker(pytest.mark.xfail(reason=reason, strict=True))

    @pytest.fixture(scope="class")
    @classmethod
    def _deviating_cases(cls, request: pytest.FixtureRequest) -> None:
        single = [name for name in cls.deviations if "[" in name]
        if single:
            tests = [item.name for item in request.node.collect()]
            unknown = [name for name in single if not any(_names(name, test) for test in tests)]
            assert not unknown, f"{cls.__name__}.deviations: there are no cases {unknown}"

    @pytest.fixture(scope="class", params=list(MODES))
    @classmethod
    def _mode(cls, backend: object, request: pytest.FixtureRequest) -> Iterator[Mode]:
        mode = MODES[request.param]()
        yield mode
        mode.close()

    @pytest.fixture(scope="class")
    @classmethod
    def _memory(cls, _mode: Mode) -> Iterator[tuple[AsyncMemory, Capabilities, frozenset[str]]]:
        memory = _mode.client(**cls().make())
        asked: list[tuple[Capabilities, frozenset[str]]] = []

        async def ask() -> None:
            capabilities = await memory.capabilities()
            verbs = set(capabilities.verbs)
            for verb, nothing in cases.NOTHING.items():
                try:
                    await getattr(memory, verb)(**nothing)
                    verbs.add(verb)
                except UnsupportedCapabilityError:
                    pass
            asked.append((capabilities, frozenset(verbs)))

        try:
            _mode.run(ask())
            yield cast(AsyncMemory, IngestedClient(memory)), *asked[0]
        finally:
            _mode.run(memory.close())


@contextmanager
def opening_replaced(replacement: Callable[[Provider], Awaitable[None]]) -> Iterator[None]:
    """Within the block, providers that are not open yet are opened by `replacement`."""
    with ExitStack() as patches:
        classes = [Provider]
        while classes:
            provider = classes.pop()
            classes += provider.__subclasses__()
            if "open" in vars(provider):
                patches.enter_context(mock.patch.object(provider, "open", replacement))
        yield


def _names(deviation: str, node: str) -> bool:
    """Whether a deviation is about a test with this name; the ids of backend and mode precede those of a case."""
    name, _, case = deviation.partition("[")
    test, _, ids = node.partition("[")
    return name == test and (not case or ids == case or ids.endswith(f"-{case}"))
