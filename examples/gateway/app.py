"""The application: a page, a route that starts a sweep, and a stream of its results."""

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
from fastapi.middleware.trustedhost import TrustedHostMiddleware
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
"""The directory of the files that outlive the process."""

HOSTS = os.environ.get("GATEWAY_HOSTS", "127.0.0.1,localhost").split(",")
"""The host names that the gateway answers to.

A page of another site may make its own name resolve to 127.0.0.1 (DNS rebinding), and could then
start sweeps from the browser of its visitors. The ``Host`` header gives it away.
"""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open the store and the executor, and run the sweeper."""
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
    """Open the database of the gateway."""
    HOME.mkdir(mode=0o700, exist_ok=True)
    return Store(HOME / "sweeps.db")


@asynccontextmanager
async def local_service() -> AsyncIterator[LocalService]:
    """Run a local service that keeps its tasks and its port across restarts."""
    async with LocalService(port=kept_port(), database=HOME / "service.db") as service:
        keep_port(int(service.url.rpartition(":")[2]))
        yield service


def kept_port() -> int:
    """Return the port of the last run; at first 0, which is any."""
    kept = HOME / "service.port"
    return int(kept.read_text()) if kept.exists() else 0


def keep_port(port: int) -> None:
    """Store the port: a journal belongs to one service, which it knows by its URL."""
    (HOME / "service.port").write_text(str(port))


app = FastAPI(
    title="Gateway",
    description="Sweeps a parameter on a funcX endpoint and shows the results as they arrive.",
    lifespan=lifespan,
    exception_handlers={FuncXError: error_answer},
)
app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)
app.include_router(health_router())


@app.exception_handler(RequestValidationError)
async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """Return the problems without the input, which may hold NaN that JSON cannot represent."""
    problems = [{"loc": each["loc"], "msg": each["msg"]} for each in error.errors()]
    return JSONResponse({"detail": problems}, 422)


def get_sweeper(request: Request) -> Sweeper:
    """Return the sweeper of this process."""
    sweeper: Sweeper = request.state.sweeper
    return sweeper


Sweeping = Annotated[Sweeper, Depends(get_sweeper)]


class Order(BaseModel):
    """A requested sweep."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    first: float = Field(ge=0, le=4)
    last: float = Field(ge=0, le=4)
    columns: int = Field(ge=2, le=2_000)
    pause: float = Field(default=0.0, ge=0, le=60)


@app.post("/sweeps", status_code=202)
async def begin(order: Order, sweeper: Sweeping) -> dict[str, int]:
    """Start a sweep and return at once."""
    if sweeper.busy:
        raise HTTPException(409, "A sweep is running. Wait until it has finished.")
    try:
        return {"sweep": sweeper.order(**order.model_dump()).id}
    except sqlite3.OperationalError as error:
        detail = f"The order cannot be stored: {error}. Try again."
        raise HTTPException(503, detail, headers={"Retry-After": "1"}) from error


@app.get("/events", response_class=EventStream)
async def follow(
    request: Request, sweeper: Sweeping, last_event_id: Annotated[str, Header()] = ""
) -> EventStream:
    """Follow the current sweep and those after it."""
    return event_stream(request, sweeper.feed.follow(last_event_id))


app.mount("/", StaticFiles(directory=Path(__file__).parent / "page", html=True))
