"""The executor of an application: made in its lifespan, kept in its state, given to its routes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from funcx_async.executor.executor import FuncXExecutor
from funcx_async.fastapi.board import KEEP_BYTES, TaskBoard
from funcx_async.fastapi.results import ResultState
from funcx_async.fastapi.stopping import set_at_signal

Lifespan = Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]

_log = logging.getLogger(__name__)


def lifespan_for(
    make: Callable[[], FuncXExecutor] = FuncXExecutor,
    *,
    grace: float = 5.0,
    keep_bytes: int = KEEP_BYTES,
) -> Lifespan:
    """Make a lifespan that opens an executor and puts it in the state of requests.

    The executor is made when the application starts, on its event loop, so that each process of
    several has its own, with a task group of its own.

    At the end tasks that the service has are left running there, as a restart should not wait for
    a supercomputer; what waits to be sent is sent.

    Args:
        make: makes the executor; by default as the environment says.
        grace: seconds that the end waits for open tasks, so that what is queued is sent.
        keep_bytes: how large the answers for tasks that have ended may be, all together; see
            :class:`TaskBoard`.

    Returns:
        A lifespan, for ``FastAPI(lifespan=...)`` or to be entered in one of your own.

    Example::

        app = FastAPI(lifespan=lifespan_for(lambda: FuncXExecutor(max_in_flight=10_000)))

        @asynccontextmanager
        async def lifespan(app):  # or inside your own
            async with open_database() as database, lifespan_for()(app) as state:
                yield state | {"database": database}
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        """Give what is in the state of requests while the application runs."""
        executor = make()
        stopping = asyncio.Event()
        async with ResultState.of(executor) as results:
            try:
                with set_at_signal(stopping):
                    yield {
                        "funcx": executor,
                        "funcx_tasks": TaskBoard(executor, keep_bytes=keep_bytes),
                        "funcx_results": results,
                        "funcx_stopping": stopping,
                    }
            finally:
                stopping.set()
                await _end(executor, grace)

    return lifespan


async def _end(executor: FuncXExecutor, grace: float) -> None:
    try:
        async with asyncio.timeout(grace):
            await executor.shutdown()
    except TimeoutError:
        _log.info(
            "%d task(s) of the group %s are still open; they run on without this process.",
            executor.stats.open,
            executor.task_group_id,
        )


def get_funcx(connection: HTTPConnection) -> FuncXExecutor:
    """Give a request the application's executor; to be overridden in tests.

    Raises:
        RuntimeError: if the application has no lifespan with an executor.

    Example::

        app.dependency_overrides[get_funcx] = lambda: executor
    """
    executor = getattr(connection.state, "funcx", None)
    if not isinstance(executor, FuncXExecutor):
        raise RuntimeError(
            "There is no executor in the state of this request: give the application "
            "FastAPI(lifespan=lifespan_for()), or yield its state from a lifespan of your own."
        )
    return executor


FuncX = Annotated[FuncXExecutor, Depends(get_funcx)]
"""The application's executor, as a parameter of a route."""


def get_tasks(connection: HTTPConnection, executor: FuncX) -> TaskBoard:
    """Give a request what is known of the tasks of its executor.

    Where :func:`get_funcx` is overridden, that executor has a board of its own.
    """
    board = getattr(connection.state, "funcx_tasks", None)
    if isinstance(board, TaskBoard) and board.executor is executor:
        return board
    state = connection.app.state
    if not hasattr(state, "funcx_boards"):
        state.funcx_boards = {}
    boards: dict[FuncXExecutor, TaskBoard] = state.funcx_boards
    if executor not in boards:
        boards[executor] = TaskBoard(executor)
    return boards[executor]


FuncXTasks = Annotated[TaskBoard, Depends(get_tasks)]
"""What is known of the tasks of the application, as a parameter of a route."""
