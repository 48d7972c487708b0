"""A function as source text that is complete and true, for workers of any Python version.

The text is written from the live objects: imports, then constants with the values that they have
now, then functions, each as the lines of the user's file that define it, with the live defaults.
Running it imports and defines, and calls nothing of the user's. The lines are proved against the
code that runs here (see :mod:`funcx_async.serialize.statements`); the worker compiles them under
the number and the name of the file that they have here, so that tracebacks show them.

What text cannot carry faithfully makes it incomplete, and then the function travels as bytes
alone: the user's classes (they must be one class on the worker, whether they come with the
function or with its arguments), the user's modules used as such, state that a decorator or closure
holds, objects that have no literal, one name with two meanings.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from funcx_async.serialize.bytecode import (
    Chain,
    globals_read,
    globals_written,
    modules_used,
    submodules_of,
    submodules_read,
    variables_written,
    words_of,
)
from funcx_async.serialize.files import LAMBDA
from funcx_async.serialize.literals import LONGEST, NoLiteral, lines_literal, literal_of
from funcx_async.serialize.origin import (
    NotImportable,
    found_by_name,
    importable,
    imported,
    is_a_name,
    state_of_worker,
    worker_has,
)
from funcx_async.serialize.reader import NAME as FROM_FILE
from funcx_async.serialize.reader import TEXT as READER
from funcx_async.serialize.statements import (
    NoStatement,
    forget_files,
    one_at_a_time,
    statement_of,
)


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
        kinds = {MethodType: "a bound method, which needs its object", type: "a class"}
        found = [what for kind, what in kinds.items() if isinstance(function, kind)]
        raise Incomplete(f"{name} is {found[0] if found else 'not a function written in Python'}")
    try:
        with one_at_a_time:
            try:
                return _Assembly().of(function)
            finally:
                forget_files()
    except NotImportable as error:
        raise Incomplete(str(error)) from error
    except (RecursionError, SystemError) as error:  # ast in Python 3.11 fails by either
        raise Incomplete("it is nested too deeply") from error


_UNDER_WAY = ""


_ABSENT = object()
"""Stands for a name that a module does not bind: a builtin, or nothing yet."""


class _Assembly:
    """The text of one function while it grows."""

    def __init__(self) -> None:
        self._imports: list[str] = []
        self._constants: dict[str, str] = {}
        self._definitions: list[str] = []
        self._aliases: list[str] = []
        self._bound: dict[str, object] = {FROM_FILE: READER}
        self._mutable: dict[int, object] = {}
        self._names: dict[int, str] = {}
        self._pending: list[FunctionType] = []
        self._modules: set[int] = set()
        self._codes: list[CodeType] = []
        self._used_modules: list[ModuleType] = []
        self._length = 0

    def of(self, function: FunctionType) -> Source:
        """Write the function, and then what it uses, and what that uses.

        Raises:
            Incomplete: the text would not say all of it.
        """
        name = function.__code__.co_name
        name = self._define(function, "_function" if name == LAMBDA else name)
        while self._pending:
            self._add_what_is_read(self._pending.pop())
        words = {word for code in self._codes for word in words_of(code)}
        for module in self._used_modules:
            self._import(submodules_of(module, words))
        if len(self._modules) > 1 and any(map(globals_written, self._codes)):
            raise Incomplete("it assigns globals, and its parts come from several modules")
        return Source(name, self._text())

    def _text(self) -> str:
        own = [] if "__name__" in self._constants else ["__name__ = '__main__'"]
        constants = [f"{name} = {text}" for name, text in self._constants.items()]
        lines = [*own, *self._imports, *constants, *self._definitions, *self._aliases]
        text = READER + "\n".join(lines) + "\n"
        try:
            compile(text, "<source>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            raise Incomplete(f"its text cannot be compiled: {error}") from error
        return text

    def _count(self, text: str) -> str:
        """Pass on a piece of text, or stop as there is too much; what frames it does not count."""
        self._length += len(text)
        if self._length > LONGEST:
            raise Incomplete(f"it would have more than {LONGEST:,} characters")
        return text

    def _bind(self, name: str, value: object) -> bool:
        """Bind a name to its only meaning, and return whether that is new."""
        if name in self._bound:
            if self._bound[name] is not value:
                raise Incomplete(f"{name} means two things in it")
            return False
        self._bound[name] = value
        return True

    # Functions

    def _define(self, function: FunctionType, name: str) -> str:
        """Add a function unless it is there, and return the name that it has in the text."""
        if (known := self._names.get(id(function))) is not None:
            if known == _UNDER_WAY:
                raise Incomplete(f"{function.__qualname__} is part of its own closure")
            return known
        self._bind(name, function)
        self._names[id(function)] = _UNDER_WAY
        _check(function)
        closure = self._closure(function)
        try:
            written = self._written(function, closure)
        except NoStatement as error:
            raise Incomplete(f"{function.__qualname__}: {error}") from error
        except NoLiteral as error:
            raise Incomplete(f"a default of {function.__qualname__}: {error}") from error
        self._names[id(function)] = name
        self._definitions.append(f"{name} = {written}")
        self._pending.append(function)
        return name

    def _closure(self, function: FunctionType) -> dict[str, str]:
        """The values that the free variables of a function have now, as expressions."""
        code = function.__code__
        if not code.co_freevars:
            return {}
        if written := variables_written(code).intersection(code.co_freevars):
            raise Incomplete(f"{function.__qualname__} assigns {min(written)} of its closure")
        values = {}
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:
                raise Incomplete(f"{name} in the closure has no value yet") from None
            if value is not function:  # one that is missing is the function itself
                values[name] = self._expression(name, value)
        return values

    def _free_name(self, name: str) -> str:
        while name in self._bound:
            name += "_"
        return name

    def _written(self, function: FunctionType, closure: dict[str, str]) -> str:
        """The expression that makes a function of its lines."""
        statement = statement_of(function)
        place = f"{statement.file!r}, {statement.line}, {statement.path!r}"
        options: dict[str, object] = {
            "inside": statement.inside,
            "only": statement.only,
            "future": statement.future,
            "annotations": dict(statement.annotations),
            "defaults": function.__defaults__,
            "kwdefaults": function.__kwdefaults__,
        }
        options = {name: value for name, value in options.items() if value} | _changed(function)
        given = [f"{name}={literal_of(value, self._mutable)}" for name, value in options.items()]
        if closure:
            values = [f"{name!r}: {value}" for name, value in closure.items()]
            given.append(f"closure={{{', '.join(values)}}}")
        arguments = [self._count(text) for text in (lines_literal(statement.text), *given)]
        return f"{FROM_FILE}({', '.join([place, *arguments])})"

    def _expression(self, name: str, value: object) -> str:
        """A value that has no name of its own in the text."""
        if type(value) is FunctionType and not found_by_name(value):
            return self._define(value, self._free_name(f"_{name}"))
        if (place := _place_on_the_worker(name, value)) is not None:
            home, attribute = place
            return f"{imported(home)}.{attribute}"
        try:
            return literal_of(value, self._mutable)
        except NoLiteral as error:
            raise Incomplete(f"{name} in the closure: {error}") from error

    # What functions read

    def _add_what_is_read(self, function: FunctionType) -> None:
        self._modules.add(id(function.__globals__))
        self._codes.append(function.__code__)
        for name, chains in sorted(globals_read(function.__code__).items()):
            if name == "__builtins__":
                continue
            value = function.__globals__.get(name, _ABSENT)
            is_new = self._bind(name, value)
            if isinstance(value, ModuleType):
                self._add_module(name, value, chains)
            elif not is_new or value is _ABSENT:
                continue
            elif type(value) is FunctionType and not found_by_name(value):
                self._add_function(name, value)
            else:
                self._add_value(name, value)

    def _add_module(self, name: str, module: ModuleType, chains: frozenset[Chain]) -> None:
        home = module.__name__
        if not worker_has(home) or sys.modules.get(home) is not module:
            raise Incomplete(f"{name} is your module {home}")
        line = f"import {home}" if name == home else f"import {home} as {name}"
        if line not in self._imports:
            self._imports.append(self._count(line))
        self._import(submodules_read(module, chains))
        self._used_modules += modules_used(module, chains)

    def _import(self, submodules: set[str]) -> None:
        lines = [imported(submodule) for submodule in sorted(submodules)]
        self._imports += [self._count(line) for line in lines if line not in self._imports]

    def _add_function(self, name: str, function: FunctionType) -> None:
        own = self._define(function, name)
        if own != name:
            self._aliases.append(f"{name} = {own}")

    def _add_value(self, name: str, value: object) -> None:
        if (place := _place_on_the_worker(name, value)) is not None:
            home, attribute = place
            alias = "" if attribute == name else f" as {name}"
            self._imports.append(self._count(f"from {home} import {attribute}{alias}"))
            return
        try:
            self._constants[name] = self._count(literal_of(value, self._mutable))
        except NoLiteral as error:
            raise Incomplete(f"{name}: {error}") from error


def _place_on_the_worker(name: str, value: object) -> tuple[str, str] | None:
    """The module and name by which the worker has something; None if its value is to be written.

    Raises:
        NotImportable: it can neither be imported nor written.
    """
    return importable(value, name) if callable(value) else state_of_worker(value)


def _check(function: FunctionType) -> None:
    """Refuse what the text would not say of a function."""
    code, name = function.__code__, function.__qualname__
    home = function.__globals__.get("__name__")
    reasons = {
        f"{name} has attributes": vars(function),
        f"{name} is named as no function can be": not is_a_name(code.co_name.strip("<>")),
        f"{name} is part of {home}, which the worker has": isinstance(home, str)
        and worker_has(home),
    }
    for reason, holds in reasons.items():
        if holds:
            raise Incomplete(reason)


def _changed(function: FunctionType) -> dict[str, str | None]:
    """The name and documentation of a function, where they are not those of its statement."""
    code, name = function.__code__, function.__name__
    first = code.co_consts[0] if code.co_consts else None
    changed: dict[str, str | None] = {}
    if name != code.co_name:
        changed["name"] = name
    if function.__doc__ != (first if isinstance(first, str) else None):
        if not isinstance(function.__doc__, str | None):
            raise Incomplete(f"the documentation of {name} is no text")
        changed["doc"] = function.__doc__
    return changed
