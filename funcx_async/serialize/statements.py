"""The statement that a live function was made by, found in its file and proved against its code.

What lies in a file need not be what runs: files are edited after their import, names are bound
anew, lambdas share a line, and some sessions give another module's text for their own. So a
statement only counts if the compiler makes of it the very code that the function has.
"""

from __future__ import annotations
import __future__

import ast
import inspect
import linecache
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any, TypeAlias

from funcx_async.serialize.literals import literal_of

Node: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

LAMBDA = "<lambda>"

FACTORY = "_make_"
"""Begins the names of functions that make a closure."""

_CANDIDATES = 50
"""So many statements of the right name are tried at most."""

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)

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


class NoStatement(ValueError):
    """No text is known that the function was made from."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a function was made by.

    Attributes:
        node: the statement, without decorators and type parameters.
        imports: the names that its module imports; the compiler calls their attributes otherwise.
    """

    node: Node
    imports: frozenset[str]


def compiled(text: str) -> CodeType:
    """Compile text as the workers do: their reader is a module in which annotations stay text."""
    annotations = __future__.annotations.compiler_flag
    code: CodeType = compile(text, "<source>", "exec", annotations, dont_inherit=True)
    return code


@lru_cache(maxsize=1024)
def statement_of(code: CodeType) -> Statement:
    """Find the statement that code was compiled from.

    Args:
        code: of a function.

    Returns:
        The statement; its defaults need not be the function's.

    Raises:
        NoStatement: there is no source, or nothing in it makes this code any more.
    """
    text = "".join(linecache.getlines(code.co_filename))
    if not text:
        raise NoStatement("its source is not known")
    try:
        tree = _parsed(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise NoStatement("its file cannot be read any more") from error
    imports = frozenset(_imported(tree.body))
    for node in _candidates(tree, code):
        bare = _bare(node)
        try:
            made = codes_in(compiled(mark_imported(imports) + text_of(bare, code, "found")))
        except (SyntaxError, ValueError, RecursionError):
            continue
        if any(makes(each, code) for each in made):
            return Statement(bare, imports)
    raise NoStatement("what its file says is not, or not any more, what it does")


def mark_imported(names: Iterable[str]) -> str:
    """A line that imports nothing, and has the compiler take the names for imported ones."""
    each = ", ".join(sorted(names))
    return f"if 0: import {each}\n" if each else ""


def with_defaults(node: Node, function: FunctionType, mutable: dict[int, object]) -> Node:
    """Put the function's live defaults into its statement, as literals.

    Raises:
        NoLiteral: one has none.
    """

    def written(value: object) -> ast.expr:
        return ast.parse(literal_of(value, mutable), mode="eval").body

    signature = node.args
    keywords = function.__kwdefaults__ or {}
    arguments = ast.arguments(
        posonlyargs=signature.posonlyargs,
        args=signature.args,
        vararg=signature.vararg,
        kwonlyargs=signature.kwonlyargs,
        kw_defaults=[
            written(keywords[each.arg]) if each.arg in keywords else None
            for each in signature.kwonlyargs
        ],
        kwarg=signature.kwarg,
        defaults=[written(value) for value in function.__defaults__ or ()],
    )
    changed = copy(node)
    changed.args = arguments
    return ast.fix_missing_locations(changed)


def text_of(node: Node, code: CodeType, name: str) -> str:
    """Write a statement as text.

    Args:
        node: the statement.
        code: what it makes; if that has free variables, the text is that of a factory, which
            takes their values.
        name: what a lambda is assigned to.
    """
    if code.co_freevars:
        return ast.unparse(_factory(node, code))
    text = ast.unparse(node)
    return f"{name} = {text}" if isinstance(node, ast.Lambda) else text


def makes(made: CodeType, code: CodeType) -> bool:
    """Whether a statement's code is that of a function, or of a factory for it."""
    if not code.co_freevars:
        return same_code(made, code)
    return any(same_code(inner, code) for inner in codes_in(made))


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """The code of the functions that code defines, one for each statement that defines one."""
    return (constant for constant in code.co_consts if isinstance(constant, CodeType))


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


@lru_cache(maxsize=16)
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def _imported(statements: Iterable[ast.AST]) -> Iterator[str]:
    """The names that statements import into the scope which they are in."""
    for statement in statements:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            names = [(alias.asname or alias.name).partition(".")[0] for alias in statement.names]
            yield from (name for name in names if name != "*")
        elif not isinstance(statement, _SCOPES):
            yield from _imported(ast.iter_child_nodes(statement))


def _candidates(tree: ast.Module, code: CodeType) -> list[Node]:
    """The statements that could be it, the nearest to its line first."""
    kind = ast.Lambda if code.co_name == LAMBDA else (ast.FunctionDef, ast.AsyncFunctionDef)
    named = [
        node
        for node in ast.walk(tree)
        if isinstance(node, kind) and getattr(node, "name", LAMBDA) == code.co_name
    ]
    named.sort(key=lambda node: abs(_first_line(node) - code.co_firstlineno))
    return named[:_CANDIDATES]


def _first_line(node: Node) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _bare(node: Node) -> Node:
    """The statement without what its decorators and type parameters do."""
    bare = copy(node)
    for name in {"decorator_list", "type_params"}.intersection(bare._fields):
        setattr(bare, name, [])
    return bare


def _factory(node: Node, code: CodeType) -> ast.FunctionDef:
    """A function that has the free variables as its own, and returns what the statement makes."""
    given = [ast.arg(name) for name in code.co_freevars if name != code.co_name]
    made = node if isinstance(node, ast.Lambda) else ast.Name(node.name, ast.Load())
    body: list[ast.stmt] = [] if isinstance(node, ast.Lambda) else [node]
    factory = ast.FunctionDef(
        name=f"{FACTORY}{code.co_name.strip('<>')}",
        args=ast.arguments(posonlyargs=[], args=given, kwonlyargs=[], kw_defaults=[], defaults=[]),
        body=[*body, ast.Return(made)],
        decorator_list=[],
    )
    return ast.fix_missing_locations(factory)
