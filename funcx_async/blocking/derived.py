"""Blocking classes made from the async ones: typed, documented and named as there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from funcx_async.blocking.portal import portal

A_co = TypeVar("A_co", covariant=True)
A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T")
V = TypeVar("V")


class Around(Protocol[A_co]):
    """A blocking object around an async one."""

    @property
    def asynchronous(self) -> A_co:
        """Does the work, on the portal's loop."""
        ...


def blocking(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Around[A], P], T]:
    """Make a method that waits for a coroutine method of the object inside.

    (To mypy a method with ``**options`` does not fit, as ``self`` could be among them.)
    """

    @functools.wraps(method)
    def call(self: Around[A], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return portal().wait(method, self.asynchronous, *args, **kwargs)

    return call


def forwarding(
    method: Callable[Concatenate[A, P], T],
) -> Callable[Concatenate[Around[A], P], T]:
    """Make a method that calls a plain method of the object inside."""

    @functools.wraps(method)
    def call(self: Around[A], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return method(self.asynchronous, *args, **kwargs)

    return call


def constructed_as(
    make: Callable[P, Any],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, P], None]]:
    """Have an ``__init__`` take the arguments of another class."""

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
