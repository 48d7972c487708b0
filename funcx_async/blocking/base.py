"""The verbs that submit, for programs without an event loop: ``amap`` is a plain iterator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar, Unpack

from funcx_async._futures.future import FuncXFuture
from funcx_async._futures.progress import progress_bar
from funcx_async._process import CONNECTIONS, confined
from funcx_async._settings.options import TaskOptions
from funcx_async.blocking.portal import portal
from funcx_async.errors import TooManyOpenTasks
from funcx_async.executor.base import ExecutorBase, check_amap, total_of
from funcx_async.executor.base import TargetedExecutor as AsyncTargetedExecutor

T = TypeVar("T")


class BlockingBase(ExecutorBase):
    """Runs functions on an endpoint, for programs without an event loop."""

    def amap(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        limit: int = 1_000,
        ordered: bool = True,
        return_exceptions: bool = False,
        progress: bool = False,
    ) -> Results[T]:
        """Run ``fn`` on each of the zipped ``iterables``, and yield the results.

        Args:
            fn: what to run.
            *iterables: its arguments, drawn only as they are needed.
            limit: how many tasks are open at most.
            ordered: yield results in the order of the arguments, else as they come.
            return_exceptions: yield a failed task's exception in place of its result.
            progress: show a progress bar (needs the extra ``progress``).

        Returns:
            An iterator; where an event loop runs, as in a notebook, ``async for`` takes it, too.

        Raises:
            ValueError: if ``limit`` is below 1 or there is nothing to draw from.
            FuncXError: the first failure, unless ``return_exceptions``; what is not sent yet is
                cancelled then.

        Example:
            >>> from funcx_async.blocking import LocalService
            >>> with LocalService(workers=1) as service, service.executor() as executor:
            ...     list(executor.amap(pow, range(4), [2] * 4, limit=2))
            [0, 1, 4, 9]
        """
        asynchronous = super().amap(
            fn,
            *iterables,
            limit=limit,
            ordered=ordered,
            return_exceptions=return_exceptions,
            progress=progress,
        )
        blocking = self._results(fn, iterables, limit, ordered, return_exceptions, progress)
        return Results(blocking, asynchronous)

    def _results(
        self,
        fn: Callable[..., Any],
        iterables: Sequence[Iterable[Any]],
        limit: int,
        ordered: bool,
        return_exceptions: bool,
        progress: bool,
    ) -> Generator[Any, None, None]:
        check_amap(limit, iterables)
        loop = self._binding.bound().loop
        portal().refuse_own_thread()
        window: dict[FuncXFuture[Any], None] = {}
        finished = Finished(loop)

        def outcome() -> Any:
            future = next(iter(window)) if ordered else finished.futures.get()
            del window[future]
            error = future.exception()
            advance(1)
            if error is not None and not return_exceptions:
                raise error
            return future.result() if error is None else error

        with progress_bar(total_of(iterables), wanted=progress) as advance:
            try:
                for args in zip(*iterables, strict=False):
                    if len(window) >= limit:
                        yield outcome()
                    future = self._queue_when_possible_here(fn, args)
                    window[future] = None
                    if not ordered:
                        future.watch(finished)
                while window:
                    yield outcome()
            finally:
                for future in window:
                    future.cancel()

    def _queue_when_possible_here(
        self, fn: Callable[..., Any], args: tuple[Any, ...]
    ) -> FuncXFuture[Any]:
        while True:
            try:
                return self._queue(fn, args, {})
            except TooManyOpenTasks:
                portal().wait(self._binding.wait_for_capacity)


class TargetedExecutor(BlockingBase, AsyncTargetedExecutor):
    """A view of a blocking executor, whose tasks have options of their own."""

    def options(self, **changes: Unpack[TaskOptions]) -> TargetedExecutor:
        """Return a view of the same executor, with these changes on top of the options of this one.

        Args:
            **changes: as :meth:`funcx_async.FuncXExecutor.options` takes them.
        """
        return TargetedExecutor(self._binding, self._changed(changes))


@confined(CONNECTIONS)
class Results(AsyncGenerator[T, None], Iterator[T]):
    """The results of an ``amap``: an iterator, and an async one where an event loop runs.

    Args:
        blocking: yields them to the thread that iterates.
        asynchronous: yields them to a coroutine.
    """

    def __init__(
        self, blocking: Generator[T, None, None], asynchronous: AsyncGenerator[T, None]
    ) -> None:
        self._blocking = blocking
        self._asynchronous = asynchronous

    def __next__(self) -> T:
        return next(self._blocking)

    def close(self) -> None:
        """End the iteration; what is not sent yet is cancelled."""
        self._blocking.close()

    async def asend(self, value: None) -> T:
        """Return the next result to a coroutine."""
        return await self._asynchronous.asend(value)

    async def athrow(self, *error: Any) -> T:
        """Raise an error in the iteration of a coroutine."""
        return await self._asynchronous.athrow(*error)


class Finished:
    """The futures that are done and not yielded yet.

    Args:
        loop: the loop that reports them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.futures: SimpleQueue[FuncXFuture[Any]] = SimpleQueue()

    def finished(self, future: FuncXFuture[Any]) -> None:
        """Take a future that is done."""
        self.futures.put(future)
