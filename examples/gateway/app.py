"""The application: a page, a route to order a sweep, and a stream of what comes of it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field

from funcx_async import FuncXError, FuncXExecutor
from funcx_async.fastapi import (
    EventStream,
    error_answer,
    event_stream,
    health_router,
    lifespan_for,
)
from funcx_async.local import LocalService

from .store import Store
from .sweeper import Sweeper

HOME = Path(os.environ.get("GATEWAY_HOME", ".gateway"))
"""Where the gateway keeps what has to outlive it."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open store and executor, and have a sweeper at work."""
    async with AsyncExitStack() as stack:
        store = stack.enter_context(closing(opened_store()))
        options: dict[str, Any] = {"journal": HOME / "tasks.journal"}
        if "FUNCX_ASYNC_ENDPOINT_ID" not in os.environ:
            service = await stack.enter_async_context(local_service())
            options |= {"endpoint_id": service.endpoint_id, "funcx_client": service.client()}
        state = await stack.enter_async_context(lifespan_for(lambda: FuncXExecutor(**options))(app))
        sweeper = Sweeper(state["funcx"], store)
        sweeping = asyncio.create_task(sweeper.run())
        try:
            yield state | {"sweeper": sweeper}
        finally:
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping


def opened_store() -> Store:
    """Open what the gateway remembers."""
    HOME.mkdir(mode=0o700, exist_ok=True)
    return Store(HOME / "sweeps.db")


@asynccontextmanager
async def local_service() -> AsyncIterator[LocalService]:
    """A service of our own that is found again after a restart: with its tasks, at its port."""
    async with LocalService(port=kept_port(), database=HOME / "service.db") as service:
        keep_port(int(service.url.rpartition(":")[2]))
        yield service


def kept_port() -> int:
    """The port of the time before; 0, which is any, at first."""
    kept = HOME / "service.port"
    return int(kept.read_text()) if kept.exists() else 0


def keep_port(port: int) -> None:
    """Remember the port: the journal keeps tasks for one service, which it knows by its address."""
    (HOME / "service.port").write_text(str(port))


app = FastAPI(
    title="Gateway",
    description="Sweeps a parameter on a funcX endpoint and shows the result as it comes.",
    lifespan=lifespan,
    exception_handlers={FuncXError: error_answer},
)
app.include_router(health_router())


@app.exception_handler(RequestValidationError)
async def mistaken(request: Request, error: RequestValidationError) -> JSONResponse:
    """Say what is wrong, without what was sent: that may be NaN, which JSON cannot send back."""
    mistakes = [{"loc": each["loc"], "msg": each["msg"]} for each in error.errors()]
    return JSONResponse({"detail": mistakes}, 422)


def get_sweeper(request: Request) -> Sweeper:
    """The sweeper of this process."""
    sweeper: Sweeper = request.state.sweeper
    return sweeper


Sweeping = Annotated[Sweeper, Depends(get_sweeper)]


class Order(BaseModel):
    """A sweep to be carried out."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    first: float = Field(ge=0, le=4)
    last: float = Field(ge=0, le=4)
    columns: int = Field(ge=2, le=2_000)
    pause: float = Field(default=0.0, ge=0, le=60)


@app.post("/sweeps", status_code=202)
async def begin(order: Order, sweeper: Sweeping) -> dict[str, int]:
    """Order a sweep; answers at once."""
    if sweeper.busy:
        raise HTTPException(409, "A sweep goes on. Wait for its end.")
    try:
        return {"sweep": sweeper.order(**order.model_dump()).id}
    except sqlite3.OperationalError as error:
        words = f"The order cannot be kept just now: {error}. Try again."
        raise HTTPException(503, words, headers={"Retry-After": "1"}) from error


@app.get("/events", response_class=EventStream)
async def follow(
    request: Request, sweeper: Sweeping, last_event_id: Annotated[str, Header()] = ""
) -> EventStream:
    """Follow the sweep that goes on, and those after it."""
    return event_stream(request, sweeper.feed.follow(last_event_id))


app.mount("/", StaticFiles(directory=Path(__file__).parent / "page", html=True))
