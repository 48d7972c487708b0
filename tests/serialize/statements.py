"""A module of a user's application: what source text can carry, and what it cannot."""

# What people write is not always what a linter would have them write.
# ruff: noqa: C416, DTZ901, E731, ICN001, N813, PTH118, PTH119, RUF013
import dataclasses
import functools
import logging
import math
import os
import random
import typing
import xml.etree.ElementTree as tree
from collections import OrderedDict as Ordered
from datetime import datetime
from os import environ
from os.path import join
from random import randint
from sys import path as places

from tests.serialize.toolbox import scale
from tests.serialize.toolbox import scale as scaled

LIMIT = 12
RATIO = -0.0
NAME = "caf\u00e9 \udc80 \n"
RAW = b"\x00\xff"
TABLE = {"a": [1, (2.5, None)], "b": {1}, 3: ()}
SHARED = [1]
AGAIN = SHARED
HUGE = "x" * 50_000
NOT_A_NUMBER = float("nan")
HANDLED = []
log = logging.getLogger("here")
total = 0
square = lambda x: x * x
measure = len
registry: dict[str, typing.Any] = {}


def plain(a, b=LIMIT, *rest, c=7, **more):
    """Says
    what it does."""
    return a, b, rest, c, more


def positional(a, b=2, /, c=3, *, d, e=5):
    return a, b, c, d, e


def helped(x):
    return doubled(x) + LIMIT


def doubled(x):
    return scale(x) * 2


def renamed_helper(x):
    return scaled(x)


def calls_lambda(x):
    return square(x) + measure("ab")


def constants():
    return LIMIT, math.copysign(1, RATIO), ascii(NAME), RAW, TABLE


def uses_imports():
    words = Ordered(a=join("a", "b"), c=os.path.basename("x/y"))
    return list(words), tree.fromstring("<r/>").tag, datetime.min.year, math.floor(2.5)


def uses_bound_builtin():
    random.seed(5)
    return randint(1, 6)


def counts():
    global total
    total += 1
    return total


def changes_table():
    TABLE["a"].append(5)
    return TABLE


def recursive(n):
    return 1 if n < 2 else n * recursive(n - 1)


def nested(n):
    def inner(x):
        return x + n + LIMIT

    return [inner(i) for i in range(2)], {k: v for k, v in [(n, n)]}, f"{n!r:>{4}} {'a' + str(n)}"


def makes_class():
    class Local:
        kind = LIMIT

        def double(self):
            return self.kind * 2

    return Local().double(), Local.__module__


def own_name():
    return __name__


def matches(x):
    match x:
        case {"kind": str(kind), **rest}:
            return kind, rest
        case [first, *_] if first in {1, 2}:
            return first
        case _:
            return None


def handles(x):
    try:
        return 1 / x
    except ZeroDivisionError as error:
        return str(error)
    finally:
        HANDLED.append(x)


def annotated(x: "Point | None", y: os.PathLike = None) -> list[int]:
    return [x]


def annotates_inside(x):
    def inner(y: int) -> int:
        return y

    return inner.__annotations__["y"](x)


def unknown_name():
    try:
        return nowhere
    except NameError as error:
        return str(error)


def registered(fn):
    registry[fn.__name__] = fn
    return fn


@registered
def noted(x):
    return x + LIMIT


def wrapped(fn):
    @functools.wraps(fn)
    def wrapper(x):
        return fn(x) + 1

    return wrapper


@wrapped
def decorated(x):
    return x + LIMIT


def uses_decorated(x):
    return decorated(x)


@functools.lru_cache
def cached(x):
    return x + LIMIT


def around(n, step=1):
    def closure(x):
        return x + n * step + LIMIT

    return closure


def countdown(n):
    def down(x):
        return [] if x == 0 else [n, *down(x - 1)]

    return down


def over(fn):
    return lambda x: fn(x) + 1


def counter(n):
    def count():
        nonlocal n
        n += 1
        return n

    return count


closure = around(5)
deeper = over(around(2))
recursing = countdown(3)
builtin_inside = over(abs)


@dataclasses.dataclass
class Point:
    x: int = 1


class Plain:
    @staticmethod
    def norm(x):
        return abs(x)

    def __private(self):
        return 1

    def method(self):
        return self.__private()


def uses_dataclass():
    return dataclasses.asdict(Point())


def uses_class():
    return Plain().method()


def uses_shared():
    AGAIN.append(2)
    return SHARED


def uses_huge():
    return len(HUGE)


def uses_nan():
    return math.isnan(NOT_A_NUMBER)


def uses_logger():
    return log.name


def default_object(x=Plain.norm):
    return x(-1)


def default_shared(x=SHARED, y=AGAIN):
    return x is y


def attributed(x):
    return x


attributed.note = "kept"


def undocumented(x):
    """Says what is taken away."""
    return x


undocumented.__doc__ = None

PLACES = {"all": places}


def uses_state():
    import sys

    return environ is os.environ, places is sys.path


def uses_state_inside():
    import sys

    return PLACES["all"] is sys.path


def default_state(x=places):
    import sys

    return x is sys.path


async def later(x):
    return helped(x)


def rebound(x):
    return rebound_helper(x) + 1


def rebound_helper(x):
    return x


first_helper = rebound_helper


def rebound_helper(x):
    return first_helper(x) * 100


def bracketed(function):
    def wrapper(x):
        return [function(x)]

    return wrapper


@bracketed
@bracketed
def wrapped_twice(x):
    return x + 1


def generated(n):
    yield n


def uses_generator():
    return list(generated(LIMIT))


async def awaits(x):
    async def one():
        return x

    return [await one() async for _ in ticks()]


async def ticks():
    yield 1
