"""The strategies for code: functions, and other callables."""

from __future__ import annotations

import inspect
import linecache
import pickle
import textwrap
from base64 import decodebytes
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

import dill.source

from funcx_async.errors import SerializationError
from funcx_async.serialize import pickled, rebuild
from funcx_async.serialize.strategy import SerializationStrategy


class DillCode(SerializationStrategy):
    """The compiled function as a dill pickle: the default.

    Functions that the worker cannot be expected to have travel by value, with what they use.
    The worker must run the same minor version of Python.

    Example:
        >>> def double(x):
        ...     return 2 * x
        >>> payload = DillCode().serialize(double)
        >>> DillCode().deserialize(payload)(21)
        42
    """

    identifier = "01\n"
    for_code = True

    def encode(self, value: Any) -> str:
        """Pickle the function by value, or by name where the worker has it."""
        return pickled.to_text(pickled.dump_by_value(value, runs=True))

    def decode(self, text: str) -> Any:
        """Unpickle the function."""
        return pickled.load_text(text)


class PickleCode(SerializationStrategy):
    r"""A plain pickle of very old functions; it can only be read.

    Example:
        >>> PickleCode().deserialize("02\ngASVEQAAAAAAAACMBG1hdGiUjARjZWlslJOULg==\n")(2.5)
        3
    """

    identifier = "02\n"
    for_code = True

    def encode(self, value: Any) -> str:
        """Refuse: nobody should write this any more."""
        raise SerializationError("PickleCode can only be read; use DillCode")

    def decode(self, text: str) -> Any:
        """Unpickle the function."""
        return pickle.loads(decodebytes(text.encode("ascii")))


class DillCodeTextInspect(SerializationStrategy):
    """Name and source text, as :mod:`inspect` finds it, in a pickle. Deprecated upstream.

    Example:
        >>> from string import capwords
        >>> payload = DillCodeTextInspect().serialize(capwords)
        >>> DillCodeTextInspect().deserialize(payload)("await a supercomputer")
        'Await A Supercomputer'
    """

    identifier = "03\n"
    for_code = True

    def encode(self, value: Any) -> str:
        """Pickle the function's name and source."""
        return pickled.to_text(pickled.dump(_name_and_source(value, inspect.getsource)))

    def decode(self, text: str) -> Any:
        """Run the source and take the function from it."""
        return _define(*pickled.load_text(text))


class DillCodeSource(SerializationStrategy):
    """Name and source text, as dill finds it, in a pickle. What classic workers prefer.

    Example:
        >>> from string import capwords
        >>> payload = DillCodeSource().serialize(capwords)
        >>> DillCodeSource().deserialize(payload)("await a supercomputer")
        'Await A Supercomputer'
    """

    identifier = "04\n"
    for_code = True

    def encode(self, value: Any) -> str:
        """Pickle the function's name and source."""
        return pickled.to_text(pickled.dump(_name_and_source(value, _dill_source)))

    def decode(self, text: str) -> Any:
        """Run the source and take the function from it."""
        return _define(*pickled.load_text(text))


class PureSourceTextInspect(SerializationStrategy):
    """Name and source text, as :mod:`inspect` finds it. Independent of Python's version.

    The function must not use anything from outside itself.

    Example:
        >>> from string import capwords
        >>> payload = PureSourceTextInspect().serialize(capwords)
        >>> PureSourceTextInspect().deserialize(payload)("await a supercomputer")
        'Await A Supercomputer'
    """

    identifier = "st\n"
    for_code = True

    def encode(self, value: Any) -> str:
        """Write the function's name and source."""
        return ":".join(_name_and_source(value, inspect.getsource))

    def decode(self, text: str) -> Any:
        """Run the source and take the function from it."""
        name, _, source = text.partition(":")
        return _define(name, source)


class PureSourceDill(SerializationStrategy):
    """Name and source text, as dill finds it. Independent of Python's version.

    The function must not use anything from outside itself.

    Example:
        >>> from string import capwords
        >>> payload = PureSourceDill().serialize(capwords)
        >>> PureSourceDill().deserialize(payload)("await a supercomputer")
        'Await A Supercomputer'
    """

    identifier = "sd\n"
    for_code = True

    def encode(self, value: Any) -> str:
        """Write the function's name and source."""
        return ":".join(_name_and_source(value, _dill_source))

    def decode(self, text: str) -> Any:
        """Run the source and take the function from it."""
        name, _, source = text.partition(":")
        return _define(name, source)


UNCOMBINED: Mapping[str, SerializationStrategy] = {
    strategy.identifier: strategy
    for strategy in (
        DillCode(),
        PickleCode(),
        DillCodeTextInspect(),
        DillCodeSource(),
        PureSourceTextInspect(),
        PureSourceDill(),
    )
}
"""Every strategy for code that writes it in one way, by its identifier."""


def _define(name: str, source: str) -> Any:
    namespace: dict[str, Any] = {}
    exec(source, namespace)  # noqa: S102  # to run code is what it came for
    for value in namespace.values():
        if isinstance(value, FunctionType) and value.__globals__ is namespace:
            rebuild.expose(value)
    return namespace[name]


def _dill_source(function: Any) -> str:
    return str(dill.source.getsource(function, lstrip=True))


def _name_and_source(function: Any, find: Callable[[Any], str]) -> tuple[str, str]:
    """Find the source of a function, and make sure that it is this function's.

    In the asyncio REPL, for one, what is found is a piece of another module's text; and since
    Python 3.13 the program of ``python -c`` is found for all that ``exec`` has compiled.
    """
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        raise SerializationError(f"{function!r} has no name and so no source; use DillCode")
    try:
        source = find(function)
    except (OSError, TypeError, IndexError) as error:
        raise SerializationError(
            f"the source of {name} cannot be found ({error}); use DillCode, which needs none"
        ) from error
    code = getattr(function, "__code__", None)
    if (
        isinstance(code, CodeType)
        and (code.co_filename.startswith("<") or not linecache.getlines(code.co_filename))
        and not any(code.co_code == other.co_code for other in _codes_in(source))
    ):
        raise SerializationError(
            f"what was found as the source of {name} is something else; use DillCode, which needs "
            "no source"
        )
    return name, source


def _codes_in(source: str) -> Iterator[CodeType]:
    """The code of every function that a source text defines, at any depth."""
    try:
        pending = [compile(textwrap.dedent(source), "<source>", "exec", dont_inherit=True)]
    except SyntaxError:
        return
    while pending:
        inside = [const for const in pending.pop().co_consts if isinstance(const, CodeType)]
        pending.extend(inside)
        yield from inside
