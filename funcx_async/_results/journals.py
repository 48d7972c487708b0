"""The journals that the results of one task group are written to: those of the executors there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from funcx_async._journal import Journal
from funcx_async.errors import JournalError
from funcx_async.models import Result


class Journals:
    """See the module; false if there is none, which most executors have.

    Args:
        journals: those that there are.
    """

    def __init__(self, journals: Iterable[Journal] = ()) -> None:
        self._journals = tuple(journals)

    def __bool__(self) -> bool:
        return bool(self._journals)

    def receive(self, result: Result) -> None:
        """Have a result written down where its task is kept."""
        for journal in self._journals:
            journal.receive(result)

    def unattended(self, task_id: str) -> bool:
        """Whether this is a task of an earlier process that was not resumed yet."""
        return any(journal.unattended(task_id) for journal in self._journals)

    def when_committed(self, then: Callable[[], None]) -> None:
        """Call ``then`` once all that was told before is on disk; never if that fails."""
        for journal in self._journals:
            then = partial(journal.when_committed, then)
        then()

    async def committed(self) -> None:
        """Wait until all that was told before is on disk, or cannot be written."""
        for journal in self._journals:
            with suppress(JournalError):
                await journal.committed()
