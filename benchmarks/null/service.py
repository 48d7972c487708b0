"""What the service answers."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from typing import Any

import msgspec

from benchmarks.null.results import Results

QUEUE_PREFIX = "benchmark."
ENDPOINT = "4b116d3c-1703-4f8f-9f6f-39921e5864df"
VERSION = "4.19.0"


class ComputeSubmit(msgspec.Struct):
    """What a submit of today's clients says, as far as it matters."""

    tasks: dict[str, list[msgspec.Raw]]
    task_group_id: str | None = None
    create_queue: bool = False


class ClassicSubmit(msgspec.Struct):
    """What a submit of a classic client says."""

    tasks: list[msgspec.Raw]
    task_group_id: str
    create_websocket_queue: bool = False


_read_compute = msgspec.json.Decoder(ComputeSubmit).decode
_read_classic = msgspec.json.Decoder(ClassicSubmit).decode


class NullService:
    """Answers requests.

    Args:
        results: publishes the results.
        amqp_url: where clients find them.
    """

    def __init__(self, results: Results, amqp_url: str) -> None:
        self._results = results
        self._id_start = f"{secrets.token_hex(4)}-0000-4000-8000-"
        self._tasks = 0
        self._documents: dict[str, bytes] = {
            "/v2/version": _json(
                {"api": VERSION, "min_sdk_version": "1.0.0", "min_ep_version": "1.0.0"}
            ),
            "/v2/functions": _json({"function_uuid": str(uuid.uuid4())}),
            "/v3/functions": _json({"function_uuid": str(uuid.uuid4())}),
            f"/v2/endpoints/{ENDPOINT}": _json(
                {"uuid": ENDPOINT, "name": "null", "endpoint_version": VERSION}
            ),
            f"/v2/endpoints/{ENDPOINT}/status": _json({"status": "online", "details": {}}),
            "/v2/get_amqp_result_connection_url": _json(
                {"queue_prefix": QUEUE_PREFIX, "connection_url": amqp_url}
            ),
        }

    async def answer(self, path: str, body: bytes) -> bytes:
        """Answer a request.

        Raises:
            ValueError: for a route that the benchmarks do not need.
        """
        if path == f"/v3/endpoints/{ENDPOINT}/submit":
            return await self._compute(_read_compute(body))
        if path == "/v2/submit":
            return await self._classic(_read_classic(body))
        if path == "/v2/batch_status":
            return _json({"response": "batch", "results": _pending(msgspec.json.decode(body))})
        if path.startswith("/null/"):
            return self._order(path.removeprefix("/null/"), body)
        if path not in self._documents:
            raise ValueError(f"the null service has no route {path}")
        return self._documents[path]

    async def _compute(self, submit: ComputeSubmit) -> bytes:
        group = submit.task_group_id or str(uuid.uuid4())
        tasks = {function: self._new(len(each)) for function, each in submit.tasks.items()}
        if submit.create_queue:
            await self._publish(
                group, [task_id for ids in tasks.values() for task_id in ids], classic=False
            )
        return _json(
            {
                "request_id": group,
                "task_group_id": group,
                "endpoint_id": ENDPOINT,
                "tasks": tasks,
            }
        )

    async def _classic(self, submit: ClassicSubmit) -> bytes:
        group, task_ids = submit.task_group_id, self._new(len(submit.tasks))
        if submit.create_websocket_queue:
            await self._publish(group, task_ids, classic=True)
        results = [
            {"status": "Success", "task_uuid": task_id, "http_status_code": 200}
            for task_id in task_ids
        ]
        return _json({"response": "batch", "task_group_id": group, "results": results})

    def _new(self, count: int) -> list[str]:
        first, self._tasks = self._tasks, self._tasks + count
        start = self._id_start
        return [f"{start}{number:012x}" for number in range(first, first + count)]

    async def _publish(self, group: str, task_ids: list[str], *, classic: bool) -> None:
        queue = QUEUE_PREFIX + group
        await self._results.declare(queue, classic=classic)
        await self._results.drained()
        # Once the answer is written: no service has the results before its receipt.
        asyncio.get_running_loop().call_soon(self._results.publish, queue, task_ids)

    def _order(self, order: str, body: bytes) -> bytes:
        """What the benchmarks tell the service."""
        if order == "hold":
            self._results.hold()
        elif order == "release":
            self._results.release()
        elif order == "large":
            self._results.enlarge(int(body))
        elif order != "usage":
            raise ValueError(f"the null service has no order {order}")
        return _json({"cpu": time.process_time(), "tasks": self._tasks})


def _pending(wanted: dict[str, list[str]]) -> dict[str, Any]:
    """What is known of tasks whose results are only ever published."""
    return {each: {"task_id": each, "status": "waiting-for-ep"} for each in wanted["task_ids"]}


def _json(document: Any) -> bytes:
    return msgspec.json.encode(document)
