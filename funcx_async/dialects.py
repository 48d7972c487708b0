"""The two dialects of the service: how each phrases a request, and what its answers mean.

``v3`` is today's Globus Compute, ``v2`` is funcX 1.x, the classic one. Where they differ, the
difference is here; whatever is the same in both is in :mod:`funcx_async.routes`. Pure: no HTTP
library, no loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

import msgspec

from funcx_async.answers import Submitted, read
from funcx_async.environments import CLASSIC, COMPUTE, Deployments
from funcx_async.errors import AnswerIncomplete
from funcx_async.models import Receipt
from funcx_async.refusals import task_refusal
from funcx_async.registration import DIALECT_VERSION, Registration
from funcx_async.serialize import CombinedCode
from funcx_async.serialize.strategy import SerializationStrategy

CLASSIC_VERSION = "1.0.13"
"""The version of ``funcx`` whose requests ours equal."""


class Post(NamedTuple):
    """A request: its path, and its body before it is made JSON."""

    path: str
    body: dict[str, Any]


class Options(Protocol):
    """What tasks can be told besides their arguments."""

    @property
    def resource_specification(self) -> Mapping[str, Any] | None:
        """What the tasks need, as the endpoint defines it."""
        ...

    @property
    def user_endpoint_config(self) -> Mapping[str, Any] | None:
        """The configuration of the user's endpoint."""
        ...

    @property
    def result_serializers(self) -> Sequence[str] | None:
        """Import paths of the strategies for results, tried in order."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """Tasks to submit: for each function id the payloads, one for each task."""

    endpoint_id: str
    tasks: Mapping[str, Sequence[str]]
    task_group_id: str | None = None
    create_queue: bool = True
    resource_specification: Mapping[str, Any] | None = None
    user_endpoint_config: Mapping[str, Any] | None = None
    result_serializers: Sequence[str] | None = None

    def __len__(self) -> int:
        """How many tasks there are."""
        return sum(len(payloads) for payloads in self.tasks.values())


class Dialect(Protocol):
    """What depends on the dialect."""

    @property
    def deployments(self) -> Deployments:
        """Where services of this kind are."""
        ...

    @property
    def user_agent(self) -> str:
        """What a client calls itself; the service reads the version in it."""
        ...

    @property
    def code_strategy(self) -> type[SerializationStrategy] | None:
        """How functions are written unless the user chooses; None is the serializer's default."""
        ...

    @property
    def takes_options(self) -> bool:
        """Whether tasks can be told anything besides their arguments."""
        ...

    @property
    def reading_consumes(self) -> bool:
        """Whether the service hands a result out once, and then no longer knows the task."""
        ...

    def new_task_group(self) -> str | None:
        """Make the id of a task group, or None where only the service can."""
        ...

    def check_container(self, container_id: str | None) -> None:
        """Raise ValueError if functions cannot be put into this container."""
        ...

    def check_options(self, options: Options) -> None:
        """Raise ValueError if tasks cannot be told this."""
        ...

    def registration(self, registration: Registration) -> Post:
        """Phrase a registration."""
        ...

    def submit(self, order: Order) -> Post:
        """Phrase a submit."""
        ...

    def receipt(self, answer: bytes, order: Order, what: str) -> Receipt:
        """Read the answer to a submit; AnswerNotUnderstood if it is none."""
        ...


@dataclass(frozen=True)
class Compute:
    """Today's dialect, ``v3``."""

    deployments: Deployments = COMPUTE
    user_agent: str = f"funcx_async/globus-compute-sdk-{DIALECT_VERSION}"
    code_strategy: type[SerializationStrategy] | None = None
    takes_options: bool = True
    reading_consumes: bool = False

    def new_task_group(self) -> None:
        """None: the service makes its groups itself."""

    def check_container(self, container_id: str | None) -> None:
        """Refuse any container: there are none any more."""
        if container_id is not None:
            raise ValueError(
                "container_id: today's service (api='v3') has no containers; the endpoint's "
                "configuration says where functions run."
            )

    def check_options(self, options: Options) -> None:
        """Take all."""

    def registration(self, registration: Registration) -> Post:
        """What is not set is not sent."""
        self.check_container(registration.container_uuid)
        return Post("/v3/functions", registration.body())

    def submit(self, order: Order) -> Post:
        """The endpoint is in the path, the tasks are grouped by function."""
        body: dict[str, Any] = {"create_queue": order.create_queue, "tasks": order.tasks}
        optional = {
            "task_group_id": order.task_group_id,
            "resource_specification": order.resource_specification,
            "user_endpoint_config": order.user_endpoint_config,
            "result_serializers": order.result_serializers,
        }
        body |= {name: value for name, value in optional.items() if value}
        return Post(f"/v3/endpoints/{order.endpoint_id}/submit", body)

    def receipt(self, answer: bytes, order: Order, what: str) -> Receipt:
        """The ids come by function."""
        submitted = read(answer, Submitted, what)
        return Receipt(submitted.task_group_id, submitted.tasks, submitted.request_id)


class _Submitted(msgspec.Struct):
    """The answer of the classic service: one document for each task, in order."""

    results: list[dict[str, Any]]
    task_group_id: str | None = None


@dataclass(frozen=True)
class Classic:
    """The dialect of funcX 1.x, ``v2``."""

    deployments: Deployments = CLASSIC
    user_agent: str = f"funcx_async/funcx-sdk-{CLASSIC_VERSION}"
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
                raise AnswerIncomplete(f"The service's answer to {what} has a task without an id.")
        if len(task_ids) != len(order):  # which is whose nobody can tell
            return Receipt(group, {"": [each for each in task_ids if each not in refusals]})
        tasks: dict[str, Sequence[str]] = {}
        taken = iter(task_ids)
        for function_id, payloads in order.tasks.items():
            tasks[function_id] = [next(taken) for _ in payloads]
        return Receipt(group, tasks, refusals=refusals)


DIALECTS: Mapping[str, Dialect] = {"v3": Compute(), "v2": Classic()}
"""The dialects by the name that ``FuncXClient(api=...)`` takes."""
