"""Spreading tables over a cluster, where there is none."""

from __future__ import annotations

import pytest

from openmem import InvalidRequestError, ProviderError
from openmem.scaling import scale_out


def test_a_database_without_citus(database: str) -> None:
    for dry_run in (True, False):
        with pytest.raises(ProviderError, match="CREATE EXTENSION citus"):
            scale_out(database, dry_run=dry_run)


@pytest.mark.parametrize("shards", [0, 1025])
def test_a_number_of_shards_that_makes_no_sense(shards: int) -> None:
    with pytest.raises(InvalidRequestError, match="shards: "):
        scale_out("postgresql://nowhere/omp", shards=shards)


def test_a_schema_that_has_no_such_name() -> None:
    with pytest.raises(InvalidRequestError, match="schema: "):
        scale_out("postgresql://nowhere/omp", schema="Mine")
