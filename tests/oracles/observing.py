"""What can be seen of a value, as text that is the same in every process.

It travels to the workers as any function of one's own, so it uses the standard library alone.
"""

from __future__ import annotations

import collections
import enum
import functools
import inspect
import io
import itertools
import logging
import pathlib
import re
import types
import weakref
from typing import Any

LOCKS = ("_thread.lock", "_thread.RLock")


def same(value: Any) -> Any:
    return value


def observe_call(function: Any, args: Any, kwargs: Any) -> str:
    return observe(function(*args, **kwargs))


def observe(value: Any) -> str:
    return re.sub(r"0x[0-9a-fA-F]+", "0x", observed(value, ()))


def observed(value: Any, path: Any) -> str:
    if type(value) in (int, float, complex, str, bytes, bool, type(None)):
        return repr(value)
    if id(value) in path:
        return f"{len(path) - path.index(id(value))} up"
    path = (*path, id(value))
    if (told := of_the_interpreter(value, path)) is not None:
        return told
    name = name_of(type(value))
    if isinstance(value, enum.Enum):
        return f"{name}.{value.name} = {observed(value.value, path)}{state(value, path)}"
    if isinstance(value, functools.partial | functools.partialmethod):
        return f"{name} {observed((value.func, value.args, value.keywords), path)}"
    return name + contents(value, path) + state(value, path)


def name_of(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")


def of_the_interpreter(value: Any, path: Any) -> str | None:
    """What is to be said of code, classes, and what else is not made of items and attributes."""
    kind = type(value)
    name = name_of(kind)
    told = None
    if isinstance(value, type):
        bases = ", ".join(base.__qualname__ for base in value.__bases__)
        told = f"class {value.__module__}.{value.__qualname__}({bases})"
    elif isinstance(value, types.FunctionType):
        # Annotations of functions arrive as text.
        told = f"function {value.__qualname__}{inspect.signature(value)}".replace("'", "")
    elif isinstance(value, types.MethodType):
        told = f"method {value.__func__.__qualname__} of {observed(value.__self__, path)}"
    elif isinstance(value, weakref.ReferenceType):
        told = f"{name} to {observed(value(), path)}"
    elif isinstance(value, pathlib.PurePath):  # what it keeps besides is another on each Python
        told = repr(value)
    elif isinstance(value, types.ModuleType | logging.Logger):
        told = f"{name} {getattr(value, '__name__', None) or value.name}"
    elif isinstance(value, types.BuiltinFunctionType | types.CodeType | types.CellType):
        told = f"{name} {getattr(value, '__qualname__', getattr(value, 'co_name', ''))}"
    elif name in LOCKS:
        told = name
    elif kind.__module__ in ("types", "typing") and kind is not types.SimpleNamespace:
        told = f"{name} {value!r} of {getattr(value, '__module__', None)}"
    return told


def contents(value: Any, path: Any) -> str:
    """Its items, or what it says of itself."""
    kind = type(value)
    if isinstance(value, list | tuple | collections.deque):
        return f"[{', '.join(observed(item, path) for item in value)}]"
    if isinstance(value, dict | types.MappingProxyType):
        pairs = (f"{observed(k, path)}: {observed(v, path)}" for k, v in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(observed(item, path) for item in value))}}}"
    if isinstance(value, BaseExceptionGroup):
        return f"({value.message!r}, {observed(list(value.exceptions), path)})"
    if isinstance(value, BaseException):
        inner = value.__cause__
        cause = f" from {observed(inner, path)}" if inner is not None else ""
        return f"({str(value)!r}, {observed(value.args, path)}){cause}"
    if isinstance(value, memoryview | bytearray):
        return repr(bytes(value))
    if isinstance(value, io.IOBase):
        return f"({value.getvalue()!r})" if isinstance(value, io.BytesIO | io.StringIO) else ""
    if hasattr(kind, "__next__"):
        return f"[{', '.join(observed(item, path) for item in itertools.islice(value, 20))}]"
    return f" {value!r}" if kind.__repr__ is not object.__repr__ else ""


def state(value: Any, path: Any) -> str:
    """Its attributes, unless it is the interpreter's own."""
    attributes = dict(getattr(value, "__dict__", {}))
    for base in type(value).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot):
                attributes[slot] = getattr(value, slot)
    hidden = ("_abc_", "__objclass__", "_sort_order_", "_value_", "_name_", "__orig_class__")
    seen = [
        f"{name}={observed(attributes[name], path)}"
        for name in sorted(attributes)
        if not name.startswith(hidden)
    ]
    return f" with {', '.join(seen)}" if seen else ""
