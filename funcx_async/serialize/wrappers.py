"""Callables as the official worker can run them: it reads ``__name__`` and calls synchronously."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

from funcx_async.errors import SerializationError

_Maker = Callable[[Callable[..., Any]], FunctionType]


def runnable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a callable that any worker can run: itself, or a function that calls it.

    A partial or a callable object gets a name; an async function gets an event loop of its own
    (``asyncio.run``) on the worker.

    Args:
        function: any callable.

    Returns:
        The callable itself if it has a name and is synchronous, else a function around it which
        needs nothing of funcx_async.

    Raises:
        TypeError: it is not callable.
        SerializationError: it is a generator function, whose value could not come back.
    """
    if not callable(function):
        raise TypeError(f"expected a function or another callable, got {function!r}")
    target = _target(function)
    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        raise SerializationError(
            f"{_name_of(function)} is a generator function, and a generator cannot come back as a "
            "result; return a list"
        )
    if inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(inspect.unwrap(target)):
        return _around(_run_to_the_end, function)
    if isinstance(getattr(function, "__name__", None), str):
        return function
    return _around(_pass_on, function)


def _target(function: Callable[..., Any]) -> Callable[..., Any]:
    """What is called in the end: under partials, and the ``__call__`` of an object."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    called: Callable[..., Any] = type(function).__call__
    return called


def _name_of(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__


def _around(make: _Maker, function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a wrapper whose globals are not this module's, which the worker does not have."""
    inner = make(function)
    name = _name_of(function)
    wrapper = FunctionType(inner.__code__, {"__name__": "__main__"}, name, None, inner.__closure__)
    wrapper.__qualname__ = name
    wrapper.__doc__ = inspect.getdoc(function) if inspect.isroutine(function) else None
    return wrapper


def _pass_on(function: Callable[..., Any]) -> FunctionType:
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return cast("FunctionType", call)


def _run_to_the_end(function: Callable[..., Any]) -> FunctionType:
    def call(*args: Any, **kwargs: Any) -> Any:
        from asyncio import run
        from inspect import isawaitable

        result = function(*args, **kwargs)

        async def awaited() -> Any:
            return await result

        return run(awaited()) if isawaitable(result) else result

    return cast("FunctionType", call)
