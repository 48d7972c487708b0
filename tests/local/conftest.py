"""A running service, and the way to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from funcx_async.local import LocalService
from tests.local.dialogue import Rest, rest_of


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=2) as running:
        yield running


@pytest.fixture
async def rest(service: LocalService) -> AsyncIterator[Rest]:
    async with rest_of(service) as talking:
        yield talking
