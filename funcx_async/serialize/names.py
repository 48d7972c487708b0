"""Which globals a piece of code reads, and which of their attributes.

Read from the instructions and not from ``co_names``, which also lists attributes: with it a
function that says ``response.data`` would take a global ``data`` of 5 MB along.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Mapping
from functools import lru_cache
from itertools import takewhile
from types import CodeType, ModuleType
from typing import Any

_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "DELETE_GLOBAL"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_WRITES = frozenset({"STORE_ATTR", "DELETE_ATTR"})

Chain = tuple[str, ...]
"""The attributes read one after the other: ``("path", "join")`` for ``os.path.join``."""


@lru_cache(maxsize=1024)
def globals_read(code: CodeType) -> Mapping[str, frozenset[Chain]]:
    """Find the globals that code reads, in the functions and classes inside it too.

    Args:
        code: a function's code.

    Returns:
        For each global name the chains of attributes read from it; the empty chain where it is
        used as a value. Names of builtins are among them.

    Example:
        >>> import os
        >>> globals_read((lambda: os.path.join(separator)).__code__)["os"]
        frozenset({('path', 'join')})
    """
    chains: dict[str, set[Chain]] = {}
    instructions = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
    for number, step in enumerate(instructions):
        if step.opname in _READS:
            following = instructions[number + 1 : number + 12]
            read = takewhile(lambda later: later.opname in _ATTRIBUTES, following)
            chain = tuple(str(later.argval) for later in read)
            written = not chain and bool(following) and following[0].opname in _WRITES
            chains.setdefault(str(step.argval), set()).update(() if written else (chain,))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            for name, inner in globals_read(constant).items():
                chains.setdefault(name, set()).update(inner)
    return {name: frozenset(found) for name, found in chains.items()}


def globals_written(code: CodeType) -> frozenset[str]:
    """Find the globals that code assigns or deletes, in the functions inside it too."""
    return _arguments_of(code, frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"}))


def variables_written(code: CodeType) -> frozenset[str]:
    """Find the variables of closures that code assigns or deletes; likewise."""
    return _arguments_of(code, frozenset({"STORE_DEREF", "DELETE_DEREF"}))


@lru_cache(maxsize=1024)
def _arguments_of(code: CodeType, instructions: frozenset[str]) -> frozenset[str]:
    steps = dis.get_instructions(code)
    found = {str(step.argval) for step in steps if step.opname in instructions}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _arguments_of(constant, instructions)
    return frozenset(found)


@lru_cache(maxsize=1024)
def modules_imported(code: CodeType) -> frozenset[str]:
    """Find the modules that code imports by their absolute names, when it runs.

    What it guards by ``try`` is not among them: it can do without.
    """
    found: set[str] = set()
    bytecode: Any = dis.Bytecode(code)  # its table of exceptions is not in typeshed
    steps = list(bytecode)
    guarded = [range(entry.start, entry.end) for entry in bytecode.exception_entries]
    for number, step in enumerate(steps):
        if step.opname == "IMPORT_NAME" and not any(step.offset in span for span in guarded):
            level = steps[number - 2].argval
            if level == 0:
                found.add(str(step.argval))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= modules_imported(constant)
    return frozenset(found)


def submodules_read(package: ModuleType, chains: frozenset[Chain]) -> set[str]:
    """The submodules that the chains pass through, which ``import package`` would not import."""
    found: set[str] = set()
    for chain in chains:
        module = package
        for attribute in chain:
            name = f"{module.__name__}.{attribute}"
            inner = getattr(module, attribute, None)
            if not isinstance(inner, ModuleType) or sys.modules.get(name) is not inner:
                break
            found.add(name)
            module = inner
    return found
