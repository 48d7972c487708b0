"""Work that would hold the loop for long, done in a thread meanwhile: reading large results."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import NoReturn, TypeAlias

from funcx_async._futures.threads import in_thread
from funcx_async._net.cancellation import is_cancelled

Work: TypeAlias = Callable[[], Callable[[], object]]
"""Runs in a thread, and gives what is to be done on the loop then."""

_log = logging.getLogger("funcx_async.results")


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
