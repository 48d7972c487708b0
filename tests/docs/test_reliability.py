"""The page of fault tolerance: what it says of the end of a program is held by tests."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT
from tests.test_compatibility import functions_in

PAGE = (ROOT / "docs" / "reliability.md").read_text()
SECTION = PAGE.partition("## When your program ends")[2].partition("\n## ")[0]
ROWS = [row for row in SECTION.splitlines() if row.startswith("| ")][1:]


def test_the_page_has_ten_moments_at_least():
    assert len(ROWS) >= 10


@pytest.mark.parametrize("row", ROWS)
def test_each_moment_names_a_test_that_is_there(row: str):
    ((path, name),) = re.findall(r"`(tests/[\w/]+\.py)::(\w+)` \|$", row)
    assert name in functions_in(ROOT / path)
