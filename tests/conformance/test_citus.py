"""The reference backend on a Citus cluster that OPENMEM_CITUS_URL names, after `openmem scale-out` on it."""

from __future__ import annotations

import os
from typing import Any, Final

import psycopg
import pytest
from psycopg.sql import Literal

from openmem.testing import ConformanceSuite

from ..postgres.plans import written
from ..pure.test_statements import statements

CITUS: Final = os.environ.get("OPENMEM_CITUS_URL", "")
if not CITUS:
    pytest.skip("OPENMEM_CITUS_URL names no cluster", allow_module_level=True)


class TestCitus(ConformanceSuite):
    def make(self, **settings: Any) -> dict[str, Any]:
        return {"url": CITUS, "embedder": "hashing", **settings}


@pytest.mark.parametrize("is_in_transaction", [False, True])
def test_each_verb_of_one_user_is_one_task(is_in_transaction: bool) -> None:
    """Through the coordinator. A worker runs functions of its own shards at once, which no plan shows.

    Behind a pooler each call is a transaction of several statements.
    """
    with psycopg.connect(CITUS, autocommit=not is_in_transaction) as admin:
        for name, statement in statements("all", schema="openmem", vector_schema="public"):
            values = ", ".join(Literal(written(value)).as_string(admin) for value in statement.args)
            admin.execute(f"PREPARE verb AS {statement.sql}".encode())
            plan = "\n".join(line for (line,) in admin.execute(f"EXPLAIN EXECUTE verb ({values})".encode()))
            admin.execute("DEALLOCATE verb")
            admin.commit()
            assert plan.count("Task Count: 1") == 1, (name, plan)
            assert "Distributed Subplan" not in plan, name
