"""Which globals a piece of code reads, and which of their attributes.

Read from the instructions and not from ``co_names``, which also lists attributes: with it a
function that says ``response.data`` would take a global ``data`` of 5 MB along.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Collection, Iterator, Mapping
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


@lru_cache(maxsize=1024)
def words_of(code: CodeType) -> frozenset[str]:
    """Return the words by which code may read attributes, in the functions inside it too.

    Args:
        code: a function's code.

    Returns:
        Its names, and the parts of its constant texts: ``getattr(xml, "dom")`` reads one, too.
    """
    words = set(code.co_names)
    for constant in code.co_consts:
        words |= words_of(constant) if isinstance(constant, CodeType) else _words_in(constant)
    return frozenset(words)


def _words_in(constant: object) -> set[str]:
    if isinstance(constant, tuple | frozenset):
        return {word for item in constant for word in _words_in(item)}
    text = constant if isinstance(constant, str) and len(constant) <= _LONGEST_NAME else ""
    return {word for word in text.split(".") if word.isidentifier()}


def submodules_read(package: ModuleType, chains: frozenset[Chain]) -> set[str]:
    """Return the submodules that chains pass through; ``import package`` would not import them."""
    return {name for chain in chains for name, _ in _modules_along(package, chain) if name}


def modules_used(package: ModuleType, chains: frozenset[Chain]) -> list[ModuleType]:
    """Return the modules that chains end at: code does with those what chains do not say."""
    ends = ([package, *(m for _, m in _modules_along(package, chain))] for chain in chains)
    return [path[-1] for path, chain in zip(ends, chains, strict=True) if len(path) > len(chain)]


def submodules_of(module: ModuleType, words: Collection[str]) -> set[str]:
    """Return the submodules that code can reach from a module which it uses as a value.

    Args:
        module: a package, as a local variable, an argument or a closure may hold it.
        words: of the code; see :func:`words_of`.

    Returns:
        The submodules that are imported here, at any depth, to which such words lead.

    Example:
        >>> import xml.dom.minidom
        >>> sorted(submodules_of(xml, {"dom", "minidom", "Text"}))
        ['xml.dom', 'xml.dom.minidom']
    """
    found: set[str] = set()
    pending = [module]
    while pending:
        outer = pending.pop()
        for word in vars(outer).keys() & words:
            name, inner = f"{outer.__name__}.{word}", vars(outer)[word]
            if isinstance(inner, ModuleType) and sys.modules.get(name) is inner:
                pending += [] if name in found else [inner]
                found.add(name)
    return found


def _modules_along(package: ModuleType, chain: Chain) -> Iterator[tuple[str, ModuleType]]:
    """The modules that a chain leads to, each with its name if it is a submodule of the last."""
    module = package
    for attribute in chain:
        inner = vars(module).get(attribute)  # and not getattr, which may import something
        if not isinstance(inner, ModuleType):
            return
        name = f"{module.__name__}.{attribute}"
        yield name if sys.modules.get(name) is inner else "", inner
        module = inner


_LONGEST_NAME = 200
"""Characters: what is longer names no module."""
