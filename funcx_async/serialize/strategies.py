"""The strategies under their official names: for code, for data, and combined ones."""

from __future__ import annotations

import inspect
import json
import linecache
import pickle
import textwrap
from base64 import decodebytes
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import CodeType, FunctionType
from typing import Any

import dill.source

from funcx_async.errors import SerializationError
from funcx_async.serialize import pickled, rebuild
from funcx_async.serialize.payloads import TooMuch, decoded_size
from funcx_async.serialize.source import Incomplete, source_of
from funcx_async.serialize.strategy import (
    IDENTIFIER_LENGTH,
    SerializationStrategy,
    all_that_write,
    first_that_reads,
    pack_buffers,
    unpack_buffers,
)

# Code


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


# Code in several encodings


class CombinedCode(SerializationStrategy):
    """Source in a pickle, and the compiled function behind it: what classic workers read.

    Parts are divided by colons, which source text has too; so only the two base64 parts are
    written, and only base64 parts can be read. Source is only there where it is complete.

    Example:
        >>> def double(x):
        ...     return 2 * x
        >>> payload = CombinedCode().serialize(double)
        >>> CombinedCode().deserialize(payload)(21)
        42
    """

    identifier = "10\n"
    for_code = True

    def encode(self, value: Any) -> str:
        """Write the function in both ways."""
        parts = [f"{DillCode.identifier}:{DillCode().encode(value)}"]
        with suppress(Incomplete):
            source = source_of(value)
            text = pickled.to_text(pickled.dump((source.name, source.text)))
            parts.insert(0, f"{DillCodeSource.identifier}:{text}")
        return ":".join(parts)

    def decode(self, text: str) -> Any:
        """Read the first part that can be read."""
        pieces = text.split(":")
        pairs = zip(pieces[::2], pieces[1::2], strict=False)
        return first_that_reads(
            [(UNCOMBINED[head], head + body) for head, body in pairs if head in UNCOMBINED]
        )


class AllCodeStrategies(SerializationStrategy):
    """The function as source text, where that is complete and true, and compiled: the default.

    The reader takes the first part that it can read. Source runs on any version of Python; the
    compiled part behind it needs the same one, and is all there is of functions whose text would
    not say all of them (see docs/serialization.md).

    Example:
        >>> def double(x):
        ...     return 2 * x
        >>> payload = AllCodeStrategies().serialize(double)
        >>> AllCodeStrategies().deserialize(payload)(21)
        42
    """

    identifier = "12\n"
    for_code = True

    def encode(self, value: Any) -> str:
        """Write the function, with what it uses."""
        parts = [DillCode.identifier + DillCode().encode(value)]
        with suppress(Incomplete):
            source = source_of(value)
            parts.insert(0, f"{PureSourceTextInspect.identifier}{source.name}:{source.text}")
        return pack_buffers(parts)

    def decode(self, text: str) -> Any:
        """Read the first part that can be read."""
        parts = [(part[:IDENTIFIER_LENGTH], part) for part in unpack_buffers(text)]
        return first_that_reads(
            [(UNCOMBINED[head], part) for head, part in parts if head in UNCOMBINED]
        )


def lone_part(payload: str) -> str:
    """Return the only part of a payload of :class:`AllCodeStrategies`, for older workers.

    Args:
        payload: of any strategy.

    Returns:
        That part, or the payload as it is if it has several or is of another strategy.
    """
    if not payload.startswith(AllCodeStrategies.identifier):
        return payload
    parts = unpack_buffers(payload[IDENTIFIER_LENGTH:])
    return parts[0] if len(parts) == 1 else payload


# Data


class DillDataBase64(SerializationStrategy):
    r"""A pickle as base64: the default, for nearly every object, between like Pythons.

    Classes of the running script and of your own modules are sent by value.

    Example:
        >>> DillDataBase64().serialize([1])
        '00\ngASVBgAAAAAAAABdlEsBYS4=\n'
    """

    identifier = "00\n"
    for_code = False

    def encode(self, value: Any) -> str:
        """Pickle the value."""
        return pickled.to_text(pickled.dump(value))

    def encode_at_most(self, value: Any, at_most: int) -> str:
        """Pickle the value, but stop as soon as the text would be too long."""
        most = decoded_size(at_most)
        for item in value if type(value) is tuple else ():  # these are copied as a whole
            if (type(item) is str or type(item) is bytearray) and len(item) > most:
                raise TooMuch(len(item))
        return pickled.to_text(pickled.dump(value, most))

    def decode(self, text: str) -> Any:
        """Unpickle the value, which may run code of its writer."""
        return pickled.load_text(text)


class JSONData(SerializationStrategy):
    r"""JSON: readable by any Python and safe to read; tuples become lists, keys strings.

    Example:
        >>> JSONData().serialize({"sizes": (1, 2)})
        '11\n{"sizes": [1, 2]}'
    """

    identifier = "11\n"
    for_code = False

    def encode(self, value: Any) -> str:
        """Write the value as JSON."""
        return json.dumps(value)

    def decode(self, text: str) -> Any:
        """Read JSON."""
        return json.loads(text)


class AllDataStrategies(SerializationStrategy):
    """JSON and pickle in one, where each is possible; the reader prefers JSON.

    Values may change: a nested tuple arrives as a list.

    Example:
        >>> AllDataStrategies().deserialize(AllDataStrategies().serialize({"sizes": (1, 2)}))
        {'sizes': [1, 2]}
    """

    identifier = "13\n"
    for_code = False

    def encode(self, value: Any) -> str:
        """Write the value in both ways."""
        return pack_buffers(all_that_write([JSONData(), DillDataBase64()], value))

    def decode(self, text: str) -> Any:
        """Read the first part that can be read."""
        known = {strategy.identifier: strategy for strategy in (JSONData(), DillDataBase64())}
        parts = [(part[:IDENTIFIER_LENGTH], part) for part in unpack_buffers(text)]
        return first_that_reads([(known[head], part) for head, part in parts if head in known])
