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
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from funcx_async.interpreter import level_of_user
from funcx_async.serialize.literals import literal_of
from funcx_async.serialize.names import globals_read
from funcx_async.serialize.origin import found_by_name
from funcx_async.serialize.statements import same_constant

MOST: Final = 32
"""So many are watched for each function, the nearest: each is looked at in every submit."""

_DEEPEST: Final = 3
"""Functions in closures of functions in closures that are compared at most."""


class Watched(NamedTuple):
    """A function or class that was sent with another function.

    It keeps no functions alive: they are keys of what is known of them.

    Attributes:
        reader: what has the globals that it is among: a function, or a module.
        name: its name there.
        sent: what was sent.
        code: its code then, if it is a function: some tools put other code into the same object.
        made_of: what else it was made of then, if that is known.
    """

    reader: weakref.ref[FunctionType | ModuleType]
    name: str
    sent: weakref.ref[FunctionType | type]
    code: CodeType | None
    made_of: tuple[Any, ...] | None

    @property
    def is_edited(self) -> bool:
        """Whether something else is there now; where it was deleted, nothing newer is missed."""
        now = _namespace_of(self.reader()).get(self.name)
        if now is None or (now is self.sent() and getattr(now, "__code__", None) is self.code):
            return False
        made_of = _made_of(now) if isinstance(now, FunctionType) else None
        return made_of is None or not same_constant(made_of, self.made_of)


def _namespace_of(reader: FunctionType | ModuleType | None) -> Mapping[str, Any]:
    if reader is None:
        return {}
    return reader.__globals__ if isinstance(reader, FunctionType) else vars(reader)


def _made_of(function: FunctionType, depth: int = 0) -> tuple[Any, ...] | None:
    """Return the code, defaults and closure of a function, and of the functions in its closure.

    Two functions of which that is the same do the same, wherever they are defined. It is None if
    there is anything else among it than functions and plain values.
    """
    named = function.__kwdefaults__ or {}
    found: list[Any] = [function.__code__, tuple(named)]
    try:
        inside = [cell.cell_contents for cell in function.__closure__ or ()]
        for value in (*(function.__defaults__ or ()), *named.values(), *inside):
            if isinstance(value, FunctionType) and depth < _DEEPEST:
                found.append(_made_of(value, depth + 1))
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
    functions = [reader] if isinstance(reader, FunctionType) else vars(reader).values()
    for function in functions:
        if not isinstance(function, FunctionType):
            continue
        # A helper goes when it is defined again, and what it reads is watched nevertheless.
        home = fn if fn.__globals__ is function.__globals__ else function
        for name, chains in globals_read(function.__code__).items():
            module = function.__globals__.get(name)
            if isinstance(module, ModuleType):
                yield from _watch(module, {chain[0] for chain in chains if chain})
            else:
                yield from _watch(home, {name})


def _watch(reader: FunctionType | ModuleType, names: Iterable[str]) -> Iterator[Watched]:
    for name in names:
        value = _namespace_of(reader).get(name)
        if isinstance(value, FunctionType) and not found_by_name(value):
            made_of = _made_of(value)
            code = value.__code__
            yield Watched(weakref.ref(reader), name, weakref.ref(value), code, made_of)
        elif isinstance(value, type) and not found_by_name(value):
            yield Watched(weakref.ref(reader), name, weakref.ref(value), None, None)


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
