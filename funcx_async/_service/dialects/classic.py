"""The classic dialect, that of funcX 1.x."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec

from funcx_async._net.environments import CLASSIC, Deployments
from funcx_async._service.answers import read
from funcx_async._service.dialects.shared import (
    EndpointOptions,
    Options,
    Order,
    Post,
    Request,
    user_agent,
)
from funcx_async._service.refusals import task_refusal
from funcx_async._service.registration import Registration
from funcx_async.errors import ResponseIncomplete
from funcx_async.models import Receipt
from funcx_async.serialize import CombinedCode
from funcx_async.serialize.strategy import SerializationStrategy

CLASSIC_VERSION = "1.0.13"
"""The version of ``funcx`` whose requests ours equal."""


class _Submitted(msgspec.Struct):
    """The answer of the classic service: one document for each task, in order."""

    results: list[dict[str, Any]]
    task_group_id: str | None = None


@dataclass(frozen=True)
class Classic:
    """The dialect of funcX 1.x, ``v2``."""

    deployments: Deployments = CLASSIC
    user_agent: str = user_agent("funcx-sdk", CLASSIC_VERSION)
    sdk_name: str = "funcx"
    sdk_version: str = CLASSIC_VERSION
    code_strategy: type[SerializationStrategy] | None = CombinedCode
    takes_options: bool = False
    reading_consumes: bool = True

    def new_task_group(self) -> str:
        """Any uuid; the service takes note of it at the first submit."""
        return str(uuid4())

    def check_container(self, container_id: str | None) -> None:
        """Take any."""

    def check_options(self, options: Options) -> None:
        """Refuse all."""
        for name in ("resource_specification", "user_endpoint_config", "result_serializers"):
            if getattr(options, name):
                raise ValueError(
                    f"{name}: the classic service (api='v2') cannot be told this; its endpoints "
                    "decide by their own configuration."
                )

    def registration(self, registration: Registration) -> Post:
        """Every key is there, null when it is not set."""
        if registration.is_source:
            raise ValueError(
                "The classic service (api='v2') cannot be told source: register the function."
            )
        if registration.ha_endpoint_id is not None:
            raise ValueError(
                "ha_endpoint_id: the classic service (api='v2') has no high-assurance endpoints."
            )
        body = {
            "function_name": registration.function_name,
            "function_code": registration.function_code,
            "container_uuid": registration.container_uuid,
            "entry_point": registration.function_name,
            "description": registration.description,
            "public": registration.public,
            "group": registration.group,
        }
        return Post("/v2/functions", body)

    def submit(self, order: Order) -> Post:
        """Each task names its function and its endpoint."""
        self.check_options(order)
        if order.user_runtime:
            raise ValueError("user_runtime: the classic service (api='v2') cannot be told this.")
        triples = [
            (function_id, order.endpoint_id, payload)
            for function_id, payloads in order.tasks.items()
            for payload in payloads
        ]
        body = {
            "task_group_id": order.task_group_id,
            "create_websocket_queue": order.create_queue,
            "tasks": triples,
        }
        return Post("/v2/submit", body)

    def receipt(self, answer: bytes, order: Order, what: str) -> Receipt:
        """Each task has a document, which may be a refusal of that task alone."""
        submitted = read(answer, _Submitted, what)
        group = submitted.task_group_id or order.task_group_id or ""
        task_ids: list[str] = []
        refusals: dict[str, Exception] = {}
        for number, document in enumerate(submitted.results):
            # A task that was refused may have no id: its place serves to tell which one it is.
            task_id = str(document.get("task_uuid") or f"refused {number}")
            task_ids.append(task_id)
            refusal = task_refusal(document, what)
            if refusal is not None:
                refusals[task_id] = refusal
            elif not document.get("task_uuid"):
                raise ResponseIncomplete(
                    f"The service's answer to {what} has a task without an id."
                )
        if len(task_ids) != len(order):  # which is whose nobody can tell
            return Receipt(group, {"": [each for each in task_ids if each not in refusals]})
        tasks: dict[str, Sequence[str]] = {}
        taken = iter(task_ids)
        for function_id, payloads in order.tasks.items():
            tasks[function_id] = [next(taken) for _ in payloads]
        return Receipt(group, tasks, refusals=refusals)

    def endpoint_registration(
        self, name: str, endpoint_id: str | None, options: EndpointOptions
    ) -> Request:
        """The endpoint makes its own id."""
        if endpoint_id is None:
            raise ValueError("endpoint_id: endpoints of the classic service (api='v2') make it.")
        for option, value in options.items():
            if value and option not in ("metadata", "multi_user"):
                raise ValueError(f"{option}: the classic service (api='v2') cannot be told this.")
        body: dict[str, Any] = {"endpoint_name": name, "endpoint_uuid": endpoint_id}
        told = {"multi_tenant": options.get("multi_user"), "metadata": options.get("metadata")}
        body |= {key: value for key, value in told.items() if value}
        return Request("POST", "/v2/endpoints", body)

    def lock(self, endpoint_id: str) -> Request:
        """The body is empty, but there is one."""
        return Request("POST", f"/v2/endpoints/{endpoint_id}/lock", {})
