"""A FastAPI application with all that funcx_async.fastapi has, and functions in its own module."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.sse import format_sse_event

from funcx_async import FuncXError, FuncXExecutor
from funcx_async.fastapi import (
    EventStream,
    FuncX,
    FuncXTasks,
    error_answer,
    event_stream,
    health_router,
    lifespan_for,
    task_router,
)

FACTOR = 2


def simulate(steps: int) -> int:
    return sum(FACTOR * step for step in range(steps))


def divide(number: int, by: int) -> float:
    return number / by


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    make = lifespan_for(lambda: FuncXExecutor(max_in_flight=20), grace=0.5)
    async with make(app) as state:
        yield state | {"greeting": "from a lifespan of its own"}


app = FastAPI(lifespan=lifespan, exception_handlers={FuncXError: error_answer})
app.include_router(task_router())
app.include_router(health_router())


@app.get("/simulate/{steps}")
async def run(steps: int, executor: FuncX) -> dict[str, int]:
    return {"result": await executor.submit(simulate, steps)}


@app.post("/simulations/{steps}", status_code=202)
async def begin(steps: int, executor: FuncX, tasks: FuncXTasks) -> dict[str, str]:
    return {"task_id": await tasks.accepted(executor.submit(simulate, steps))}


@app.get("/divide/{number}/{by}")
async def divided(number: int, by: int, executor: FuncX) -> dict[str, float]:
    return {"result": await executor.submit(divide, number, by)}


@app.get("/open")
async def count_open(request: Request) -> dict[str, int]:
    return {"open": request.state.funcx.stats.open, "done": request.state.funcx.stats.done}


@app.get("/who")
async def who(request: Request, executor: FuncX) -> dict[str, Any]:
    return {
        "process": os.getpid(),
        "task_group": executor.task_group_id,
        "greeting": request.state.greeting,
    }


@app.get("/for-ever", response_class=EventStream)
async def stream(request: Request) -> EventStream:
    async def frames() -> AsyncGenerator[bytes, None]:
        yield format_sse_event(data_str="first")
        await asyncio.Event().wait()

    return event_stream(request, frames())
