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
    """Is told of an executor's work as it happens; it must neither raise nor wait."""

    def began(self, stats: Callable[[], Stats]) -> None:
        """Take note of an executor's beginning on an event loop.

        Args:
            stats: returns what it has done and is doing, in any thread; a bound method, which is
                to be held weakly.
        """

    def submitted(self, future: FuncXFuture[Any], route: Route, function: str | None) -> None:
        """Take note of a task, in the thread and the context of who submits it.

        Args:
            future: awaits it; it may be settled already.
            route: where it goes.
            function: the function's name; None for one that is known by its id alone.
        """

    def settled(self, future: FuncXFuture[Any]) -> None:
        """Take note that a future is settled, in whatever thread; it may never have been told of.

        It may come before ``submitted``, where another thread submits.
        """

    def posting(
        self, batch: Batch[FuncXFuture[Any], Any], function_ids: Mapping[Any, str], url: str
    ) -> AbstractContextManager[Answered]:
        """Watch a batch on the wire.

        Args:
            batch: what is sent.
            function_ids: the id under which each of its functions is sent.
            url: the service's root.
        """
        ...

    def counted(self, what: str) -> None:
        """Take note of something that the executor's statistics count."""
