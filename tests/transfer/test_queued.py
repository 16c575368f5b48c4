"""Backends that take memories, and process them later."""

from __future__ import annotations

from pathlib import Path

from openmem import Memory, transfer
from openmem.transfer import Choice

from ..properties.strategies import new_user
from ..supermemory.service import KEY, Service


def test_what_is_queued_is_told_and_is_not_missing(tmp_path: Path) -> None:
    user, path = new_user(), tmp_path / "f"
    with Memory("memory", embedder="hashing") as source:
        first = source.add(content="Maya eats fish", user_id=user)
        source.add(content="Maya is vegan", user_id=user, supersedes=[first.id])
        transfer.export(source, path, Choice(users=[user]))
    with Service() as service, Memory("supermemory", host=service.url, api_key=KEY) as target:
        report = transfer.import_(target, "omp", path)
        assert (report.written, report.queued) == (2, 2)
        assert "2 are queued, and can be searched later" in list(report.lines())
        for report in (transfer.verify(target, "omp", path), transfer.import_(target, "omp", path)):
            assert (report.equal, report.written, report.changed, report.queued) == (2, 0, 0, 0)
        assert target.count(user) == 2
