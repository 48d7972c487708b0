"""The bodies of requests: what they hold, and how they are read and refused."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request

from funcx_async import serialize
from funcx_async.local.store import TaskOptions
from funcx_async.local.web.answers import Invalid, Refusal

SIZE_LIMIT: Final = 10 * 1000 * 1000
"""A body, and one task's payload, may have so many bytes."""
TASKS_AT_MOST: Final = 10_000
"""Tasks in one request: what is taken in a tenth of a second."""
READ_AT_MOST: Final = 4 * SIZE_LIMIT
"""Of a body that is too large so much is read, for the sender to be ready for an answer."""


class Registration(msgspec.Struct):
    """A function to register."""

    function_name: str
    function_code: str
    serialized: bool = True
    meta: dict[str, Any] | None = None
    description: str | None = None

    def framed_code(self) -> str:
        """Return the code as it is put before a payload; source text is wrapped for the worker."""
        if self.serialized:
            return self.function_code
        source = f"st\n{self.function_name}:{self.function_code}"
        return serialize.FuncXSerializer().pack_buffers([source])


class Submission(msgspec.Struct):
    """Tasks to run, as a list of payloads for each function."""

    tasks: dict[str, list[str]]
    create_queue: bool = False
    task_group_id: str | None = None
    result_serializers: list[str] | None = None
    resource_specification: dict[str, Any] | None = None
    user_endpoint_config: dict[str, Any] | None = None
    user_runtime: dict[str, Any] | None = None

    @property
    def options(self) -> TaskOptions:
        """How the tasks are to be run, where there is a choice."""
        as_text = partial(json.dumps, sort_keys=True)
        return TaskOptions(
            as_text(self.resource_specification) if self.resource_specification else "",
            as_text(self.user_endpoint_config or {}),
            as_text(self.user_runtime or {}),
        )

    def check(self) -> None:
        """Refuse what no worker could run.

        Raises:
            Refusal: there is no task, one is too large, or a result serializer is unknown.
        """
        if not any(self.tasks.values()):
            msg = "there is no task in the request"
            raise Invalid(msg, where=["body", "tasks"])
        check_count(sum(map(len, self.tasks.values())))
        for function_id, payloads in self.tasks.items():
            for payload in payloads:
                check_payload(function_id, payload)
        for path in self.result_serializers or ():
            if not is_strategy(path):
                msg = f"{path!r} is not a serialization strategy"
                raise Invalid(msg, where=["body", "result_serializers"])


class ClassicRegistration(msgspec.Struct):
    """A function to register, in the classic dialect."""

    function_name: str
    function_code: str
    container_uuid: str | None = None
    entry_point: str | None = None
    description: str | None = None
    public: bool = False
    group: str | None = None


class ClassicSubmission(msgspec.Struct):
    """Tasks to run, each as function, endpoint and payload; or, in the oldest form, one task."""

    tasks: list[tuple[str, str, str]] | None = None
    task_group_id: str | None = None
    create_websocket_queue: bool = False
    func: str | None = None
    endpoint: str | None = None
    payload: str | None = None

    def triples(self) -> list[tuple[str, str, str]]:
        """Return the tasks.

        Raises:
            Refusal: there is none.
        """
        if self.tasks:
            check_count(len(self.tasks))
            return self.tasks
        if self.func is None or self.endpoint is None or self.payload is None:
            msg = "there is no task in the request, neither 'tasks' nor func, endpoint and payload"
            raise Refusal("REQUEST_MALFORMED", msg)
        return [(self.func, self.endpoint, self.payload)]


class Container(msgspec.Struct):
    """A container to register."""

    location: str
    type: str
    name: str = ""
    description: str = ""


class ContainerSpecification(msgspec.Struct):
    """A container to build."""

    name: str | None = None
    description: str | None = None
    apt: list[str] = []
    pip: list[str] = []
    conda: list[str] = []
    payload_url: str | None = None


class Whitelisted(msgspec.Struct):
    """Functions that an endpoint may run."""

    func: list[str]


class TaskIds(msgspec.Struct):
    """Tasks to look up."""

    task_ids: list[str]


Body = TypeVar("Body", bound=msgspec.Struct)


def check_count(tasks: int) -> None:
    """Refuse more tasks than are taken in one request."""
    if tasks > TASKS_AT_MOST:
        msg = f"the request has {tasks} tasks; the service takes {TASKS_AT_MOST} in one request"
        raise Refusal("BATCH_RUN_TOO_LARGE", msg, error_args=[TASKS_AT_MOST])


def check_payload(function_id: str, payload: str) -> None:
    """Refuse a payload that is too large."""
    if len(payload) > SIZE_LIMIT:
        msg = (
            f"a task of function {function_id} has a payload of {len(payload)} characters; the "
            f"service takes {SIZE_LIMIT}"
        )
        raise Refusal("TASK_PAYLOAD_TOO_LARGE", msg, error_args=[SIZE_LIMIT])


def is_strategy(path: str) -> bool:
    """Return whether a path, such as ``globus_compute_sdk.serialize.JSONData``, is a strategy's."""
    strategy = getattr(serialize, path.rpartition(".")[2], None)
    return isinstance(strategy, type) and hasattr(strategy, "for_code")


async def read_v3_body(request: Request, kind: type[Body], too_large: str) -> Body:
    """Read the body of a v3 route.

    Raises:
        Refusal: it is too large (with the code given), or not what it should be.
    """
    body = await read_bytes(request)
    if len(body) > READ_AT_MOST:
        raise _too_large(too_large, len(body))
    try:
        decoded = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"the body is not JSON: {error}") from error
    if len(body) > SIZE_LIMIT:
        if isinstance(decoded, Submission):
            decoded.check()  # one payload alone may be the reason
        raise _too_large(too_large, len(body))
    return decoded


async def read_body(request: Request, kind: type[Body]) -> Body:
    """Read the body of a v2 route.

    Raises:
        Refusal: it is too large, or not what it should be.
    """
    body = await read_bytes(request)
    if len(body) > SIZE_LIMIT:
        raise _too_large("BATCH_RUN_TOO_LARGE", len(body))
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal("REQUEST_MALFORMED", str(error), error_args=[error]) from error


async def read_bytes(request: Request) -> bytes:
    """Read a body, or as much of it as makes it too large."""
    chunks, length = [], 0
    async for chunk in request.stream():
        length += len(chunk)
        chunks.append(chunk)
        if length > READ_AT_MOST:
            break
    return b"".join(chunks)


def _too_large(code: str, length: int) -> Refusal:
    more = "more than " if length > READ_AT_MOST else ""
    msg = f"the request has {more}{length} bytes; the service takes {SIZE_LIMIT}"
    return Refusal(code, msg, error_args=[SIZE_LIMIT])
