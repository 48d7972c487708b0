"""A file for a journal, and journals on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from funcx_async._journal import Journal

Reopen = Callable[[], Journal]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.journal"


@pytest.fixture
async def reopen(path: Path) -> AsyncIterator[Reopen]:
    """Closes the journal of before and opens the next; closes the last."""
    journals: list[Journal] = []

    def again() -> Journal:
        if journals:
            journals[-1].close()
        journals.append(Journal(path, service_url="http://127.0.0.1:8000", api="v3"))
        return journals[-1]

    yield again
    if journals:
        await journals[-1].aclose()


@pytest.fixture
async def journal(reopen: Reopen) -> Journal:
    return reopen()
