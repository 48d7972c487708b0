"""A FastAPI application of twenty lines, with a function in its own module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

from funcx_async import FuncXExecutor

FACTOR = 2


def simulate(steps: int) -> int:
    return sum(FACTOR * step for step in range(steps))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, FuncXExecutor]]:
    async with FuncXExecutor() as executor:
        yield {"funcx": executor}


app = FastAPI(lifespan=lifespan)


@app.get("/simulate/{steps}")
async def run(steps: int, request: Request) -> dict[str, int]:
    return {"result": await request.state.funcx.submit(simulate, steps)}


@app.get("/open")
async def count_open(request: Request) -> dict[str, int]:
    return {"open": request.state.funcx.stats.open, "done": request.state.funcx.stats.done}
