"""A running service, and the way to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from funcx_async.local import LocalService
from tests.brokers import require, with_rabbitmq
from tests.local.dialogue import Rest, rest_of


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=1) as running:
        yield running


@pytest.fixture
async def rest(service: LocalService) -> AsyncIterator[Rest]:
    async with rest_of(service) as talking:
        yield talking


@pytest.fixture(params=with_rabbitmq("embedded"))
async def either(request: pytest.FixtureRequest) -> AsyncIterator[Rest]:
    """A service on the embedded broker, and one on a RabbitMQ."""
    amqp_url = require() if request.param == "rabbitmq" else None
    async with LocalService(workers=1, amqp_url=amqp_url) as running, rest_of(running) as talking:
        yield talking
        await running.faults.delete_queues()
