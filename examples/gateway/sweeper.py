"""Carrying sweeps out, across whatever happens to this process."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from funcx_async import (
    FuncXError,
    FuncXExecutor,
    FuncXFuture,
    SubmitUncertain,
    as_completed,
)
from funcx_async.fastapi import message_of

from .feed import Feed
from .logistic import attractor
from .store import Store, Sweep

PAUSE = 2.0
"""Seconds until a sweep that could not go on is tried again."""

_log = logging.getLogger(__name__)


class Sweeper:
    """Carries out one sweep after the other.

    What was ordered and what came of it is in the store, what is under way in the executor's
    journal. A task leaves the journal when its outcome is in the store, so that each is in one of
    them at any time, or was never sent.

    Args:
        executor: runs the tasks; it has a journal.
        store: remembers.
    """

    def __init__(self, executor: FuncXExecutor, store: Store) -> None:
        self.feed = Feed()
        self._executor = executor
        self._store = store
        self._ordered = asyncio.Event()
        self._due: Sweep | None = None
        self._tell(busy=False)
        if (sweep := store.latest()) is not None:
            self._show(sweep)

    def order(self, first: float, last: float, columns: int, pause: float) -> Sweep:
        """Begin a sweep; for when none goes on."""
        sweep = self._store.add(first, last, columns, pause)
        self._show(sweep)
        self._ordered.set()
        return sweep

    def _show(self, sweep: Sweep) -> None:
        outcomes = self._store.outcomes(sweep)
        self.feed.begin(sweep.id, asdict(sweep))
        for outcome in outcomes:
            self.feed.publish("column", outcome)
        self._due = sweep if len(outcomes) < sweep.columns else None
        self._tell(busy=self._due is not None)

    def _tell(self, *, busy: bool, trouble: str = "") -> None:
        self.busy = busy
        self.feed.tell({"busy": busy, "trouble": trouble})

    async def run(self) -> None:
        """Finish what an earlier process began, then do what is ordered, for ever.

        What goes wrong is told and tried again: store and journal know what is done. Meanwhile
        another sweep may be ordered, which takes its place.
        """
        while True:
            if self._due is not None:
                self._tell(busy=True)
                try:
                    await self._carry_out(self._due)
                except Exception as error:
                    _log.exception("A sweep cannot go on; it is tried again in %g s.", PAUSE)
                    words = str(error) if isinstance(error, FuncXError) else repr(error)
                    self._tell(busy=False, trouble=f"The sweep cannot go on just now: {words}")
                else:
                    self._due = None
                    self._tell(busy=False)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if self._due is None else PAUSE):
                    await self._ordered.wait()
            self._ordered.clear()

    async def _carry_out(self, sweep: Sweep) -> None:
        futures = await self._resumed(sweep)
        done = {outcome["column"] for outcome in self._store.outcomes(sweep)}
        # In any order but that of r, so that the whole picture is there early, and gets finer.
        for column in random.Random(sweep.id).sample(range(sweep.columns), sweep.columns):
            if column not in done and column not in futures:
                futures[column] = self._submit(sweep, column)
        while futures:
            columns = {future: column for column, future in futures.items()}
            futures = {}
            async for future in as_completed(list(columns)):
                if not await self._settle(sweep, columns[future], future):
                    futures[columns[future]] = self._submit(sweep, columns[future])

    async def _resumed(self, sweep: Sweep) -> dict[int, FuncXFuture[Any]]:
        """Take up what earlier processes have sent, by its column."""
        futures = {}
        async for key, future in self._executor.resume():
            sweep_id, _, column = key.partition("/")
            if sweep_id == str(sweep.id):
                futures[int(column)] = future
            else:
                await self._executor.confirm(key)
        return futures

    def _submit(self, sweep: Sweep, column: int) -> FuncXFuture[list[float]]:
        view = self._executor.options(key=f"{sweep.id}/{column}")
        return view.submit(attractor, sweep.at(column), sweep.pause)

    async def _settle(self, sweep: Sweep, column: int, future: FuncXFuture[Any]) -> bool:
        """Keep what came of a task; False if it has to be submitted again."""
        outcome: dict[str, Any] = {"column": column}
        try:
            outcome["values"] = await future
        except SubmitUncertain:
            # An earlier process was killed while it sent this one. Computed twice it does no harm.
            await self._executor.confirm(str(future.key))
            return False
        except FuncXError as error:
            outcome["error"] = message_of(error)
        outcome["at"] = time.time()
        if self._store.keep(sweep.id, outcome):
            self.feed.publish("column", outcome)
        await self._executor.confirm(str(future.key))
        return True
