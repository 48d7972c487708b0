"""By which way the results of an executor come just now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from funcx_async.events import EventKind, EventReader
from funcx_async.executor.executor import FuncXExecutor

_KINDS: Final = (EventKind.DISCONNECTED, EventKind.POLLING, EventKind.CONNECTED)
"""The worst first: that of one task group is told of all."""


class ResultState:
    """What an executor's events told last of its task groups.

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
        """Listen to an executor, from its first use to the end of the context."""
        state = cls(executor)
        listening = asyncio.create_task(state._listen(executor.events()), name="funcx:readiness")
        try:
            yield state
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    def __str__(self) -> str:
        """``connected``, ``polling`` or ``disconnected``; ``idle`` before the first task."""
        kinds = set(self._groups.values())
        return next((kind.value for kind in _KINDS if kind in kinds), "idle")

    async def _listen(self, events: EventReader) -> None:
        async for event in events:
            if event.kind in _KINDS:
                self._groups[event.subject] = event.kind
