"""Classes of a user's application that are hard to send, each with functions that look at them."""

from __future__ import annotations

import abc
import collections.abc
import dataclasses
import enum
import typing
from typing import Any, ClassVar, Generic, NewType, ParamSpec, Protocol, TypedDict, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
UserId = NewType("UserId", int)


class Reader:
    known: ClassVar[dict[str, type]] = {}
    suffix = ""

    def __init_subclass__(cls, *, suffix: str, **options: Any) -> None:
        super().__init_subclass__(**options)
        Reader.known[suffix] = cls
        cls.suffix = suffix


class CsvReader(Reader, suffix="csv"):
    pass


class Plugin:
    names: ClassVar[list[str]] = []

    def __init_subclass__(cls) -> None:
        Plugin.names.append(cls.__name__)


class Csv(Plugin):
    pass


class Checked:
    def __init_subclass__(cls) -> None:
        if "key" not in vars(cls):
            raise TypeError(f"{cls.__name__} needs a key")


class Good(Checked):
    key = 3


class Sizing(type):
    size: int

    def __new__(
        cls, name: str, bases: tuple[type, ...], body: dict[str, Any], *, size: int
    ) -> Sizing:
        made = super().__new__(cls, name, bases, body)
        made.size = size
        return made

    def __init__(
        cls, name: str, bases: tuple[type, ...], body: dict[str, Any], *, size: int
    ) -> None:
        super().__init__(name, bases, body)


class Sized(metaclass=Sizing, size=7):
    pass


class Column:
    """A descriptor that takes its name when its class is made."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __set_name__(self, owner: type, name: str) -> None:
        self.names.append(name)

    def __get__(self, instance: object, owner: type | None = None) -> list[str]:
        return self.names


class Table:
    price = Column()


class Options(TypedDict):
    depth: int


class Stack(Generic[T]):
    def __init__(self, item: T) -> None:
        self.items = [item]


class Closing(Protocol):
    def close(self) -> None: ...


class Door:
    def close(self) -> None:
        pass


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> int: ...


class Disc:
    def area(self) -> int:
        return 3


class Items:
    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> int:
        raise IndexError(index)


Shape.register(Disc)
collections.abc.Sequence.register(Items)


def twice(x: int) -> int:
    return 2 * x


class Operation(enum.Enum):
    TWICE = enum.member(twice)

    def __call__(self, x: int) -> Any:
        return self.value(x)


class Model:
    class Config:
        kind = "inner"

        class Deeper:
            pass

    class State(enum.Enum):
        ON = 1


class Config:
    kind = "outer"


@dataclasses.dataclass
class Inner:
    rate: float = 0.1


@dataclasses.dataclass
class Outer:
    inner: Inner = dataclasses.field(default_factory=Inner)


class Node:
    """A class with an instance of itself among its attributes."""

    root: ClassVar[Node]

    def __init__(self, name: str) -> None:
        self.name = name

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.name = f"{state['name']}, read"


Node.root = Node("root")


class Missing:
    def __reduce__(self) -> str:
        return "MISSING"


MISSING = Missing()
UNSET = object()
log: list[str] = []


class Logger:
    def note(self) -> None:
        log.append("noted")


def noted(logger: Logger) -> list[str]:
    if isinstance(logger, Logger):
        logger.note()
    return log


class Failure(Exception):
    """An error with more than a text."""

    def __init__(self, step: int, reason: str) -> None:
        super().__init__(step, reason)
        self.step = step


def names_of(kind: type) -> tuple[str, str, str]:
    return kind.__module__, kind.__qualname__, repr(kind)


def looks() -> dict[str, Any]:
    """What a task sees of all of these."""
    return {
        "keywords of a class": (CsvReader.suffix, sorted(Reader.known)),
        "a registry": (Csv.__name__, Plugin.names),
        "a check": Good.key,
        "a metaclass with keywords": (Sized.size, type(Sized).__name__),
        "a descriptor's name": Table.price,
        "a typed dict": (Options(depth=1), sorted(Options.__required_keys__)),
        "a new type": (UserId(3), UserId.__name__, UserId.__module__),
        "type variables": (T.__name__, T.__module__, P.__name__, Stack[int](3).items),
        "a protocol": isinstance(Door(), Closing) if typing.TYPE_CHECKING else Closing.__name__,
        "registered with an abstract class": (
            isinstance(Disc(), Shape),
            isinstance(Items(), collections.abc.Sequence),
        ),
        "a function as a member": (Operation.TWICE(4), list(Operation.__members__)),
        "nested names": [
            names_of(kind) for kind in (Model.Config, Model.Config.Deeper, Model.State, Config)
        ],
        "annotations": sorted(
            (name, str(kind)) for name, kind in typing.get_type_hints(Outer, globals()).items()
        ),
        "an instance of itself": Node.root.name,
        "an exception": (Failure(3, "x").step, str(Failure(3, "x")), names_of(Failure)),
        "what is written": str(Outer()),
    }
