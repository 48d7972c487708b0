"""What is sent of a function and its arguments, how large each part is, and why."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any, Literal

from funcx_async.serialize.by_value import ByValuePickler, Namespace, Referable
from funcx_async.serialize.origin import found_by_name, worker_has
from funcx_async.serialize.serializer import FuncXSerializer
from funcx_async.serialize.sizes import Sized, in_words
from funcx_async.serialize.source import Incomplete, source_of
from funcx_async.serialize.wrappers import runnable


@dataclass(frozen=True, slots=True)
class Part:
    """Something that travels with a function.

    Attributes:
        name: what it is called.
        kind: its type's name.
        size: bytes that it adds to the compiled function; what came with an earlier part counts
            there, and what has a line of its own counts in that.
        travels: ``by value``, or ``by reference`` where the worker is expected to have it.
        why: who needs it.
    """

    name: str
    kind: str
    size: int
    travels: Literal["by value", "by reference"]
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would be sent; its ``str`` is for people.

    Attributes:
        function_name: the name under which the worker sees the function.
        size: characters of the serialized function.
        source: the source text that goes with it, or None.
        no_source: why there is none, or None.
        parts: the compiled function first, then what it uses.
        arguments: the size of each argument.

    Example:
        >>> explanation = explain(pow, 2, exp=5)
        >>> explanation.function_name, len(explanation.arguments)
        ('pow', 2)
    """

    function_name: str
    size: int
    source: str | None
    no_source: str | None
    parts: tuple[Part, ...]
    arguments: tuple[Sized, ...]

    def __repr__(self) -> str:
        return f"<Explanation {self.function_name}: {in_words(self.size)}, {len(self.parts)} parts>"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.function_name} makes {in_words(self.size)}."
        if self.source is None:
            yield f"Compiled alone, for workers of the same Python as here: {self.no_source}."
        else:
            size = in_words(len(self.source))
            yield f"Source for any Python with its syntax ({size}), and compiled behind it:"
        width = max(len(part.name) for part in self.parts)
        for part in self.parts:
            yield (
                f"  {part.name:{width}}  {in_words(part.size):>8}  {part.kind}, {part.travels}; "
                f"{part.why}"
            )
        if self.arguments:
            yield "Arguments:"
            yield from (f"  {argument}" for argument in self.arguments)


def explain(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Explanation:
    """Return what ``submit(function, *args, **kwargs)`` would send; nothing is sent.

    Args:
        function: any callable.
        *args: its positional arguments; optional.
        **kwargs: its keyword arguments; optional.

    Returns:
        The parts with their sizes in bytes and the reasons why they are sent; ``print`` it.

    Raises:
        TypeError: it is not callable.
        SerializationError: it, or an argument, cannot be sent; ``submit`` would raise the same.

    Example:
        >>> print(explain(len, [1, 2]))
        len makes 48 B.
        Compiled alone, for workers of the same Python as here: len is not a function written in \
Python.
          len      31 B  builtin_function_or_method, by reference; the worker has it
        Arguments:
          args[0] (list, 29 B)
    """
    serializer = FuncXSerializer()
    size = len(serializer.serialize_function(function))
    arguments = serializer.sizes(args, kwargs)
    task = runnable(function)
    source = no_source = None
    try:
        source = source_of(task).text
    except Incomplete as reason:
        no_source = str(reason)
    name = getattr(task, "__name__", type(task).__qualname__)
    return Explanation(name, size, source, no_source, _parts_of(task), tuple(arguments))


def _parts_of(task: Callable[..., Any]) -> tuple[Part, ...]:
    file = io.BytesIO()
    pickler = _MeasuringPickler(file)
    pickler.dump(task)
    parts = [*pickler.parts, *pickler.rebuild]
    rest = len(file.getvalue()) - sum(part.size for part in parts)
    by_name = not isinstance(task, FunctionType) or found_by_name(task)
    return (
        Part(
            name=getattr(task, "__qualname__", type(task).__qualname__),
            kind=type(task).__qualname__,
            size=rest,
            travels="by reference" if by_name and _is_known(task) else "by value",
            why="the worker has it" if by_name and _is_known(task) else "it is what runs",
        ),
        *parts,
    )


class _MeasuringPickler(ByValuePickler):
    """Takes down how much each global adds."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.parts: list[Part] = []
        self.rebuild: list[Part] = []
        self._file = file
        self._reader = ""
        self._inner = 0

    def _position(self) -> int:
        frame = self.framer.current_frame
        return self._file.tell() + (frame.tell() if frame else 0)

    def _send_globals(self, namespace: Namespace, function: FunctionType) -> None:
        reader, self._reader = self._reader, function.__qualname__
        super()._send_globals(namespace, function)
        self._reader = reader

    def _send(self, namespace: Namespace, name: str, value: Any) -> None:
        if name in namespace.sent:
            return
        place = len(self.parts)
        known = _is_known(value)
        with self._measured() as sizes:
            super()._send(namespace, name, value)
        part = Part(
            name=name,
            kind=type(value).__qualname__,
            size=sizes[0],
            travels="by reference" if known else "by value",
            why=f"{self._reader}() reads it" + (", the worker has it" if known else ""),
        )
        self.parts.insert(place, part)

    def _by(self, name: str) -> Referable:
        if self.rebuild:
            return super()._by(name)
        with self._measured() as sizes:
            function = super()._by(name)
        why = "it rebuilds functions and classes on the worker"
        self.rebuild.append(Part("(rebuild)", "module", sizes[0], "by value", why))
        return function

    @contextmanager
    def _measured(self) -> Iterator[list[int]]:
        """Gives what is written meanwhile, without what is measured within."""
        sizes, start, before = [0], self._position(), self._inner
        self._inner = 0
        yield sizes
        whole = self._position() - start
        sizes[0] = whole - self._inner
        self._inner = before + whole


def _is_known(value: Any) -> bool:
    """Whether the worker finds it by its name."""
    if isinstance(value, ModuleType):
        return worker_has(value.__name__)
    if isinstance(value, FunctionType | type):
        return found_by_name(value)
    return callable(value) and worker_has(getattr(value, "__module__", None) or "")
