"""A module of a user's application, which no worker has: functions and classes of many kinds."""

# What people write is not always what a linter would have them write.
# ruff: noqa: ICN001, N801, PIE796, PTH118, PYI024, PYI034, UP042
from __future__ import annotations

import abc
import asyncio
import collections
import contextlib
import dataclasses
import enum
import functools
import json as js
import logging
import os
import threading
import typing
import xml.etree.ElementTree

from tests.serialize import toolbox
from tests.serialize.toolbox import scale as scaled

OFFSET = 3
LARGE = "x" * 5_000_000
log = logging.getLogger(__name__)
lock = threading.Lock()
counter = 0

T = typing.TypeVar("T")


def add(a: int, b: int = OFFSET, *, c: int = 7) -> int:
    return a + b + c


def factorial(n: int) -> int:
    return 1 if n < 2 else n * factorial(n - 1)


def even(n: int) -> bool:
    return n == 0 or odd(n - 1)


def odd(n: int) -> bool:
    return n != 0 and even(n - 1)


def counting_from(n: int) -> typing.Callable[[int], int]:
    def count(step: int) -> int:
        nonlocal n
        n += step
        return n

    return count


def twice_counted() -> list[int]:
    count = counting_from(OFFSET)
    return [count(1), count(1)]


def shouting(fn: typing.Callable[..., typing.Any]) -> typing.Callable[..., typing.Any]:
    @functools.wraps(fn)
    def shout(*args: typing.Any, **kwargs: typing.Any) -> str:
        return f"{fn(*args, **kwargs)}!"

    return shout


@shouting
@shouting
def decorated(x: int) -> int:
    """Adds the offset."""
    return x + OFFSET


@functools.lru_cache
def cached(x: int) -> int:
    return x + OFFSET


@functools.singledispatch
def described(x: object) -> str:
    return "thing"


@described.register
def _(x: int) -> str:
    return f"number {x}"


@contextlib.contextmanager
def opened() -> typing.Iterator[int]:
    yield OFFSET


def within() -> int:
    with opened() as number:
        return number


def count_up() -> None:
    global counter
    counter += 1


def counted_twice() -> int:
    count_up()
    count_up()
    return counter


def guarded() -> str:
    with lock:
        log.debug("held")
        return __name__


def response_data() -> str:
    response = collections.namedtuple("Response", "LARGE")
    return response(LARGE="small").LARGE


def imported() -> tuple[typing.Any, ...]:
    tree = xml.etree.ElementTree.fromstring("<a/>")
    return tree.tag, js.dumps([1]), os.path.join("a", "b"), scaled(2)


def nested() -> tuple[int, list[int], int]:
    class Box:
        inside = OFFSET

    return sum(i * OFFSET for i in range(3)), [OFFSET + i for i in range(2)], Box.inside


def by_module() -> tuple[int, int, str]:
    return toolbox.scale(3), toolbox.Tool(2).size, toolbox.__name__


def module_as_value() -> list[str]:
    return dir(toolbox)


async def awaited(x: int) -> int:
    await asyncio.sleep(0)
    return x + OFFSET


def generated() -> typing.Iterator[int]:
    yield OFFSET


@functools.wraps(awaited)
def timed(x: int) -> typing.Any:
    return awaited(x)


class Point:
    """A plain class with methods of all kinds."""

    origin: typing.ClassVar[Point]

    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.x == self.x

    def __hash__(self) -> int:
        return hash(self.x)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.x})"

    def moved(self, by: int = OFFSET) -> Point:
        return Point(self.x + by)

    @staticmethod
    def norm(x: int) -> int:
        return abs(x) + OFFSET

    @classmethod
    def at(cls, x: int) -> Point:
        return cls(x)

    @property
    def double(self) -> int:
        return self.x * 2

    @functools.cached_property
    def triple(self) -> int:
        return self.x * 3


Point.origin = Point(0)


class Labelled(Point):
    def __init__(self, x: int) -> None:
        super().__init__(x)
        self.label = "p"


class Colour(enum.Enum):
    RED = 1
    BLUE = 2
    AZURE = 2

    def nice(self) -> str:
        return f"{self.name.lower()} of {len(Colour)}"


class Word(str, enum.Enum):
    YES = "yes"
    NO = "no"


class Access(enum.IntFlag):
    READ = 1
    WRITE = 2


class Planet(enum.Enum):
    EARTH = (6, 3)

    def __init__(self, mass: int, radius: int) -> None:
        self.mass = mass
        self.radius = radius

    @property
    def density(self) -> float:
        return self.mass / self.radius


class Odd(str, enum.Enum):
    """Its members are not their values."""

    ONE = 1

    def __new__(cls, number: int) -> Odd:
        member = str.__new__(cls, f"odd {number}")
        member._value_ = str(number)
        return member


class Tags(set[int]):
    def __init__(self, name: str, items: list[int]) -> None:
        super().__init__(items)
        self.name = name


class Sealed(int):
    """A number that does not tell pickle what it is made from."""

    def __reduce_ex__(self, protocol: object) -> tuple[type, tuple[int]]:
        return int, (int(self),)


class Closed(Sealed, enum.Enum):
    ONE = 1


@dataclasses.dataclass
class Job:
    name: str
    parts: list[int] = dataclasses.field(default_factory=list)
    kind: typing.ClassVar[str] = "job"


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Rank:
    level: int = 1


class Pair(typing.NamedTuple):
    left: int
    right: str = "r"

    def swapped(self) -> tuple[str, int]:
        return self.right, self.left


Old = collections.namedtuple("Old", "x y")


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> int: ...


class Square(Shape):
    def area(self) -> int:
        return 9


class Stack(typing.Generic[T]):
    def __init__(self) -> None:
        self.items: list[T] = []

    def push(self, item: T) -> Stack[T]:
        self.items.append(item)
        return self


class Partly:
    def between(self, low: int, high: int, x: int) -> bool:
        return low < x < high

    small = functools.partialmethod(between, 0, high=5)


class Slotted:
    __slots__ = ("__hidden", "open")

    def __init__(self) -> None:
        self.open = 1
        self.__hidden = 2

    def both(self) -> int:
        return self.open + self.__hidden


class Named(type):
    @property
    def title(cls) -> str:
        return cls.__name__.title()


class made(metaclass=Named):
    pass


class Broken(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def use_points(point: Point) -> tuple[typing.Any, ...]:
    labelled = Labelled(4)
    return (
        isinstance(point, Point),
        point == Point(1),
        point.moved(),
        Point.norm(-1),
        Point.at(2),
        point.double,
        point.triple,
        (labelled.x, labelled.label),
        Point.origin == Point(0),
        {Point(1), Point(1)},
    )


def use_enums(colour: Colour) -> tuple[typing.Any, ...]:
    return (
        colour is Colour.RED,
        colour.nice(),
        Colour(2) is Colour.AZURE,
        list(Colour.__members__),
        Word("yes") is Word.YES,
        Word.NO == "no",
        Access.READ | Access.WRITE,
        Planet.EARTH.density,
        Planet((6, 3)).mass,
    )


def use_records(job: Job) -> tuple[typing.Any, ...]:
    return (
        job,
        job == Job("a"),
        dataclasses.asdict(Job("b", [1])),
        dataclasses.replace(job, name="c"),
        [field.name for field in dataclasses.fields(job)],
        Job.kind,
        Rank() < Rank(2),
        Pair(1).swapped(),
        Pair(1)._replace(left=5),
        Old(1, 2).y,
    )


def use_rare_classes() -> tuple[typing.Any, ...]:
    try:
        Shape()  # type: ignore[abstract]
        abstract = False
    except TypeError:
        abstract = True
    try:
        raise Broken(5)
    except Broken as error:
        code = error.code
    return abstract, Square().area(), Stack().push(2).items, Slotted().both(), made.title, code


def annotated(x: Colour, y: int, z: typing.Optional[Job] = None) -> list[str]:  # noqa: UP045
    return sorted(annotated.__annotations__)


class Adder:
    def __init__(self, n: int) -> None:
        self.n = n

    def __call__(self, x: int) -> int:
        return x + self.n + OFFSET


class AsyncAdder:
    async def __call__(self, x: int) -> int:
        return await awaited(x)
