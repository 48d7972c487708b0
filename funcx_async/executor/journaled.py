"""The verbs of the journal, for an executor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import Any

from funcx_async.futures.future import FuncXFuture
from funcx_async.session.resuming import resumed
from funcx_async.session.session import Session


class Journaled(ABC):
    """Gives back what the journal holds; the subclass says whose journal."""

    @abstractmethod
    def _bound(self, *, wait: bool = True) -> Session:
        """Give the session, making it at first use; raises where none may be used."""

    def resume(self) -> AsyncGenerator[tuple[str, FuncXFuture[Any]], None]:
        """Give back everything that the journal holds, above all from earlier processes.

        Iterate over it: each step gives a key and a future, first of what is done, then of what
        is open. The future of a task that was done is
        done; that of an open one is awaited again, by queue and over REST; that of a task whose
        submit was under way when its process ended fails with SubmitUncertain. What has failed
        for good is given back as well. Tasks stay in the journal until they are confirmed.

        Raises:
            ValueError: if there is no journal, or it keeps tasks of another service.
            JournalUnusable: if it cannot be used.
            ExecutorClosed: after ``shutdown``.

        Example::

            async for key, future in executor.resume():
                keep(key, await future)
                await executor.confirm(key)
        """
        session = self._bound()
        return resumed(session, session.kept_journal)

    async def confirm(self, *keys: str) -> None:
        """Have the journal forget tasks: the application has dealt with them, whatever came of it.

        When it returns they are gone for good, and their keys are free. A task that is still open
        runs on, but no later process will hear of it.

        Args:
            *keys: their keys, as ``options(key=...)`` or ``future.key`` has them.

        Raises:
            KeyError: if the journal holds no such task; none is forgotten then.
            ValueError: if there is no journal.
            JournalUnusable: if it cannot be written.
        """
        session = self._bound(wait=False)
        await session.until_open()
        await session.kept_journal.confirm(keys)
