"""What the pickler has its reader do: expressions, and things that exist on that side only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """An expression that the reader evaluates.

    Attributes:
        function: what is called; a :class:`Referable` where that exists on the other side only.
        arguments: what it is called with.
    """

    function: Any
    arguments: tuple[Any, ...]


class Referable:
    """Something that exists on the reader's side only, and is written once.

    Attributes:
        made_by: the expression that makes it.
    """

    __slots__ = ("made_by",)

    def __init__(self, made_by: Call) -> None:
        self.made_by = made_by


class Namespace(Referable):
    """The globals of one of the user's modules, as the reader has them.

    Attributes:
        module: the stand-in whose namespace this is.
        source: the globals here.
        sent: the names that are written already.
    """

    __slots__ = ("module", "sent", "source")

    def __init__(self, name: str, source: Mapping[str, Any]) -> None:
        self.module = Referable(Call(ModuleType, (name,)))
        super().__init__(Call(vars, (self.module,)))
        self.source = source
        self.sent: set[str] = set()
