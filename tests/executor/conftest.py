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


@pytest.fixture
def environment(service: LocalService, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the local service tells other programs to export; exported here as well."""
    variables = {
        "FUNCX_ASYNC_SERVICE_URL": service.url,
        "FUNCX_ASYNC_TOKEN": service.token,
        "FUNCX_ASYNC_ENDPOINT_ID": service.endpoint_id,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables
