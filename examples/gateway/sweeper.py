"""Runs sweeps, across crashes and restarts of this process."""

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
"""Seconds before a failed sweep is retried."""

_log = logging.getLogger(__name__)


class Sweeper:
    """Runs one sweep after the other.

    The store has the sweeps and the outcomes, the executor's journal has the open tasks. A task
    leaves the journal when its outcome is in the store, so each task is in one of them at any time,
    or was never sent.

    Args:
        executor: an executor with a journal.
        store: the database.
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
        """Start a sweep, if none is running."""
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
        """Finish the sweep of an earlier process, then run new ones, without end.

        Failures are shown and retried: store and journal know what is done. A new sweep may replace
        a failing one.
        """
        while True:
            if self._due is not None:
                self._tell(busy=True)
                try:
                    await self._carry_out(self._due)
                except Exception as error:
                    _log.exception("The sweep failed; retrying in %g s.", PAUSE)
                    message = str(error) if isinstance(error, FuncXError) else repr(error)
                    self._tell(busy=False, trouble=f"The sweep failed and is retried: {message}")
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
        # In random order, so that the whole picture appears early and becomes finer.
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
        """Return the futures of tasks that earlier processes submitted, by column."""
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
        """Store the outcome of a task; return False if it must be submitted again."""
        outcome: dict[str, Any] = {"column": column}
        try:
            outcome["values"] = await future
        except SubmitUncertain:
            # An earlier process was killed while it sent this task, which may safely run twice.
            await self._executor.confirm(str(future.key))
            return False
        except FuncXError as error:
            outcome["error"] = message_of(error)
        outcome["at"] = time.time()
        if self._store.keep(sweep.id, outcome):
            self.feed.publish("column", outcome)
        await self._executor.confirm(str(future.key))
        return True
