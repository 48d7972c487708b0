"""The verbs that submit, and the view of an executor, whose tasks have options of their own."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NoReturn, ParamSpec, TypeVar, Unpack, overload
from uuid import UUID

from funcx_async._futures.future import FuncXFuture
from funcx_async._futures.gather import Finished, ignore_failures
from funcx_async._futures.progress import progress_bar
from funcx_async._process import CONNECTIONS, confined
from funcx_async._session.functions import Function
from funcx_async._settings.options import TaskOptions, TaskSettings
from funcx_async.errors import TooManyOpenTasks
from funcx_async.executor.loop_binding import LoopBinding

P = ParamSpec("P")
T = TypeVar("T")

SUBMITS_IN_A_ROW = 100
"""How many tasks ``amap`` submits before other coroutines get their turn."""


@confined(CONNECTIONS)
class ExecutorBase(ABC):
    """Runs functions on an endpoint; an executor or a view of one."""

    _binding: LoopBinding
    """Binds to an event loop, and submits there."""

    @property
    @abstractmethod
    def _tasks(self) -> TaskSettings:
        """The options of new tasks."""

    def _queue(
        self,
        fn: Callable[..., Any] | Function,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> FuncXFuture[Any]:
        """Serialize and queue one task."""
        return self._binding.queue(self._tasks, fn, args, kwargs)

    @overload
    def submit(
        self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> FuncXFuture[T]: ...

    @overload
    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> FuncXFuture[T]: ...

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> FuncXFuture[Any]:
        """Run ``fn(*args, **kwargs)`` on the endpoint; returns at once.

        Function and arguments are serialized here, so that what is wrong with them is raised here,
        and changing them later changes nothing. For megabytes of them:
        ``await asyncio.to_thread(executor.submit, ...)``.

        Args:
            fn: what to run.
            *args: its positional arguments.
            **kwargs: its keyword arguments.

        Returns:
            The future of the result; its ``task_id`` comes with the service's receipt.

        Raises:
            TypeError: if ``fn`` is not callable.
            SerializationError: if ``fn`` or an argument cannot travel.
            ValueError: if there is no endpoint.
            TooManyOpenTasks: beyond ``max_in_flight``.
            JournalError: if the journal cannot be used.
            ExecutorClosed: after ``shutdown``.
            RuntimeError: with no event loop to bind to, or a second one, or in a forked process.
        """
        return self._queue(fn, args, kwargs)

    def submit_to_registered_function(
        self,
        function_id: str | UUID,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> FuncXFuture[Any]:
        """Run a function that the service knows already; as :meth:`submit`.

        Args:
            function_id: its id, for instance that of a public function.
            args: positional arguments.
            kwargs: keyword arguments.

        Raises:
            ValueError: if ``function_id`` is not a UUID, or there is no endpoint.
        """
        function = Function(function_id=checked_function_id(function_id))
        return self._queue(function, tuple(args or ()), dict(kwargs or {}))

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> NoReturn:
        """Not implemented, as in the original: :meth:`submit` for each, or use :meth:`amap`.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "FuncXExecutor has no map(): take `[executor.submit(fn, x) for x in ...]`, or in a "
            "coroutine `async for result in executor.amap(fn, ...)`."
        )

    async def amap(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        limit: int = 1_000,
        ordered: bool = True,
        return_exceptions: bool = False,
        progress: bool = False,
    ) -> AsyncGenerator[T, None]:
        """Run ``fn`` on each of the zipped ``iterables``, and yield the results.

        Args:
            fn: what to run.
            *iterables: its arguments, drawn only as they are needed.
            limit: how many tasks are open at most.
            ordered: yield results in the order of the arguments, else as they come.
            return_exceptions: yield a failed task's exception in place of its result.
            progress: show a progress bar (needs the extra ``progress``).

        Raises:
            ValueError: if ``limit`` is below 1 or there is nothing to draw from.
            FuncXError: the first failure, unless ``return_exceptions``; what is not sent yet is
                cancelled then.
        """
        check_amap(limit, iterables)
        __tracebackhide__ = True
        window: dict[FuncXFuture[Any], None] = {}
        drawn = self._draw(fn, zip(*iterables, strict=False), limit, ordered, window)
        with progress_bar(total_of(iterables), wanted=progress) as advance:
            async with aclosing(drawn) as done:
                async for future in done:
                    try:
                        result: Any = await future
                    except asyncio.CancelledError:
                        future.cancel()
                        raise
                    except Exception as error:  # the task's error, whatever it is
                        if not return_exceptions:
                            ignore_failures(window)
                            raise
                        result = error
                    advance(1)
                    yield result

    async def _draw(
        self,
        fn: Callable[..., Any],
        arguments: Iterable[tuple[Any, ...]],
        limit: int,
        ordered: bool,
        window: dict[FuncXFuture[Any], None],
    ) -> AsyncGenerator[FuncXFuture[Any], None]:
        """Submit as ``limit`` allows; yield futures, done ones unless they are to be ordered.

        Those that are submitted and not yielded yet are in ``window``.
        """
        finished = Finished()

        async def leave() -> FuncXFuture[Any]:
            future = next(iter(window)) if ordered else await finished.next()
            del window[future]
            return future

        try:
            for number, args in enumerate(arguments, 1):
                if len(window) >= limit:
                    yield await leave()
                future = await self._queue_when_possible(fn, args)
                window[future] = None
                if not ordered:
                    future.watch(finished)
                if number % SUBMITS_IN_A_ROW == 0:
                    await asyncio.sleep(0)
            while window:
                yield await leave()
        finally:
            for future in window:
                future.cancel()

    async def _queue_when_possible(
        self, fn: Callable[..., Any], args: tuple[Any, ...]
    ) -> FuncXFuture[Any]:
        while True:
            try:
                return self._queue(fn, args, {})
            except TooManyOpenTasks:
                await self._binding.wait_for_capacity()


class TargetedExecutor(ExecutorBase):
    """A view of an executor, whose tasks have options of their own; ``options`` makes it.

    Args:
        binding: that of the executor.
        tasks: the options of its tasks.
    """

    def __init__(self, binding: LoopBinding, tasks: TaskSettings) -> None:
        self._binding = binding
        self._own = tasks

    def __repr__(self) -> str:
        return f"<{self._own} of {self._binding!r}>"

    @property
    def _tasks(self) -> TaskSettings:
        return self._own

    def options(self, **changes: Unpack[TaskOptions]) -> TargetedExecutor:
        """Return a view of the same executor, with these changes on top of the options of this one.

        Args:
            **changes: as :meth:`funcx_async.FuncXExecutor.options` takes them; what is not among
                them stays as it is here.

        Raises:
            TypeError, ValueError: as there.

        Example::

            careful = fxe.options(timeout=600, retries=2)
            print(await careful.options(timeout=60).submit(simulate, seed=7))
        """
        return TargetedExecutor(self._binding, self._changed(changes))

    def _changed(self, changes: TaskOptions) -> TaskSettings:
        tasks = self._own.changed(**changes)
        journaled = self._binding.options.settings.journal is not None
        if tasks.key is not None and not journaled:
            raise ValueError(
                f"There is no journal to keep the task {tasks.key!r} in: "
                "FuncXExecutor(journal=...)."
            )
        return tasks


def check_amap(limit: int, iterables: Sequence[Iterable[Any]]) -> None:
    """Raise ValueError unless ``amap`` has a limit and something to draw from."""
    if limit < 1 or not iterables:
        raise ValueError("amap needs a limit of at least 1 and something to draw from.")


def total_of(iterables: Sequence[Iterable[Any]]) -> int | None:
    """Return how many tuples zipped iterables yield; None if one does not know its length."""
    try:
        return min(len(each) for each in iterables)  # type: ignore[arg-type]  # or a TypeError
    except TypeError:
        return None


C = TypeVar("C")


def one_client(funcx_client: C | None, client: C | None) -> C | None:
    """Return the client that was given under one of its two names.

    Raises:
        TypeError: if two were given.
    """
    if funcx_client is not None and client is not None:
        raise TypeError("client is another name of funcx_client: give one of them.")
    return client if funcx_client is None else funcx_client


def checked_function_id(function_id: str | UUID) -> str:
    """Return a function id as text.

    Raises:
        ValueError: if it is no UUID.
    """
    try:
        return str(UUID(str(function_id)))
    except ValueError:
        raise ValueError(
            f"{function_id!r} is not a function id: registering a function gives one, a UUID."
        ) from None
