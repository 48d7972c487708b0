"""A local service for a module's tests, and an executor for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from funcx_async import FuncXExecutor
from funcx_async.local import LocalService


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=2) as running:
        yield running


@pytest.fixture
async def executor(service: LocalService) -> AsyncIterator[FuncXExecutor]:
    opened = service.executor()
    yield opened
    async with asyncio.timeout(20):
        await opened.shutdown(cancel_futures=True)
