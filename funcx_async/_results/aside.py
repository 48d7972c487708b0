"""Work that would hold the loop for long, done in a thread meanwhile: reading large results."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import NoReturn, TypeAlias, TypeVar

from funcx_async._net.cancellation import is_cancelled

Work: TypeAlias = Callable[[], Callable[[], object]]
"""Runs in a thread, and gives what is to be done on the loop then."""

T = TypeVar("T")

_log = logging.getLogger("funcx_async.results")


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
        except BaseException as error:  # for whoever awaits it
            outcome.set_exception(error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(ended.set)

    try:
        threading.Thread(target=call, name="funcx:read", daemon=True).start()
    except RuntimeError:  # there are no more threads: late is better than never
        call()
    await ended.wait()
    return outcome.result()


class Aside:
    """Does one piece of work after the other, in the order in which they came.

    More at once would not be done sooner: only one thread runs Python at a time.
    """

    def __init__(self) -> None:
        self._pieces: deque[Work] = deque()
        self._due = asyncio.Event()

    def __len__(self) -> int:
        """How many pieces are not done."""
        return len(self._pieces)

    def do(self, work: Work) -> None:
        """Have ``work`` done soon."""
        self._pieces.append(work)
        self._due.set()

    async def work_for_ever(self) -> NoReturn:
        """Do what there is to do; a piece that was interrupted is begun anew."""
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
        except Exception:  # the others have their turn
            _log.exception("reading a large result")
            self._pieces.popleft()
            return
        self._pieces.popleft()
        then()
