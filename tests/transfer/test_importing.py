"""What an import stores, what it tells, and what it does the second time."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from openmem import AsyncMemory, InvalidRequestError, Memory, ProviderError, transfer
from openmem._ids import bucket_of
from openmem.server import OmpServerConfig
from openmem.transfer import Changes, Choice, ImportSettings, Place, Reader, Source, SourceRecord
from openmem.transfer import importing as importing_module
from openmem.transfer import targets as targets_module
from openmem.wire.replies import AllRestored

from ..properties.strategies import new_user
from ..server.harness import running
from ..servers import Server
from .files import memory, write


def exported(store: Memory, path: Path, count: int, **fields: Any) -> tuple[str, Path]:
    """A user with memories, and a file of them."""
    user = new_user()
    store.add_many([{"content": f"fact {number}", "user_id": user, **fields} for number in range(count)])
    transfer.export(store, path, Choice(users=[user]))
    return user, path


def test_ids_of_others_become_ids_of_the_user_always_the_same(store: Memory, tmp_path: Path) -> None:
    user = new_user()
    first = memory("a", user, tags=["t"], metadata={"n": 1})
    second = memory("b", user, supersedes=["a", "unknown"])
    path = write(tmp_path / "f", [first, second])
    report = transfer.import_(store, "omp", path)
    assert (report.read, report.written, report.renamed) == (2, 2, 2)
    a, b = sorted(store.list(user), key=lambda record: record.content)
    assert (a.content, a.tags, a.metadata) == ("about a", ["t"], {"n": 1})
    assert b.supersedes is not None
    assert b.supersedes[0] == a.id
    assert a.extensions["x-omp-import"]["id"] == "a"
    again = transfer.import_(store, "omp", path)
    assert (again.written, again.equal) == (0, 2)
    assert store.count(user) == 2


def test_users_who_share_a_bucket_each_get_their_own(store: Memory, tmp_path: Path) -> None:
    first = new_user()
    second = next(user for user in iter(new_user, None) if bucket_of(user) == bucket_of(first))
    path = write(tmp_path / "f", [memory("a", first)])
    for user in (first, second):
        settings = ImportSettings(changes=Changes(users={first: user}))
        assert transfer.import_(store, "omp", path, settings).written == 1
        assert transfer.import_(store, "omp", path, settings).equal == 1
    assert (store.count(first), store.count(second)) == (1, 1)


def test_a_dry_run_writes_nothing_and_reports_the_same(store: Memory, other: Memory, tmp_path: Path) -> None:
    user, path = exported(store, tmp_path / "f", 5)
    dry = transfer.import_(other, "omp", path, ImportSettings(dry_run=True))
    assert other.count(user) == 0
    real = transfer.import_(other, "omp", path)
    assert other.count(user) == 5
    assert {**dry.to_json(), "dry_run": False} == real.to_json()
    assert "would be written" in next(dry.lines())


def test_what_was_changed_in_the_target_stays_and_is_told(store: Memory, other: Memory, tmp_path: Path) -> None:
    user, path = exported(store, tmp_path / "f", 3)
    transfer.import_(other, "omp", path)
    changed = other.list(user)[0]
    other.update(changed.id, tags=["mine"])
    report = transfer.import_(other, "omp", path)
    assert (report.equal, report.changed, report.written) == (2, 1, 0)
    [(place, names)] = report.changes
    assert place.line == 4
    assert set(names) == {"tags", "updated_at", "version"}
    assert other.get(changed.id).tags == ["mine"]


def test_users_are_mapped_and_scopes_get_a_prefix(store: Memory, other: Memory, tmp_path: Path) -> None:
    user, path = exported(store, tmp_path / "f", 2, scope="a/b")
    table = tmp_path / "users.csv"
    table.write_text(f"{user},new-{user}\n")
    changes = Changes(transfer.read_user_map(table), scope_prefix="moved")
    report = transfer.import_(other, "omp", path, ImportSettings(changes=changes))
    assert (report.written, report.renamed) == (2, 2)
    assert other.count(user) == 0
    assert {record.scope for record in other.list(f"new-{user}")} == {"moved/a/b"}
    assert transfer.import_(other, "omp", path, ImportSettings(changes=changes)).equal == 2


def test_a_record_without_a_user_needs_one(other: Memory, tmp_path: Path) -> None:
    user = new_user()
    nobody = {**memory("a"), "user_id": None}
    path = write(tmp_path / "f", [nobody])
    report = transfer.import_(other, "omp", path)
    assert report.written == 0
    assert "--user" in report.problems[0].reason
    assert transfer.import_(other, "omp", path, ImportSettings(changes=Changes(user=user))).written == 1
    assert other.count(user) == 1


def test_a_limit_and_a_rate(other: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = new_user()
    path = write(tmp_path / "f", [memory(f"m{number}", user) for number in range(9)])
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(other.client.provider.ports, "sleep", sleep)
    report = transfer.import_(other, "omp", path, ImportSettings(limit=6, rate=2.0))
    assert (report.read, other.count(user)) == (6, 6)
    assert len(slept) == 3
    assert 0 < slept[0] <= 1.0
    assert slept[2] > 1.0


def test_times_are_of_the_source_and_expired_memories_stay_away(store: Memory, tmp_path: Path) -> None:
    user = new_user()
    lived = memory("a", user, created_at="2001-02-03T04:05:06Z", valid_from="1999-01-01T00:00:00+02:00")
    gone = memory("b", user, expires_at="2020-01-01T00:00:00Z")
    report = transfer.import_(store, "omp", write(tmp_path / "f", [lived, gone]))
    assert (report.written, report.expired) == (1, 1)
    [record] = store.list(user)
    assert record.created_at.isoformat() == "2001-02-03T04:05:06+00:00"
    assert record.valid_from is not None
    assert record.valid_from.isoformat() == "1998-12-31T22:00:00+00:00"


def test_records_without_a_time_keep_the_order_of_the_source(store: Memory, tmp_path: Path) -> None:
    user = new_user()
    timeless = [memory(f"{number}", user) for number in range(20)]
    for one in timeless:
        del one["created_at"]
    path = write(tmp_path / "f", timeless)
    assert transfer.import_(store, "omp", path).written == 20
    assert [record.content for record in store.list(user, order="oldest")] == [one["content"] for one in timeless]
    assert transfer.import_(store, "omp", path).equal == 20


def test_what_the_backend_refuses_is_told_with_its_line_and_the_rest_is_stored(store: Memory, tmp_path: Path) -> None:
    user = new_user()
    taken = store.add(content="mine", user_id=user, key="k")
    lines = [memory(f"m{number}", user) for number in range(8)]
    lines[3]["key"] = "k"
    lines[5]["content"] = "x" * 70_000
    lines[6]["confidence"] = 7.0
    report = transfer.import_(store, "omp", write(tmp_path / "f", lines))
    assert (report.read, report.written, report.failed, report.invalid) == (8, 5, 2, 2)
    told = {problem.place.line: problem.reason for problem in report.problems}
    assert "key" in told[5]
    assert "70000" in told[7].replace(",", "")
    assert 8 in told
    assert not report.is_complete
    assert store.get(taken.id).content == "mine"


def test_ids_that_come_twice(store: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing_module, "BATCH_RECORDS", 2)
    user = new_user()
    one = memory("a", user)
    path = write(
        tmp_path / "f", [one, one, {**one, "content": "other"}, memory("b", user), one, {**one, "tags": ["x"]}]
    )
    report = transfer.import_(store, "omp", path)
    assert (report.written, report.equal) == (2, 2)
    assert [problem.place.line for problem in report.problems if problem.field == "id"] == [4, 7]
    assert store.count(user) == 2


def test_the_id_of_another_users_memory_is_not_touched(store: Memory, tmp_path: Path) -> None:
    victim, thief = new_user(), new_user()
    mine = store.add(content="mine", user_id=victim)
    report = transfer.import_(store, "omp", write(tmp_path / "f", [memory(mine.id, thief)]))
    assert report.renamed == report.written
    assert store.get(mine.id) == mine
    assert store.count(thief) == 1


def test_an_import_goes_on_where_the_target_died(
    store: Memory, other: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, path = exported(store, tmp_path / "f", 9)
    monkeypatch.setattr(importing_module, "BATCH_RECORDS", 2)
    monkeypatch.setattr(targets_module, "DELAYS_SECONDS", (0.0,))
    restore, calls = other.client.provider.restore, [0]

    async def dying(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] > 2:
            raise ProviderError("the server is gone", code="provider_unavailable")
        return await restore(*arguments)

    monkeypatch.setattr(other.client.provider, "restore", dying)
    report = transfer.import_(other, "omp", path)
    assert report.stopped is not None
    assert (report.written, calls[0]) == (4, 4)
    assert not report.is_complete
    monkeypatch.setattr(other.client.provider, "restore", restore)
    rest = transfer.import_(other, "omp", path)
    assert (rest.equal, rest.written, rest.stopped) == (4, 5, None)
    assert other.count(user) == 9


def test_what_a_try_whose_answer_was_lost_has_stored_is_written(
    store: Memory, other: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, path = exported(store, tmp_path / "f", 3)
    monkeypatch.setattr(targets_module, "DELAYS_SECONDS", (0.0,))
    restore, calls = other.client.provider.restore, [0]

    async def losing_the_first_answer(*arguments: Any) -> Any:
        stored = await restore(*arguments)
        calls[0] += 1
        if calls[0] == 1:
            raise ProviderError("the answer is lost", code="provider_unavailable")
        return stored

    monkeypatch.setattr(other.client.provider, "restore", losing_the_first_answer)
    report = transfer.import_(other, "omp", path)
    assert (report.written, report.equal, calls[0]) == (3, 0, 2)
    assert other.count(user) == 3


def test_progress_tells_how_much_of_the_file_was_read(
    store: Memory, other: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing_module, "BATCH_RECORDS", 100)
    _, path = exported(store, tmp_path / "f", 600, metadata={"n": "x" * 300})
    seen: list[transfer.Progress] = []
    transfer.import_(other, "omp", path, on_progress=seen.append)
    assert [progress.memories for progress in seen] == [100, 200, 300, 400, 500, 600]
    fractions = [progress.fraction or 0.0 for progress in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] > 0.99
    assert seen[2].expected == pytest.approx(600, rel=0.4)
    told: list[transfer.Progress] = []
    transfer.export(store, tmp_path / "g", on_progress=told.append)
    assert told[-1].memories == told[-1].total


def test_async_clients_move_memories_too(server: Server, store: Memory, tmp_path: Path) -> None:
    user, path = exported(store, tmp_path / "f", 700)

    async def move() -> Sequence[Any]:
        async with AsyncMemory("postgres", url=server.create_database(), embedder="hashing") as target:
            report = await transfer.async_import(target, "omp", path)
            verified = await transfer.async_verify(target, "omp", path)
            written = await transfer.async_export(target, tmp_path / "g", Choice(users=[user]))
            return report, verified, written

    report, verified, written = asyncio.run(move())
    assert report.written == written.memories == verified.equal == 700
    assert (verified.written, verified.extra) == (0, 0)
    assert (tmp_path / "f").read_bytes().split(b"\n")[1:] == (tmp_path / "g").read_bytes().split(b"\n")[1:]


def test_verify_tells_what_is_missing_changed_and_more(store: Memory, other: Memory, tmp_path: Path) -> None:
    user, path = exported(store, tmp_path / "f", 5)
    transfer.import_(other, "omp", path)
    first, second, *_ = other.list(user)
    other.delete(first.id)
    other.update(second.id, content="something else")
    other.add(content="one more", user_id=user)
    report = transfer.verify(other, "omp", path)
    assert (report.read, report.equal, report.changed, report.written, report.extra) == (5, 3, 1, 1, 1)
    assert other.count(user) == 5


def test_a_client_that_may_not_restore_adds(server: Server, tmp_path: Path) -> None:
    user = new_user()
    url = server.create_database()
    ended = memory("a", user, scope="w/x", key="k", valid_to="2026-01-31T12:00:00Z")
    path = write(tmp_path / "f", [ended, memory("b", user, supersedes=["a"]), memory("c", user, supersedes=["b"])])
    with Memory("postgres", url=url, embedder="hashing", grants=["read:*", "write:*"]) as limited:
        dry = transfer.import_(limited, "omp", path, ImportSettings(dry_run=True))
        report = transfer.import_(limited, "omp", path)
        assert dry.lost() == report.lost()
        assert (report.written, report.lost()) == (3, {"created_at": 3, "valid_from": 3, "valid_to": 1})
        again = transfer.import_(limited, "omp", path)
        assert (again.written, again.equal, again.changes[0][1]) == (0, 2, ("valid_to",))
        old, new, _ = limited.list(user, order="oldest")
        assert new.supersedes == [old.id]
        assert old.valid_from is not None
        assert old.valid_from.year == 2026


def test_the_server_takes_imports(server: Server, store: Memory, tmp_path: Path) -> None:
    _, path = exported(store, tmp_path / "f", 50)
    config = OmpServerConfig(settings={"url": server.create_database(), "embedder": "hashing"})
    with running(config) as served, Memory("passthrough", base_url=served.url) as remote:
        assert transfer.import_(remote, "omp", path).written == 50
        report = transfer.export(remote, tmp_path / "g")
        assert (report.memories, report.consistent) == (50, False)
        assert json.loads((tmp_path / "g").read_text().split("\n")[0])["consistent"] is False
        assert transfer.verify(remote, "omp", tmp_path / "g").is_complete


def test_a_wrong_prefix_is_refused_before_anything_is_read() -> None:
    with pytest.raises(InvalidRequestError, match="scope"):
        Changes(scope_prefix="a//b")
    with pytest.raises(InvalidRequestError, match="user_id"):
        Changes(user=" ")


@pytest.mark.parametrize("is_remote", [False, True])
def test_two_imports_at_once_tell_what_each_of_them_wrote(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_remote: bool
) -> None:
    monkeypatch.setattr(importing_module, "BATCH_RECORDS", 5)
    user, url = new_user(), server.create_database()
    with Memory("memory", embedder="hashing") as source:
        source.add_many({"content": f"fact {number}", "user_id": user} for number in range(20))
        transfer.export(source, tmp_path / "f")
    store, both_have_asked = targets_module.RestoringTarget.store, threading.Barrier(2, timeout=60)

    async def store_when_both_have_asked(*arguments: Any) -> None:
        both_have_asked.wait()
        await store(*arguments)

    monkeypatch.setattr(targets_module.RestoringTarget, "store", store_when_both_have_asked)
    backend = {"url": url, "embedder": "hashing"}
    with contextlib.ExitStack() as stack:
        if is_remote:
            running_server = stack.enter_context(running(OmpServerConfig(settings=backend)))
            arguments: dict[str, Any] = {"provider": "passthrough", "base_url": running_server.url}
        else:
            arguments = {"provider": "postgres", **backend}
        clients = [stack.enter_context(Memory(**arguments)) for _ in range(2)]
        workers = stack.enter_context(ThreadPoolExecutor(2))
        reports = list(workers.map(lambda client: transfer.import_(client, "omp", tmp_path / "f"), clients))
        assert clients[0].count(user) == 20
    assert sum(report.written for report in reports) == 20
    assert sum(report.equal for report in reports) == 20
    assert all(report.is_complete for report in reports)


def test_a_memory_that_another_has_stored_meanwhile_is_told_also_by_servers_that_do_not_say_what_was_there(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, url = new_user(), server.create_database()
    first = memory("mem_1", user)
    write(tmp_path / "earlier", [{**first, "content": "something else"}])
    write(tmp_path / "f", [first, memory("mem_2", user)])
    encode = AllRestored.encode
    monkeypatch.setattr(AllRestored, "encode", lambda reply, result: {"memories": encode(reply, result)["memories"]})
    store = targets_module.RestoringTarget.store
    with (
        running(OmpServerConfig(settings={"url": url, "embedder": "hashing"})) as served,
        Memory("passthrough", base_url=served.url) as remote,
        Memory("postgres", url=url, embedder="hashing") as other,
    ):

        async def store_after_another(*arguments: Any) -> None:
            monkeypatch.setattr(targets_module.RestoringTarget, "store", store)
            transfer.import_(other, "omp", tmp_path / "earlier")
            await store(*arguments)

        monkeypatch.setattr(targets_module.RestoringTarget, "store", store_after_another)
        report = transfer.import_(remote, "omp", tmp_path / "f")
    assert (report.written, report.equal, report.changed) == (1, 0, 1)
    assert report.changes[0][1] == ("content",)


def test_what_metadata_mean_is_the_same_though_a_backend_writes_them_otherwise(store: Memory, tmp_path: Path) -> None:
    user, path = new_user(), tmp_path / "f"
    with Memory("memory", embedder="hashing") as source:
        metadata = {"z": -0.0, "a": {"y": 1e23, "b": [{"d": 1.0, "c": -0.0}]}}
        source.add(content="tea", user_id=user, metadata=metadata)
        transfer.export(source, path)
    assert transfer.import_(store, "omp", path).lost() == {}
    for report in (transfer.verify(store, "omp", path), transfer.import_(store, "omp", path)):
        assert (report.equal, report.changed, report.written) == (1, 0, 0)
    assert store.list(user).items[0].metadata == metadata


def test_an_import_can_be_cancelled_while_a_thread_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    reads, goes_on, is_closed = threading.Event(), threading.Event(), threading.Event()

    def read(source: Source, options: Mapping[str, str]) -> Iterator[SourceRecord]:
        try:
            reads.set()
            assert goes_on.wait(60)
            yield SourceRecord("1", "u", {"content": "x"}, Place(1))
        finally:
            is_closed.set()

    async def cancelled() -> None:
        async with AsyncMemory("memory", embedder="hashing") as store:
            task = asyncio.create_task(transfer.async_import(store, "slow", Source(None, io.BytesIO(), "x")))
            assert await asyncio.to_thread(reads.wait, 60)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not is_closed.is_set()
            goes_on.set()
            assert await asyncio.to_thread(is_closed.wait, 60)

    monkeypatch.setattr(importing_module, "reader_for", lambda format: Reader("slow", "slow", read))
    asyncio.run(cancelled())
