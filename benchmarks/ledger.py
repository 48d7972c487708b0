"""What became of each task, as its submitter saw it.

Nothing but the standard library: the official client's program uses it too, in an environment
without funcx_async.
"""

from __future__ import annotations

import json
import resource
import time
from collections import Counter
from typing import Any


class Ledger:
    """The outcomes of tasks that are numbered from 0; task ``n`` gives ``(3 * n + 1, when)``.

    Args:
        uncertain: the class of errors that say that the outcome is unknown.
    """

    def __init__(self, uncertain: type[BaseException] | None = None) -> None:
        self._uncertain = uncertain
        self._open: set[int] = set()
        self._settled: Counter[int] = Counter()
        self._right = self._wrong = 0
        self._doubts: list[int] = []
        self._doubted_batches: set[int] = set()
        self._kept: list[BaseException | None] = []
        self._lost: list[int] = []
        self._errors: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._worst = 0.0
        self.submitted = 0
        self.restarts = 0

    def opened(self) -> int:
        """Number a new task."""
        number = self.submitted
        self.submitted += 1
        self._open.add(number)
        return number

    @property
    def still_open(self) -> int:
        """How many tasks are not settled."""
        return len(self._open)

    def settled(self, number: int, future: Any) -> None:
        """Note the outcome of a task; called as often as its future calls back."""
        self._settled[number] += 1
        self._open.discard(number)
        if future.cancelled():
            self._note(number, "cancelled", "")
            return
        error = future.exception(0)
        if error is None:
            value, executed = future.result(0)
            self._right += value == 3 * number + 1
            self._wrong += value != 3 * number + 1
            self._worst = max(self._worst, time.time() - executed)
        elif self._uncertain is not None and isinstance(error, self._uncertain):
            self._doubts.append(number)
            self._doubted_batches.add(id(error.__cause__))
            self._kept.append(error.__cause__)  # else its id may come again
        else:
            self._note(number, type(error).__name__, str(error))

    def refused(self, number: int) -> None:
        """Note that a submit raised: there is no future, so there is nothing to lose."""
        self._open.discard(number)
        self.submitted -= 1

    def _note(self, number: int, kind: str, text: str) -> None:
        self._lost.append(number)
        self._errors[kind] += 1
        self._examples.setdefault(kind, text[:300])

    def report(self) -> str:
        """Return everything as JSON, in one line."""
        return json.dumps(
            {
                "submitted": self.submitted,
                "settled": len(self._settled),
                "right": self._right,
                "wrong": self._wrong,
                "settled twice": sum(count > 1 for count in self._settled.values()),
                "hung": len(self._open),
                "doubts": self._doubts,
                "doubted batches": len(self._doubted_batches),
                "lost": self._lost,
                "errors": dict(self._errors),
                "examples": self._examples,
                "worst settle delay": self._worst,
                "peak memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "executors that died": self.restarts,
            }
        )
