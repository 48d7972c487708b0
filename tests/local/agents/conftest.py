"""A service that takes agents, on each broker, and an agent's stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from funcx_async.local import LocalService
from tests.brokers import require, with_rabbitmq
from tests.local.agents.stand_in import StandIn, stand_in
from tests.local.dialogue import Rest, rest_of


@pytest.fixture(params=with_rabbitmq("embedded"))
def amqp_url(request: pytest.FixtureRequest) -> str | None:
    return require() if request.param == "rabbitmq" else None


@pytest.fixture
async def rest(amqp_url: str | None) -> AsyncIterator[Rest]:
    async with (
        LocalService(workers=1, amqp_url=amqp_url, agents=True) as service,
        rest_of(service) as talking,
    ):
        yield talking


@pytest.fixture
async def agent(rest: Rest) -> AsyncIterator[StandIn]:
    """An agent that has registered."""
    async with stand_in(rest) as standing:
        await standing.register()
        yield standing
