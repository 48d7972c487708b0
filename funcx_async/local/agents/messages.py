"""What goes to an agent and through which queues, and what an agent reports of itself.

A command goes to the agent itself, a task to a user endpoint, the process that the agent starts
for it. Both report their state in heartbeats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import aio_pika
import msgspec

from funcx_async.local.agents.ledger import TaskMessage
from funcx_async.local.agents.link import EXCHANGE

IDENTITY: Final = "6c1b6f86-3f1d-5a53-8f6b-0d6b5a1f3c77"
"""Who owns a local service and its agents: an agent obeys nobody else."""
USERNAME: Final = "local@localhost"
STANDARD_PERIOD: Final = 30.0
"""Seconds between two heartbeats, unless an agent is configured otherwise."""
MESSAGE_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of a task message at most: the default limit of RabbitMQ."""


@dataclass(frozen=True, slots=True)
class Report:
    """A heartbeat.

    Attributes:
        endpoint_id: the agent or user endpoint that it is about.
        period: seconds until the next; 0 from an agent that stops.
        session: which process sent it; one started again is another.
        active: False from a user endpoint that stops.
        error: why a user endpoint did not start.
        state: what it reports of its workers.
    """

    endpoint_id: str
    period: float = STANDARD_PERIOD
    session: str = ""
    active: bool = True
    error: str | None = None
    state: Mapping[str, Any] = field(default_factory=dict)


class _State(msgspec.Struct):
    heartbeat_period: float = STANDARD_PERIOD
    active: bool = True
    error: str | None = None
    posix_pid: int | None = None
    start_iso: str | None = None


class _Fields(msgspec.Struct):
    endpoint_id: str
    global_state: dict[str, Any] | None = None
    ep_status_report: dict[str, Any] | None = None


class _Envelope(msgspec.Struct):
    message_type: Literal["ep_status_report"]
    data: _Fields


def read_report(body: bytes) -> Report:
    """Read a heartbeat.

    Raises:
        ValueError: it is none.
    """
    if body[:1] != b"\x01":
        raise ValueError("its first byte is not 1")
    try:
        data = msgspec.json.decode(body[1:], type=_Envelope).data
        everything = data.global_state or data.ep_status_report or {}
        state = msgspec.convert(everything, _State)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    return Report(
        data.endpoint_id,
        max(0.0, state.heartbeat_period),
        f"{state.posix_pid} {state.start_iso}",
        state.active,
        state.error,
        everything,
    )


class TaskTooLarge(ValueError):
    """A task is larger, with its function, than what an agent can be sent."""


def task_message(task_id: str, parcel: TaskMessage) -> aio_pika.Message:
    """Return the message that carries one task.

    Raises:
        TaskTooLarge: no RabbitMQ would take it.
    """
    document = {
        "message_type": "task",
        "data": {
            "task_id": task_id,
            "container_id": None,
            "container": None,
            "task_buffer": parcel.buffer,
        },
    }
    body = b"\x01" + json.dumps(document, separators=(",", ":")).encode("ascii")
    if len(body) > MESSAGE_LIMIT:
        raise TaskTooLarge(
            f"task {task_id} has {len(body)} bytes with its function, and an agent can be sent "
            f"{MESSAGE_LIMIT}; send large data by another way"
        )
    headers: dict[str, Any] = {
        "task_uuid": task_id,
        "function_uuid": parcel.function_id,
        "result_serializers": json.loads(parcel.serializers),
    }
    if parcel.resources:
        headers["resource_specification"] = parcel.resources
    return aio_pika.Message(body, headers=headers, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)


def start_command(
    name: str, credentials: Mapping[str, Any], *, options: str, runtime: str
) -> bytes:
    """Return the command to start a user endpoint.

    Args:
        name: what the agent is to call it; while one of this name runs, the agent starts no other.
        credentials: its id, and where its queues are.
        options: the user endpoint configuration that its template is filled with, as JSON.
        runtime: the submitter's environment for the same template, as JSON.
    """
    command = {
        "command": "cmd_start_endpoint",
        "args": [],
        "kwargs": {
            "name": name,
            "amqp_creds": dict(credentials),
            "user_opts": json.loads(options),
            "user_runtime": json.loads(runtime),
        },
        "globus_effective_identity": IDENTITY,
        "globus_identity_set": [{"sub": IDENTITY}],
        "globus_username": USERNAME,
    }
    return json.dumps(command).encode("ascii")


class Queues:
    """The queues of one agent.

    Args:
        endpoint_id: the agent.
        url: the broker's address for the agent.
    """

    def __init__(self, endpoint_id: str, url: str) -> None:
        self._endpoint_id = endpoint_id
        self._url = url
        self.commands = f"funcx.agent.{endpoint_id}.commands"
        self.heartbeats = f"funcx.agent.{endpoint_id}.heartbeats"
        self.results = f"funcx.agent.{endpoint_id}.results"

    def tasks(self, user_endpoint_id: str) -> str:
        """Return the task queue of a user endpoint."""
        return f"funcx.agent.{self._endpoint_id}.tasks.{user_endpoint_id}"

    def registration(self) -> dict[str, Any]:
        """Return the answer to a registration."""
        return {
            "endpoint_id": self._endpoint_id,
            "command_queue_info": self._inward(self.commands),
            "heartbeat_queue_info": self._outward(self.heartbeats),
        }

    def credentials(self, user_endpoint_id: str) -> dict[str, Any]:
        """Return the queues of a user endpoint, for its start command."""
        return {
            "endpoint_id": user_endpoint_id,
            "task_queue_info": self._inward(self.tasks(user_endpoint_id)),
            "result_queue_info": self._outward(self.results),
            "heartbeat_queue_info": self._outward(self.heartbeats),
        }

    def _inward(self, queue: str) -> dict[str, Any]:
        return {"connection_url": self._url, "queue": queue}

    def _outward(self, queue: str) -> dict[str, Any]:
        return {
            "connection_url": self._url,
            "exchange": EXCHANGE,
            "queue": queue,
            "queue_publish_kwargs": {
                "exchange": EXCHANGE,
                "routing_key": queue,
                "mandatory": True,
                "properties": {"delivery_mode": 2},
            },
        }
