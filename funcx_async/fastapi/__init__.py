"""Integration with FastAPI: an executor in the lifespan, ready-made routes and event streams.

It needs the extra ``fastapi``: ``pip install 'funcx-async[fastapi]'``.

Example::

    app = FastAPI(lifespan=lifespan_for())
    app.include_router(task_router())
    app.include_router(health_router())

    @app.post("/simulations", status_code=202)
    async def simulate(steps: int, executor: FuncX, tasks: FuncXTasks) -> dict[str, str]:
        return {"task_id": await tasks.accepted(executor.submit(simulation, steps))}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from funcx_async._lazy import attach

if TYPE_CHECKING:
    from funcx_async.fastapi.answers import TaskError, TaskView, error_answer, message_of
    from funcx_async.fastapi.board import TaskBoard
    from funcx_async.fastapi.health import health_router
    from funcx_async.fastapi.lifespan import (
        FuncX,
        FuncXTasks,
        get_funcx,
        lifespan_for,
    )
    from funcx_async.fastapi.routes import task_router
    from funcx_async.fastapi.streams import EventStream, event_stream

__all__ = [
    "EventStream",
    "FuncX",
    "FuncXTasks",
    "TaskBoard",
    "TaskError",
    "TaskView",
    "error_answer",
    "event_stream",
    "get_funcx",
    "health_router",
    "lifespan_for",
    "message_of",
    "task_router",
]

_HOMES = {
    "EventStream": "streams",
    "FuncX": "lifespan",
    "FuncXTasks": "lifespan",
    "TaskBoard": "board",
    "TaskError": "answers",
    "TaskView": "answers",
    "error_answer": "answers",
    "event_stream": "streams",
    "get_funcx": "lifespan",
    "health_router": "health",
    "lifespan_for": "lifespan",
    "message_of": "answers",
    "task_router": "routes",
}

__getattr__, __dir__ = attach(
    __name__,
    __all__,
    _HOMES,
    extra="fastapi",
    user="funcx_async.fastapi",
    libraries={"fastapi": "fastapi", "pydantic": "pydantic", "starlette": "starlette"},
)
