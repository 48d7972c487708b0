"""Finds the part of a value that cannot be sent, and describes it."""

from __future__ import annotations

import collections.abc
import io
import pickle
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from funcx_async._process import CannotTravel as CannotTravel
from funcx_async.errors import SerializationError
from funcx_async.serialize.bytecode import globals_read

Encode = Callable[[Any], object]
"""Serializes a value; raises if that cannot be done."""

_DEEPEST = 50

_FOREIGN = ("pickle", "dill.", "copyreg", "json.", "funcx_async.")
"""Where the names begin of modules whose own steps tell nobody why a value cannot be pickled."""


class Unpicklable(pickle.PicklingError):
    """A failure to pickle, with the way that leads to it.

    Attributes:
        reason: what was raised.
        trail: the objects that were being written, the innermost first.
    """

    def __init__(self, reason: Exception, trail: Sequence[object]) -> None:
        super().__init__(describe(reason))
        self.reason = reason
        self.trail = trail


@dataclass(frozen=True, slots=True)
class _Part:
    path: str
    value: Any
    owner: str = ""


def unsendable(value: object, name: str, encode: Encode, error: Exception) -> SerializationError:
    """Describe why a value cannot be serialized.

    Args:
        value: the value that failed.
        name: what the caller calls it, such as ``args``.
        encode: the serialization that failed; where it does not tell what failed, it is tried on
            the parts.
        error: what it raised.

    Returns:
        An error that names the culprit by its path, such as ``args[1]['source']``, with its type
        and what to do instead.
    """
    whole = _Part(name, value)
    if isinstance(error, Unpicklable):
        part, reason = _follow(whole, error), error.reason
    else:
        part, reason = _search(whole, encode, error)
    owner = f" (a global of {part.owner})" if part.owner else ""
    kind = type(part.value)
    what = kind.__qualname__ if kind.__module__ == "builtins" else _full_name(kind)
    message = f"{part.path}{owner} cannot be sent: it is of type {what}; {_say(reason)}"
    remedy = _remedy(part.value, reason)
    return SerializationError(f"{message}. {remedy}" if remedy else message)


def cause_of(error: Exception) -> Exception:
    """Return what caused a failure, without the traceback of libraries.

    That goes through dozens of frames that are not the user's. What the user's own ``__reduce__``
    or ``__getstate__`` raised keeps it, as it says where.
    """
    if isinstance(error, Unpicklable):
        error = error.reason
    innermost = error.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    if innermost is None:
        return error
    home = str(innermost.tb_frame.f_globals.get("__name__", ""))
    return error.with_traceback(None) if home.startswith(_FOREIGN) else error


def _follow(whole: _Part, error: Unpicklable) -> _Part:
    """Go along the trail from the whole to the innermost part that has a name."""
    part = whole
    if isinstance(error.reason, RecursionError):
        return part
    for value in reversed(error.trail):
        with suppress(Exception):  # what cannot be sent may fail to be looked at, too
            part = next((inner for inner in _parts(part) if inner.value is value), part)
    return part


def _search(part: _Part, encode: Encode, error: Exception) -> tuple[_Part, Exception]:
    """Go from the value that failed down to the innermost item that fails by itself."""
    seen: set[int] = set()
    if isinstance(error, RecursionError):
        return part, error
    for _ in range(_DEEPEST):
        seen.add(id(part.value))
        found = part
        with suppress(Exception):  # as above
            for step, item in _items(part.value):
                if id(item) not in seen and (failure := _failure(item, encode)):
                    found, error = _Part(step.format(part.path), item), failure
                    break
        if found is part:
            break
        part = found
    return part, error


def _failure(value: object, encode: Encode) -> Exception | None:
    try:
        encode(value)
    except Exception as error:  # a reduction of the user's may raise anything
        return error
    return None


# The parts of a value. Its type is asked of type(), as an object may lie about its class.


def _parts(whole: _Part) -> Iterator[_Part]:
    """What a value consists of, each part with the path that leads to it."""
    value = whole.value
    kind = type(value)
    if kind is FunctionType:
        yield from _parts_of_function(value)
    elif issubclass(kind, type):
        yield from _parts_of_class(value)
    else:
        yield _Part(kind.__qualname__, kind)
        for step, item in (*_items(value), *_attributes(value)):
            yield _Part(step.format(whole.path), item, whole.owner)


def _items(value: object) -> Iterator[tuple[str, Any]]:
    """The items of a container; in each path ``{}`` stands for the container's."""
    kind = type(value)
    if issubclass(kind, collections.abc.Mapping):
        mapping: Any = value
        for key, item in mapping.items():
            yield "a key of {}", key
            yield f"{{}}[{_escaped(_name(key))}]", item
    elif issubclass(kind, list | tuple):
        items: Any = value
        for index, item in enumerate(items):
            yield f"{{}}[{index}]", item
    elif issubclass(kind, set | frozenset):
        for item in value:  # type: ignore[attr-defined]
            yield "an item of {}", item


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    kind = type(value)
    if kind is MethodType:
        names: Sequence[str] = ("__self__", "__func__")
    elif kind is partial:
        names = ("func", "args", "keywords")
    elif kind in (classmethod, staticmethod):
        yield "{}", value.__func__
        return
    elif kind is property:
        yield from (("{}", each) for each in (value.fget, value.fset, value.fdel))
        return
    elif issubclass(kind, BaseException):
        yield from ((f"{{}}.args[{index}]", item) for index, item in enumerate(value.args))
        names = ()
    else:
        slots = [vars(each).get("__slots__", ()) for each in kind.__mro__]
        names = [name for each in slots for name in ([each] if isinstance(each, str) else each)]
    for name in names:
        yield f"{{}}.{_escaped(name)}", getattr(value, name, None)
    for name, item in _dict_of(value).items():
        yield f"{{}}.{_escaped(str(name))}", item


def _dict_of(value: object) -> dict[str, Any]:
    try:
        found = object.__getattribute__(value, "__dict__")
    except Exception:  # it has none, or a property of that name
        return {}
    return found if type(found) is dict else {}


def _parts_of_class(kind: type) -> Iterator[_Part]:
    for name, item in vars(kind).items():
        yield _Part(f"{kind.__qualname__}.{name}", item)
    for base in (*kind.__bases__, type(kind)):
        yield _Part(base.__qualname__, base)


def _parts_of_function(function: FunctionType) -> Iterator[_Part]:
    name = f"{function.__qualname__}()"
    for global_name, chains in globals_read(function.__code__).items():
        value = function.__globals__.get(global_name)
        yield _Part(global_name, value, name)
        for chain in chains:  # of a module only the attributes are sent
            for attribute in chain[:1]:
                inner = getattr(value, "__dict__", {}).get(attribute)
                yield _Part(f"{global_name}.{attribute}", inner, name)
    for variable, cell in zip(
        function.__code__.co_freevars, function.__closure__ or (), strict=False
    ):
        try:
            yield _Part(f"{variable} in the closure of {name}", cell.cell_contents)
        except ValueError:  # the cell is empty
            continue
    for index, default in enumerate(function.__defaults__ or ()):
        yield _Part(f"default {index} of {name}", default)
    for keyword, default in (function.__kwdefaults__ or {}).items():
        yield _Part(f"the default of {keyword} of {name}", default)
    for attribute, item in vars(function).items():
        yield _Part(f"{function.__qualname__}.{attribute}", item)


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _remedy(value: object, reason: Exception) -> str:
    kind = type(value)
    if isinstance(reason, CannotTravel):
        return ""
    with suppress(Exception):  # a metaclass may be unhashable
        if issubclass(kind, collections.abc.Generator):
            return "Send list(...) of it, or make it inside the function"
        if issubclass(kind, io.IOBase | socket.socket):
            return "Open it inside the function"
        if issubclass(kind, collections.abc.Awaitable):
            return "Await it here and send its result"
    if isinstance(reason, RecursionError):
        return "Send it in a flatter form"
    return "Make it inside the function, or send what it is made from"


def _say(reason: Exception) -> str:
    if isinstance(reason, RecursionError):
        return "it is nested too deeply, or refers to itself in a way that cannot be written"
    return describe(reason)


def describe(error: BaseException) -> str:
    """Return an exception in a line: its type, and its text if it has any."""
    try:
        text = str(error)
    except Exception:  # the exception's class may be the user's
        text = ""
    if isinstance(error, CannotTravel | Unpicklable | SerializationError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _name(key: object) -> str:
    kind = type(key)
    return repr(key) if kind in (str, int, bytes) else f"a {kind.__qualname__}"
