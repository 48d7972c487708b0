"""What code reads, writes and imports, taken from its instructions.

The text of a function need not be known. ``co_names`` alone is not enough, as it also lists
attributes: a function that says ``response.data`` would take along a global ``data`` of 5 MB.
"""

from __future__ import annotations

import dis
import sys
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, takewhile
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
    """Return whether code may have such an instruction, without disassembling it."""
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


# Imports


ANYTHING: Chain = ("BaseException",)
"""What ``except:`` catches."""

_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_IMPORTERS = frozenset({"import_module", "__import__"})
_IN_A_TEST = frozenset({"BUILD_LIST", "BUILD_TUPLE", "CACHE", "COPY", "NOP", "PUSH_NULL", "SWAP"})
_IN_A_WITH = _IN_A_TEST | {"BEFORE_WITH", "CALL", "PRECALL"}


@dataclass(frozen=True, slots=True)
class InnerImport:
    """An import statement in a function, or a call that does the same.

    Attributes:
        module: its name as it is written, without leading dots.
        level: the number of leading dots.
        names: what is imported from it.
        caught: the exceptions that handlers around it catch, each as the names that lead to it.
    """

    module: str
    level: int
    names: tuple[str, ...]
    caught: frozenset[Chain]


@lru_cache(maxsize=1024)
def inner_imports(code: CodeType) -> tuple[InnerImport, ...]:
    """Return what code imports when it runs, in the functions inside it too.

    Args:
        code: a function's code.

    Returns:
        The imports in their order, without those under ``if TYPE_CHECKING``, which never run.
    """
    found = list(_Reading(code).imports()) if has_any(code, ("IMPORT_NAME",)) else []
    if not found and not _IMPORTERS.isdisjoint(code.co_names):
        found = list(_Reading(code).imports())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found += inner_imports(constant)
    return tuple(found)


class _Reading:
    """The instructions of one code object, and the ranges that its handlers are for."""

    def __init__(self, code: CodeType) -> None:
        bytecode: Any = dis.Bytecode(code)  # its table of exceptions is not in typeshed
        self._handlers = bytecode.exception_entries
        self._steps = instructions_of(code)
        self._offsets = [step.offset for step in self._steps]

    def imports(self) -> Iterator[InnerImport]:
        resumes = 0
        for number, step in enumerate(self._steps):
            if step.argval == "TYPE_CHECKING":
                resumes = self._end_of_branch(number)
            if step.offset < resumes:
                continue
            if step.opname == "IMPORT_NAME":
                level, names = self._steps[number - 2].argval, self._steps[number - 1].argval
                caught = frozenset(self._caught_at(step.offset))
                yield InnerImport(str(step.argval), level, tuple(names or ()), caught)
            elif step.argval in _IMPORTERS and (name := self._first_argument(number)):
                module = name.lstrip(".")
                caught = frozenset(self._caught_at(step.offset))
                yield InnerImport(module, len(name) - len(module), (), caught)

    def _end_of_branch(self, number: int) -> int:
        """Where code goes on if what was loaded just now is false."""
        for step in self._steps[number + 1 : number + 3]:
            if step.opname.startswith("POP_JUMP") and step.opname.endswith("_IF_FALSE"):
                return int(step.argval)
        return 0

    def _first_argument(self, number: int) -> str | None:
        """The text that the function loaded just now is called with, if it is a constant."""
        for step in self._steps[number + 1 : number + 3]:
            if step.opname != "PUSH_NULL":
                return step.argval if isinstance(step.argval, str) and _is_constant(step) else None
        return None

    def _caught_at(self, offset: int) -> Iterator[Chain]:
        """What handlers catch of that which is raised at an offset, the innermost first."""
        seen: set[int] = set()
        while (target := self._handler_of(offset)) is not None and target not in seen:
            seen.add(target)
            first = self._at(target)
            if self._steps[first].opname == "PUSH_EXC_INFO":  # else it only cleans up
                if self._steps[first + 1].opname == "WITH_EXCEPT_START":
                    yield from self._suppressed(target)
                else:
                    yield from self._tested(first + 1)
            offset = target

    def _handler_of(self, offset: int) -> int | None:
        targets = (each.target for each in self._handlers if each.start <= offset < each.end)
        return next(targets, None)

    def _tested(self, number: int) -> Iterator[Chain]:
        """The exceptions that a handler compares with, one ``except`` after the other."""
        if self._steps[number].opname == "POP_TOP":
            yield ANYTHING
            return
        test: list[dis.Instruction] = []
        while number < len(self._steps):
            step = self._steps[number]
            if step.opname in ("CHECK_EXC_MATCH", "CHECK_EG_MATCH"):
                yield from _chains(test)
                after = self._steps[number + 1 : number + 4]
                jumps = [each.argval for each in after if "JUMP" in each.opname]
                if not jumps:
                    return
                test, number = [], self._at(jumps[0])
            elif _is_load(step) or step.opname in _IN_A_TEST:
                test.append(step)
                number += 1
            else:  # the body of a finally, or the end of the tests
                if test == [] and step.opname == "POP_TOP":
                    yield ANYTHING
                return

    def _suppressed(self, target: int) -> Iterator[Chain]:
        """What ``with suppress(…)`` suppresses, for the handler of a ``with``."""
        number = self._at(min(each.start for each in self._handlers if each.target == target))
        opened: list[dis.Instruction] = []
        while number > 0:
            number -= 1
            step = self._steps[number]
            if not _is_load(step) and step.opname not in _IN_A_WITH:
                break
            opened.insert(0, step)
        chains = list(_chains(opened))
        if any(chain[-1] == "suppress" for chain in chains):
            yield from chains

    def _at(self, offset: int) -> int:
        return bisect_left(self._offsets, offset)


def _is_load(step: dis.Instruction) -> bool:
    return step.opname.startswith("LOAD_")


def _is_constant(step: dis.Instruction) -> bool:
    return step.opname.startswith("LOAD_CONST")


def _chains(steps: list[dis.Instruction]) -> Iterator[Chain]:
    """The names that steps load, each with the attributes that are read of it."""
    chain: Chain = ()
    for step in steps:
        if step.opname in _ATTRIBUTES:
            chain = (*chain, str(step.argval)) if chain else ()
            continue
        if chain:
            yield chain
        chain = (str(step.argval),) if step.opname in _LOADS else ()
    if chain:
        yield chain
