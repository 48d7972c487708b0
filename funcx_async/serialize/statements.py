"""The lines of a file that a live function was made by, proved against its code.

What lies in a file need not be what runs: files are edited after their import, names are bound
again, lambdas share a line, and some sessions give another module's text for their own. So lines
only count if the compiler makes of them, where they stand, the very code that the function has.
"""

from __future__ import annotations
import __future__

import ast
import inspect
import linecache
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from funcx_async.serialize.files import LAMBDA, Definition, SourceFile, indentation_of
from funcx_async.serialize.literals import LONGEST
from funcx_async.serialize.reader import from_file

_CANDIDATES = 50
"""Statements of the right name that are tried, of a file that has changed, at most."""

_BEGINNING = time.time()

_ANNOTATIONS = __future__.annotations.compiler_flag

_SAME_ANYWAY = inspect.CO_NESTED | sum(
    getattr(__future__, name).compiler_flag for name in __future__.all_feature_names
)

_COMPARED = (
    "co_name",
    "co_code",
    "co_names",
    "co_varnames",
    "co_freevars",
    "co_cellvars",
    "co_argcount",
    "co_posonlyargcount",
    "co_kwonlyargcount",
    "co_exceptiontable",
)


one_at_a_time = threading.RLock()
"""Trees of syntax are not made in several threads at once in Python 3.11."""


class NoStatement(ValueError):
    """No text is known that the function was made from."""


@dataclass(frozen=True, slots=True)
class Statement:
    """The lines that make a function.

    Attributes:
        file: the name of the file, as tracebacks have it.
        line: the number of the first line.
        path: the function's name after those of the functions and classes around it.
        text: the lines, without decorators.
        inside: lines that stand for the functions and classes around it, so that the compiler
            sees its free variables and private names as what they are.
        only: where in the text the function begins and ends, if it is a lambda.
        future: whether annotations are text in the file.
        annotations: the text of each annotation.
    """

    file: str
    line: int
    path: str
    text: str
    inside: str
    only: tuple[int, int] | None
    future: bool
    annotations: Mapping[str, str]

    def code(self, imports: frozenset[str]) -> CodeType | None:
        """Compile the lines as the worker does.

        Args:
            imports: names that the module imports; the compiler calls their attributes otherwise.

        Returns:
            The function's code, or None if these lines alone do not define it.
        """
        marked = f"if 0: import {', '.join(sorted(imports))}\n" if imports else ""
        try:
            function = from_file(
                self.file,
                self.line,
                self.path,
                "\n" + self.text,
                marked + self.inside,
                only=self.only,
                future=self.future,
            )
        except (IndexError, ValueError, RecursionError):
            return None
        code: CodeType = function.__code__
        return code


def statement_of(function: FunctionType) -> Statement:
    """Find the lines that a function was made by.

    Args:
        function: written in Python.

    Returns:
        The lines; the defaults in them need not be the function's.

    Raises:
        NoStatement: there is no source, or nothing in it makes this code any more.
    """
    code = function.__code__
    linecache.lazycache(code.co_filename, function.__globals__)  # of a module in an archive
    with one_at_a_time:
        return _statement_of(code, code.co_filename)


def lines_of(function: FunctionType) -> list[str]:
    """Return the lines that tracebacks show of a function, decorators included.

    They are only proved if the file has changed since it was read: it may be imported again, too.
    """
    code = function.__code__
    linecache.lazycache(code.co_filename, function.__globals__)
    if _has_changed(code.co_filename):
        try:
            with one_at_a_time:
                statement_of(function)  # which leaves those lines in linecache that make it
                forget_files()
        except (NoStatement, RecursionError, SystemError):
            return []
    return _lines(code)[code.co_firstlineno - 1 : _last_line(code)]


def _has_changed(filename: str) -> bool:
    """Whether a file is another than the one that was read."""
    known = linecache.cache.get(filename, ())
    if len(known) < 4 or known[1] is None:  # it was never read, or is no file
        return False
    try:
        now = os.stat(known[3])  # noqa: PTH116  # this is called for each function
    except OSError:
        return False
    return (now.st_size, now.st_mtime) != known[:2]


def _last_line(code: CodeType) -> int:
    lines = [line for *_, line in code.co_lines() if line is not None]
    inner = [_last_line(each) for each in code.co_consts if isinstance(each, CodeType)]
    return max([code.co_firstlineno, *lines, *inner])


@lru_cache(maxsize=1024)
def _statement_of(code: CodeType, filename: str) -> Statement:
    """Codes of two files may be equal, so that the name of the file tells them apart."""
    lines = _lines(code)
    if not lines:
        raise NoStatement(f"the source text of {filename} is not available")
    with warnings.catch_warnings():  # of the user's own text, which were shown when it was run
        warnings.simplefilter("ignore")
        found = _find(_file(filename, lines), code)
        if found is None:
            linecache.checkcache(filename)  # it may have been imported again since it was read
            before, lines = lines, _lines(code)
            if lines != before:
                found = _find(_file(filename, lines), code)
        if found is None:
            raise NoStatement(_reason(_file(filename, lines), code))
    return found


def same_code(one: CodeType, other: CodeType) -> bool:
    """Whether two codes do the same: instructions, names, constants, arguments, code inside.

    Where they are from makes no difference, nor in what they are nested, nor under which features
    of ``__future__`` the same instructions came out.
    """
    return (
        all(getattr(one, name) == getattr(other, name) for name in _COMPARED)
        and (one.co_flags ^ other.co_flags) & ~_SAME_ANYWAY == 0
        and same_constant(_constants(one), _constants(other))
    )


def _constants(code: CodeType) -> tuple[Any, ...]:
    """Without the line it stands in, which the body of a class has among them from 3.13 on."""
    constants, line = code.co_consts, code.co_firstlineno
    if "__firstlineno__" not in code.co_names or line not in constants:
        return constants
    at = constants.index(line)
    return constants[:at] + constants[at + 1 :]


def same_constant(one: Any, other: Any) -> bool:
    """Whether two constants are equal and of the same types all through; -0.0 is not 0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, CodeType):
        return same_code(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same_constant, one, other))
    if isinstance(one, frozenset):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    return repr(one) == repr(other)


# Finding

_files: dict[str, SourceFile] = {}


def forget_files() -> None:
    """Free what was parsed, which may be large; until then it is used again."""
    _files.clear()


def _file(name: str, lines: list[str]) -> SourceFile:
    if name not in _files or _files[name].lines is not lines:
        _files[name] = SourceFile(lines)
    return _files[name]


def _lines(code: CodeType) -> list[str]:
    """The lines of the file; from Python 3.13 on those typed at a prompt are known by the code."""
    typed: Callable[[CodeType], list[str]] | None = getattr(linecache, "_getlines_from_code", None)
    return linecache.getlines(code.co_filename) or (typed(code) if typed else [])


def _find(file: SourceFile, code: CodeType) -> Statement | None:
    for definition in file.definitions_at(code.co_firstlineno, code.co_name):
        statement = _statement(file, definition, code)
        if _makes(statement, file.imports, code):
            return statement
    with suppress(SyntaxError):
        for definition in _nearest(file, code):
            statement = _statement(file, definition, code)
            if _makes(statement, file.imports_of_module, code):
                return statement
    return None


def _nearest(file: SourceFile, code: CodeType) -> list[Definition]:
    found = file.definitions(code.co_name)
    found.sort(key=lambda definition: abs(definition.line - code.co_firstlineno))
    return found[:_CANDIDATES]


def _makes(statement: Statement, imports: frozenset[str], code: CodeType) -> bool:
    """Whether lines make a code, in one file with its imports or, as IPython does, by themselves.

    Raises:
        NoStatement: They are too long to be sent, and may take seconds to compile.
    """
    if len(statement.text) > LONGEST:
        raise NoStatement(f"its text has more than {LONGEST:,} characters")
    return any(
        (made := statement.code(names)) is not None and same_code(made, code)
        for names in (imports, frozenset[str]())
    )


def _reason(file: SourceFile, code: CodeType) -> str:
    """Why no lines were found, in words."""
    name = code.co_filename
    what = "lambda" if code.co_name == LAMBDA else f"function {code.co_name}"
    try:
        found = file.definitions(code.co_name)
    except (SyntaxError, ValueError, RecursionError) as error:
        return f"{name} cannot be parsed ({error})"
    reason = f"no {what} in {name} compiles to what runs here" if found else f"{name} has no {what}"
    with suppress(OSError):
        if Path(name).stat().st_mtime > _BEGINNING:
            reason += "; the file was changed while this program ran"
    return reason


# Writing down


def _statement(file: SourceFile, definition: Definition, code: CodeType) -> Statement:
    node = definition.node
    first = definition.offset + node.lineno
    lines = file.lines[first - 1 : definition.offset + (node.end_lineno or node.lineno)]
    around = list(_around(code))
    path = [name for _, name in around] + [code.co_name]
    only = None
    if isinstance(node, ast.Lambda):
        inside = _before_lambda(around, code.co_freevars, first)
        only = (
            _characters(lines[0], node.col_offset),
            sum(map(len, lines[:-1])) + _characters(lines[-1], node.end_col_offset or 0),
        )
    else:
        inside = _before_statement(around, code.co_freevars, indentation_of(lines[0]))
    if getattr(node, "type_params", None):
        path.insert(-1, f"<generic parameters of {code.co_name}>")
    text = "".join(lines)
    return Statement(
        file=code.co_filename,
        line=first,
        path=".".join(path),
        text=text if text.endswith("\n") else text + "\n",
        inside=inside,
        only=only,
        future=bool(code.co_flags & _ANNOTATIONS),
        annotations=dict(_annotations(node)),
    )


def _around(code: CodeType) -> Iterator[tuple[str, str]]:
    """The functions and classes around, the outermost first: keyword and name of each."""
    *parents, _ = code.co_qualname.split(".")
    keywords: list[str] = []
    names: list[str] = []
    for part in parents:
        if part == "<locals>":
            keywords[-1] = "def"
        else:
            keywords.append("class")
            names.append(part if part.isidentifier() else "_")
    if code.co_freevars and "def" not in keywords:
        keywords.append("def")
        names.append("_")
    return zip(keywords, names, strict=True)


def _headers(around: list[tuple[str, str]], variables: tuple[str, ...]) -> list[str]:
    """The first lines of what is around; the innermost function there has the free variables."""
    innermost = max((n for n, (keyword, _) in enumerate(around) if keyword == "def"), default=-1)
    return [
        f"class {name}:"
        if keyword == "class"
        else f"def {name}({', '.join(variables) if number == innermost else ''}):"
        for number, (keyword, name) in enumerate(around)
    ]


def _before_statement(
    around: list[tuple[str, str]], variables: tuple[str, ...], indentation: str
) -> str:
    """Write what a statement is in, indented less than it is."""
    headers = _headers(around, variables)
    if indentation and not headers:
        headers = ["if 1:"]
    return "".join(f"{indentation[:depth]}{line}\n" for depth, line in enumerate(headers))


def _before_lambda(around: list[tuple[str, str]], variables: tuple[str, ...], line: int) -> str:
    """Write what a lambda is in, up to an opening bracket; on the lines above it if there are."""
    headers = [" " * depth + text for depth, text in enumerate(_headers(around, variables))]
    keep = "return (" if around and around[-1][0] == "def" else "_=("
    begin = "\n".join([*headers[:-1], " ".join([*headers[-1:], keep])])
    return begin + "\n" if begin.count("\n") + 1 < line else begin


def _characters(line: str, offset: int) -> int:
    """The place of a character, of which the parser tells the offset in UTF-8."""
    return len(line.encode()[:offset].decode())


def _annotations(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Lambda) or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    signature = node.args
    arguments = [
        *signature.posonlyargs,
        *signature.args,
        signature.vararg,
        *signature.kwonlyargs,
        signature.kwarg,
    ]
    for argument in arguments:
        if argument is not None and argument.annotation is not None:
            yield argument.arg, ast.unparse(argument.annotation)
    if node.returns is not None:
        yield "return", ast.unparse(node.returns)
