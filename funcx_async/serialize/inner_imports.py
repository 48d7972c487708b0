"""Which modules code imports when it runs, and which exceptions it is prepared for in doing so.

Read from the instructions, as the text of a function need not be known.
"""

from __future__ import annotations

import dis
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

from funcx_async.serialize.names import Chain, has_any, instructions_of

ANYTHING: Chain = ("BaseException",)
"""What ``except:`` catches."""

_NAMES = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
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
        chain = (str(step.argval),) if step.opname in _NAMES else ()
    if chain:
        yield chain
