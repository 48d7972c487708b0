"""The page on compatibility: every test that it names is there, and every departure is told."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.oracles.departures import DEPARTURES

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "compatibility.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def functions_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED}))
def test_every_test_that_the_page_names_is_there(path: str):
    named = {name for known, name in NAMED if known == path}
    assert named - functions_in(ROOT / path) == set()


def test_every_row_names_a_test():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if "::test_" not in row] == []


def test_every_departure_is_told_with_its_reason():
    told = [line for line in PAGE.splitlines() if line.startswith("| ")]
    for each in DEPARTURES:
        assert f"| {each.step} | `{each.official}` | {each.reason} |" in told
    last = PAGE.partition("## Where the same program gives something else")[2]
    assert last.count("\n| ") == len(DEPARTURES) + 1, "no departure is told that is none"
