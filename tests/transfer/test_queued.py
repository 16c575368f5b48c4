"""Backends that take memories, and process them later, or would have a model make others of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmem import InvalidRequestError, Memory, transfer
from openmem.transfer import Choice, ImportSettings

from ..mem0.service import KEY as MEM0_KEY
from ..mem0.service import Service as Mem0Service
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


def test_no_model_makes_other_memories_of_what_is_imported(tmp_path: Path) -> None:
    user, path = new_user(), tmp_path / "f"
    with Memory("memory", embedder="hashing") as source, Mem0Service() as service:
        source.add_many([{"content": "Maya is vegan", "user_id": user, "x-mem0": {"infer": True}}])
        transfer.export(source, path, Choice(users=[user]))
        with Memory("mem0", api_key=MEM0_KEY, host=service.url, infer=True) as inferring:
            for dry_run in (True, False):
                with pytest.raises(InvalidRequestError, match="infer: provider 'mem0' would have a model"):
                    transfer.import_(inferring, "omp", path, ImportSettings(dry_run=dry_run))
            with pytest.raises(InvalidRequestError, match="infer"):
                transfer.migrate(source, inferring, Choice(users=[user]))
            assert transfer.verify(inferring, "omp", path).written == 1
        assert "POST /v3/memories/add/" not in service.verbs
        with Memory("mem0", api_key=MEM0_KEY, host=service.url) as target:
            assert transfer.import_(target, "omp", path).written == 1
        [added] = [request for request in service.requests if request.verb == "POST /v3/memories/add/"]
        assert added.body["infer"] is False
