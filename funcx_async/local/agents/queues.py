"""Where an agent's queues are, as the service and as the agent know them."""

from __future__ import annotations

from typing import Any

from funcx_async.local.agents.link import EXCHANGE


class Queues:
    """The queues of one agent.

    Args:
        endpoint_id: the agent.
        url: the RabbitMQ's address for the agent.
    """

    def __init__(self, endpoint_id: str, url: str) -> None:
        self._endpoint_id = endpoint_id
        self._url = url
        self.commands = f"funcx.agent.{endpoint_id}.commands"
        self.heartbeats = f"funcx.agent.{endpoint_id}.heartbeats"
        self.results = f"funcx.agent.{endpoint_id}.results"

    def tasks(self, user_endpoint_id: str) -> str:
        """The task queue of a user endpoint."""
        return f"funcx.agent.{self._endpoint_id}.tasks.{user_endpoint_id}"

    def registration(self) -> dict[str, Any]:
        """What an agent that registers is answered."""
        return {
            "endpoint_id": self._endpoint_id,
            "command_queue_info": self._inward(self.commands),
            "heartbeat_queue_info": self._outward(self.heartbeats),
        }

    def credentials(self, user_endpoint_id: str) -> dict[str, Any]:
        """What a user endpoint is told when it is started."""
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
