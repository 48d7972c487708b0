"""Results through a RabbitMQ whose connections break."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from funcx_async.local import LocalService
from tests.brokers import require, with_rabbitmq
from tests.local.dialogue import LIMIT, messages_of, next_of, payload, rest_of, task_id_of

pytestmark = pytest.mark.skipif(not with_rabbitmq(), reason="no RabbitMQ here")


class Relay:
    """A port that leads to the RabbitMQ, and can be closed for a while."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self.port = 0
        self.connected = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        login, at, _ = self.target.netloc.rpartition("@")
        return urlunsplit(self.target._replace(netloc=f"{login}{at}127.0.0.1:{self.port}"))

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        self.connected.clear()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self.target.hostname, self.target.port or 5672
        far_reader, far_writer = await asyncio.open_connection(host, port)
        self._writers |= {writer, far_writer}
        self.connected.set()
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._writers -= {writer, far_writer}
            far_writer.transport.abort()
            writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    opened = Relay(require())
    await opened.open()
    yield opened
    await opened.cut()


async def test_results_wait_for_a_connection_that_broke(relay: Relay):
    async with LocalService(workers=1, amqp_url=relay.url) as service, rest_of(service) as rest:
        function_id = await rest.register(abs)
        group_id, first = await rest.submit(function_id, *[payload(1)] * 300, create_queue=True)
        await rest.executed(20)
        await relay.cut()
        # A submit that asks for no queue needs no broker; its group has one.
        _, second = await rest.submit(function_id, payload(2), task_group_id=group_id)
        await rest.executed(301)
        await relay.open()
        await asyncio.wait_for(relay.connected.wait(), LIMIT)
        async with messages_of(rest, group_id) as messages:
            got = {task_id_of(await next_of(messages))}
            while got != {*first, *second}:
                got.add(task_id_of(await next_of(messages)))
        await service.faults.delete_queues()


async def test_a_submit_that_needs_a_queue_is_refused_while_there_is_no_broker(relay: Relay):
    async with LocalService(workers=1, amqp_url=relay.url) as service, rest_of(service) as rest:
        function_id = await rest.register(abs)
        await relay.cut()
        answer = await rest.post({function_id: [payload(1)]}, create_queue=True)
        assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert service.faults.count("accepted") == 0
        await relay.open()
        await asyncio.wait_for(relay.connected.wait(), LIMIT)
        answer = await rest.post({function_id: [payload(1)]}, create_queue=False)
        assert answer.status_code == 200
