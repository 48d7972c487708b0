"""Which globals a piece of code reads, and which of their attributes.

Read from the instructions and not from ``co_names``, which also lists attributes: with it a
function that says ``response.data`` would take a global ``data`` of 5 MB along.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise, takewhile
from types import CodeType, ModuleType

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
    instructions = instructions_of(code)
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
    """Return the globals that code assigns or deletes, in the functions inside it too."""
    return _arguments_of(code, ("STORE_GLOBAL", "DELETE_GLOBAL"))


def variables_written(code: CodeType) -> frozenset[str]:
    """Return the closure variables that code assigns or deletes, in the functions inside it too."""
    return _arguments_of(code, ("STORE_DEREF", "DELETE_DEREF"))


def names_assigned(code: CodeType) -> frozenset[str]:
    """Return the names that a module's code binds itself, other than by ``from … import``."""
    steps = instructions_of(code)
    return frozenset(
        str(step.argval)
        for before, step in pairwise(steps)
        if step.opname == "STORE_NAME" and before.opname != "IMPORT_FROM"
    )


def imports_all(code: CodeType) -> bool:
    """Whether a module's code has a ``from … import *``."""
    return any(
        step.opname == "IMPORT_NAME" and before.argval == ("*",)
        for before, step in pairwise(instructions_of(code))
    )


@lru_cache(maxsize=1024)
def _arguments_of(code: CodeType, opnames: tuple[str, ...]) -> frozenset[str]:
    found: set[str] = set()
    if has_any(code, opnames):
        found |= {str(step.argval) for step in instructions_of(code) if step.opname in opnames}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _arguments_of(constant, opnames)
    return frozenset(found)


def has_any(code: CodeType, opnames: tuple[str, ...]) -> bool:
    """Tell whether code may have such an instruction, without disassembling it."""
    opcodes = code.co_code[::2]
    return any(dis.opmap[opname] in opcodes for opname in opnames)


def instructions_of(code: CodeType) -> list[dis.Instruction]:
    """Return the instructions of code, each with its whole argument."""
    return [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]


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
