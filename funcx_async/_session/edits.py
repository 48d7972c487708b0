"""The user's functions and classes that a function reads, as they were at its first submit.

Those are sent with it once. Where one is defined again, as by running a cell of a notebook again,
the function goes on with the old one, and somebody should say so. What was defined again as it was
is the same.
"""

from __future__ import annotations

import warnings
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from funcx_async._process import level_of_user
from funcx_async.serialize.bytecode import globals_read
from funcx_async.serialize.literals import literal_of
from funcx_async.serialize.origin import found_by_name
from funcx_async.serialize.statements import same_constant

MOST: Final = 32
"""How many are watched for each function, the nearest: each is checked in every submit."""

_DEEPEST: Final = 3
"""Functions in closures of functions in closures that are compared at most."""


_WRAPPERS: Final[Mapping[type, str]] = {
    type(lru_cache(lambda: None)): "__wrapped__",
    partial: "func",
    staticmethod: "__func__",
    classmethod: "__func__",
    property: "fget",
}
"""Where things that are no functions have the one that they call."""

Holder = FunctionType | ModuleType | type


class Watched(NamedTuple):
    """A function or class that was sent with another function.

    It keeps no functions alive: they are keys of what is known of them.

    Attributes:
        holder: where it is: a module, a class, or a function that has it among its globals.
        name: its name there.
        told: what to call it.
        sent: what was sent; a function without what only wraps it.
        code: its code then, if it is a function: some tools put other code into the same object.
        made_of: all that it was made of then, if that is known.
    """

    holder: weakref.ref[Holder]
    name: str
    told: str
    sent: weakref.ref[FunctionType | type]
    code: CodeType | None
    made_of: tuple[Any, ...] | None

    @property
    def is_edited(self) -> bool:
        """Whether something else is there now; where it was deleted, nothing newer is missed."""
        holder = self.holder()
        value = _namespace_of(holder).get(self.name)
        if value is None:
            return False
        now = _heart_of(value)
        if now is self.sent() and getattr(now, "__code__", None) is self.code:
            return False
        made_of = _made_of(now, holder) if isinstance(now, FunctionType) else None
        return made_of is None or not same_constant(made_of, self.made_of)


def _namespace_of(holder: Holder | None) -> Mapping[str, Any]:
    if holder is None:
        return {}
    return holder.__globals__ if isinstance(holder, FunctionType) else vars(holder)


def _heart_of(value: object) -> object:
    """Return the function that something only wraps, or the thing itself."""
    while (attribute := _WRAPPERS.get(type(value))) is not None:
        value = getattr(value, attribute)
    return value


def _made_of(function: FunctionType, holder: object, depth: int = 0) -> tuple[Any, ...] | None:
    """Return the code, defaults and closure of a function, and of the functions in its closure.

    Two functions of which that is the same do the same, wherever they are defined. It is None if
    there is anything else among it than functions and plain values. Of a method it is the code
    alone, as decorators of classes give their methods what cannot be compared.
    """
    if isinstance(holder, type):
        return (function.__code__,)
    named = function.__kwdefaults__ or {}
    found: list[Any] = [function.__code__, tuple(named)]
    try:
        inside = [cell.cell_contents for cell in function.__closure__ or ()]
        for value in (*(function.__defaults__ or ()), *named.values(), *inside):
            if isinstance(value, FunctionType) and depth < _DEEPEST:
                found.append(_made_of(value, None, depth + 1))
            else:
                found.append(literal_of(value, {}))
    except ValueError:  # there is no literal, or a variable has no value yet
        return None
    return None if None in found else tuple(found)


def watched(fn: FunctionType) -> tuple[Watched, ...]:
    """Find what is sent with a function, directly or by way of others, the nearest first."""
    found: list[Watched] = []
    seen = {id(fn)}
    pending: deque[FunctionType | type] = deque([fn])
    while pending and len(found) < MOST:
        for each in _read_by(pending.popleft(), fn):
            value = each.sent()
            if value is not None and id(value) not in seen:
                seen.add(id(value))
                found.append(each)
                pending.append(value)
    return tuple(found[:MOST])


def _read_by(reader: FunctionType | type, fn: FunctionType) -> Iterator[Watched]:
    if isinstance(reader, type):
        yield from _watch(reader, vars(reader))
        return
    # A helper goes when it is defined again, and what it reads is watched nevertheless.
    home = fn if fn.__globals__ is reader.__globals__ else reader
    for name, chains in globals_read(reader.__code__).items():
        module = reader.__globals__.get(name)
        if isinstance(module, ModuleType):
            yield from _watch(module, {chain[0] for chain in chains if chain})
        else:
            yield from _watch(home, {name})


def _watch(holder: Holder, names: Iterable[str]) -> Iterator[Watched]:
    for name in names:
        value = _heart_of(_namespace_of(holder).get(name))
        if not isinstance(value, FunctionType | type) or found_by_name(value):
            continue
        code, made_of = None, None
        if isinstance(value, FunctionType):
            code, made_of = value.__code__, _made_of(value, holder)
        told = holder.__qualname__ if isinstance(holder, type) else name
        yield Watched(weakref.ref(holder), name, told, weakref.ref(value), code, made_of)


def warn_of_edits(fn: FunctionType, names: Sequence[str]) -> None:
    """Warn that a function is sent with older versions of what it reads."""
    told = ", ".join(names)
    warnings.warn(
        f"{fn.__qualname__}() still runs with {told} as of its first submit, but that changed "
        f"since. To use what is there now, define {fn.__qualname__}() again, too (in a notebook: "
        f"run its cell again), or pass {told} as an argument.",
        UserWarning,
        level_of_user(),
    )
