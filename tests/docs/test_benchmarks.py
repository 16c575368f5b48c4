"""The published results of the benchmark are what its committed JSON says, and its figures are right."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.results import RESULT, Result
from benchmarks.tables import all_grids, summary, times

ROOT = Path(__file__).parents[2]


@pytest.fixture
def result() -> Result:
    return Result.model_validate_json((report.PUBLISHED / RESULT).read_text(encoding="utf-8"))


def test_the_published_tables_are_current() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "benchmarks.report", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_another_result_makes_other_pages(result: Result) -> None:
    name = result.systems[1]
    slower = result.search[name].model_copy(update={"p50": result.search[name].p50 * 10})
    other = result.model_copy(update={"search": result.search | {name: slower}})
    for part in report.PAGES.values():
        assert part(other) != part(result)


def test_the_part_between_the_markers_is_replaced_and_nothing_else() -> None:
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    fresh = report.page(text, "new")
    assert fresh.startswith("before\n")
    assert fresh.endswith("\nafter\n")
    assert "new" in fresh
    assert "old" not in fresh
    assert report.page(fresh, "new") == fresh


def test_every_row_is_as_long_as_its_head(result: Result) -> None:
    for grid in (*all_grids(result), summary(result)):
        assert grid.rows
        assert {len(row) for row in grid.rows} == {len(grid.heads)}, grid.title


@pytest.mark.parametrize(
    ("value", "floor", "shown"),
    [(1, 2, "0.50×"), (3, 2, "1.50×"), (1.994, 1, "1.99×"), (1.996, 1, "2.0×"), (9, 2, "4.5×")],
)
def test_multiples(value: float, floor: float, shown: str) -> None:
    assert times(value, floor) == shown


def test_the_pictures_of_the_page_are_there() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[.*?]\((.*?)\)", page)
    assert pictures
    for picture in pictures:
        assert (ROOT / "docs" / picture).read_bytes().startswith(b"\x89PNG")
