"""From a delivery to its result, and from a result to its value; large ones off the loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn, TypeAlias, TypeVar

from msgspec.structs import replace

from funcx_async._futures.future import FuncXFuture
from funcx_async._net.cancellation import is_cancelled
from funcx_async._service.messages import MalformedMessage, decode_outcome, spelled_alike
from funcx_async._service.outcomes import failure_of, unreadable, value_of
from funcx_async.errors import FuncXError
from funcx_async.models import Delivery, Result
from funcx_async.serialize.payloads import LARGE

T = TypeVar("T")

Work: TypeAlias = Callable[[], Callable[[], object]]
"""Runs in a thread, and returns what is to be done on the loop then."""

_log = logging.getLogger("funcx_async.results")


def decoded(delivery: Delivery) -> Result | MalformedMessage:
    """Return the result that was delivered, its task id as spelled there, or why it is none."""
    if delivery.too_large:
        return MalformedMessage("size", "it is larger than any result may be")
    try:
        result = decode_outcome(delivery.body)
    except MalformedMessage as error:
        return error
    if delivery.high_assurance:
        return Result(result.task_id, None)
    if result.error_code is not None and delivery.timestamp is not None:
        return replace(result, completion_t=str(delivery.timestamp))
    return result


def spelled(outcome: Result | MalformedMessage) -> Result | MalformedMessage:
    """Return a result with its task id in the one spelling, or why it is none."""
    if isinstance(outcome, MalformedMessage):
        return outcome
    try:
        return spelled_alike(outcome)
    except MalformedMessage as error:
        return error


def settle(
    future: FuncXFuture[Any], result: Result, here: asyncio.AbstractEventLoop | None = None
) -> bool:
    """Settle ``future`` with a result; False if it is settled already.

    Args:
        future: awaits the result.
        result: its outcome.
        here: the loop that runs in this thread, if the caller knows it.
    """
    failure = None if result.error_code is None else failure_of(result)
    if failure is not None:
        return future.task_failed(failure)
    return future.succeed(result.data or "", here)


def takes_long(result: Result) -> bool:
    """Return whether reading the value would hold the loop for too long."""
    return result.error_code is None and len(result.data or "") >= LARGE


def read_apart(future: FuncXFuture[Any], result: Result) -> Callable[[], bool]:
    """Read a result in whatever thread this is; return what settles the future, on its loop."""
    try:
        value = value_of(result, future.reader())
    except FuncXError as error:
        return partial(future.task_failed, error)
    except KeyboardInterrupt as error:  # the value's own: a person's reaches the main thread only
        return partial(future.task_failed, unreadable(result, error))
    return partial(future.fulfil, value)


async def in_thread(work: Callable[[], T]) -> T:
    """Call ``work`` in a thread of its own, which no program waits for at its end.

    So a pickle that is read there, which is any code, may take as long as it likes. If this is
    cancelled meanwhile, the thread goes on, and its outcome is dropped.
    """
    loop = asyncio.get_running_loop()
    outcome: Future[T] = Future()
    ended = asyncio.Event()

    def call() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # for the caller
            outcome.set_exception(error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(ended.set)

    try:
        threading.Thread(target=call, name="funcx:read", daemon=True).start()
    except RuntimeError:  # there are no more threads: late is better than never
        call()
    await ended.wait()
    return outcome.result()


class OffLoopReader:
    """Reads large results in a thread, one after the other, in the order in which they came.

    More at once would not be faster: only one thread runs Python at a time.
    """

    def __init__(self) -> None:
        self._pieces: deque[Work] = deque()
        self._due = asyncio.Event()

    def __len__(self) -> int:
        """Return how many pieces are not done."""
        return len(self._pieces)

    def do(self, work: Work) -> None:
        """Do ``work`` soon."""
        self._pieces.append(work)
        self._due.set()

    async def read_forever(self) -> NoReturn:
        """Do what there is to do; a piece that was interrupted is begun again."""
        while True:
            while self._pieces:
                await self._do_next()
            self._due.clear()
            await self._due.wait()

    async def _do_next(self) -> None:
        try:
            then = await in_thread(self._pieces[0])
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            return  # something underneath was cancelled
        except Exception:  # the others are read all the same
            _log.exception("reading a large result")
            self._pieces.popleft()
            return
        self._pieces.popleft()
        then()
