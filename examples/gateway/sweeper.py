"""Carrying sweeps out, across whatever happens to this process."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import asdict
from typing import Any

from funcx_async import (
    FuncXError,
    FuncXExecutor,
    FuncXFuture,
    SubmitUncertain,
    TaskExecutionFailed,
    as_completed,
)

from .feed import Feed
from .logistic import attractor
from .store import Store, Sweep

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
        self.busy = False
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
        self.busy = len(outcomes) < sweep.columns
        self.feed.begin(sweep.id, asdict(sweep))
        for outcome in outcomes:
            self.feed.publish("column", outcome)

    async def run(self) -> None:
        """Finish what an earlier process began, then do what is ordered, for ever."""
        while True:
            sweep = self._store.latest()
            if sweep is not None and self.busy:
                try:
                    await self._carry_out(sweep)
                except FuncXError as error:
                    _log.exception("The sweep %d cannot go on.", sweep.id)
                    self.feed.publish("trouble", {"detail": str(error)})
                self.busy = False
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
        except TaskExecutionFailed as error:
            outcome["error"] = error.remote_data.strip().splitlines()[-1]
        except FuncXError as error:
            outcome["error"] = str(error)
        outcome["at"] = time.time()
        if self._store.keep(sweep.id, outcome):
            self.feed.publish("column", outcome)
        await self._executor.confirm(str(future.key))
        return True
