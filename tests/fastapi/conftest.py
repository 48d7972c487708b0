"""What the tests of FastAPI services share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from funcx_async.local import LocalService
from tests.fastapi.service import divide, simulate
from tests.fastapi.serving import Server, client_of, pointing_at, served


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=1) as running:
        yield running


@pytest.fixture
async def server(service: LocalService) -> AsyncIterator[Server]:
    """The application behind a real server, in a process of its own, that stops well."""
    application = "tests.fastapi.service:app"
    async with served(application, variables=pointing_at(service)) as running:
        yield running
        if running.process.returncode is None:
            told = await running.stopped()
            assert "Application shutdown complete" in told
            assert "Traceback" not in told


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(server) as made:
        yield made


@pytest.fixture
async def functions(service: LocalService) -> dict[str, str]:
    """The ids of registered functions, by their names."""
    async with service.executor() as executor:
        return {
            each.__name__: await executor.register_function(each) for each in (simulate, divide)
        }
