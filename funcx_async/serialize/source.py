"""A function as source text that is complete and true, for workers of any Python version.

The text is written from the live objects: imports, then constants with the values that they have
now, then function statements, whose defaults are the live ones. Running it imports and defines,
and calls nothing of the user's. The files only lend the statements, which are proved against the
code that runs here (see :mod:`funcx_async.serialize.statements`).

What text cannot carry faithfully makes it incomplete, and then the function travels as bytes
alone: classes of one's own (they must be one class on the worker, whether they come with the
function or with its arguments), one's own modules used as such, state that a decorator or closure
holds, objects that have no literal, one name with two meanings.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

from funcx_async.serialize.imports import NotImportable, importable, imported, is_a_name
from funcx_async.serialize.literals import LONGEST, NoLiteral, literal_of
from funcx_async.serialize.names import (
    Chain,
    globals_read,
    globals_written,
    submodules_read,
    variables_written,
)
from funcx_async.serialize.origin import found_by_name, worker_has
from funcx_async.serialize.statements import (
    FACTORY,
    LAMBDA,
    NoStatement,
    codes_in,
    compiled,
    makes,
    mark_imported,
    statement_of,
    text_of,
    with_defaults,
)

_FUTURE = "from __future__ import annotations"


class Incomplete(ValueError):
    """A function that has no complete and true source; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A function as text.

    Attributes:
        name: what the function is called in the text.
        text: a module's source; running it in an empty namespace defines the name.
    """

    name: str
    text: str


def source_of(function: Callable[..., Any]) -> Source:
    """Assemble the source of a function, with all that it uses.

    Args:
        function: any callable.

    Returns:
        The source; what it defines does what the function does.

    Raises:
        Incomplete: there is no such source, for the reason given.

    Example:
        >>> source_of(len)
        Traceback (most recent call last):
        funcx_async.serialize.source.Incomplete: len is not a function written in Python
    """
    if type(function) is not FunctionType:
        name = getattr(function, "__qualname__", type(function).__qualname__)
        raise Incomplete(f"{name} is not a function written in Python")
    try:
        with _one_at_a_time:
            return _Assembly().of(function)
    except NotImportable as error:
        raise Incomplete(str(error)) from error
    except (RecursionError, SystemError) as error:  # ast in Python 3.11 fails by either
        raise Incomplete("it is nested too deeply") from error


_UNDER_WAY = ""

_one_at_a_time = threading.Lock()
"""Trees of syntax are not made in several threads at once in Python 3.11."""


class _Absent:
    """Stands for a name that a module does not bind: a builtin, or nothing yet."""


class _Assembly:
    """The text of one function while it grows."""

    def __init__(self) -> None:
        self._imports: list[str] = []
        self._constants: dict[str, str] = {}
        self._definitions: list[str] = []
        self._aliases: list[str] = []
        self._bound: dict[str, object] = {}
        self._mutable: dict[int, object] = {}
        self._names: dict[int, str] = {}
        self._pending: list[FunctionType] = []
        self._codes: list[CodeType] = []
        self._modules: set[int] = set()
        self._imported_names: set[str] = set()
        self._writes = False

    def of(self, function: FunctionType) -> Source:
        """Write the function, and then what it uses, and what that uses.

        Raises:
            Incomplete: the text would not say all of it.
        """
        name = self._define(function, "_function")
        while self._pending:
            self._add_what_is_read(self._pending.pop())
        if self._writes and len(self._modules) > 1:
            raise Incomplete("it assigns globals, and its parts come from several modules")
        text = self._text()
        self._prove(text)
        return Source(name, text)

    def _text(self) -> str:
        own = [] if "__name__" in self._constants else ["__name__ = '__main__'"]
        constants = [f"{name} = {text}" for name, text in self._constants.items()]
        marked = mark_imported(self._imported_names & self._constants.keys())
        lines = [_FUTURE, *own, *self._imports, marked.strip(), *constants, *self._definitions]
        text = "\n".join(filter(None, [*lines, *self._aliases])) + "\n"
        if len(text) > LONGEST:
            raise Incomplete(f"it would have {len(text)} characters")
        return text

    def _prove(self, text: str) -> None:
        """Compile the text as its reader will, and compare what comes out with what is live."""
        try:
            made = list(codes_in(compiled(text)))
        except (SyntaxError, ValueError) as error:
            raise Incomplete(f"its text cannot be compiled: {error}") from error
        if len(made) != len(self._codes) or not all(map(makes, made, self._codes)):
            raise Incomplete("its text does not compile to what runs here")

    def _bind(self, name: str, value: object) -> bool:
        """Give a name its only meaning; whether that is new."""
        if name in self._bound:
            if self._bound[name] is not value:
                raise Incomplete(f"{name} means two things in it")
            return False
        self._bound[name] = value
        return True

    # Functions

    def _define(self, function: FunctionType, name_of_lambda: str) -> str:
        """Add a function, and give the name that it has in the text."""
        if (known := self._names.get(id(function))) is not None:
            if known == _UNDER_WAY:
                raise Incomplete(f"{function.__qualname__} is part of its own closure")
            return known
        self._names[id(function)] = _UNDER_WAY
        _check(function)
        code = function.__code__
        name = name_of_lambda if code.co_name == LAMBDA else code.co_name
        closure = self._closure(function, name)
        try:
            statement = statement_of(code)
            node = with_defaults(statement.node, function, self._mutable)
        except NoStatement as error:
            raise Incomplete(f"{function.__qualname__}: {error}") from error
        except NoLiteral as error:
            raise Incomplete(f"a default of {function.__qualname__}: {error}") from error
        self._bind(name, function)
        self._names[id(function)] = name
        self._definitions += [text_of(node, code, name), *closure, *_renamed(name, function)]
        self._imported_names |= statement.imports
        self._codes.append(code)
        self._pending.append(function)
        return name

    def _closure(self, function: FunctionType, own: str) -> list[str]:
        """The line that makes a closure, from the values that its variables have now."""
        code = function.__code__
        if not code.co_freevars:
            return []
        if written := variables_written(code).intersection(code.co_freevars):
            raise Incomplete(f"{function.__qualname__} assigns {min(written)} of its closure")
        values = []
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:
                raise Incomplete(f"{name} in the closure has no value yet") from None
            if value is function and name == code.co_name:
                continue  # it is the factory's own variable
            values.append(self._expression(name, value))
        factory = f"{FACTORY}{code.co_name.strip('<>')}"
        self._bind(factory, code)
        return [f"{own} = {factory}({', '.join(values)})"]

    def _expression(self, name: str, value: object) -> str:
        """A value that has no name of its own in the text."""
        if type(value) is FunctionType and not found_by_name(value):
            return self._define(value, f"_{name}")
        if callable(value):
            home, attribute = importable(value, name)
            return f"{imported(home)}.{attribute}"
        try:
            return literal_of(value, self._mutable)
        except NoLiteral as error:
            raise Incomplete(f"{name} in the closure: {error}") from error

    # What functions read

    def _add_what_is_read(self, function: FunctionType) -> None:
        self._modules.add(id(function.__globals__))
        self._writes = self._writes or bool(globals_written(function.__code__))
        for name, chains in sorted(globals_read(function.__code__).items()):
            if name == "__builtins__":
                continue
            value = function.__globals__.get(name, _Absent)
            is_new = self._bind(name, value)
            if isinstance(value, ModuleType):
                self._add_module(name, value, chains)
            elif not is_new or value is _Absent:
                continue
            elif type(value) is FunctionType and not found_by_name(value):
                self._add_function(name, value)
            else:
                self._add_value(name, value)

    def _add_module(self, name: str, module: ModuleType, chains: frozenset[Chain]) -> None:
        home = module.__name__
        if not worker_has(home) or sys.modules.get(home) is not module:
            raise Incomplete(f"{name} is your module {home}")
        direct = f"import {home}" if name == home else f"import {home} as {name}"
        lines = [direct if name in self._imported_names else f"{name} = {imported(home)}"]
        lines += [imported(submodule) for submodule in sorted(submodules_read(module, chains))]
        self._imports += [line for line in lines if line not in self._imports]

    def _add_function(self, name: str, function: FunctionType) -> None:
        own = self._names.get(id(function))
        if own is None:
            del self._bound[name]
            own = self._define(function, name)
            self._bind(name, function)
        if own != name:
            self._aliases.append(f"{name} = {own}")

    def _add_value(self, name: str, value: object) -> None:
        if callable(value):
            home, attribute = importable(value, name)
            alias = "" if attribute == name else f" as {name}"
            direct = f"from {home} import {attribute}{alias}"
            assigned = f"{name} = {imported(home)}.{attribute}"
            self._imports.append(direct if name in self._imported_names else assigned)
            return
        try:
            self._constants[name] = literal_of(value, self._mutable)
        except NoLiteral as error:
            raise Incomplete(f"{name}: {error}") from error


def _check(function: FunctionType) -> None:
    """Refuse what the text would not say of a function."""
    code, name = function.__code__, function.__qualname__
    home = function.__globals__.get("__name__")
    reasons = {
        f"{name} has attributes": vars(function),
        f"{name} is named as no function can be": not is_a_name(code.co_name.strip("<>")),
        f"{name} has more defaults than arguments": len(function.__defaults__ or ())
        > code.co_argcount,
        f"{name} is part of {home}, which the worker has": isinstance(home, str)
        and worker_has(home),
    }
    for reason, holds in reasons.items():
        if holds:
            raise Incomplete(reason)


def _renamed(name: str, function: FunctionType) -> list[str]:
    """Lines that give a function another name and documentation than its statement does."""
    code = function.__code__
    first = code.co_consts[0] if code.co_consts else None
    lines = []
    if function.__name__ != code.co_name:
        lines.append(f"{name}.__name__ = {function.__name__!r}")
    if function.__doc__ != (first if isinstance(first, str) else None):
        if not isinstance(function.__doc__, str | None):
            raise Incomplete(f"the documentation of {name} is no text")
        lines.append(f"{name}.__doc__ = {function.__doc__!r}")
    return lines
