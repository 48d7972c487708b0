"""A pytest plugin: a test that hangs fails alone.

pytest-timeout raises its failure wherever the main thread is. While a coroutine waits, that is in
the event loop, outside the test: the task that runs all coroutines of a module stays in the test
that hangs, and every later test of the module fails with it. So the coroutines of tests and
fixtures are canceled shortly before.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from typing import Any

import pytest

SHARE = 0.9
"""Of the time limit of pytest-timeout, so much is a coroutine's."""


@pytest.hookimpl
def pytest_itemcollected(item: pytest.Item) -> None:
    """Limit the coroutine of a test."""
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        item.obj = limited(item.obj, seconds_for(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Iterator[None]:
    """Limit the coroutine or the asynchronous generator of a fixture."""
    function: Any = fixturedef.func
    limit = seconds_for(request.node)
    if inspect.iscoroutinefunction(function):
        fixturedef.func = limited(function, limit)  # type: ignore[misc]
    elif inspect.isasyncgenfunction(function):
        fixturedef.func = limited_generator(function, limit)  # type: ignore[misc]
    try:
        return (yield)
    finally:
        fixturedef.func = function  # type: ignore[misc]


def seconds_for(node: pytest.Item | pytest.Collector) -> float | None:
    """The time limit of coroutines, in seconds; None if there is none."""
    marker = node.get_closest_marker("timeout")
    given = marker and (marker.args[0] if marker.args else marker.kwargs.get("timeout"))
    for limit in (given, node.config.getoption("timeout"), node.config.getini("timeout")):
        if limit not in (None, ""):
            return SHARE * float(limit) or None
    return None


def limited(
    function: Callable[..., Awaitable[Any]], limit: float | None
) -> Callable[..., Awaitable[Any]]:
    """A function whose coroutine is canceled after a time."""

    @wraps(function)
    async def within_limit(*args: Any, **kwargs: Any) -> Any:
        async with asyncio.timeout(limit):
            return await function(*args, **kwargs)

    return within_limit


def limited_generator(
    function: Callable[..., AsyncIterator[Any]], limit: float | None
) -> Callable[..., AsyncIterator[Any]]:
    """A generator function whose coroutines, before and after it yields, are each limited."""

    @wraps(function)
    async def within_limits(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        generator = function(*args, **kwargs)
        async with asyncio.timeout(limit):
            value = await anext(generator)
        yield value
        async with asyncio.timeout(limit):
            await anext(generator, None)

    return within_limits
