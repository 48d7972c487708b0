"""The way of each kind of user, from the README by one page to a first result."""

from __future__ import annotations

import re

import pytest

from docs.transcripts.__main__ import HERE, play
from docs.transcripts.stage import LIMIT
from docs.transcripts.users import USERS


@pytest.mark.parametrize("name", USERS)
def test_each_kind_of_user_came_to_a_first_result_in_five_minutes(name: str):
    told = re.search(r"(\d+) seconds in all", (HERE / f"{name}.md").read_text())
    assert told
    assert int(told[1]) < LIMIT
    assert f"({name}.md)" in (HERE / "index.md").read_text()


@pytest.mark.proof
@pytest.mark.timeout(280)
@pytest.mark.parametrize("name", USERS)
def test_each_kind_of_user_comes_to_a_first_result_today(name: str):
    assert "seconds in all" in play(name)
