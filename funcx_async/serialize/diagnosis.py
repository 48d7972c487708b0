"""Finds out what it is in a value that cannot be sent, and says so to a person."""

from __future__ import annotations

import io
import pickle
import socket
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from types import FunctionType, MethodType, ModuleType
from typing import Any

from funcx_async.errors import SerializationError
from funcx_async.serialize.names import globals_read
from funcx_async.serialize.origin import is_ours

Encode = Callable[[Any], object]
"""Serializes a value; raises if that cannot be done."""

_DEEPEST = 50

_FOREIGN = ("pickle", "dill.", "copyreg", "json.", "funcx_async.")
"""Where the names begin of modules whose own steps tell nobody why a value cannot be pickled."""


class CannotTravel(pickle.PicklingError):
    """An object that cannot be sent; the text says why, and what to do instead."""


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
        encode: the serialization that failed; it is tried on the parts.
        error: what it raised.

    Returns:
        An error that names the culprit by its path, such as ``args[1]['source']``, with its type
        and what to do instead.
    """
    part, reason = _find(_Part(name, value), encode, error)
    owner = f" (a global of {part.owner})" if part.owner else ""
    kind = type(part.value)
    what = kind.__qualname__ if kind.__module__ == "builtins" else _full_name(kind)
    message = f"{part.path}{owner} cannot be sent: it is of type {what}; {_say(reason)}"
    remedy = _remedy(part.value, reason)
    return SerializationError(f"{message}. {remedy}" if remedy else message)


def without_foreign_frames(error: Exception) -> Exception:
    """Take the traceback from an error that pickling raised by itself.

    It goes through dozens of frames that are not the user's. What the user's own ``__reduce__`` or
    ``__getstate__`` raised keeps it, as it says where.
    """
    innermost = error.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    if innermost is None:
        return error
    home = str(innermost.tb_frame.f_globals.get("__name__", ""))
    return error.with_traceback(None) if home.startswith(_FOREIGN) else error


def _find(part: _Part, encode: Encode, error: Exception) -> tuple[_Part, Exception]:
    """Go from the value that failed down to the innermost part that fails by itself."""
    seen: set[int] = set()
    if isinstance(error, RecursionError):
        return part, error
    for _ in range(_DEEPEST):
        seen.add(id(part.value))
        for inner in _parts(part):
            if id(inner.value) not in seen and (failure := _failure(inner.value, encode)):
                part, error = inner, failure
                break
        else:
            break
    return part, error


def _failure(value: object, encode: Encode) -> Exception | None:
    try:
        encode(value)
    except Exception as error:  # a reduction of the user's may raise anything
        return error
    return None


def _parts(whole: _Part) -> Iterator[_Part]:
    """What a value consists of, each part with the path that leads to it."""
    value = whole.value
    if isinstance(value, FunctionType):
        yield from _parts_of_function(value)
    elif isinstance(value, type):
        for name, item in vars(value).items() if is_ours(value) else ():
            yield _Part(f"{value.__qualname__}.{name}", item)
    elif not isinstance(value, ModuleType):
        for step, item in chain(_items(value), _attributes(value)):
            yield _Part(step.format(whole.path), item, whole.owner)
        if is_ours(type(value)):
            yield _Part(type(value).__qualname__, type(value))


def _items(value: object) -> Iterator[tuple[str, Any]]:
    """The items of a container; in each path ``{}`` stands for the container's."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield "a key of {}", key
            yield f"{{}}[{_escaped(_name(key))}]", item
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield f"{{}}[{index}]", item
    elif isinstance(value, set | frozenset):
        for item in value:
            yield "an item of {}", item


def _attributes(value: object) -> Iterator[tuple[str, Any]]:
    names = {
        MethodType: ("__self__", "__func__"),
        partial: ("func", "args", "keywords"),
    }.get(type(value), tuple(getattr(value, "__dict__", ())))
    for name in names:
        yield f"{{}}.{_escaped(name)}", getattr(value, name, None)


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _parts_of_function(function: FunctionType) -> Iterator[_Part]:
    name = f"{function.__qualname__}()"
    for global_name in globals_read(function.__code__):
        value = function.__globals__.get(global_name)
        if not isinstance(value, ModuleType):  # a module is sent by its attributes
            yield _Part(global_name, value, name)
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


def _remedy(value: object, reason: Exception) -> str:
    if isinstance(reason, CannotTravel):
        return ""
    if isinstance(value, Generator):
        return "Send list(...) of it, or make it inside the function"
    if isinstance(value, io.IOBase | socket.socket):
        return "Open it inside the function"
    if isinstance(value, Awaitable):
        return "Await it here and send its result"
    if isinstance(reason, RecursionError):
        return "Send it in a flatter form"
    return "Make it inside the function, or send what it is made from"


def _say(reason: Exception) -> str:
    if isinstance(reason, RecursionError):
        return "it is nested too deeply, or refers to itself in a way that cannot be written"
    return describe(reason)


def describe(error: BaseException) -> str:
    """An exception in a line: its type and text, also where its text cannot be had."""
    try:
        text = str(error)
    except Exception:  # the exception's class may be the user's
        text = ""
    if isinstance(error, CannotTravel | SerializationError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _name(key: object) -> str:
    return repr(key) if isinstance(key, str | int | bytes) else f"a {type(key).__qualname__}"
