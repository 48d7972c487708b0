"""The two dialects of the service: how each phrases a request, and what its answers mean.

``v3`` is today's Globus Compute, ``v2`` is funcX 1.x, the classic one. Where they differ, the
difference is here; what is the same in both is in :mod:`funcx_async._service.operations`. Pure: no
HTTP library, no loop.
"""

from __future__ import annotations

import platform
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, NamedTuple, TypeAlias, TypedDict
from uuid import UUID, uuid4

import msgspec

from funcx_async._net.environment import CLASSIC, COMPUTE, Deployments
from funcx_async._service.answers import Submitted, read
from funcx_async._service.refusals import task_refusal
from funcx_async._service.registration import DIALECT_VERSION, Registration
from funcx_async.errors import ResponseIncomplete
from funcx_async.models import Receipt
from funcx_async.serialize import CombinedCode
from funcx_async.serialize.strategy import SerializationStrategy


class Request(NamedTuple):
    """A request: its method, its path, and its body before it is made JSON, or None."""

    method: str
    path: str
    body: dict[str, Any] | None


class EndpointOptions(TypedDict, total=False):
    """Optional fields of an endpoint's registration.

    Attributes:
        metadata: versions, host, configuration, template and schema, for people and programs.
        multi_user: it starts endpoints of their own for the users that submit to it.
        display_name: its name for people.
        allowed_functions: the ids of the only functions that it runs.
        auth_policy: the id of the Globus policy that its users have to meet.
        subscription_id: the subscription that it belongs to.
        public: everybody can find it.
        high_assurance: it is for protected data.
        admins: the ids of identities that may manage it, too.
    """

    metadata: Mapping[str, Any] | None
    multi_user: bool | None
    display_name: str | None
    allowed_functions: Sequence[str | UUID] | None
    auth_policy: str | UUID | None
    subscription_id: str | UUID | None
    public: bool | None
    high_assurance: bool | None
    admins: Sequence[str | UUID] | None


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """Tasks to submit: for each function id the payloads, one for each task."""

    endpoint_id: str
    tasks: Mapping[str, Sequence[str]]
    task_group_id: str | None = None
    create_queue: bool = True
    resource_specification: Mapping[str, Any] | None = None
    user_endpoint_config: Mapping[str, Any] | None = None
    result_serializers: Sequence[str] | None = None
    user_runtime: Mapping[str, Any] | None = None

    def __len__(self) -> int:
        """Return the number of tasks."""
        return sum(len(payloads) for payloads in self.tasks.values())


def user_agent(sdk: str, sdk_version: str) -> str:
    """Return the ``User-Agent`` of a client.

    It begins with this package's name and version. The service splits it at the slashes and looks
    for the version of the official SDK to know the dialect, so that follows: our requests equal
    those of that version.
    """
    return f"funcx-async-{version('funcx-async')}/{sdk}-{sdk_version}"


GLOBUS_SDK_VERSION = "4.9.1"
"""The version of globus-sdk that goes with the official SDK whose requests ours equal."""

_LINKAGE = {"linux": "ELF", "win32": "WindowsPE"}
"""The format of programs, where there is one alone."""


@cache
def runtime_here() -> Mapping[str, Any]:
    """Describe this Python and this machine; all values are made of JSON's types.

    No program is started for it, as Python's own ``platform`` would to tell the architecture and
    the processor: that would block the event loop, and fail while the interpreter ends.
    """
    return {
        "globus_compute_sdk_version": DIALECT_VERSION,
        "globus_sdk_version": GLOBUS_SDK_VERSION,
        "python_version": sys.version,
        "python": {
            "version": platform.python_version(),
            "version_description": sys.version,
            "version_tuple": list(sys.version_info[:3]),
            "version_info": list(sys.version_info),
            "implementation": platform.python_implementation(),
            "compiler": platform.python_compiler(),
        },
        "platform": {
            "architecture": [f"{8 * struct.calcsize('P')}bit", _LINKAGE.get(sys.platform, "")],
            "machine": platform.machine(),
            "node": platform.node(),
            "platform": platform.platform(),
            "processor": "",
            "release": platform.release(),
        },
    }


# Today's dialect


@dataclass(frozen=True)
class Compute:
    """Today's dialect, ``v3``.

    Attributes:
        deployments: where services of this kind are.
        user_agent: the client's ``User-Agent``; the service reads the version in it.
        sdk_name: the official package whose requests ours equal.
        sdk_version: the version of that package.
        code_strategy: how functions are written by default; None is the serializer's default.
        takes_options: whether tasks have options besides their arguments.
        reading_consumes: whether the service returns a result once, and then forgets the task.
    """

    deployments: Deployments = COMPUTE
    user_agent: str = user_agent("globus-compute-sdk", DIALECT_VERSION)
    sdk_name: str = "globus-compute-sdk"
    sdk_version: str = DIALECT_VERSION
    code_strategy: type[SerializationStrategy] | None = None
    takes_options: bool = True
    reading_consumes: bool = False

    def new_task_group(self) -> None:
        """Return None: the service makes its task groups itself."""

    def check_container(self, container_id: str | None) -> None:
        """Raise ValueError for any container: today's service has none."""
        if container_id is not None:
            raise ValueError(
                "container_id: today's service (api='v3') has no containers; the endpoint's "
                "configuration says where functions run."
            )

    def check_options(self, **options: object) -> None:
        """Accept all options."""

    def registration(self, registration: Registration) -> Request:
        """Return the request that registers a function; fields that are not set are left out."""
        self.check_container(registration.container_uuid)
        return Request("POST", "/v3/functions", registration.body())

    def submit(self, submission: SubmitRequest) -> Request:
        """Return the request that submits tasks, grouped by function."""
        body: dict[str, Any] = {"create_queue": submission.create_queue, "tasks": submission.tasks}
        optional = {
            "task_group_id": submission.task_group_id,
            "resource_specification": submission.resource_specification,
            "user_endpoint_config": submission.user_endpoint_config,
            "user_runtime": submission.user_runtime,
            "result_serializers": submission.result_serializers,
        }
        body |= {name: value for name, value in optional.items() if value}
        return Request("POST", f"/v3/endpoints/{submission.endpoint_id}/submit", body)

    def receipt(self, answer: bytes, submission: SubmitRequest, what: str) -> Receipt:
        """Parse the answer to a submit; ResponseNotUnderstood if it is something else."""
        submitted = read(answer, Submitted, what)
        return Receipt(
            submitted.task_group_id,
            submitted.tasks,
            submitted.request_id,
            warning=submitted.ha_warning,
            endpoint_id=submission.endpoint_id,
        )

    def endpoint_registration(
        self, name: str, endpoint_id: str | None, options: EndpointOptions
    ) -> Request:
        """Return the request that registers an endpoint, again if it has an id."""
        switches = {
            "public": options.get("public"),
            "high_assurance": options.get("high_assurance"),
        }
        told = {
            "display_name": options.get("display_name"),
            "multi_user": options.get("multi_user"),
            "metadata": options.get("metadata"),
            "allowed_functions": options.get("allowed_functions"),
            "authentication_policy": options.get("auth_policy"),
            "subscription_uuid": options.get("subscription_id"),
            "admins": options.get("admins"),
        }
        body: dict[str, Any] = {"endpoint_name": name}
        body |= {key: value for key, value in told.items() if value}
        body |= {key: value for key, value in switches.items() if value is not None}
        if endpoint_id is None:
            return Request("POST", "/v3/endpoints", body)
        return Request("PUT", f"/v3/endpoints/{endpoint_id}", body)

    def lock(self, endpoint_id: str) -> Request:
        """Return the request that stops and locks an endpoint."""
        return Request("POST", f"/v3/endpoints/{endpoint_id}/lock", None)


# The classic dialect

CLASSIC_VERSION = "1.0.13"
"""The version of ``funcx`` whose requests ours equal."""


class _Submitted(msgspec.Struct):
    """The answer of the classic service: one document for each task, in order."""

    results: list[dict[str, Any]]
    task_group_id: str | None = None


@dataclass(frozen=True)
class Classic:
    """The dialect of funcX 1.x, ``v2``; its attributes are those of :class:`Compute`."""

    deployments: Deployments = CLASSIC
    user_agent: str = user_agent("funcx-sdk", CLASSIC_VERSION)
    sdk_name: str = "funcx"
    sdk_version: str = CLASSIC_VERSION
    code_strategy: type[SerializationStrategy] | None = CombinedCode
    takes_options: bool = False
    reading_consumes: bool = True

    def new_task_group(self) -> str:
        """Return a new UUID; the service learns of the group at the first submit."""
        return str(uuid4())

    def check_container(self, container_id: str | None) -> None:
        """Accept any container."""

    def check_options(self, **options: object) -> None:
        """Raise ValueError for any option that is set."""
        for name, value in options.items():
            if value:
                raise ValueError(
                    f"{name}: the classic service (api='v2') does not accept this option; its "
                    "endpoints decide by their own configuration."
                )

    def registration(self, registration: Registration) -> Request:
        """Return the request that registers a function; fields that are not set are null."""
        if registration.is_source:
            raise ValueError(
                "The classic service (api='v2') does not accept source: register the function."
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
        return Request("POST", "/v2/functions", body)

    def submit(self, submission: SubmitRequest) -> Request:
        """Return the request that submits tasks; each names its function and its endpoint."""
        self.check_options(
            resource_specification=submission.resource_specification,
            user_endpoint_config=submission.user_endpoint_config,
            result_serializers=submission.result_serializers,
            user_runtime=submission.user_runtime,
        )
        triples = [
            (function_id, submission.endpoint_id, payload)
            for function_id, payloads in submission.tasks.items()
            for payload in payloads
        ]
        body = {
            "task_group_id": submission.task_group_id,
            "create_websocket_queue": submission.create_queue,
            "tasks": triples,
        }
        return Request("POST", "/v2/submit", body)

    def receipt(self, answer: bytes, submission: SubmitRequest, what: str) -> Receipt:
        """Parse the answer to a submit, in which single tasks may be refused."""
        submitted = read(answer, _Submitted, what)
        group = submitted.task_group_id or submission.task_group_id or ""
        task_ids: list[str] = []
        refusals: dict[str, Exception] = {}
        for number, document in enumerate(submitted.results):
            # A refused task may have no id; its position identifies it.
            task_id = str(document.get("task_uuid") or f"refused {number}")
            task_ids.append(task_id)
            refusal = task_refusal(document, what)
            if refusal is not None:
                refusals[task_id] = refusal
            elif not document.get("task_uuid"):
                raise ResponseIncomplete(
                    f"The service's answer to {what} has a task without an id."
                )
        if len(task_ids) != len(submission):  # the ids cannot be matched with the tasks
            return Receipt(
                group,
                {"": [each for each in task_ids if each not in refusals]},
                endpoint_id=submission.endpoint_id,
            )
        tasks: dict[str, Sequence[str]] = {}
        taken = iter(task_ids)
        for function_id, payloads in submission.tasks.items():
            tasks[function_id] = [next(taken) for _ in payloads]
        return Receipt(group, tasks, refusals=refusals, endpoint_id=submission.endpoint_id)

    def endpoint_registration(
        self, name: str, endpoint_id: str | None, options: EndpointOptions
    ) -> Request:
        """Return the request that registers an endpoint, which makes its own id."""
        if endpoint_id is None:
            raise ValueError("endpoint_id: endpoints of the classic service (api='v2') make it.")
        for option, value in options.items():
            if value and option not in ("metadata", "multi_user"):
                raise ValueError(
                    f"{option}: the classic service (api='v2') does not accept this option."
                )
        body: dict[str, Any] = {"endpoint_name": name, "endpoint_uuid": endpoint_id}
        told = {"multi_tenant": options.get("multi_user"), "metadata": options.get("metadata")}
        body |= {key: value for key, value in told.items() if value}
        return Request("POST", "/v2/endpoints", body)

    def lock(self, endpoint_id: str) -> Request:
        """Return the request that stops and locks an endpoint."""
        return Request("POST", f"/v2/endpoints/{endpoint_id}/lock", {})


Dialect: TypeAlias = Compute | Classic
"""What depends on the generation of the service. Both classes have the same members."""

DIALECTS: Mapping[str, Dialect] = {"v3": Compute(), "v2": Classic()}
"""The dialects by the name that ``FuncXClient(api=...)`` takes."""
