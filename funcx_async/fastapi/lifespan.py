"""The executor of an application: created in its lifespan, stored in its state, used by routes."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from types import FrameType
from typing import Annotated, Any, Final

from fastapi import Depends
from starlette.requests import HTTPConnection

from funcx_async.events import EventKind, EventReader
from funcx_async.executor.executor import FuncXExecutor
from funcx_async.fastapi.board import KEEP_BYTES, TaskBoard

Lifespan = Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]

STOP_SIGNALS: Final = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGBREAK")  # the last is Windows' own
    if hasattr(signal, name)
]

_TRANSPORT_EVENTS: Final = (EventKind.DISCONNECTED, EventKind.POLLING, EventKind.CONNECTED)
"""The worst first: the state of one task group counts for all."""

_log = logging.getLogger(__name__)


def lifespan_for(
    make: Callable[[], FuncXExecutor] = FuncXExecutor,
    *,
    grace: float = 5.0,
    keep_bytes: int = KEEP_BYTES,
) -> Lifespan:
    """Return a lifespan that opens an executor and puts it in the state of requests.

    The executor is created when the application starts, on its event loop. So each of several
    server processes has its own executor with its own task group.

    When the application stops, queued tasks are sent. Tasks that the service has keep running: a
    restart should not wait for a supercomputer.

    Args:
        make: creates the executor; by default from the environment.
        grace: seconds to wait for open tasks at the end, so that queued ones are sent.
        keep_bytes: memory for the results of finished tasks, in bytes; see :class:`TaskBoard`.

    Returns:
        A lifespan, for ``FastAPI(lifespan=...)`` or to enter in a lifespan of your own.

    Example::

        app = FastAPI(lifespan=lifespan_for(lambda: FuncXExecutor(max_in_flight=10_000)))

        @asynccontextmanager
        async def lifespan(app):  # or inside your own
            async with open_database() as database, lifespan_for()(app) as state:
                yield state | {"database": database}
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        """Yield the state of requests while the application runs."""
        executor = make()
        stopping = asyncio.Event()
        async with ResultState.of(executor) as results:
            try:
                with _set_on_signal(stopping):
                    yield {
                        "funcx": executor,
                        "funcx_tasks": TaskBoard(executor, keep_bytes=keep_bytes),
                        "funcx_results": results,
                        "funcx_stopping": stopping,
                    }
            finally:
                stopping.set()
                await _shut_down(executor, grace)

    return lifespan


async def _shut_down(executor: FuncXExecutor, grace: float) -> None:
    try:
        async with asyncio.timeout(grace):
            await executor.shutdown()
    except TimeoutError:
        _log.info(
            "%d task(s) of the group %s are still open; they keep running without this process.",
            executor.stats.open,
            executor.task_group_id,
        )


# What routes use --------------------------------------------------------------------------------


def get_funcx(connection: HTTPConnection) -> FuncXExecutor:
    """Return the application's executor to a request; override this dependency in tests.

    Raises:
        RuntimeError: if the application has no lifespan with an executor.

    Example::

        app.dependency_overrides[get_funcx] = lambda: executor
    """
    executor = getattr(connection.state, "funcx", None)
    if not isinstance(executor, FuncXExecutor):
        raise RuntimeError(
            "There is no executor in the state of this request. Use "
            "FastAPI(lifespan=lifespan_for()), or yield its state from your own lifespan."
        )
    return executor


FuncX = Annotated[FuncXExecutor, Depends(get_funcx)]
"""The application's executor, as a parameter of a route."""


def get_tasks(connection: HTTPConnection, executor: FuncX) -> TaskBoard:
    """Return the board of the request's executor.

    If :func:`get_funcx` is overridden, that executor has its own board.
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
"""The task board of the application, as a parameter of a route."""


# How results arrive -----------------------------------------------------------------------------


class ResultState:
    """How the results of an executor arrive: the last transport event of each task group.

    Args:
        executor: the executor.

    Attributes:
        executor: the executor.
    """

    def __init__(self, executor: FuncXExecutor) -> None:
        self.executor = executor
        self._groups: dict[str, EventKind] = {}

    @classmethod
    @asynccontextmanager
    async def of(cls, executor: FuncXExecutor) -> AsyncIterator[ResultState]:
        """Follow the events of an executor within the context."""
        state = cls(executor)
        reader = asyncio.create_task(state._follow(executor.events()), name="funcx:readiness")
        try:
            yield state
        finally:
            reader.cancel()
            await asyncio.wait([reader])

    def __str__(self) -> str:
        """``connected``, ``polling`` or ``disconnected``; ``idle`` before the first task."""
        kinds = set(self._groups.values())
        return next((kind.value for kind in _TRANSPORT_EVENTS if kind in kinds), "idle")

    async def _follow(self, events: EventReader) -> None:
        async for event in events:
            if event.kind in _TRANSPORT_EVENTS:
                self._groups[event.subject] = event.kind


# The signal to stop -----------------------------------------------------------------------------


@contextmanager
def _set_on_signal(stopping: asyncio.Event) -> Iterator[None]:
    """Set an event when the process receives a signal to stop, within the context.

    A server waits for open responses before it ends the lifespan, so a stream that waited for the
    end of the lifespan would never end. The signal comes early enough.

    The previous handler still runs, afterwards. A signal without a handler ends the process as
    before. Outside the main thread, as in a ``TestClient``, there are no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    installed = {}
    for number in STOP_SIGNALS:
        previous = signal.getsignal(number)
        if callable(previous):
            handler = partial(_handle_signal, loop, stopping, previous)
            signal.signal(number, handler)
            installed[number] = (handler, previous)
    try:
        yield
    finally:
        for number, (handler, previous) in installed.items():
            if signal.getsignal(number) is handler:  # else another one was installed on top
                signal.signal(number, previous)


def _handle_signal(
    loop: asyncio.AbstractEventLoop,
    stopping: asyncio.Event,
    previous: Callable[[int, FrameType | None], Any],
    number: int,
    frame: FrameType | None,
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(stopping.set)
    previous(number, frame)
