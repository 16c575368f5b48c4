"""The tests that every provider passes, in both modes."""

from __future__ import annotations

import functools
import re
import uuid
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from datetime import timezone as fixed_offset
from typing import Any, Concatenate, ParamSpec, TypeVar, cast
from unittest import mock

import pytest

from ..async_memory import AsyncMemory
from ..errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    ProviderError,
    ScopeDeniedError,
    UnsupportedCapabilityError,
)
from ..models import Capabilities, CapabilityFeatures, MemoryRecord
from . import cases
from .modes import Async, Mode, Settled, Sync

S = TypeVar("S", bound="ConformanceSuite")
P = ParamSpec("P")

MODES: dict[str, Callable[[], Mode]] = {"sync": Sync, "async": Async}
LONGEST_TEXT = 100_000


def clause(
    *needs: str,
) -> Callable[[Callable[Concatenate[S, P], Coroutine[Any, Any, None]]], Callable[Concatenate[S, P], None]]:
    """Make a test of a coroutine method of a `ConformanceSuite`.

    Args:
        needs: verbs and features (names of fields of `CapabilityFeatures`) the test is about. If
            the provider does not advertise them all, the test is that it refuses those it lacks.
    """

    def decorate(body: Callable[Concatenate[S, P], Coroutine[Any, Any, None]]) -> Callable[Concatenate[S, P], None]:
        @functools.wraps(body)
        def test(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
            async def run() -> None:
                capabilities = await self.memory.capabilities()
                missing = [need for need in needs if not self.offers(capabilities, need)]
                if not missing:
                    await body(self, *args, **kwargs)
                for need in missing:
                    await self.assert_refused(need)

            self.mode.run(run())

        return test

    return decorate


class _ByLength:
    """A reranker that finds the shortest text best."""

    model = "by-length"

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        return [1 / (1 + len(text)) for text in texts]


class ConformanceSuite:
    """The contract of the verbs as tests; subclass it and say how to reach the provider.

    The clients that `make` describes must all see the same memories. The tests share one client and
    keep to fresh users, so that what a backend holds already does not matter. What is ``queued`` is
    waited for with `wait_for_ingest` before the test goes on.

    Attributes:
        mode: how the client is made and run: `Memory` or `AsyncMemory`.
        memory: the client under test, open and without grants.
        user, other: ids of two users without memories.
    """

    mode: Mode
    memory: AsyncMemory
    user: str
    other: str

    def make(self, **settings: Any) -> dict[str, Any]:
        """Constructor arguments of a client of the provider: its own, and `settings` over them."""
        raise NotImplementedError

    def client(self, **settings: Any) -> AsyncMemory:
        """One more client, not open yet, in the mode of the running test."""
        return cast(AsyncMemory, Settled(self.mode.client(**self.make(**settings)), waits=self.memory))

    @pytest.fixture(autouse=True)
    def _bound(self, backend: object, _mode: Mode, _memory: AsyncMemory) -> None:
        self.mode = _mode
        self.memory = _memory
        self.user = f"user-{uuid.uuid4().hex}"
        self.other = f"other-{uuid.uuid4().hex}"

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> None:
        """Runs before the first client is made; override it to start something, or to name several backends."""

    @pytest.fixture(scope="class", params=list(MODES))
    @classmethod
    def _mode(cls, backend: object, request: pytest.FixtureRequest) -> Iterator[Mode]:
        mode = MODES[request.param]()
        yield mode
        mode.close()

    @pytest.fixture(scope="class")
    @classmethod
    def _memory(cls, _mode: Mode) -> Iterator[AsyncMemory]:
        memory = _mode.client(**cls().make())
        yield cast(AsyncMemory, Settled(memory))
        _mode.run(memory.close())

    # What the provider lacks

    def offers(self, capabilities: Capabilities, need: str) -> bool:
        """Whether the provider advertises a verb or feature."""
        if need in CapabilityFeatures.model_fields:
            return getattr(capabilities.features, need) not in (False, None, "none")
        return need in (*capabilities.verbs, *self.memory._client.provider.verbs)

    async def assert_refused(self, need: str) -> None:
        """Assert that a verb or feature is refused, before anything is sent."""
        if need in cases.VALID:
            calls = [(need, cases.VALID[need])]
        else:
            uses = cases.FEATURE_USES.get(need, [])
            verbs = (await self.memory.capabilities()).verbs
            calls = [(verb, cases.VALID[verb] | used) for verb, used in uses if verb in verbs]
        async with self._sealed() as sealed:
            for verb, arguments in calls:
                with pytest.raises(UnsupportedCapabilityError) as refusal:
                    await getattr(sealed, verb)(**arguments)
                assert (refusal.value.code, refusal.value.type) == ("unsupported_capability", "invalid")

    def _sealed(self, **settings: Any) -> _Sealed:
        return _Sealed(self.client(**settings))

    @clause()
    async def test_verbs_that_are_not_advertised_are_refused(self) -> None:
        capabilities = await self.memory.capabilities()
        for verb in cases.VALID:
            if not self.offers(capabilities, verb):
                await self.assert_refused(verb)

    @clause()
    async def test_features_that_are_not_advertised_are_refused(self) -> None:
        capabilities = await self.memory.capabilities()
        for feature in cases.FEATURE_USES:
            if not self.offers(capabilities, feature):
                await self.assert_refused(feature)

    @clause()
    async def test_capabilities_are_told_once_and_agree_with_themselves(self) -> None:
        capabilities = await self.memory.capabilities()
        assert await self.memory.capabilities() is capabilities
        assert capabilities.omp_version == "0.1"
        assert capabilities.provider
        assert len(set(capabilities.verbs)) == len(capabilities.verbs)
        assert "capabilities" in capabilities.verbs
        assert set(capabilities.verbs) <= {*cases.VALID, "capabilities"}
        features = capabilities.features
        assert not features.supports_audit or "audit" in capabilities.verbs
        assert not (features.vector_search or features.keyword_search) or "search" in capabilities.verbs
        assert features.max_content_length is None or features.max_content_length > 0

    # Records

    @clause("add", "get")
    async def test_a_bare_memory(self) -> None:
        before = datetime.now(UTC) - timedelta(minutes=5)
        record = await self.memory.add(content="likes green tea", user_id=self.user)
        assert record.id
        assert record.content == "likes green tea"
        assert record.user_id == self.user
        assert before < record.created_at < datetime.now(UTC) + timedelta(minutes=5)
        assert record.created_at.utcoffset() == timedelta(0)
        for name in ("scope", "tags", "source", "confidence", "valid_from", "valid_to", "supersedes"):
            assert getattr(record, name) is None
        assert record.extensions == {}
        assert await self.memory.get(record.id) == record

    @clause("add", "get", "list", "scopes", "temporal")
    async def test_every_field_comes_back(self) -> None:
        extension: Any = {
            "deep": [1, 2.5, True, None, {"a": "ä"}],
            "empty": {},
            "big": 2**70,
            "huge": 1e23,
            "tiny": 1e-300,
            "longest": 10**640 - 1,
        }
        extensions: dict[str, Any] = {"x-mem0": extension, "x-my_app-2": "text", "x-none": None}
        added = await self.memory.add(
            content="prefers dark mode",
            user_id=self.user,
            scope="coding/preferences",
            tags=["b", "a", "b"],
            source={"app": "editor", "type": "explicit", "ref": "msg-1", "model": None},
            confidence=0.75,
            valid_from=datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
            valid_to=datetime(9000, 1, 1, tzinfo=UTC),
            **extensions,
        )
        [listed] = (await self.memory.list(self.user)).items
        for record in (added, await self.memory.get(added.id), listed):
            assert record.content == "prefers dark mode"
            assert record.scope == "coding/preferences"
            assert record.tags == ["b", "a", "b"]
            assert record.source is not None
            assert record.source.to_wire() == {"app": "editor", "type": "explicit", "ref": "msg-1", "model": None}
            assert record.confidence == 0.75
            assert record.valid_from == datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
            assert record.valid_to == datetime(9000, 1, 1, tzinfo=UTC)
            assert record.extensions == extensions
            assert record.created_at == added.created_at
            assert record.status == "stored"

    @clause("add", "get")
    @pytest.mark.parametrize("confidence", [0.0, 1.0, 0.1, 1])
    async def test_confidence_comes_back_exactly(self, confidence: float) -> None:
        record = await self.memory.add(content="x", user_id=self.user, confidence=confidence)
        assert record.confidence == confidence
        assert (await self.memory.get(record.id)).confidence == confidence

    @clause("add", "get")
    async def test_no_tags_are_not_an_empty_list_of_tags(self) -> None:
        empty = await self.memory.add(content="x", user_id=self.user, tags=[])
        absent = await self.memory.add(content="x", user_id=self.user)
        assert (await self.memory.get(empty.id)).tags == []
        assert (await self.memory.get(absent.id)).tags is None

    @clause("add", "get", "temporal")
    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            (datetime(2024, 6, 1, 12), datetime(2024, 6, 1, 12, tzinfo=UTC)),
            (
                datetime(2024, 6, 1, 12, tzinfo=fixed_offset(timedelta(hours=-5, minutes=-30))),
                datetime(2024, 6, 1, 17, 30, tzinfo=UTC),
            ),
            ("2024-06-01T12:00:00.000001", datetime(2024, 6, 1, 12, 0, 0, 1, tzinfo=UTC)),
            ("2024-06-01T12:00:00+02:00", datetime(2024, 6, 1, 10, tzinfo=UTC)),
            ("2024-06-01T12:00:00Z", datetime(2024, 6, 1, 12, tzinfo=UTC)),
            ("20240601", datetime(2024, 6, 1, tzinfo=UTC)),
            (datetime.min, datetime.min.replace(tzinfo=UTC)),
        ],
        ids=["naive", "offset", "naive text", "offset text", "Z", "date", "year 1"],
    )
    async def test_times_are_kept_in_utc(self, given: datetime | str, meant: datetime) -> None:
        record = await self.memory.add(content="x", user_id=self.user, valid_from=given)
        assert record.valid_from == meant
        assert (await self.memory.get(record.id)).valid_from == meant

    @clause("add", "get", "temporal")
    async def test_the_last_moment_of_all_can_be_stored(self) -> None:
        end = datetime.max.replace(tzinfo=UTC)
        record = await self.memory.add(content="x", user_id=self.user, valid_to=end)
        assert (await self.memory.get(record.id)).valid_to == end

    @clause("add", "get")
    async def test_ids_are_unique(self) -> None:
        records = [await self.memory.add(content="the same text", user_id=self.user) for _ in range(5)]
        assert len({record.id for record in records}) == 5

    # Many at once

    @clause("add_many", "get", "list", "scopes", "temporal")
    async def test_many_memories_are_stored_like_one(self) -> None:
        every_field: dict[str, Any] = {
            "scope": "coding/preferences",
            "tags": ["b", "ä", "b"],
            "source": {"app": "editor", "type": "explicit", "ref": "msg-1", "model": None},
            "confidence": 0.1,
            "valid_from": datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
            "valid_to": datetime.max,
            "x-mem0": {"deep": [1, 2.5, True, None, {"a": "ä"}], "big": 2**70, "huge": 1e23},
            "x-my_app-2": "text",
            "x-none": None,
        }
        given: list[dict[str, Any]] = [
            {"content": "prefers dark mode"},
            {"content": "prefers light mode", **every_field},
            {"content": "no tags", "tags": [], "scope": None, "valid_from": datetime.min},
            *({"content": text, "tags": [text]} for text in cases.HOSTILE.values()),
        ]
        stored = await self.memory.add_many({"user_id": self.user, **one} for one in given)
        assert len({record.id for record in stored}) == len(given)
        for one, record in zip(given, stored, strict=True):
            alone = await self.memory.add(user_id=self.other, **one)
            set_by_the_backend = {"id": record.id, "user_id": self.user, "created_at": record.created_at}
            assert record == alone.model_copy(update=set_by_the_backend)
            assert await self.memory.get(record.id) == record
        listed = await self.memory.list(self.user, limit=500)
        assert listed.items == stored[::-1]

    @clause("add_many", "list")
    async def test_many_memories_keep_their_order_for_each_user(self) -> None:
        stored = await self.memory.add_many(
            {"content": f"note {number}", "user_id": user} for number in range(20) for user in (self.user, self.other)
        )
        assert [record.user_id for record in stored] == [self.user, self.other] * 20
        last = [await self.memory.add_many([{"content": "last", "user_id": self.user}])]
        for user, later in ((self.user, last[0]), (self.other, [])):
            own = [record for record in stored if record.user_id == user]
            assert (await self.memory.list(user)).items == [*own, *later][::-1]

    @clause("add_many", "search")
    async def test_many_memories_are_found_at_once(self) -> None:
        texts = ["likes green tea", "plays the cello", "moved to Lisbon"]
        stored = await self.memory.add_many([{"content": text, "user_id": self.user} for text in texts])
        for record in stored:
            assert (await self.memory.search(record.content, self.user))[0].memory == record
        assert await self.memory.search(texts[0], self.other) == []

    @clause("add_many", "list")
    async def test_no_memories_are_stored_at_once(self) -> None:
        told: list[tuple[int, int]] = []
        assert await self.memory.add_many([], progress=lambda done, total: told.append((done, total))) == []
        assert told == []

    @clause("add_many", "list")
    async def test_progress_tells_of_all_in_the_end(self) -> None:
        told: list[tuple[int, int]] = []
        records = [{"content": f"note {number}", "user_id": self.user} for number in range(3)]
        await self.memory.add_many(records, progress=lambda done, total: told.append((done, total)))
        assert told == [(3, 3)]

    @clause("add_many", "list")
    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"content": ""}, "content: is empty"),
            ({"user_id": "a\0b"}, "user_id: has a NUL"),
            ({"content": None}, "content: "),
            ({"tags": "tea"}, "tags: "),
            ({"confidence": 2}, "confidence: "),
            ({"nonsense": 1}, "extensions: 'nonsense' is not a field"),
            ({"extensions": {"x-a": 1}}, "extensions: 'extensions' is not a field"),
            ({"valid_from": "2025-01-01", "valid_to": "2024-01-01"}, "valid_to: "),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    async def test_one_wrong_record_refuses_all(self, wrong: dict[str, Any], message: str) -> None:
        records: list[dict[str, Any]] = [{"content": "tea", "user_id": self.user} for _ in range(20)]
        records[17] |= wrong
        async with self._sealed() as sealed:
            with pytest.raises(InvalidRequestError) as refusal:
                await sealed.add_many(records)
        assert refusal.value.message.startswith(f"records[17].{message}")
        assert str(refusal.value) == refusal.value.message
        assert (await self.memory.list(self.user)).items == []

    @clause("add_many", "list", "max_content_length")
    async def test_many_memories_are_bounded_as_advertised(self) -> None:
        bound = (await self.memory.capabilities()).features.max_content_length
        assert bound is not None
        records = [{"content": "tea", "user_id": self.user}, {"content": "x" * (bound + 1), "user_id": self.user}]
        with pytest.raises(InvalidRequestError, match=rf"^records\[1\]\.content: {bound + 1} characters"):
            await self.memory.add_many(records)
        assert (await self.memory.list(self.user)).items == []

    @clause("add_many", "add", "get", "supports_supersession", "temporal")
    async def test_many_memories_supersede_others(self) -> None:
        old = [await self.memory.add(content=f"old {number}", user_id=self.user) for number in range(3)]
        moment = datetime(2030, 1, 1, tzinfo=UTC)
        new = await self.memory.add_many(
            [
                {"content": "a", "user_id": self.user, "supersedes": [old[0].id, old[1].id]},
                {"content": "b", "user_id": self.user, "supersedes": [old[0].id], "valid_from": moment},
                {"content": "c", "user_id": self.user, "supersedes": [old[2].id], "valid_from": moment},
            ]
        )
        assert [record.supersedes for record in new] == [[old[0].id, old[1].id], [old[0].id], [old[2].id]]
        ends = [(await self.memory.get(record.id)).valid_to for record in old]
        assert ends == [new[0].created_at, new[0].created_at, moment]

    @clause("add_many", "add", "get", "list", "supports_supersession")
    @pytest.mark.parametrize("whose", ["nobody's", "another user's"])
    async def test_an_unknown_superseded_memory_refuses_all(self, whose: str) -> None:
        known = await self.memory.add(content="old", user_id=self.user)
        other = await self.memory.add(content="old", user_id=self.other)
        records = [
            {"content": "a", "user_id": self.user, "supersedes": [known.id]},
            {"content": "b", "user_id": self.user, "supersedes": [other.id if whose != "nobody's" else "mem_unknown"]},
        ]
        with pytest.raises(InvalidRequestError, match=r"^records\[1\]\.supersedes: "):
            await self.memory.add_many(records)
        assert (await self.memory.list(self.user)).items == [known]
        assert await self.memory.get(other.id) == other

    @clause("add_many", "audit", "supports_audit")
    async def test_many_memories_leave_an_entry_each(self) -> None:
        records: list[dict[str, Any]] = [
            {"content": "a", "user_id": self.user, "scope": "s"},
            {"content": "b", "user_id": self.user, "source": {"app": "editor"}},
        ]
        stored = await self.memory.add_many(records)
        entries = [entry for entry in await self.memory.audit(self.user) if entry.action == "add"]
        told = [(entry.memory_id, entry.scope, entry.app) for entry in entries]
        assert told == [(stored[1].id, None, "editor"), (stored[0].id, "s", None)]
        assert len({entry.request_id for entry in entries}) == 1

    @clause("add_many", "list", "scopes")
    async def test_write_grants_cover_many_memories(self) -> None:
        async with self.client(grants=["write:coding/*"]) as limited:
            scopes = ["coding/a", "coding/b", "health"]
            records = [{"content": "tea", "user_id": self.user, "scope": scope} for scope in scopes]
            with pytest.raises(ScopeDeniedError, match=r"^records\[2\]: .*write:health"):
                await limited.add_many(records)
            assert (await self.memory.list(self.user)).items == []
            assert len(await limited.add_many(records[:2])) == 2

    # Update and delete

    async def _full(self) -> MemoryRecord:
        extensions: dict[str, Any] = {"x-a": {"k": [1]}}
        return await self.memory.add(
            content="first text",
            user_id=self.user,
            scope="a/b",
            tags=["one"],
            source={"app": "x", "ref": "r"},
            confidence=0.5,
            valid_from=datetime(2024, 1, 1, tzinfo=UTC),
            valid_to=datetime(9000, 1, 1, tzinfo=UTC),
            **extensions,
        )

    @clause("add", "get", "update", "scopes", "temporal")
    @pytest.mark.parametrize(
        "change",
        [
            {"content": "second text"},
            {"scope": "c"},
            {"tags": ["two", "three"]},
            {"tags": []},
            {"confidence": 0.0},
            {"valid_to": datetime(9001, 1, 1, tzinfo=UTC)},
            {"scope": None},
            {"tags": None},
            {"confidence": None},
            {"valid_to": None},
            {"content": "third text", "scope": None, "tags": ["x"], "confidence": 1.0, "valid_to": None},
        ],
        ids=repr,
    )
    async def test_an_update_changes_what_is_given_and_keeps_the_rest(self, change: dict[str, Any]) -> None:
        before = await self._full()
        after = await self.memory.update(before.id, **change)
        kept = {"id", "content", "user_id", "created_at", "scope", "tags", "source", "confidence", "valid_from"}
        kept |= {"valid_to", "supersedes", "x-a"}
        for name in kept - set(change):
            assert getattr(after, name) == getattr(before, name)
        for name, value in change.items():
            assert getattr(after, name) == value
        assert after.updated_at is not None
        assert after.updated_at >= before.created_at
        assert await self.memory.get(before.id) == after

    @clause("add", "update", "temporal")
    async def test_an_update_cannot_end_before_the_beginning(self) -> None:
        record = await self.memory.add(content="x", user_id=self.user, valid_from=datetime(2024, 1, 1))
        with pytest.raises(InvalidRequestError, match="valid_to"):
            await self.memory.update(record.id, content="y", valid_to=datetime(2023, 1, 1))
        unchanged = await self.memory.get(record.id)
        assert (unchanged.content, unchanged.valid_to) == ("x", None)

    @clause("add", "delete", "get", "list")
    async def test_a_deleted_memory_is_gone(self) -> None:
        gone = await self.memory.add(content="tea", user_id=self.user)
        stays = await self.memory.add(content="tea", user_id=self.user)
        await self.memory.delete(gone.id)
        with pytest.raises(NotFoundError):
            await self.memory.get(gone.id)
        with pytest.raises(NotFoundError):
            await self.memory.delete(gone.id)
        assert [item.id for item in (await self.memory.list(self.user)).items] == [stays.id]

    @clause("get")
    async def test_get_of_an_unknown_id(self) -> None:
        await self._assert_not_found("get")

    @clause("update")
    async def test_update_of_an_unknown_id(self) -> None:
        await self._assert_not_found("update")

    @clause("delete")
    async def test_delete_of_an_unknown_id(self) -> None:
        await self._assert_not_found("delete")

    async def _assert_not_found(self, verb: str) -> None:
        errors = []
        for _ in range(2):
            with pytest.raises(NotFoundError) as found:
                await getattr(self.memory, verb)(**cases.VALID[verb])
            errors.append(found.value)
        for error in errors:
            assert (error.code, error.type) == ("not_found", "not_found")
            assert error.provider == (await self.memory.capabilities()).provider
            assert error.request_id
        assert errors[0].request_id != errors[1].request_id

    # Users

    @clause("add", "list")
    async def test_list_shows_no_other_user(self) -> None:
        mine = await self._two_users()
        assert [item.id for item in (await self.memory.list(self.user)).items] == [mine.id]
        assert (await self.memory.list(f"{self.user}%")).items == []

    @clause("add", "search")
    async def test_search_shows_no_other_user(self) -> None:
        mine = await self._two_users()
        assert [hit.memory.id for hit in await self.memory.search("green tea", self.user)] == [mine.id]
        assert await self.memory.search("green tea", f"{self.user}%") == []

    @clause("add", "context")
    async def test_context_shows_no_other_user(self) -> None:
        mine = await self._two_users()
        block = await self.memory.context("green tea", self.user)
        assert [citation.memory_id for citation in block.citations] == [mine.id]
        assert "hers" not in block.text

    @clause("add", "audit", "supports_audit")
    async def test_audit_shows_no_other_user(self) -> None:
        mine = await self._two_users()
        assert [entry.memory_id for entry in await self.memory.audit(self.user)] == [mine.id]

    @clause("add", "wait_for_ingest")
    async def test_waiting_is_for_ones_own_memories(self) -> None:
        mine = await self._two_users()
        await self.memory.wait_for_ingest([mine.id], self.user, timeout=30)
        await self.memory.wait_for_ingest([], self.user)
        with pytest.raises(NotFoundError):
            await self.memory.wait_for_ingest([mine.id], self.other)
        with pytest.raises(NotFoundError):
            await self.memory.wait_for_ingest([mine.id, "mem_unknown"], self.user)

    async def _two_users(self) -> MemoryRecord:
        await self.memory.add(content="green tea is hers", user_id=self.other)
        return await self.memory.add(content="green tea is mine", user_id=self.user)

    # Scopes

    SCOPES = ("coding", "coding/python", "coding/python/style", "coding2", "Coding", "a%b", "aXb", "a_c/d", "aXc/d")

    @clause("add", "list", "search", "context", "scopes")
    @pytest.mark.parametrize(
        ("pattern", "exact", "subtree"),
        [
            ("coding", ["coding"], ["coding", "coding/python", "coding/python/style"]),
            ("coding/python", ["coding/python"], ["coding/python", "coding/python/style"]),
            ("coding/*", ["coding/python", "coding/python/style"], None),
            ("coding/python/*", ["coding/python/style"], None),
            ("coding2/*", [], None),
            ("*", list(SCOPES), None),
            ("a%b", ["a%b"], None),
            ("a_c/*", ["a_c/d"], None),
            ("%", [], None),
            ("codin_", [], None),
            ("unknown", [], None),
        ],
        ids=repr,
    )
    async def test_a_scope_selects(self, pattern: str, exact: list[str], subtree: list[str] | None) -> None:
        await self.memory.add(content="tea without scope", user_id=self.user)
        for number, scope in enumerate(self.SCOPES):
            await self.memory.add(content=f"tea number {number}", user_id=self.user, scope=scope)
        await self.memory.add(content="tea of another", user_id=self.other, scope=self.SCOPES[0])

        listed = (await self.memory.list(self.user, scope=pattern)).items
        assert sorted(str(item.scope) for item in listed) == sorted(exact)
        hits = await self.memory.search("tea", self.user, scope=pattern, limit=100)
        assert sorted(str(hit.memory.scope) for hit in hits) == sorted(exact)
        block = await self.memory.context("tea", self.user, scope=pattern, token_budget=5000)
        scopes = {item.id: str(item.scope) for item in (await self.memory.list(self.user)).items}
        cited = [scopes[citation.memory_id] for citation in block.citations]
        assert sorted(cited) == sorted(exact if subtree is None else subtree)

    # Time

    @clause("add", "get", "list", "search", "context", "temporal")
    async def test_search_and_context_see_what_is_valid_now(self) -> None:
        now = datetime.now(UTC)
        ages = {
            "always": (None, None),
            "since yesterday": (now - timedelta(days=1), None),
            "until tomorrow": (None, now + timedelta(days=1)),
            "around now": (now - timedelta(days=1), now + timedelta(days=1)),
            "from tomorrow": (now + timedelta(days=1), None),
            "until yesterday": (None, now - timedelta(days=1)),
            "never": (now, now),
        }
        ids = {}
        for name, (start, end) in ages.items():
            record = await self.memory.add(content=f"tea {name}", user_id=self.user, valid_from=start, valid_to=end)
            ids[record.id] = name
            assert await self.memory.get(record.id) == record
        valid = {"always", "since yesterday", "until tomorrow", "around now"}
        assert {ids[hit.memory.id] for hit in await self.memory.search("tea", self.user)} == valid
        block = await self.memory.context("tea", self.user)
        assert {ids[citation.memory_id] for citation in block.citations} == valid
        assert {item.id for item in (await self.memory.list(self.user)).items} == set(ids)

    @clause("add", "list")
    async def test_since_and_until_are_about_creation(self) -> None:
        records = [await self.memory.add(content=f"tea {n}", user_id=self.user) for n in range(4)]
        since, until = records[1].created_at, records[3].created_at
        for start, end in [(since, until), (since, None), (None, until), (until, since)]:
            for convert in (lambda moment: moment, lambda moment: moment.replace(tzinfo=None), datetime.isoformat):
                page = await self.memory.list(self.user, since=start and convert(start), until=end and convert(end))
                expected = {
                    record.id
                    for record in records
                    if (start is None or record.created_at >= start) and (end is None or record.created_at < end)
                }
                assert {item.id for item in page.items} == expected

    # Supersession

    @clause("add", "get", "list", "search", "context", "supports_supersession")
    async def test_a_new_memory_ends_the_ones_it_supersedes(self) -> None:
        old = await self.memory.add(content="drinks tea", user_id=self.user)
        older = await self.memory.add(content="drinks tea at night", user_id=self.user)
        new = await self.memory.add(content="drinks no tea", user_id=self.user, supersedes=[old.id, older.id])
        assert new.supersedes == [old.id, older.id]
        assert new.valid_to is None
        assert [hit.memory.id for hit in await self.memory.search("tea", self.user)] == [new.id]
        assert [c.memory_id for c in (await self.memory.context("tea", self.user)).citations] == [new.id]
        for record in (old, older):
            ended = await self.memory.get(record.id)
            assert ended.valid_to is not None
            assert record.created_at <= ended.valid_to <= new.created_at
            assert ended.content == record.content
        assert len((await self.memory.list(self.user)).items) == 3

    @clause("add", "get", "update", "supports_supersession")
    async def test_an_update_appends_to_what_it_supersedes(self) -> None:
        old = [(await self.memory.add(content="drinks tea", user_id=self.user)).id for _ in range(8)]
        record = await self.memory.add(content="drinks coffee", user_id=self.user, supersedes=old[:1])
        for _ in range(2):
            record = await self.memory.update(record.id, supersedes=[*old[:3:-1], *old])
            assert record.supersedes == [*old[:1], *old[:3:-1], *old[1:4]]
        for id in old:
            assert (await self.memory.get(id)).valid_to is not None
        assert record.content == "drinks coffee"
        assert record.valid_to is None

    @clause("add", "get", "update", "list", "supports_supersession")
    async def test_superseding_the_unknown_writes_nothing(self) -> None:
        mine = await self.memory.add(content="drinks tea", user_id=self.user)
        target = await self.memory.add(content="drinks milk", user_id=self.user)
        hers = await self.memory.add(content="drinks tea", user_id=self.other)
        for unknown in ("mem_unknown", hers.id):
            with pytest.raises(InvalidRequestError, match="supersedes"):
                await self.memory.add(content="new", user_id=self.user, supersedes=[mine.id, unknown])
            with pytest.raises(InvalidRequestError, match="supersedes"):
                await self.memory.update(target.id, content="new", supersedes=[mine.id, unknown])
        assert (await self.memory.list(self.user)).items == [target, mine]
        assert await self.memory.get(hers.id) == hers

    @clause("add", "get", "supports_supersession", "temporal")
    async def test_a_memory_ends_when_what_replaces_it_begins(self) -> None:
        year = datetime(2024, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
        for begin, replaced_from, end in [(None, year[0], year[0]), (None, year[1], year[1]), (year[1], None, year[1])]:
            old = await self.memory.add(content="old", user_id=self.user, valid_from=begin)
            await self.memory.add(content="new", user_id=self.user, valid_from=replaced_from, supersedes=[old.id])
            assert (await self.memory.get(old.id)).valid_to == end

    async def _ended(self, how: str) -> MemoryRecord:
        """A memory that has ended."""
        if how == "by its end":
            end = datetime.now(UTC) - timedelta(days=1)
            return await self.memory.add(content="drinks tea", user_id=self.user, valid_to=end)
        begin = datetime(9000, 1, 1, tzinfo=UTC) if how == "before it began" else None
        old = await self.memory.add(content="drinks tea", user_id=self.user, valid_from=begin)
        await self.memory.add(content="drinks coffee", user_id=self.user, supersedes=[old.id])
        return await self.memory.get(old.id)

    @clause("add", "get", "list", "supports_supersession", "temporal")
    @pytest.mark.parametrize("how", ["by a replacement", "by its end", "before it began"])
    async def test_a_second_replacement_is_a_conflict(self, how: str) -> None:
        ended = await self._ended(how)
        current = await self.memory.add(content="drinks water", user_id=self.user)
        other = await self.memory.add(content="drinks", user_id=self.user)
        before = (await self.memory.list(self.user)).items

        def check(conflict: pytest.ExceptionInfo[ConflictError]) -> None:
            error = conflict.value
            assert (error.code, error.type) == ("conflict", "conflict")
            assert error.request_id
            assert repr(ended.id) in error.message
            assert current.id not in error.message
            assert "supersede_ended" in error.message

        arguments: dict[str, Any] = {"content": "drinks milk", "user_id": self.user}
        with pytest.raises(ConflictError, match=r"^supersedes: ") as conflict:
            await self.memory.add(**arguments, supersedes=[current.id, ended.id])
        check(conflict)
        capabilities = await self.memory.capabilities()
        if self.offers(capabilities, "update"):
            with pytest.raises(ConflictError, match=r"^supersedes: ") as conflict:
                await self.memory.update(other.id, content="drinks milk", supersedes=[current.id, ended.id])
            check(conflict)
        if self.offers(capabilities, "add_many"):
            records: list[dict[str, Any]] = [arguments, {**arguments, "supersedes": [current.id, ended.id]}]
            with pytest.raises(ConflictError, match=r"^records\[1\]\.supersedes: ") as conflict:
                await self.memory.add_many(records)
            check(conflict)
        assert (await self.memory.list(self.user)).items == before

    @clause("add", "get", "supports_supersession", "temporal")
    async def test_what_ended_can_be_replaced_by_those_who_say_so(self) -> None:
        ended = await self._ended("by a replacement")
        capabilities = await self.memory.capabilities()
        allowed: dict[str, Any] = {"supersedes": [ended.id], "supersede_ended": True}
        arguments: dict[str, Any] = {"content": "drinks milk", "user_id": self.user}
        new = [await self.memory.add(**arguments, **allowed)]
        if self.offers(capabilities, "update"):
            record = await self.memory.add(**arguments)
            new.append(await self.memory.update(record.id, **allowed))
            new.append(await self.memory.update(record.id, supersedes=[ended.id, ended.id]))
        if self.offers(capabilities, "add_many"):
            new += await self.memory.add_many([{**arguments, **allowed}])
        for record in new:
            assert record.supersedes == [ended.id]
            assert "supersede_ended" not in (record.model_extra or {})
            assert (await self.memory.get(record.id)).supersedes == [ended.id]
        assert await self.memory.get(ended.id) == ended

    @clause("add", "get", "supports_supersession", "temporal")
    async def test_what_has_not_ended_yet_can_be_replaced(self) -> None:
        end = datetime.now(UTC) + timedelta(days=1)
        old = await self.memory.add(content="drinks tea", user_id=self.user, valid_to=end)
        new = await self.memory.add(content="drinks milk", user_id=self.user, supersedes=[old.id, old.id])
        ended = await self.memory.get(old.id)
        assert ended.valid_to is not None
        assert ended.valid_to <= new.created_at

    @clause("add_many", "add", "supports_supersession")
    async def test_one_call_may_replace_a_memory_by_several(self) -> None:
        old = await self.memory.add(content="drinks tea and coffee", user_id=self.user)
        part: dict[str, Any] = {"user_id": self.user, "supersedes": [old.id]}
        await self.memory.add_many([{"content": "drinks tea", **part}, {"content": "drinks coffee", **part}])
        allowing = {"content": "a", **part, "supersede_ended": True}
        with pytest.raises(ConflictError, match=r"^records\[1\]\."):
            await self.memory.add_many([allowing, {"content": "b", **part}])
        await self.memory.add_many([allowing, allowing])

    @clause("add", "get", "update", "search", "supports_supersession", "atomic_supersession")
    async def test_of_replacements_at_the_same_moment_one_wins(self) -> None:
        many = self.offers(await self.memory.capabilities(), "add_many")
        for number in range(4):
            user = f"{self.user}-{number}"
            old = await self.memory.add(content="lives in Leeds", user_id=user)
            other = await self.memory.add(content="speaks English", user_id=user)

            def adding(city: str, user: str = user, old: str = old.id) -> Callable[[], Coroutine[Any, Any, Any]]:
                return lambda: self.memory.add(content=f"lives in {city}", user_id=user, supersedes=[old])

            def updating(id: str = other.id, old: str = old.id) -> Callable[[], Coroutine[Any, Any, Any]]:
                return lambda: self.memory.update(id, content="lives in Lima", supersedes=[old])

            def batch(user: str = user, old: str = old.id) -> Callable[[], Coroutine[Any, Any, Any]]:
                records = [{"content": "lives in Rome", "user_id": user, "supersedes": [old]}]
                return lambda: self.memory.add_many(records)

            calls = [adding("Porto"), adding("Oslo"), updating(), *([batch()] if many else [])]
            answers = await self.mode.at_once(*calls)
            lost = [answer for answer in answers if isinstance(answer, ConflictError)]
            assert len(lost) == len(calls) - 1, answers
            assert len({error.request_id for error in lost}) == len(lost)
            found = [hit.memory for hit in await self.memory.search("lives in", user, limit=100)]
            assert [record.supersedes for record in found if "lives in" in record.content] == [[old.id]]

    @clause("add", "get", "list", "search", "supports_supersession", "scopes")
    async def test_a_record_names_only_what_its_reader_may_read(self) -> None:
        """What was deleted is no longer known to be readable, so it is named to those who may read everything."""
        shown = await self.memory.add(content="tea at work", user_id=self.user, scope="work/a")
        hidden = await self.memory.add(content="tea at home", user_id=self.user, scope="home")
        gone = await self.memory.add(content="tea", user_id=self.user, scope="work/a")
        both = await self.memory.add(
            content="no tea", user_id=self.user, scope="work/b", supersedes=[hidden.id, shown.id, gone.id]
        )
        only_hidden = await self.memory.add(
            content="no tea", user_id=self.user, scope="work/b", supersedes=[hidden.id], supersede_ended=True
        )
        capabilities = await self.memory.capabilities()
        names: dict[str, list[str] | None] = {both.id: [shown.id], only_hidden.id: None}
        if self.offers(capabilities, "delete"):
            await self.memory.delete(gone.id)
        else:
            names[both.id] = [shown.id, gone.id]
        async with self.client(grants=["read:work/*", "write:*"]) as limited:
            for record in (both, only_hidden):
                assert await limited.get(record.id) == record.model_copy(update={"supersedes": names[record.id]})
            for scope in (None, "work/b", "work/*"):
                listed = {item.id: item.supersedes for item in (await limited.list(self.user, scope=scope)).items}
                found = [hit.memory for hit in await limited.search("no tea", self.user, scope=scope)]
                assert {id: listed[id] for id in names} == names
                assert {record.id: record.supersedes for record in found} == names
            more: dict[str, Any] = {"supersedes": [hidden.id, shown.id], "supersede_ended": True}
            record = await limited.add(content="no milk", user_id=self.user, scope="work/c", **more)
            assert record.supersedes == [shown.id]
            if self.offers(capabilities, "update"):
                updated = await limited.update(only_hidden.id, **more)
                assert updated.supersedes == [shown.id]
                assert (await limited.update(record.id, tags=["t"])).supersedes == [shown.id]
            if self.offers(capabilities, "add_many"):
                [batched] = await limited.add_many([{"content": "x", "user_id": self.user, "scope": "work", **more}])
                assert batched.supersedes == [shown.id]
        assert (await self.memory.get(both.id)).supersedes == [hidden.id, shown.id, gone.id]
        assert (await self.memory.get(record.id)).supersedes == [hidden.id, shown.id]
        if self.offers(capabilities, "update"):
            assert (await self.memory.get(only_hidden.id)).supersedes == [hidden.id, shown.id]
        async with self.client(grants=["write:*"]) as writer:
            record = await writer.add(content="no milk", user_id=self.user, **more)
            assert record.supersedes is None

    # List

    @clause("add", "list")
    async def test_list_is_newest_first_and_pages_agree_with_the_whole(self) -> None:
        added = [await self.memory.add(content=f"tea {n}", user_id=self.user) for n in range(7)]
        whole = await self.memory.list(self.user, limit=500)
        assert whole.next_cursor is None
        assert {item.id for item in whole.items} == {record.id for record in added}
        times = [item.created_at for item in whole.items]
        assert times == sorted(times, reverse=True)
        for limit in (1, 3, 7):
            pages = [await self.memory.list(self.user, limit=limit)]
            while pages[-1].next_cursor is not None:
                assert len(pages) < 7
                pages.append(await self.memory.list(self.user, limit=limit, cursor=pages[-1].next_cursor))
            assert [len(page.items) for page in pages[:-1]] == [limit] * (len(pages) - 1)
            assert [item for page in pages for item in page.items] == whole.items

    @clause("add", "delete", "list")
    async def test_a_walk_survives_inserts_and_deletes(self) -> None:
        added = [(await self.memory.add(content=f"tea {n}", user_id=self.user)).id for n in range(9)]
        first = await self.memory.list(self.user, limit=3)
        seen = [item.id for item in first.items]
        assert seen == added[:5:-1]
        await self.memory.add(content="tea, new", user_id=self.user)
        await self.memory.delete(seen[-1])
        await self.memory.delete(added[4])
        cursor = first.next_cursor
        while cursor is not None:
            page = await self.memory.list(self.user, limit=3, cursor=cursor)
            seen += [item.id for item in page.items]
            cursor = page.next_cursor
            assert len(seen) <= 8
        assert seen == [added[n] for n in (8, 7, 6, 5, 3, 2, 1, 0)]

    @clause("add", "list")
    async def test_a_tag_selects(self) -> None:
        tags = {"plain": ["work"], "both": ["work", "home"], "like": ["w_rk%"], "none": [], "case": ["Work"]}
        ids = {
            name: (await self.memory.add(content=name, user_id=self.user, tags=value)).id
            for name, value in tags.items()
        }
        for tag, expected in {"work": {"plain", "both"}, "home": {"both"}, "w_rk%": {"like"}, "%": set()}.items():
            found = (await self.memory.list(self.user, tag=tag)).items
            assert {item.id for item in found} == {ids[name] for name in expected}

    @clause("add", "list")
    async def test_a_cursor_that_is_malformed_or_foreign_is_refused(self) -> None:
        for user in (self.user, self.other):
            for n in range(3):
                await self.memory.add(content=f"tea {n}", user_id=user, tags=["t"])
        cursor = (await self.memory.list(self.user, limit=1)).next_cursor
        assert cursor is not None
        damaged = [cursor[:-3], cursor[3:], cursor + "AAAA", cursor.swapcase()]
        for bad in ["", "x", "a\0b", "\ud800", "é", "null", "e30", "W10", "A" * 9999, *damaged]:
            with pytest.raises(InvalidRequestError, match="cursor"):
                await self.memory.list(self.user, limit=1, cursor=bad)
        for changed in ({"user_id": self.other}, {"user_id": self.user, "tag": "t"}):
            with pytest.raises(InvalidRequestError, match="cursor"):
                await self.memory.list(limit=1, cursor=cursor, **changed)

    # Search

    CORPUS = (
        "The user prefers dark mode in every editor",
        "Her sister Anna lives in Lisbon and keeps three cats",
        "The quarterly report is due on the first Monday of April",
        "He is allergic to peanuts and shellfish",
        "They are learning to play the cello on weekends",
        "Invoice 8421377 was paid through the Zwischenzug account",
    )

    async def _corpus(self) -> dict[str, str]:
        return {(await self.memory.add(content=content, user_id=self.user)).id: content for content in self.CORPUS}

    @clause("add", "search")
    @pytest.mark.parametrize(
        ("query", "best"),
        [("dark mode editor", 0), ("sister Anna cats Lisbon", 1), ("allergic to peanuts", 3), ("play the cello", 4)],
    )
    async def test_search_ranks_the_obvious_first(self, query: str, best: int) -> None:
        texts = await self._corpus()
        hits = await self.memory.search(query, self.user)
        assert texts[hits[0].memory.id] == self.CORPUS[best]
        assert hits[0].memory.content == self.CORPUS[best]
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        assert all(0.0 <= score <= 1.0 for score in scores)
        assert len({hit.memory.id for hit in hits}) == len(hits)

    @clause("add", "search", "keyword_search")
    @pytest.mark.parametrize("query", ["8421377", "zwischenzug", "What do we know of Zwischenzug?", "invoice 8421377"])
    async def test_a_rare_word_or_number_is_found(self, query: str) -> None:
        texts = await self._corpus()
        hits = await self.memory.search(query, self.user)
        assert texts[hits[0].memory.id] == self.CORPUS[5]

    @clause("add", "search", "keyword_search")
    async def test_the_last_words_of_a_long_message_count(self) -> None:
        texts = await self._corpus()
        chatter = (
            "Good evening again, this morning felt endless because trains were late, rain came through an old roof, "
            "neighbours argued about parking, and lunch was nothing but cold soup with bread; anyway, before bedtime, "
            "please remind me about that zwischenzug"
        )
        hits = await self.memory.search(chatter, self.user)
        assert texts[hits[0].memory.id] == self.CORPUS[5]

    @clause("add", "search", "context", "keyword_search")
    @pytest.mark.parametrize("number", [1, 20, 29, 61, 99])
    async def test_a_word_counts_wherever_it_stands_in_a_long_query(self, number: int) -> None:
        texts = await self._corpus()
        words = [f"{first}{second}q" for first in "bcdfghklmn" for second in "aeiouyjvwx"]
        query = " ".join([*words[:number], "zwischenzug", *words[number:]])
        hits = await self.memory.search(query, self.user)
        assert texts[hits[0].memory.id] == self.CORPUS[5]
        block = await self.memory.context(query, self.user)
        assert block.citations[0].memory_id == hits[0].memory.id

    @clause("add", "search")
    async def test_limit_and_min_score_cut_the_same_ranking(self) -> None:
        await self._corpus()
        everything = await self.memory.search("the user and her sister", self.user, limit=100)
        assert len(everything) >= 2
        for limit in (1, 2):
            assert await self.memory.search("the user and her sister", self.user, limit=limit) == everything[:limit]
        for bound in {0.0, everything[0].score, everything[-1].score, 1.0}:
            hits = await self.memory.search("the user and her sister", self.user, limit=100, min_score=bound)
            assert hits == [hit for hit in everything if hit.score >= bound]

    @clause("search")
    async def test_search_of_nothing(self) -> None:
        assert await self.memory.search("tea", self.user) == []

    @clause("add", "search", "update")
    async def test_search_follows_an_update(self) -> None:
        texts = await self._corpus()
        changed = next(id for id, content in texts.items() if content == self.CORPUS[3])
        await self.memory.update(changed, content="Collects antique typewriters")
        hits = await self.memory.search("antique typewriters", self.user)
        assert hits[0].memory.id == changed
        hits = await self.memory.search("allergic to peanuts", self.user)
        assert all("peanuts" not in hit.memory.content for hit in hits)

    @clause("add", "search")
    @pytest.mark.parametrize("query", cases.QUERIES.values(), ids=cases.QUERIES)
    async def test_any_query_gets_sound_scores(self, query: str) -> None:
        await self._corpus()
        hits = await self.memory.search(query, self.user, limit=100)
        assert all(0.0 <= hit.score <= 1.0 for hit in hits)

    # Context

    @clause("add", "context")
    @pytest.mark.parametrize("token_budget", [1, 15, 40, 60, 500, 100_000])
    async def test_context_is_cited_within_the_budget(self, token_budget: int) -> None:
        texts = await self._corpus()

        def count(text: str) -> int:
            return len(re.findall(r"\w+|[^\w\s]", text))

        async with self.client(token_counter=count) as client:
            block = await client.context("the editor of her sister Anna", self.user, token_budget=token_budget)
        assert block.token_count == count(block.text) <= token_budget
        assert re.findall(r"\[([^\]\s]+)\]", block.text) == [citation.memory_id for citation in block.citations]
        lines = block.text.splitlines()
        assert len(lines) == len(block.citations)
        for line, citation in zip(lines, block.citations, strict=True):
            quoted = line.removeprefix("- ").removesuffix(f" [{citation.memory_id}]")
            if citation.excerpt:
                assert quoted.strip("\u2026") in texts[citation.memory_id]
            else:
                assert quoted == texts[citation.memory_id]
            assert f"[{citation.memory_id}]" in line
            assert 0.0 <= citation.score <= 1.0
        scores = [citation.score for citation in block.citations]
        assert scores == sorted(scores, reverse=True)
        if token_budget >= 500:
            assert texts[block.citations[0].memory_id] == self.CORPUS[1]

    @clause("add", "context", "scopes")
    @pytest.mark.parametrize("setting", ["none", "token_counter", "reranker"])
    async def test_context_takes_in_what_is_below_a_scope(self, setting: str) -> None:
        """Also where the text is made by the client, from what it searched for itself."""
        inside = [
            await self.memory.add(content=f"she drinks green tea ({place})", user_id=self.user, scope=scope)
            for place, scope in enumerate(("food", "food/drinks", "food/drinks/hot"))
        ]
        await self.memory.add(content="green tea in another place", user_id=self.user, scope="foods")
        settings: dict[str, Any] = {"token_counter": len} if setting == "token_counter" else {}
        if setting == "reranker":
            settings["reranker"] = _ByLength()
        async with self.client(**settings) as client:
            block = await client.context("green tea", self.user, scope="food", token_budget=1000)
            assert {citation.memory_id for citation in block.citations} == {record.id for record in inside}
            if setting == "reranker":
                found = await client.search("green tea", self.user, scope="food")
                assert [result.memory.id for result in found] == [inside[0].id]

    @clause("add", "context")
    async def test_a_memory_of_many_lines_is_one_line_of_context(self) -> None:
        record = await self.memory.add(content="green\n\ntea\r\n- and milk", user_id=self.user)
        block = await self.memory.context("green tea", self.user)
        assert len(block.text.splitlines()) == 1
        assert [citation.memory_id for citation in block.citations] == [record.id]

    @clause("add", "context")
    async def test_a_memory_over_the_budget_is_quoted_in_part(self) -> None:
        answer = "The piano tuner comes on the last Friday."
        talk = "She asked when the piano tuner comes. " * 20
        record = await self.memory.add(content=f"{talk}{answer} {talk.strip()}", user_id=self.user)
        block = await self.memory.context("piano tuner, last Friday", self.user, token_budget=120)
        assert answer in block.text
        assert block.token_count <= 120
        [citation] = block.citations
        assert (citation.memory_id, citation.excerpt) == (record.id, True)
        assert block.omitted == []

    @clause("add", "context")
    async def test_context_tells_what_it_leaves_out(self) -> None:
        record = await self.memory.add(content="green tea", user_id=self.user)
        block = await self.memory.context("green tea", self.user, token_budget=1)
        assert (block.text, block.citations, block.token_count) == ("", [], 0)
        assert [(memory.memory_id, memory.reason) for memory in block.omitted] == [(record.id, "budget")]

    @clause("context")
    async def test_context_of_nothing(self) -> None:
        block = await self.memory.context("tea", self.user)
        assert (block.text, block.citations, block.token_count) == ("", [], 0)

    # Audit

    @clause("add", "get", "update", "delete", "list", "search", "context", "audit", "supports_audit", "scopes")
    async def test_every_verb_leaves_one_entry(self) -> None:
        async with self.client(app="notes") as client:
            record = await client.add(content="tea", user_id=self.user, scope="a/b")
            await client.get(record.id)
            await client.update(record.id, confidence=0.5)
            await client.list(self.user)
            await client.search("tea", self.user, scope="a/*")
            await client.context("tea", self.user, scope="a")
            audits_reads = (await client.capabilities()).features.audits_reads
            await client.audit(self.user)
            await client.delete(record.id)
            entries = await client.audit(self.user)
        reads = [("context", None, "a"), ("search", None, "a/*"), ("list", None, None), ("get", record.id, "a/b")]
        expected = [
            ("delete", record.id, "a/b"),
            *reads[:3],
            ("update", record.id, "a/b"),
            *reads[3:],
            ("add", record.id, "a/b"),
        ]
        assert [(entry.action, entry.memory_id, entry.scope) for entry in entries] == [
            entry for entry in expected if audits_reads is not False or entry not in reads
        ]
        assert {entry.app for entry in entries} == {"notes"}
        assert all(entry.request_id for entry in entries)
        assert len({entry.request_id for entry in entries}) == len(entries)
        times = [entry.timestamp for entry in entries]
        assert times == sorted(times, reverse=True)
        assert times[-1].utcoffset() == timedelta(0)

    @clause("add", "audit", "supports_audit")
    async def test_the_app_of_an_entry_is_the_client_s_or_else_the_source_s(self) -> None:
        async with self.client(app="client") as client:
            await client.add(content="a", user_id=self.user, source={"app": "source"})
        await self.memory.add(content="b", user_id=self.user, source={"app": "source"})
        await self.memory.add(content="c", user_id=self.user)
        assert [entry.app for entry in await self.memory.audit(self.user)] == [None, "source", "client"]
        assert [entry.app for entry in await self.memory.audit(self.user, app="source")] == ["source"]

    @clause("add", "audit", "supports_audit")
    async def test_audit_can_be_cut(self) -> None:
        for n in range(4):
            await self.memory.add(content=f"tea {n}", user_id=self.user)
        entries = await self.memory.audit(self.user)
        assert await self.memory.audit(self.user, limit=2) == entries[:2]
        since = entries[1].timestamp
        for given in (since, since.replace(tzinfo=None), since.isoformat()):
            assert await self.memory.audit(self.user, since=given) == [e for e in entries if e.timestamp >= since]

    @clause("add", "get", "update", "delete", "audit", "supports_audit", "supports_supersession")
    async def test_what_fails_leaves_no_entry(self) -> None:
        record = await self.memory.add(content="tea", user_id=self.user)
        before = await self.memory.audit(self.user)
        with pytest.raises(InvalidRequestError):
            await self.memory.add(content="x", user_id=self.user, supersedes=["mem_unknown"])
        with pytest.raises(InvalidRequestError):
            await self.memory.update(record.id, supersedes=["mem_unknown"])
        assert await self.memory.audit(self.user) == before

    @clause("add", "get", "update", "delete", "audit", "supports_audit")
    async def test_what_is_denied_leaves_no_entry(self) -> None:
        record = await self.memory.add(content="tea", user_id=self.user)
        before = await self.memory.audit(self.user)
        await self._denied_everything(record.id)
        assert await self.memory.audit(self.user) == before

    async def _denied_everything(self, id: str) -> None:
        async with self.client(grants=["read:b", "write:b", "delete:b"]) as limited:
            for verb, arguments in [("get", {}), ("update", {"confidence": 1.0}), ("delete", {})]:
                with pytest.raises(ScopeDeniedError):
                    await getattr(limited, verb)(id, **arguments)

    @clause("add", "get", "list", "audit", "supports_audit")
    async def test_the_audit_of_reads_can_be_left_out(self) -> None:
        async with self.client(audit="writes") as client:
            record = await client.add(content="tea", user_id=self.user)
            await client.get(record.id)
            await client.list(self.user)
        assert [entry.action for entry in await self.memory.audit(self.user)] == ["add"]

    @clause("add", "get", "audit", "supports_audit")
    async def test_audit_can_be_off(self) -> None:
        async with self.client(audit="off") as client:
            record = await client.add(content="tea", user_id=self.user)
            await client.get(record.id)
            assert (await client.capabilities()).features.supports_audit is False
        assert await self.memory.audit(self.user) == []

    # Grants

    async def _three_scopes(self) -> tuple[MemoryRecord, MemoryRecord, MemoryRecord]:
        coding = await self.memory.add(content="tea of coding", user_id=self.user, scope="coding/python")
        health = await self.memory.add(content="tea of health", user_id=self.user, scope="health")
        bare = await self.memory.add(content="tea of none", user_id=self.user)
        return coding, health, bare

    @clause("add", "get", "list", "search", "context", "scopes")
    async def test_read_grants_narrow_every_read(self) -> None:
        coding, health, bare = await self._three_scopes()
        async with self.client(grants=["read:coding/*"]) as limited:
            assert (await limited.get(coding.id)).id == coding.id
            for record in (health, bare):
                with pytest.raises(ScopeDeniedError, match="read:"):
                    await limited.get(record.id)
            for scope in (None, "coding/*", "coding/python"):
                assert [item.id for item in (await limited.list(self.user, scope=scope)).items] == [coding.id]
                assert [hit.memory.id for hit in await limited.search("tea", self.user, scope=scope)] == [coding.id]
                block = await limited.context("tea", self.user, scope=scope)
                assert [citation.memory_id for citation in block.citations] == [coding.id]
            for scope in ("*", "health", "coding"):
                with pytest.raises(ScopeDeniedError, match=re.escape(f"read:{scope}")):
                    await limited.list(self.user, scope=scope)
                with pytest.raises(ScopeDeniedError):
                    await limited.search("tea", self.user, scope=scope)
                with pytest.raises(ScopeDeniedError):
                    await limited.context("tea", self.user, scope=scope)

    @clause("add", "get", "list", "search", "scopes")
    async def test_grants_add_up_and_a_star_covers_everything(self) -> None:
        coding, health, bare = await self._three_scopes()
        async with self.client(grants=["read:coding/*", "read:health"]) as limited:
            assert {item.id for item in (await limited.list(self.user)).items} == {coding.id, health.id}
            assert {hit.memory.id for hit in await limited.search("tea", self.user)} == {coding.id, health.id}
        async with self.client(grants=["read:*"]) as limited:
            assert (await limited.get(bare.id)).id == bare.id
            assert len((await limited.list(self.user)).items) == 3
            assert len((await limited.list(self.user, scope="*")).items) == 2

    @clause("add", "audit", "supports_audit", "scopes")
    async def test_read_grants_narrow_the_audit(self) -> None:
        coding, _, _ = await self._three_scopes()
        async with self.client(grants=["read:coding/*"]) as limited:
            assert [entry.memory_id for entry in await limited.audit(self.user)] == [coding.id]

    @clause("add", "get", "update", "scopes")
    async def test_write_grants_cover_add_and_update(self) -> None:
        coding, health, bare = await self._three_scopes()
        async with self.client(grants=["write:coding/*"]) as limited:
            added = await limited.add(content="more", user_id=self.user, scope="coding/x")
            assert (await limited.update(coding.id, confidence=0.1)).confidence == 0.1
            assert (await limited.update(added.id, scope="coding/y")).scope == "coding/y"
            for scope in ("health", "coding", None):
                with pytest.raises(ScopeDeniedError, match="write:"):
                    await limited.add(content="more", user_id=self.user, scope=scope)
                with pytest.raises(ScopeDeniedError, match="write:"):
                    await limited.update(coding.id, content="moved", scope=scope)
            for record in (health, bare):
                with pytest.raises(ScopeDeniedError, match="write:"):
                    await limited.update(record.id, content="changed")
                with pytest.raises(ScopeDeniedError, match="write:"):
                    await limited.update(record.id, content="taken", scope="coding/z")
                assert await self.memory.get(record.id) == record
        assert (await self.memory.get(coding.id)).content == coding.content

    @clause("add", "get", "supports_supersession", "scopes")
    async def test_nobody_supersedes_what_he_may_not_write(self) -> None:
        _, health, _ = await self._three_scopes()
        async with self.client(grants=["write:coding/*"]) as limited:
            with pytest.raises((InvalidRequestError, ScopeDeniedError)):
                await limited.add(content="x", user_id=self.user, scope="coding/x", supersedes=[health.id])
        assert await self.memory.get(health.id) == health

    @clause("add", "get", "delete", "scopes")
    async def test_delete_grants_cover_delete(self) -> None:
        coding, health, bare = await self._three_scopes()
        async with self.client(grants=["delete:health", "read:*", "write:*"]) as limited:
            await limited.delete(health.id)
            for record in (coding, bare):
                with pytest.raises(ScopeDeniedError, match="delete:"):
                    await limited.delete(record.id)
                assert await self.memory.get(record.id) == record
            with pytest.raises(NotFoundError):
                await limited.delete(health.id)

    @clause()
    async def test_verbs_without_any_grant_are_denied_before_anything_is_sent(self) -> None:
        capabilities = await self.memory.capabilities()
        for grants, allowed in [([], ()), (["read:a"], cases.READS), (["write:a"], ("update",))]:
            async with self._sealed(grants=grants) as sealed:
                for verb in {*cases.VALID} - {*allowed, "wait_for_ingest"}:
                    if self.offers(capabilities, verb):
                        with pytest.raises(ScopeDeniedError) as denial:
                            await getattr(sealed, verb)(**cases.VALID[verb])
                        assert (denial.value.code, denial.value.type) == ("scope_denied", "auth")
                        assert denial.value.request_id

    # What is refused

    @clause()
    @pytest.mark.parametrize("verb", cases.VALID)
    async def test_wrong_arguments_are_refused_before_anything_is_sent(self, verb: str) -> None:
        async with self._sealed() as sealed:
            for name, field, arguments in cases.refused_calls():
                if name == verb:
                    with pytest.raises(InvalidRequestError, match=field) as refusal:
                        await getattr(sealed, verb)(**arguments)
                    assert (refusal.value.code, refusal.value.type) == ("invalid_request", "invalid")

    @clause()
    async def test_unknown_keywords_are_errors(self) -> None:
        for verb, arguments in cases.VALID.items():
            with pytest.raises(InvalidRequestError if verb == "add" else TypeError, match="nonsense"):
                await getattr(self.memory, verb)(**arguments, nonsense=1)

    @clause("add", "get", "max_content_length")
    async def test_content_is_bounded_as_advertised(self) -> None:
        bound = (await self.memory.capabilities()).features.max_content_length
        assert bound is not None
        record = await self.memory.add(content="é" * bound, user_id=self.user)
        assert (await self.memory.get(record.id)).content == "é" * bound
        for verb, arguments in [
            ("add", {"content": "é" * (bound + 1), "user_id": self.user}),
            ("update", {"id": record.id, "content": "é" * (bound + 1)}),
            ("search", {"query": "é" * (bound + 1), "user_id": self.user}),
            ("context", {"query": "é" * (bound + 1), "user_id": self.user}),
        ]:
            if self.offers(await self.memory.capabilities(), verb):
                with pytest.raises(InvalidRequestError, match=r"^(content|query):"):
                    await getattr(self.memory, verb)(**arguments)

    # Awkward text

    @clause("add", "get")
    @pytest.mark.parametrize("text", cases.HOSTILE.values(), ids=cases.HOSTILE)
    async def test_awkward_text_comes_back_from_every_field(self, text: str) -> None:
        extensions: dict[str, Any] = {"x-app": {text: [text, {"nested": text}]}}
        record = await self.memory.add(
            content=text,
            user_id=self.user + text[:400],
            tags=[text],
            source={"app": text, "ref": text},
            **extensions,
        )
        again = await self.memory.get(record.id)
        assert again == record
        assert (again.content, again.user_id, again.tags) == (text, self.user + text[:400], [text])
        assert again.source is not None
        assert (again.source.app, again.source.ref) == (text, text)
        assert again.extensions == extensions

    @clause("add", "get", "list", "search", "context", "scopes")
    async def test_two_halves_of_a_character_are_one(self) -> None:
        halves, whole = cases.HALVES, cases.WHOLE
        user = self.user + halves
        arguments: dict[str, Any] = {
            "content": f"likes {halves} tea",
            "scope": f"{halves}/x",
            "tags": [halves],
            "source": {"app": halves, "ref": halves, halves: halves},
            "x-app": {halves: [halves, {halves: halves}]},
        }
        added = [await self.memory.add(user_id=user, **arguments)]
        if self.offers(await self.memory.capabilities(), "add_many"):
            added += await self.memory.add_many([{"user_id": user, **arguments}])
        for record in added:
            assert (record.content, record.user_id, record.scope) == (
                f"likes {whole} tea",
                self.user + whole,
                f"{whole}/x",
            )
            assert record.tags == [whole]
            assert record.source is not None
            assert record.source.to_wire() == {"app": whole, "ref": whole, whole: whole}
            assert record.extensions == {"x-app": {whole: [whole, {whole: whole}]}}
            assert await self.memory.get(record.id) == record
        selections: list[dict[str, Any]] = [{"scope": f"{halves}/*"}, {"tag": halves}]
        for filters in selections:
            assert len((await self.memory.list(user, **filters)).items) == len(added)
        assert len(await self.memory.search(f"{halves} tea", user, scope=f"{halves}/x")) == len(added)
        assert f"likes {whole} tea" in (await self.memory.context(f"{halves} tea", user, scope=halves)).text
        async with self.client(app=halves, grants=[f"read:{halves}/*"]) as client:
            assert len((await client.list(user)).items) == len(added)

    @clause("add", "get", "update")
    async def test_two_halves_of_a_character_are_one_in_an_update(self) -> None:
        added = await self.memory.add(content="tea", user_id=self.user)
        updated = await self.memory.update(added.id, content=f"{cases.HALVES} tea", tags=[cases.HALVES])
        assert (updated.content, updated.tags) == (f"{cases.WHOLE} tea", [cases.WHOLE])
        assert await self.memory.get(added.id) == updated

    @clause("add", "list", "search", "context", "scopes")
    @pytest.mark.parametrize("text", cases.HOSTILE.values(), ids=cases.HOSTILE)
    async def test_awkward_text_selects_as_it_stands(self, text: str) -> None:
        scope = "/".join(filter(str.strip, text.replace("*", "").split("/")))
        user = self.user + text[:400]
        added = await self.memory.add(content=text, user_id=user, scope=f"{scope}/x", tags=[text])
        await self.memory.add(content="tea", user_id=user, scope="other", tags=["other"])
        selections: list[dict[str, Any]] = [{"scope": f"{scope}/x"}, {"scope": f"{scope}/*"}, {"tag": text}]
        for filters in selections:
            assert [item.id for item in (await self.memory.list(user, **filters)).items] == [added.id]
        for hit in await self.memory.search(text, user, scope=f"{scope}/*"):
            assert hit.memory.id == added.id
        for citation in (await self.memory.context(text, user, scope=scope)).citations:
            assert citation.memory_id == added.id

    @clause("add", "audit", "supports_audit")
    @pytest.mark.parametrize("app", cases.HOSTILE.values(), ids=cases.HOSTILE)
    async def test_awkward_text_selects_audit_entries_as_it_stands(self, app: str) -> None:
        added = [
            await self.memory.add(content="tea", user_id=self.user, source={"app": name}) for name in (app, "other")
        ]
        assert [entry.memory_id for entry in await self.memory.audit(self.user, app=app)] == [added[0].id]

    @clause("add", "get", "update", "delete")
    @pytest.mark.parametrize("text", cases.HOSTILE.values(), ids=cases.HOSTILE)
    async def test_awkward_ids_name_nothing(self, text: str) -> None:
        stays = await self.memory.add(content="tea", user_id=self.user)
        for verb, arguments in [("get", {}), ("update", {"content": "x"}), ("delete", {})]:
            with pytest.raises(NotFoundError):
                await getattr(self.memory, verb)(id=text, **arguments)
        assert await self.memory.get(stays.id) == stays

    @clause("add", "get", "search")
    @pytest.mark.parametrize("unit", ["слово ", "🫠", "x", "a-b_c.d@e "], ids=ascii)
    async def test_long_content_comes_back(self, unit: str) -> None:
        bound = (await self.memory.capabilities()).features.max_content_length or LONGEST_TEXT
        length = min(bound, LONGEST_TEXT)
        content = (unit * length)[:length].strip() + "."
        record = await self.memory.add(content=content[-length:], user_id=self.user)
        assert (await self.memory.get(record.id)).content == content[-length:]
        assert all(hit.memory.id == record.id for hit in await self.memory.search(unit.strip(), self.user))

    # Life cycle

    @clause()
    async def test_a_client_connects_by_itself(self) -> None:
        client = self.client()
        try:
            if self.offers(await client.capabilities(), "list"):
                assert (await client.list(self.user)).items == []
        finally:
            await client.close()

    @clause()
    async def test_calls_that_wait_for_one_failed_connection_have_errors_of_their_own(self) -> None:
        capabilities = await self.memory.capabilities()
        client = self.client()

        async def fail() -> None:
            await client._client.provider.ports.sleep(0.2)
            raise ProviderError("the backend is away", code="provider_unavailable")

        with mock.patch.object(client._client.provider, "open", fail):
            verbs = [verb for verb in cases.VALID if self.offers(capabilities, verb)]
            calls = [functools.partial(getattr(client, verb), **cases.VALID[verb]) for verb in verbs]
            errors = await self.mode.at_once(*calls)
            for error in errors:
                assert isinstance(error, ProviderError)
                assert (error.code, error.message) == ("provider_unavailable", "the backend is away")
                assert error.provider
            assert len({error.request_id for error in errors} - {None}) == len(verbs)
        await client.close()

    @clause()
    async def test_a_closed_client_says_so(self) -> None:
        async with self.client() as client:
            await client.capabilities()
        await client.close()
        await client.close()
        for verb, arguments in {**cases.VALID, "capabilities": {}}.items():
            with pytest.raises(RuntimeError, match="Memory is closed"):
                await getattr(client, verb)(**arguments)
        with pytest.raises(RuntimeError, match="Memory is closed"):
            async with client:
                pass

    @clause()
    async def test_a_client_that_was_never_used_can_be_closed(self) -> None:
        client = self.client()
        await client.close()
        await client.close()

    @clause()
    async def test_the_block_of_a_client_lets_errors_through_and_closes(self) -> None:
        client = self.client()
        with pytest.raises(ZeroDivisionError):
            async with client:
                raise ZeroDivisionError
        with pytest.raises(RuntimeError, match="is closed"):
            await client.capabilities()

    @clause()
    @pytest.mark.parametrize("grants", [["read"], ["fly:a"], ["read:"], ["read:a*"], "read:*", [5], [""]], ids=repr)
    async def test_malformed_grants_are_refused(self, grants: Any) -> None:
        with pytest.raises(InvalidRequestError, match="grants"):
            self.client(grants=grants)


class _Sealed:
    """A client whose provider must not be opened: what it refuses, it refuses before any I/O."""

    def __init__(self, client: AsyncMemory) -> None:
        self._client = client
        self._seal = mock.patch.object(client._client.provider, "open", self._fail)

    async def _fail(self) -> None:
        raise AssertionError("the provider was opened for a call that it has to refuse")

    async def __aenter__(self) -> AsyncMemory:
        self._seal.start()
        return self._client

    async def __aexit__(self, *error: object) -> None:
        self._seal.stop()
        await self._client.close()
