"""The user's functions and classes that a function reads, as they were at its first submit.

Those are sent with it once. Where one is defined again, as by running a cell of a notebook again,
the function goes on with the old one, and somebody should say so.
"""

from __future__ import annotations

import warnings
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from funcx_async.interpreter import level_of_user
from funcx_async.serialize.names import globals_read
from funcx_async.serialize.origin import found_by_name

MOST: Final = 32
"""So many are watched for each function, the nearest: each is looked at in every submit."""


class Watched(NamedTuple):
    """A function or class that was sent with another function.

    Attributes:
        namespace: the globals that it is among.
        name: its name there.
        sent: what was sent.
        code: its code then, if it is a function: some tools put other code into the same object.
    """

    namespace: Mapping[str, Any]
    name: str
    sent: weakref.ref[FunctionType | type]
    code: CodeType | None

    @property
    def is_edited(self) -> bool:
        """Whether something else is there now; where it was deleted, nothing newer is missed."""
        now = self.namespace.get(self.name)
        if now is None:
            return False
        return now is not self.sent() or getattr(now, "__code__", None) is not self.code


def watched(fn: FunctionType) -> tuple[Watched, ...]:
    """Find what is sent with a function, directly or by way of others, the nearest first."""
    found: list[Watched] = []
    seen = {id(fn)}
    pending: deque[FunctionType | type] = deque([fn])
    while pending and len(found) < MOST:
        for each in _read_by(pending.popleft()):
            value = each.sent()
            if value is not None and id(value) not in seen:
                seen.add(id(value))
                found.append(each)
                pending.append(value)
    return tuple(found[:MOST])


def _read_by(reader: FunctionType | type) -> Iterator[Watched]:
    functions = [reader] if isinstance(reader, FunctionType) else vars(reader).values()
    for function in functions:
        if not isinstance(function, FunctionType):
            continue
        namespace = function.__globals__
        for name, chains in globals_read(function.__code__).items():
            module = namespace.get(name)
            if isinstance(module, ModuleType):
                yield from _watch(vars(module), {chain[0] for chain in chains if chain})
            else:
                yield from _watch(namespace, {name})


def _watch(namespace: Mapping[str, Any], names: Iterable[str]) -> Iterator[Watched]:
    for name in names:
        value = namespace.get(name)
        if isinstance(value, FunctionType | type) and not found_by_name(value):
            code = getattr(value, "__code__", None)
            yield Watched(namespace, name, weakref.ref(value), code)


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
