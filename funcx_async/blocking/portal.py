"""The event loop behind all blocking objects, and blocking methods made from async ones.

One loop for the whole process, in a thread of its own: executors that share a client, or the
results of one task group, must share a loop. It starts at first use and stays; the thread is a
daemon, so it never keeps a program from ending, and a forked process starts its own at first use.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from anyio.from_thread import BlockingPortal

from funcx_async._futures.future import running_loop
from funcx_async._process import CONNECTIONS, confined

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
P = ParamSpec("P")
T = TypeVar("T")
V = TypeVar("V")

GRACE = 5.0
"""Seconds that a coroutine has to end in once it is cancelled, before its caller goes on."""


@confined(CONNECTIONS)
class Portal:
    """A thread that runs an event loop, and the ways into it from any other."""

    def __init__(self) -> None:
        started: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]] = Future()
        self._thread = threading.Thread(
            target=_run, args=(started,), name="funcx_async", daemon=True
        )
        self._thread.start()
        self._portal, self._loop = started.result()

    def __repr__(self) -> str:
        return f"<Portal to {self._loop!r}>"

    @property
    def alive(self) -> bool:
        """Whether the loop runs."""
        return self._thread.is_alive()

    def do(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a plain function on the loop's thread; from that thread, too.

        The function must not return an awaitable, such as a FuncXFuture: it would be awaited.
        """
        if running_loop() is self._loop:
            return fn(*args, **kwargs)
        return self._portal.call(partial(fn, *args, **kwargs))

    def start(
        self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Start a coroutine function on the loop; cancelling the future cancels it.

        Raises:
            RuntimeError: on the loop's own thread.
        """
        self.refuse_own_thread()
        return self._portal.start_task_soon(partial(fn, *args, **kwargs))

    def refuse_own_thread(self) -> None:
        """Raise RuntimeError on the loop's own thread."""
        if running_loop() is self._loop:
            raise RuntimeError(
                "This is a callback, called in the thread that everything blocking waits for: it "
                "may submit, but what waits for an answer needs another thread."
            )

    def wait(
        self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a coroutine function on the loop and wait for its end; Ctrl-C cancels it.

        Raises:
            RuntimeError: on the loop's own thread.
        """
        ended = threading.Event()

        async def run() -> T:
            try:
                return await fn(*args, **kwargs)
            finally:
                ended.set()

        future = self.start(run)
        try:
            return future.result()
        finally:
            if future.cancel():  # what it leaves undone is to be in order when the caller goes on
                ended.wait(GRACE)

    def iterate(self, generator: AsyncGenerator[T, None]) -> Iterator[T]:
        """Yield what an async generator yields, each step made on the loop.

        Raises:
            RuntimeError: on the loop's own thread.
        """
        try:
            while True:
                step = self.wait(_step, generator)
                if not step:
                    return
                yield step[0]
        finally:
            self.wait(generator.aclose)


async def _step(generator: AsyncGenerator[T, None]) -> tuple[T, ...]:
    """Return the next value in a tuple, or an empty one at the end."""
    try:
        return (await anext(generator),)
    except StopAsyncIteration:
        return ()


def _run(started: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]]) -> None:
    try:
        asyncio.run(_serve(started))
    except BaseException as error:  # for the thread that waits
        if started.done():
            raise
        started.set_exception(error)


async def _serve(started: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]]) -> None:
    async with BlockingPortal() as portal:
        started.set_result((portal, asyncio.get_running_loop()))
        await portal.sleep_until_stopped()


_starting = threading.Lock()
_portal: Portal | None = None


def portal() -> Portal:
    """Return the process's portal; start it at first use."""
    global _portal
    existing = _portal
    if existing is not None and existing.alive:
        return existing
    with _starting:
        if _portal is None or not _portal.alive:
            _portal = Portal()
        return _portal


def _forget() -> None:
    """Forget the portal: a forked process has the locks of its parent, but not its threads."""
    global _portal, _starting
    _portal = None
    _starting = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


# Blocking methods made from async ones, typed, documented and named as those


class Around(Protocol[A_co]):
    """A blocking object around an async one."""

    @property
    def asynchronous(self) -> A_co:
        """Does the work, on the portal's loop."""
        ...


def blocking(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Around[A], P], T]:
    """Return a method that waits for a coroutine method of the object inside.

    (To mypy a method with ``**options`` does not fit, as ``self`` could be among them.)
    """

    @functools.wraps(method)
    def call(self: Around[A], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return portal().wait(method, self.asynchronous, *args, **kwargs)

    return call


def forwarding(
    method: Callable[Concatenate[A, P], T],
) -> Callable[Concatenate[Around[A], P], T]:
    """Return a method that calls a plain method of the object inside."""

    @functools.wraps(method)
    def call(self: Around[A], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return method(self.asynchronous, *args, **kwargs)

    return call


def constructed_as(
    make: Callable[P, Any],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, P], None]]:
    """Return a decorator that gives an ``__init__`` the arguments of another class."""

    def declare(init: Callable[..., None]) -> Callable[Concatenate[Any, P], None]:
        return functools.wraps(make.__init__)(init)

    return declare


class Forwarded(Generic[T, V]):
    """A property of the async object inside, which gives a T and takes a V."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: Around[Any], owner: type) -> T: ...

    def __get__(self, instance: Around[Any] | None, owner: type) -> Any:
        return self if instance is None else getattr(instance.asynchronous, self._name)

    def __set__(self, instance: Around[Any], value: V) -> None:
        setattr(instance.asynchronous, self._name, value)
