"""The service's connection to RabbitMQ: what is asked for is done, whatever the wire does."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import aio_pika
import pytest

from funcx_async.local.agents.link import RabbitLink
from tests.brokers import require, with_rabbitmq
from tests.proxy import Proxy

LIMIT = 30.0


class Received:
    """What came through a queue, and whether it can be taken."""

    def __init__(self) -> None:
        self.bodies: asyncio.Queue[bytes] = asyncio.Queue()
        self.broken = False

    def __call__(self, body: bytes) -> None:
        self.bodies.put_nowait(body)
        if self.broken:
            raise RuntimeError("the disk is full")

    async def next(self) -> bytes:
        return await asyncio.wait_for(self.bodies.get(), LIMIT)


@pytest.fixture(params=with_rabbitmq())
def amqp_url() -> str:
    return require()


@pytest.fixture
async def proxy(amqp_url) -> AsyncIterator[Proxy]:
    async with Proxy(amqp_url) as running:
        yield running


@pytest.fixture
async def link(proxy, amqp_url) -> AsyncIterator[RabbitLink]:
    opened = RabbitLink(proxy.before(amqp_url))
    await opened.start()
    yield opened
    await opened.aclose()


@pytest.fixture
async def queue(link) -> AsyncIterator[str]:
    name = f"funcx.test.{uuid.uuid4()}"
    link.declare(name)
    yield name
    link.delete(name)
    await asyncio.wait_for(link.done(), LIMIT)


def message(number: int) -> aio_pika.Message:
    return aio_pika.Message(str(number).encode())


async def test_messages_come_in_the_order_of_their_publishing(link, queue):
    received = Received()
    link.consume(queue, received)
    for number in range(300):
        link.publish(queue, lambda number=number: message(number))
    assert [await received.next() for _ in range(300)] == [b"%d" % n for n in range(300)]


async def test_a_message_that_is_not_needed_any_more_is_left_out(link, queue):
    received, confirmed = Received(), []
    link.consume(queue, received)
    link.publish(queue, lambda: None, lambda: confirmed.append("none"))
    link.publish(queue, lambda: message(1), lambda: confirmed.append("one"))
    assert await received.next() == b"1"
    await asyncio.wait_for(link.done(), LIMIT)
    assert confirmed == ["one"]


async def test_nothing_is_lost_when_the_connection_breaks_while_publishing(link, queue, proxy):
    received, confirmed = Received(), set()
    link.consume(queue, received)
    await asyncio.wait_for(link.done(), LIMIT)
    proxy.upward.reset(after=5_000)
    for number in range(200):
        link.publish(queue, lambda n=number: message(n), lambda n=number: confirmed.add(n))
    await asyncio.wait_for(link.done(), LIMIT)
    assert confirmed == set(range(200))
    missing = {b"%d" % number for number in range(200)}
    while missing:
        missing.discard(await received.next())


async def test_what_could_not_be_taken_comes_again_with_the_next_connection(
    link, queue, proxy, caplog
):
    received = Received()
    received.broken = True
    link.consume(queue, received)
    link.publish(queue, lambda: message(1))
    assert await received.next() == b"1"
    received.broken = False
    await asyncio.wait_for(link.done(), LIMIT)
    proxy.downward.reset()
    link.publish(queue, lambda: message(2))
    assert {await received.next(), await received.next()} == {b"1", b"2"}
    assert "could not be taken" in caplog.text


async def test_a_queue_that_somebody_deleted_is_made_again_for_the_next_message(
    link, queue, amqp_url
):
    await asyncio.wait_for(link.done(), LIMIT)
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(queue)
        link.publish(queue, lambda: message(1))
        await asyncio.wait_for(link.done(), LIMIT)
        found = await channel.declare_queue(queue, passive=True)
        assert found.declaration_result.message_count == 1


async def test_a_step_that_cannot_succeed_does_not_stop_the_others(link, queue, caplog):
    def spoiled() -> aio_pika.Message:
        raise KeyError("no such task")

    received = Received()
    link.consume(queue, received)
    link.publish(queue, spoiled)
    link.publish(queue, lambda: message(1))
    assert await received.next() == b"1"
    await asyncio.wait_for(link.done(), LIMIT)
    assert "failed for good" in caplog.text


async def test_a_rabbitmq_that_is_not_there_is_named_without_its_password():
    link = RabbitLink("amqp://me:secret@127.0.0.1:9/")
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:9") as caught:
        await link.start()
    assert "secret" not in str(caught.value)
