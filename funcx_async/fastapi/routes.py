"""Routes that submit registered functions and report on tasks."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine
from contextlib import aclosing
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from fastapi.sse import format_sse_event
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from funcx_async._futures.future import FuncXFuture
from funcx_async.errors import FuncXError
from funcx_async.fastapi.answers import RETRY_AFTER, TaskError, error_answer
from funcx_async.fastapi.board import SUBMIT_TIMEOUT, TaskBoard
from funcx_async.fastapi.lifespan import FuncX, FuncXTasks
from funcx_async.fastapi.streams import EventStream, event_stream

_log = logging.getLogger(__name__)

MAX_WATCHED: Final = 500
"""Tasks that one stream may follow; their ids must fit in a URL."""


class Call(BaseModel):
    """A call of a registered function."""

    model_config = ConfigDict(extra="forbid")

    function_id: UUID
    args: list[Any] = Field(default_factory=list)
    kwargs: dict[str, Any] = Field(default_factory=dict)


class Accepted(BaseModel):
    """The submitted task."""

    task_id: str


class Task(BaseModel):
    """The state of a task."""

    task_id: str
    status: Literal["pending", "success", "failed"]
    result: Any = None
    error: TaskError | None = None


class Error(BaseModel):
    """Why a request failed: a message, the name of the error class, and the ids involved."""

    detail: str
    error: str | None = None
    task_id: str | None = None
    function_id: str | None = None
    request_id: str | None = None


class ValidationProblem(BaseModel):
    """A problem of a request and its location."""

    loc: list[str | int]
    msg: str
    type: str


class ValidationProblems(BaseModel):
    """The problems of an invalid request."""

    detail: list[ValidationProblem]


_LOOKUP_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    403: {"model": Error, "description": "The credentials of this service do not permit it"},
    404: {"model": Error, "description": "Function or task not found"},
    422: {"model": ValidationProblems, "description": "Invalid request"},
    502: {"model": Error, "description": "Upstream error"},
    503: {"model": Error, "description": "Unavailable: retry after `Retry-After` seconds"},
}

_SUBMIT_ERRORS: Final = _LOOKUP_ERRORS | {
    413: {"model": Error, "description": "Too large for the funcX service"},
    422: {
        "model": ValidationProblems | Error,
        "description": "Invalid request, or arguments that cannot be serialized",
    },
    500: {"model": Error, "description": "This service has no endpoint"},
}


class ErrorRoute(APIRoute):
    """A route that responds with errors of this package."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route, with error handling."""
        route = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await route(request)
            except FuncXError as error:
                return await error_answer(request, error)
            except RequestValidationError as error:
                # The input is left out: it may hold NaN, which is parsed but cannot be sent back.
                problems = [
                    {name: value for name, value in each.items() if name != "input"}
                    for each in error.errors()
                ]
                raise RequestValidationError(problems, body=error.body) from error

        return handle


def task_router(
    *, functions: Collection[str | UUID] | None = None, submit_timeout: float = SUBMIT_TIMEOUT
) -> APIRouter:
    """Return a router with which HTTP clients run registered functions.

    ``POST /tasks`` accepts a function id with its arguments and returns 202 with a task id once the
    service has accepted the task; it never waits for the result. ``GET /tasks/{task_id}`` returns
    the status and, once there is one, the result. ``GET /tasks/events?task_id=…`` streams an event
    for each task and another when it finishes, and then the event ``end``. Both respond in every
    process of an application, whichever submitted the task.

    The routes use the credentials of the application and require none of the client: include the
    router with dependencies that authenticate clients. A client can read every task whose id it
    knows.

    Args:
        functions: the ids of the functions that clients may call; by default all that the
            credentials permit.
        submit_timeout: seconds that a request waits until the service has accepted its task.

    Returns:
        The router.

    Example::

        app.include_router(task_router(functions=[PREDICT]), dependencies=[Depends(logged_in)])
    """
    router = APIRouter(prefix="/tasks", tags=["tasks"], route_class=ErrorRoute)
    allowed = None if functions is None else {UUID(str(each)) for each in functions}

    @router.post("", status_code=202, responses=_SUBMIT_ERRORS)
    async def submit(
        call: Call, request: Request, response: Response, executor: FuncX, tasks: FuncXTasks
    ) -> Accepted:
        """Submit a call of a registered function; respond when the service has accepted it."""
        if allowed is not None and call.function_id not in allowed:
            raise HTTPException(
                403, f"This service does not offer the function {call.function_id}."
            )
        try:
            future: FuncXFuture[Any] = executor.submit_to_registered_function(
                call.function_id, call.args, call.kwargs
            )
        except ValueError as error:  # the endpoint is missing or malformed
            _log.error("Cannot submit tasks: %s", error)
            raise HTTPException(500, str(error)) from error
        task_id = await tasks.accepted(future, timeout=submit_timeout)
        response.headers["Location"] = f"{request.url.path}/{task_id}"
        return Accepted(task_id=task_id)

    @router.get("/events", response_class=EventStream, responses={422: _LOOKUP_ERRORS[422]})
    async def follow(
        request: Request,
        tasks: FuncXTasks,
        task_id: Annotated[list[UUID], Query(min_length=1, max_length=MAX_WATCHED)],
    ) -> EventStream:
        """Follow tasks by server-sent events: `task` for each change, then `end`."""
        return event_stream(request, _frames(tasks, [str(each) for each in task_id]))

    @router.get("/{task_id}", response_model=Task, responses=_LOOKUP_ERRORS)
    async def get(task_id: Annotated[UUID, Path()], tasks: FuncXTasks) -> Response:
        """Return the status of a task and its result, once there is one."""
        view = await tasks.get(str(task_id))
        headers = {"Cache-Control": "no-store"}
        if not view.done:
            headers["Retry-After"] = str(RETRY_AFTER)
        return Response(view.document, headers=headers, media_type="application/json")

    return router


async def _frames(tasks: TaskBoard, task_ids: list[str]) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(tasks.watch(task_ids)) as views:
            async for view in views:
                yield format_sse_event(event="task", data_str=view.document.decode())
    except FuncXError as error:
        # The status line is sent already: browsers reconnect, and the service may respond then.
        yield format_sse_event(comment=str(error), retry=RETRY_AFTER * 1_000)
        return
    yield format_sse_event(event="end", data_str="{}")
