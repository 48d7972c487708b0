"""Files with source text, as :mod:`linecache` has them, and the functions that they define.

Parsing a file of 10,000 lines takes 100 ms, and a submit must not take that long. So only the
top-level statement around a line is parsed, unless the file has changed since.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

Node: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

LAMBDA = "<lambda>"

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)

_IMPORT = re.compile(r"[ \t]*(?:from[ \t]+[.\w]+[ \t]+)?import[ \t]*(?:\([^)]*\)|[^\n(;]+)")

_LONGEST_IMPORT = 60
"""Lines that one import statement is taken to have at most."""

_LONGEST_STATEMENT = 20
"""Lines at the margin that one top-level statement is taken to have at most."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A function statement or lambda of a file.

    Attributes:
        node: its syntax; the lines in it count from ``offset``.
        offset: lines of the file before the text that was parsed.
    """

    node: Node
    offset: int

    @property
    def line(self) -> int:
        """The first line that the compiler counts to it: that of the first decorator."""
        decorators: list[ast.expr] = getattr(self.node, "decorator_list", [])
        first = min([self.node.lineno, *(decorator.lineno for decorator in decorators)])
        return self.offset + first


class SourceFile:
    """The lines of a file, which are parsed as far as somebody asks.

    Args:
        lines: each with the newline at its end.
    """

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self._parsed: dict[int, ast.Module | None] = {}

    def definitions_at(self, line: int, name: str) -> list[Definition]:
        """Find the functions of a name which begin in a line; parses what is around it."""
        start = self._start_of_statement(line)
        if start not in self._parsed:
            self._parsed[start] = self._parse_statement(start)
        tree = self._parsed[start]
        if tree is None:
            return []
        found = [Definition(node, start) for node in _defined(tree, name)]
        return [definition for definition in found if definition.line == line]

    def definitions(self, name: str) -> list[Definition]:
        """Find all functions of a name; parses the whole file.

        Raises:
            SyntaxError: the file cannot be parsed.
        """
        if name == LAMBDA:
            return [Definition(node, 0) for node in _defined(self._tree, name)]
        return [Definition(node, 0) for node in self._functions.get(name, [])]

    @cached_property
    def imports(self) -> frozenset[str]:
        """The names that the file seems to import, found without parsing it."""
        names: set[str] = set()
        for number, line in enumerate(self.lines):
            if "import" not in line:
                continue
            following = "".join(self.lines[number : number + _LONGEST_IMPORT])
            if (statement := _IMPORT.match(following)) is not None:
                with suppress(SyntaxError):
                    names.update(_imported(ast.parse(statement[0].strip()).body))
        return frozenset(names)

    @cached_property
    def imports_of_module(self) -> frozenset[str]:
        """The names that the file imports outside its functions and classes; parses all of it.

        Raises:
            SyntaxError: the file cannot be parsed.
        """
        return frozenset(_imported(self._tree.body))

    @cached_property
    def _tree(self) -> ast.Module:
        return ast.parse("".join(self.lines))

    @cached_property
    def _functions(self) -> dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]]:
        found: dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]] = {}
        for node in _functions_in(self._tree):
            found.setdefault(node.name, []).append(node)
        return found

    def _start_of_statement(self, line: int) -> int:
        """The place in the list of the line at the margin that is at or above a line."""
        start = min(line, len(self.lines)) - 1
        while start > 0 and not _is_at_margin(self.lines[start]):
            start -= 1
        return start

    def _parse_statement(self, start: int) -> ast.Module | None:
        """Parse from here up to the first line at the margin where that makes sense."""
        end = start
        for _ in range(_LONGEST_STATEMENT):
            end += 1
            while end < len(self.lines) and not _is_at_margin(self.lines[end]):
                end += 1
            with suppress(SyntaxError):
                return ast.parse("".join(self.lines[start:end]))
        return None


def indentation_of(line: str) -> str:
    """Return the spaces and tabs that indent a line; a form feed before them counts for nothing."""
    return line[: len(line) - len(line.lstrip(" \t\f"))].rpartition("\f")[2]


def _is_at_margin(line: str) -> bool:
    return not indentation_of(line) and not line.lstrip("\f").startswith(("\n", "#"))


def _defined(tree: ast.AST, name: str) -> Iterator[Node]:
    if name == LAMBDA:
        return (node for node in ast.walk(tree) if isinstance(node, ast.Lambda))
    return (node for node in _functions_in(tree) if node.name == name)


def _functions_in(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The function statements at any depth; expressions have none, and are most of a tree."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
        if not isinstance(child, ast.expr):
            yield from _functions_in(child)


def _imported(statements: Iterable[ast.AST]) -> Iterator[str]:
    """The names that statements import into the scope which they are in."""
    for statement in statements:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            names = [(alias.asname or alias.name).partition(".")[0] for alias in statement.names]
            yield from (name for name in names if name != "*")
        elif not isinstance(statement, _SCOPES):
            yield from _imported(ast.iter_child_nodes(statement))
