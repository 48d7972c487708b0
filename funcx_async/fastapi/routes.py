"""Ready routes: submit a registered function, ask for a task, follow tasks."""

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
from funcx_async.fastapi.answers import RETRY_AFTER, error_answer
from funcx_async.fastapi.board import PATIENCE, TaskBoard
from funcx_async.fastapi.lifespan import FuncX, FuncXTasks
from funcx_async.fastapi.streams import EventStream, event_stream

_log = logging.getLogger(__name__)

MOST_WATCHED: Final = 500
"""So many tasks may be followed in one stream: their ids have to fit in an address."""


class Call(BaseModel):
    """A call of a registered function."""

    model_config = ConfigDict(extra="forbid")

    function_id: UUID
    args: list[Any] = Field(default_factory=list)
    kwargs: dict[str, Any] = Field(default_factory=dict)


class Accepted(BaseModel):
    """The task that the service made of a call."""

    task_id: str


class TaskError(BaseModel):
    """Why a task has no result: the name of the error, and a sentence."""

    error: str
    detail: str


class Task(BaseModel):
    """What is known of a task."""

    task_id: str
    status: Literal["pending", "success", "failed"]
    result: Any = None
    error: TaskError | None = None


class Error(BaseModel):
    """Why a request has no answer: a sentence, the name of the error, the ids that it concerns."""

    detail: str
    error: str | None = None
    task_id: str | None = None
    function_id: str | None = None
    request_id: str | None = None


class Mistake(BaseModel):
    """What is wrong in a request, and where in it."""

    loc: list[str | int]
    msg: str
    type: str


class Mistakes(BaseModel):
    """What is wrong in a request."""

    detail: list[Mistake]


_ASKED: Final[dict[int | str, dict[str, Any]]] = {
    403: {"model": Error, "description": "These credentials may not do this"},
    404: {"model": Error, "description": "Nobody knows this function or task"},
    422: {"model": Mistakes, "description": "The request is no good"},
    502: {"model": Error, "description": "What is behind this service did not do its part"},
    503: {"model": Error, "description": "Not now: ask again after `Retry-After` seconds"},
}
"""What is answered, where it is not what was asked for."""

_SUBMITTED: Final = _ASKED | {
    413: {"model": Error, "description": "The funcX service finds this too large"},
    422: {
        "model": Mistakes | Error,
        "description": "The request is no good, or its arguments cannot travel",
    },
    500: {"model": Error, "description": "This service has no endpoint"},
}


class AnsweringRoute(APIRoute):
    """A route that answers with errors of this package, and without what JSON cannot hold."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give the route, with errors answered."""
        route = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await route(request)
            except FuncXError as error:
                return await error_answer(request, error)
            except RequestValidationError as error:
                # Python reads NaN in a body, and writes none: what was sent is not sent back.
                mistakes = [
                    {name: told for name, told in each.items() if name != "input"}
                    for each in error.errors()
                ]
                raise RequestValidationError(mistakes, body=error.body) from error

        return answered


def task_router(
    *, functions: Collection[str | UUID] | None = None, patience: float = PATIENCE
) -> APIRouter:
    """Make the routes by which HTTP clients run registered functions.

    ``POST /tasks`` takes a function id with its arguments and answers 202 with a task id once the
    service has taken the task; it never waits for the result. ``GET /tasks/{task_id}`` tells its
    status and, once there is one, its result. ``GET /tasks/events?task_id=…`` gives an event of
    each task, and another when it has ended; after the last comes the event ``end``. These two
    answer in every process of a service, whichever submitted the task.

    They run with the credentials of the service and ask for none: include the router with
    dependencies that do. Who may ask for tasks may ask for every task whose id he knows.

    Args:
        functions: the ids of the functions that may be called; by default any that these
            credentials may call.
        patience: seconds that a request waits until the service has taken its task.

    Example::

        app.include_router(task_router(functions=[PREDICT]), dependencies=[Depends(logged_in)])
    """
    router = APIRouter(prefix="/tasks", tags=["tasks"], route_class=AnsweringRoute)
    allowed = None if functions is None else {UUID(str(each)) for each in functions}

    @router.post("", status_code=202, responses=_SUBMITTED)
    async def submit(
        call: Call, request: Request, response: Response, executor: FuncX, tasks: FuncXTasks
    ) -> Accepted:
        """Run a registered function; answers when the service has taken the task."""
        if allowed is not None and call.function_id not in allowed:
            raise HTTPException(403, f"The function {call.function_id} may not be called here.")
        try:
            future: FuncXFuture[Any] = executor.submit_to_registered_function(
                call.function_id, call.args, call.kwargs
            )
        except ValueError as error:  # there is no endpoint, or what is named cannot be one
            _log.error("No task can be submitted: %s", error)
            raise HTTPException(500, str(error)) from error
        task_id = await tasks.accepted(future, patience=patience)
        response.headers["Location"] = f"{request.url.path}/{task_id}"
        return Accepted(task_id=task_id)

    @router.get("/events", response_class=EventStream, responses={422: _ASKED[422]})
    async def follow(
        request: Request,
        tasks: FuncXTasks,
        task_id: Annotated[list[UUID], Query(min_length=1, max_length=MOST_WATCHED)],
    ) -> EventStream:
        """Follow tasks by server-sent events: `task` with what is known of one, `end` at last."""
        return event_stream(request, _frames(tasks, [str(each) for each in task_id]))

    @router.get("/{task_id}", response_model=Task, responses=_ASKED)
    async def look(task_id: Annotated[UUID, Path()], tasks: FuncXTasks) -> Response:
        """Tell the status of a task and, once there is one, its result."""
        view = await tasks.look(str(task_id))
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
        # The status line is sent: a browser connects again, and the service may answer then.
        yield format_sse_event(comment=str(error), retry=RETRY_AFTER * 1_000)
        return
    yield format_sse_event(event="end", data_str="{}")
