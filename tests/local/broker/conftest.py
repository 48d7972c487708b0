"""The brokers and clients that the conformance suite crosses."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable

import aio_pika
import pytest

from funcx_async.local.broker import EmbeddedBroker
from tests import brokers
from tests.local.broker.peers import CLIENTS, Connect


@pytest.fixture
async def embedded() -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker() as broker:
        broker.add_user("alice", "wonder/land @1")
        yield broker


@pytest.fixture(params=brokers.with_rabbitmq("embedded"))
async def broker_url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """One broker after the other, by the URL with which one may log in."""
    if request.param == "rabbitmq":
        yield brokers.require()
        return
    async with EmbeddedBroker() as broker:
        broker.add_user("alice", "wonder/land @1")
        yield broker.url("alice", "wonder/land @1")


@pytest.fixture(params=list(CLIENTS))
def connect(request: pytest.FixtureRequest) -> Connect:
    """One client library after the other."""
    return CLIENTS[request.param]


@pytest.fixture
async def name(broker_url: str) -> AsyncIterator[Callable[[], str]]:
    """Makes names for queues; what bears them afterwards is deleted."""
    names: list[str] = []

    def make() -> str:
        names.append(f"funcx-async-test-{uuid.uuid4()}")
        return names[-1]

    yield make
    connection = await aio_pika.connect(broker_url)
    async with connection, connection.channel() as channel:
        for each in names:
            await channel.queue_delete(each)
