"""Waiting for many futures at once, without a task for each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator, Sized
from itertools import islice
from typing import Any, Literal, TypeVar, overload

from funcx_async._futures.future import FuncXFuture, Watcher, outcome_of
from funcx_async._futures.progress import no_bar, progress_bar

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")

STEP = 2_000
"""Futures that are handled before other coroutines get their turn: about a millisecond."""


@overload
async def gather(
    *futures: FuncXFuture[T], return_exceptions: Literal[False] = False, progress: bool = False
) -> list[T]: ...


@overload
async def gather(
    *futures: FuncXFuture[T], return_exceptions: bool, progress: bool = False
) -> list[T | BaseException]: ...


@overload
async def gather(
    future1: FuncXFuture[T1],
    future2: FuncXFuture[T2],
    /,
    *,
    return_exceptions: Literal[False] = False,
    progress: bool = False,
) -> tuple[T1, T2]: ...


@overload
async def gather(
    future1: FuncXFuture[T1],
    future2: FuncXFuture[T2],
    future3: FuncXFuture[T3],
    /,
    *,
    return_exceptions: Literal[False] = False,
    progress: bool = False,
) -> tuple[T1, T2, T3]: ...


@overload
async def gather(
    future1: FuncXFuture[T1],
    future2: FuncXFuture[T2],
    future3: FuncXFuture[T3],
    future4: FuncXFuture[T4],
    /,
    *,
    return_exceptions: Literal[False] = False,
    progress: bool = False,
) -> tuple[T1, T2, T3, T4]: ...


@overload
async def gather(
    future1: FuncXFuture[T1],
    future2: FuncXFuture[T2],
    future3: FuncXFuture[T3],
    future4: FuncXFuture[T4],
    future5: FuncXFuture[T5],
    /,
    *,
    return_exceptions: Literal[False] = False,
    progress: bool = False,
) -> tuple[T1, T2, T3, T4, T5]: ...


@overload
async def gather(
    future1: FuncXFuture[T1],
    future2: FuncXFuture[T2],
    future3: FuncXFuture[T3],
    future4: FuncXFuture[T4],
    future5: FuncXFuture[T5],
    future6: FuncXFuture[T6],
    /,
    *,
    return_exceptions: Literal[False] = False,
    progress: bool = False,
) -> tuple[T1, T2, T3, T4, T5, T6]: ...


@overload
async def gather(
    *futures: FuncXFuture[Any], return_exceptions: Literal[True], progress: bool = False
) -> list[Any]: ...


async def gather(
    *futures: FuncXFuture[Any], return_exceptions: bool = False, progress: bool = False
) -> Any:
    """Wait for all of ``futures`` and return their results in the given order.

    As ``asyncio.gather``, but cheap for 100,000 of them. The first failure is raised at once; the
    other tasks go on, as all do when the wait is cancelled.

    Args:
        *futures: the futures to wait for.
        return_exceptions: put exceptions into the list instead of raising the first.
        progress: show a progress bar (needs the extra ``progress``).

    Returns:
        A list of results. Type checkers take it for a tuple where the futures' types differ, as
        they do for ``asyncio.gather``.

    Raises:
        TypeError: for anything that is not a FuncXFuture.

    Example:
        >>> async def main():
        ...     futures = [FuncXFuture(), FuncXFuture()]
        ...     for number, future in enumerate(futures):
        ...         future.set_result(number)  # an executor would
        ...     return await gather(*futures)
        >>> asyncio.run(main())
        [0, 1]
    """
    __tracebackhide__ = True
    awaited = await _checked(futures)
    done = sum(map(FuncXFuture.done, awaited)) if progress else 0
    with progress_bar(len(awaited), wanted=progress, done=done) as advance:
        await _all_of(awaited, Countdown(len(awaited), advance, raises=not return_exceptions))
    outcomes: list[Any] = []
    for some in _in_steps(futures):
        if return_exceptions:
            outcomes += [_outcome_or_exception(future) for future in some]
        else:  # none has failed: that would have been raised
            outcomes += [future.outcome() for future in some]
        await _pause_after(some)
    return outcomes


async def _all_of(futures: Collection[FuncXFuture[Any]], countdown: Countdown) -> None:
    """Return when all are done, or raise the first failure."""
    __tracebackhide__ = True
    try:
        await _watch(futures, countdown)
        await countdown.over()
    finally:
        if countdown.left and not countdown.failed:
            _unwatch(futures, countdown)


async def as_completed(
    futures: Iterable[FuncXFuture[T]], *, timeout: float | None = None, progress: bool = False
) -> AsyncGenerator[FuncXFuture[T], None]:
    """Yield each of ``futures`` as it is done: the futures themselves, each once.

    Args:
        futures: the futures to wait for.
        timeout: seconds from the first step until the wait ends; None: without a limit. The tasks
            go on.
        progress: show a progress bar (needs the extra ``progress``).

    Raises:
        TypeError: for anything that is not a FuncXFuture.
        TimeoutError: if not all are done in time.

    Example:
        >>> async def main():
        ...     future = FuncXFuture()
        ...     future.set_result(42)  # an executor would
        ...     return [await done async for done in as_completed([future])]
        >>> asyncio.run(main())
        [42]
    """
    deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
    awaited = await _checked(futures)
    finished = Finished()
    done = sum(map(FuncXFuture.done, awaited)) if progress else 0
    try:
        with progress_bar(len(awaited), wanted=progress, done=done) as advance:
            await _watch(awaited, finished)
            for _ in range(len(awaited)):
                try:
                    future = await finished.next(deadline)
                except TimeoutError:
                    message = f"{len(awaited)} of the futures are not done after {timeout:g} s"
                    raise TimeoutError(message) from None
                del awaited[future]
                advance(1)
                yield future
    finally:
        _unwatch(awaited, finished)


async def _checked(futures: Iterable[FuncXFuture[T]]) -> dict[FuncXFuture[T], None]:
    """Return each future once; TypeError for anything else."""
    awaited: dict[FuncXFuture[T], None] = {}
    for some in _in_steps(futures):
        for future in some:
            if not isinstance(future, FuncXFuture):
                raise TypeError(
                    f"Only FuncXFutures can be waited for here, not {type(future).__name__}: "
                    "asyncio's own functions of the same name take any awaitable."
                )
        awaited |= dict.fromkeys(some)
        await _pause_after(some)
    return awaited


async def _watch(futures: Iterable[FuncXFuture[Any]], watcher: Watcher) -> None:
    """Notify ``watcher`` of each future that is done."""
    for some in _in_steps(futures):
        for future in some:
            future.watch(watcher)
        await _pause_after(some)


def _unwatch(futures: Iterable[FuncXFuture[Any]], watcher: Watcher) -> None:
    """Stop notifying ``watcher``: of the first futures now, of the others soon."""
    _unwatch_some(_in_steps(futures), watcher)


def _unwatch_some(steps: Iterator[list[FuncXFuture[Any]]], watcher: Watcher) -> None:
    some = next(steps, [])
    for future in some:
        future.unwatch(watcher)
    if len(some) == STEP and not watcher.loop.is_closed():
        watcher.loop.call_soon(_unwatch_some, steps, watcher)


def _in_steps(futures: Iterable[FuncXFuture[T]]) -> Iterator[list[FuncXFuture[T]]]:
    """Yield futures some at a time: with very many the loop would be held too long."""
    rest = iter(futures)
    while some := list(islice(rest, STEP)):
        yield some


async def _pause_after(some: Sized) -> None:
    """Yield to other coroutines, if there may be another step."""
    if len(some) == STEP:
        await asyncio.sleep(0)


class Countdown:
    """Watches futures until none is left, or one fails where that matters.

    As with ``asyncio.gather``, the first failure alone is raised, and the others count as
    retrieved, also those that come after it.

    Args:
        left: how many futures it is to watch.
        advance: moves a progress bar by so many futures.
        raises: whether the first failure ends the wait.

    Attributes:
        left: how many of them are not done.
        failed: whether the first failure has ended the wait.
        loop: the loop that it waits on.
    """

    def __init__(self, left: int, advance: Callable[[int], object], *, raises: bool) -> None:
        self.left = left
        self.failed = False
        self.loop = asyncio.get_running_loop()
        self._advance: Callable[[int], object] | None = None if advance is no_bar else advance
        self._raises = raises
        self._first: FuncXFuture[Any] | None = None
        self._waiter = self.loop.create_future()

    def finished(self, future: FuncXFuture[Any]) -> None:
        """Count a future that is done."""
        self.left -= 1
        if self._advance is not None:
            self._advance(1)
        if self._raises and future.failed:
            if not self.failed:
                self.failed, self._first = True, future
            elif not future.cancelled():
                future.exception(0)
        if (not self.left or self.failed) and not self._waiter.done():
            self._waiter.set_result(None)

    async def over(self) -> None:
        """Wait for the end, and raise the failure that brought it."""
        try:
            if self.left and not self.failed:
                await self._waiter
            if self._first is not None:
                outcome_of(self._first)
        finally:
            __tracebackhide__ = True
            self._advance = self._first = None


class _Ignored:
    """Watches futures whose failures count as retrieved.

    Attributes:
        loop: the loop that it is notified on.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    def finished(self, future: FuncXFuture[Any]) -> None:
        """Retrieve the failure of a future that is done."""
        if future.failed and not future.cancelled():
            future.exception(0)


def ignore_failures(futures: Iterable[FuncXFuture[Any]]) -> None:
    """Count failures of ``futures`` as retrieved, also later ones: one of many was raised."""
    ignored = _Ignored()
    for future in futures:
        future.watch(ignored)


class Finished:
    """The futures that are done and not handed out yet.

    Attributes:
        loop: the loop that it waits on.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._futures: deque[FuncXFuture[Any]] = deque()
        self._at_once = 0
        self._waiter: asyncio.Future[None] | None = None

    def finished(self, future: FuncXFuture[Any]) -> None:
        """Keep a future that is done."""
        self._futures.append(future)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self, deadline: float | None = None) -> FuncXFuture[Any]:
        """Wait for a future that is done, and return it; TimeoutError after the deadline."""
        if not self._futures:
            self._at_once = 0
            self._waiter = self.loop.create_future()
            async with asyncio.timeout_at(deadline):
                await self._waiter
        elif self._at_once == STEP:
            self._at_once = 0
            await asyncio.sleep(0)
        self._at_once += 1
        return self._futures.popleft()


def _outcome_or_exception(future: FuncXFuture[Any]) -> Any:
    """Return what the future holds, or what it raises."""
    if not future.failed:
        return future.outcome()
    return asyncio.CancelledError() if future.cancelled() else future.exception(0)
