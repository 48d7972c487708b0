"""A local service of each test's own, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from funcx_async import FuncXClient
from funcx_async.local import LocalService


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    """A running service."""
    async with LocalService(workers=1) as running:
        yield running


@pytest.fixture
async def client(service: LocalService) -> AsyncIterator[FuncXClient]:
    """A client of it."""
    async with service.client() as ours:
        yield ours
