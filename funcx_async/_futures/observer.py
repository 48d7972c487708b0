"""What may watch an executor at work; telemetry does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias, runtime_checkable

from funcx_async._core.batcher import Batch, Route
from funcx_async._futures.future import FuncXFuture
from funcx_async.models import Receipt, Stats

Answered: TypeAlias = Callable[[Receipt], None]
"""Is called with the service's answer to a batch."""


@runtime_checkable
class Observer(Protocol):
    """Observes an executor at work; its methods must neither raise nor wait."""

    def began(self, stats: Callable[[], Stats]) -> None:
        """Observe an executor that begins on an event loop.

        Args:
            stats: returns what it has done and is doing, in any thread; a bound method, which is
                to be held weakly.
        """

    def submitted(self, future: FuncXFuture[Any], route: Route, function: str | None) -> None:
        """Observe a task, in the thread and the context of its ``submit``.

        Args:
            future: awaits it; it may be settled already.
            route: where it goes.
            function: the function's name; None for one that is known by its id alone.
        """

    def settled(self, future: FuncXFuture[Any]) -> None:
        """Observe a future that is settled, in whatever thread.

        It may come before ``submitted``, where another thread submits, or without it.
        """

    def posting(
        self, batch: Batch[FuncXFuture[Any], Any], function_ids: Mapping[Any, str], url: str
    ) -> AbstractContextManager[Answered]:
        """Observe a batch on the wire.

        Args:
            batch: what is sent.
            function_ids: the id under which each of its functions is sent.
            url: the service's root.
        """
        ...

    def counted(self, what: str) -> None:
        """Observe something that the executor's statistics count."""
