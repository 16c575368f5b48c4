"""The names that authors of providers and edges may rely on. To change one is to break their code."""

from __future__ import annotations

import importlib

import pytest

PROMISED = {
    "openmem.client": "Client ITERATED_PAGE",
    "openmem.config": "AuditMode ClientConfig DEFAULT_POOL_TIMEOUT_SECONDS",
    "openmem.embedders": "Embedder embedder_for resolve_embedder",
    "openmem.operations": "Add AddMany AdministrativeOperation Audit CHANGEABLE Context ContextSearch Count Delete "
    "DeleteMany "
    "Facets ForgetUser Get GetByKey History InRecord List MAX_TOKEN_BUDGET MemoryInput Name Operation Progress Purge "
    "Put Reembed Reindex Restore RestoredMemory ScopedQuery Search UNSET Unset Update Users VERBS Verbs WaitForIngest "
    "add_many_of check_json read_records restore_of",
    "openmem.ports": "Ports SdkCall run_blocking",
    "openmem.providers.base": "CONTEXT_CANDIDATES Call Position Provider Selection check_not_ended is_valid "
    "new_memory_id no_such_key no_such_memory unknown_superseded",
    "openmem.providers.memory": "MemoryStore",
    "openmem.rerankers": "Reranker reranker_for resolve_reranker",
    "openmem.server": "OmpServerConfig create_app",
    "openmem.testing": "ConformanceSuite Contract requires",
}


@pytest.mark.parametrize("name", PROMISED)
def test_the_names_of_a_module(name: str) -> None:
    module = importlib.import_module(name)
    assert sorted(module.__all__) == sorted(PROMISED[name].split())
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
