"""Talking to a local service over plain HTTP and plain AMQP, as no client of ours does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import httpx
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from funcx_async.local import LocalService
from funcx_async.serialize import FuncXSerializer

SERIALIZER = FuncXSerializer()
LIMIT = 60.0
QUEUE_PREFIX = "funcx.results."


def payload(*args: object, **kwargs: object) -> str:
    """The arguments of one task."""
    return SERIALIZER.pack_buffers([SERIALIZER.serialize(args), SERIALIZER.serialize(kwargs)])


def code(function: Callable[..., Any]) -> str:
    """A function, ready to be registered."""
    return SERIALIZER.pack_buffers([SERIALIZER.serialize(function)])


def value(document: dict[str, Any]) -> Any:
    """The value in a task document."""
    assert document["status"] == "success", document
    return SERIALIZER.deserialize(document["result"])


class Rest:
    """The REST side."""

    def __init__(self, service: LocalService, http: httpx.AsyncClient) -> None:
        self.service = service
        self.http = http

    async def register(self, function: Callable[..., Any]) -> str:
        """Register a function and give its id."""
        body = {"function_name": function.__name__, "function_code": code(function)}
        answer = await self.http.post("/v3/functions", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["function_uuid"])

    async def post(self, tasks: dict[str, list[str]], **fields: Any) -> httpx.Response:
        """Submit, and give whatever is answered."""
        path = f"/v3/endpoints/{self.service.endpoint_id}/submit"
        return await self.http.post(path, json={"tasks": tasks, **fields})

    async def submit(
        self, function_id: str, *payloads: str, **fields: Any
    ) -> tuple[str, list[str]]:
        """Submit tasks of one function; their group and their ids."""
        answer = await self.post({function_id: list(payloads)}, **fields)
        assert answer.status_code == 200, answer.text
        document = answer.json()
        return document["task_group_id"], document["tasks"][function_id]

    async def executed(self, times: int) -> None:
        """Return when so many tasks were executed in all."""
        async with asyncio.timeout(LIMIT):
            await self.service.faults.seen("executed", times)

    async def documents(self, ids: list[str]) -> list[dict[str, Any]]:
        """What the service says of tasks."""
        answer = await self.http.post("/v2/batch_status", json={"task_ids": ids})
        assert answer.status_code == 200, answer.text
        return [answer.json()["results"][task_id] for task_id in ids]

    async def run(self, function: Callable[..., Any], *args: object) -> dict[str, Any]:
        """Run one task and give its document."""
        before = self.service.faults.count("executed")
        _, ids = await self.submit(await self.register(function), payload(*args))
        await self.executed(before + 1)
        return (await self.documents(ids))[0]


@asynccontextmanager
async def rest_of(service: LocalService) -> AsyncIterator[Rest]:
    """The REST side of a service, with its token."""
    headers = {"Authorization": f"Bearer {service.token}"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=LIMIT) as http:
        yield Rest(service, http)


@asynccontextmanager
async def connected(rest: Rest) -> AsyncIterator[AbstractConnection]:
    """An AMQP connection with fresh credentials."""
    address = (await rest.http.get("/v2/get_amqp_result_connection_url")).json()
    assert address["queue_prefix"] == QUEUE_PREFIX
    async with await aio_pika.connect(address["connection_url"]) as connection:
        yield connection


@asynccontextmanager
async def messages_of(
    rest: Rest, group_id: str
) -> AsyncIterator[asyncio.Queue[AbstractIncomingMessage]]:
    """The messages on a group's result queue, as they come; acknowledged at once."""
    received: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    async with connected(rest) as connection, connection.channel() as channel:
        queue = await channel.get_queue(QUEUE_PREFIX + group_id, ensure=False)
        await queue.consume(received.put, no_ack=True)
        yield received


async def next_of(received: asyncio.Queue[AbstractIncomingMessage]) -> AbstractIncomingMessage:
    """The next message."""
    return await asyncio.wait_for(received.get(), LIMIT)


def task_id_of(message: AbstractIncomingMessage) -> str:
    """The task that a result message is about."""
    assert message.body[:1] == b"\x01"
    return str(json.loads(message.body[1:])["data"]["task_id"])
