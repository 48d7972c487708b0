"""A stand-in for an agent, that says what an official one says on the wire and runs nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from funcx_async._service.messages import encode_result
from funcx_async.models import Result
from tests.local.dialogue import Rest

LIMIT = 60.0
REGISTRATION = {
    "endpoint_name": "stand-in",
    "multi_user": False,
    "metadata": {"endpoint_version": "4.19.0", "python_version": "3.11.7", "hostname": "here"},
}


class Inbox:
    """What comes through one queue, unacknowledged."""

    def __init__(self) -> None:
        self._received: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()

    async def consume(self, channel: AbstractChannel, queue: str, *, exclusive: bool) -> None:
        source = await channel.declare_queue(queue, passive=True)
        await source.consume(self._received.put, exclusive=exclusive)

    async def next(self) -> AbstractIncomingMessage:
        """The next message."""
        return await asyncio.wait_for(self._received.get(), LIMIT)

    @property
    def empty(self) -> bool:
        return self._received.empty()


class UserEndpoint:
    """What a start command makes of an agent: a consumer of tasks."""

    def __init__(self, channel: AbstractChannel, kwargs: dict[str, Any], session: int) -> None:
        self.name: str = kwargs["name"]
        self.options: dict[str, Any] = kwargs["user_opts"]
        self.runtime: dict[str, Any] = kwargs["user_runtime"]
        self.id: str = kwargs["amqp_creds"]["endpoint_id"]
        self.tasks = Inbox()
        self._channel = channel
        self.credentials = kwargs["amqp_creds"]
        self.session = session

    async def start(self) -> None:
        queue = self.credentials["task_queue_info"]["queue"]
        await self.tasks.consume(self._channel, queue, exclusive=True)
        await self.beat()

    async def beat(self, **state: Any) -> None:
        """Send a heartbeat."""
        own = {"posix_pid": self.session, "start_iso": "now", "total_workers": 3}
        report = heartbeat(self.id, {**own, "heartbeat_period": 5, **state})
        await publish(self._channel, self.credentials["heartbeat_queue_info"], report)

    async def answer(self, body: bytes) -> None:
        """Send a result message, whatever it is."""
        await publish(self._channel, self.credentials["result_queue_info"], body)

    async def run_next(self, *, value: str = "00\ngARLBy4=\n", error: str | None = None) -> str:
        """Acknowledge the next task, as agents do, and answer it; its id."""
        task = await self.tasks.next()
        await task.ack()
        task_id = str(task.headers["task_uuid"])
        code = None if error is None else "RemoteExecutionError"
        await self.answer(encode_result(Result(task_id, error or value, code)))
        return task_id


class StandIn:
    """An agent."""

    def __init__(self, rest: Rest, channel: AbstractChannel) -> None:
        self._rest = rest
        self._channel = channel
        self._sessions = 0
        self.registration: dict[str, Any] = {}
        self.commands = Inbox()

    @property
    def id(self) -> str:
        return str(self.registration["endpoint_id"])

    async def register(self, **fields: Any) -> None:
        """Register anew, or again."""
        body = {**REGISTRATION, **fields}
        if self.registration:
            answer = await self._rest.http.put(f"/v3/endpoints/{self.id}", json=body)
        else:
            answer = await self._rest.http.post("/v3/endpoints", json=body)
        assert answer.status_code == 200, answer.text
        self.registration = answer.json()
        self.commands = Inbox()
        queue = self.registration["command_queue_info"]["queue"]
        await self.commands.consume(self._channel, queue, exclusive=False)

    async def beat(self, period: float = 5) -> None:
        """Send a heartbeat."""
        report = heartbeat(self.id, {"heartbeat_period": period})
        await publish(self._channel, self.registration["heartbeat_queue_info"], report)

    async def come_online(self) -> None:
        """Send a heartbeat, and return when the service has taken it."""
        before = self._rest.service.faults.count("agent_online")
        await self.beat()
        async with asyncio.timeout(LIMIT):
            await self._rest.service.faults.seen("agent_online", before + 1)

    async def go_offline(self) -> None:
        """Say good-bye, and return when the service has taken it."""
        before = self._rest.service.faults.count("agent_offline")
        await self.beat(0)
        async with asyncio.timeout(LIMIT):
            await self._rest.service.faults.seen("agent_offline", before + 1)

    async def command(self) -> dict[str, Any]:
        """The next command."""
        message = await self.commands.next()
        await message.ack()
        assert message.content_type == "application/json"
        assert message.timestamp is not None
        return json.loads(message.body)

    async def obey(self) -> UserEndpoint:
        """Start the user endpoint of the next command."""
        command = await self.command()
        assert command["command"] == "cmd_start_endpoint"
        self._sessions += 1
        user_endpoint = UserEndpoint(self._channel, command["kwargs"], self._sessions)
        await user_endpoint.start()
        return user_endpoint

    async def resume(self, earlier: UserEndpoint) -> UserEndpoint:
        """A user endpoint that lived on while the service was away."""
        kwargs = {
            "name": earlier.name,
            "user_opts": earlier.options,
            "user_runtime": earlier.runtime,
            "amqp_creds": earlier.credentials,
        }
        user_endpoint = UserEndpoint(self._channel, kwargs, earlier.session)
        await user_endpoint.start()
        return user_endpoint

    async def fail_to_start(self, reason: str) -> None:
        """Answer the next command with a failure."""
        credentials = (await self.command())["kwargs"]["amqp_creds"]
        report = heartbeat(credentials["endpoint_id"], {"error": reason, "heartbeat_period": 3})
        await publish(self._channel, credentials["heartbeat_queue_info"], report)

    async def submit(self, function_id: str, *payloads: str, **fields: Any) -> list[str]:
        """Submit tasks to this agent; their ids."""
        body = {"tasks": {function_id: list(payloads)}, **fields}
        answer = await self._rest.http.post(f"/v3/endpoints/{self.id}/submit", json=body)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["tasks"][function_id])

    async def status(self) -> dict[str, Any]:
        """What the service says of it."""
        answer = await self._rest.http.get(f"/v2/endpoints/{self.id}/status")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def heartbeat(endpoint_id: str, state: dict[str, Any]) -> bytes:
    """A status report as agents write it."""
    fields = {"endpoint_id": endpoint_id, "global_state": state, "task_statuses": {}}
    return b"\x01" + json.dumps({"message_type": "ep_status_report", "data": fields}).encode()


async def publish(channel: AbstractChannel, address: dict[str, Any], body: bytes) -> None:
    """Publish as an agent is told to."""
    await channel.declare_queue(address["queue"], passive=True)
    exchange = await channel.get_exchange(address["exchange"], ensure=True)
    kwargs = address["queue_publish_kwargs"]
    assert kwargs["exchange"] == address["exchange"]
    message = aio_pika.Message(body, delivery_mode=kwargs["properties"]["delivery_mode"])
    await exchange.publish(message, kwargs["routing_key"], mandatory=kwargs["mandatory"])


@asynccontextmanager
async def stand_in(rest: Rest) -> AsyncIterator[StandIn]:
    """An agent that has a connection, and has not registered yet."""
    url = (await rest.http.get("/v2/get_amqp_result_connection_url")).json()["connection_url"]
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        yield StandIn(rest, channel)
