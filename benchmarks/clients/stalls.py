"""How long an event loop is kept from its other work."""

from __future__ import annotations

import asyncio
import gc
import time
from types import TracebackType
from typing import Any, Self

PERIOD = 0.001


class Stalls:
    """Wakes every millisecond, and writes down how late.

    The machine may take the processor away for longer than anybody holds the loop; so the CPU
    time that the loop's own thread used meanwhile is printed as well.
    """

    def __init__(self) -> None:
        self._late: list[tuple[float, float]] = []
        self._collections: list[float] = [0.0]
        self._collecting = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        gc.callbacks.append(self._collected)
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        gc.callbacks.remove(self._collected)
        if self._task is not None:
            self._task.cancel()

    def forget(self) -> None:
        """Begin again."""
        self._late, self._collections = [], [0.0]

    def report(self) -> dict[str, Any]:
        """Seconds: the longest on the wall, of CPU, of collecting garbage; quantiles of all."""
        walls = sorted(wall for wall, _ in self._late)
        return {
            "wall": walls[-1],
            "cpu": max(cpu for _, cpu in self._late),
            "collection": max(self._collections),
            "p99": walls[int(0.99 * len(walls))],
            "p50": walls[len(walls) // 2],
            "turns": len(walls),
        }

    def _collected(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.perf_counter()
        else:
            self._collections.append(time.perf_counter() - self._collecting)

    async def _watch(self) -> None:
        while True:
            wall, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(PERIOD)
            late = time.perf_counter() - wall - PERIOD
            self._late.append((late, time.thread_time() - cpu))
