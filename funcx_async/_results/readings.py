"""Large results that are being read, aside from the loop, and the deliveries that wait for that.

A delivery is acknowledged once its future is settled, and so is a second one of the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from funcx_async._futures.future import FuncXFuture
from funcx_async._results.aside import Aside
from funcx_async._results.outcome import read_apart
from funcx_async.models import Result


class Readings:
    """See the module.

    Args:
        aside: where the reading is done.
        done_with: is called with the tag of a delivery that need not wait any more.
        was_read: is called with a result that was read, before its deliveries are done with.
    """

    def __init__(
        self, aside: Aside, done_with: Callable[[object], None], was_read: Callable[[Result], None]
    ) -> None:
        self._aside = aside
        self._done_with = done_with
        self._was_read = was_read
        self._tags: dict[str, list[object]] = {}

    def read(
        self, futures: Sequence[FuncXFuture[Any]], result: Result, tags: Iterable[object]
    ) -> None:
        """Read a result for each of ``futures``, and settle them; deliveries wait for that."""
        # Where it is being read already, for futures that were given up, all wait for this one.
        waiting = [*self._tags.get(result.task_id, ()), *tags]
        self._tags[result.task_id] = waiting

        def work() -> Callable[[], None]:
            return partial(
                self._settle, [read_apart(each, result) for each in futures], waiting, result
            )

        self._aside.do(work)

    def hold(self, task_id: str, tag: object) -> bool:
        """Have one more delivery of a result wait until it is read; False if it is not being."""
        waiting = self._tags.get(task_id)
        if waiting is None:
            return False
        waiting.append(tag)
        return True

    def _settle(
        self, outcomes: Iterable[Callable[[], bool]], waiting: list[object], result: Result
    ) -> None:
        for settle in outcomes:
            settle()
        self._was_read(result)
        if self._tags[result.task_id] is waiting:
            del self._tags[result.task_id]
            for tag in waiting:
                self._done_with(tag)
