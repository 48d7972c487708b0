"""Members, exceptions and odd classes are made again without running the user's code."""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import io
import json
import sys
import threading
from typing import Any, Generic, Self

import globus_sdk
import pytest

from funcx_async.errors import SerializationError
from funcx_async.serialize import DillCode, FuncXSerializer
from tests.serialize import application as app
from tests.serialize.bare_worker import BareWorker

serializer = FuncXSerializer(DillCode)
made: list[object] = []


def here_and_there(worker: BareWorker, function: Any, *args: Any) -> None:
    """The worker twice gives what the function gives here."""
    expected = repr(function(*args))
    assert [worker.run(function, *args) for _ in range(2)] == [expected, expected]


def returned(value: Any) -> str:
    """What the official worker does with a result."""
    import base64

    import dill

    return base64.b64encode(dill.dumps(value)).decode()


def sent_home(worker: BareWorker, value: Any) -> Any:
    text: str = eval(worker.run(returned, value))
    return serializer.deserialize(f"00\n{text}")


# Enumerations


@dataclasses.dataclass(frozen=True)
class Animal:
    size: str
    legs: int = 4


class Creature(Animal, enum.Enum):
    BEETLE = "small", 6
    DOG = "large"


class Doubling(enum.Enum):
    def __new__(cls, value: int) -> Self:
        member = object.__new__(cls)
        member._value_ = 2 * value
        return member


class Doubled(Doubling):
    ONE = 1
    TWO = 2


class Counted(enum.Enum):
    def __init__(self, *_: object) -> None:
        made.append(self)


class Counts(Counted):
    A = 1


class Solver(enum.Enum):
    FAST = enum.member(functools.partial(max, 1))
    SLOW = enum.member(functools.partial(max, 2))
    NEITHER = object()


class Holiday(dt.date, enum.Enum):
    NEW_YEAR = 2020, 1, 1


class Price(decimal.Decimal, enum.Enum):
    LOW = "1.5"


class Tagged(enum.Enum):
    def __init_subclass__(cls, tag: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.tag = tag  # type: ignore[attr-defined]
        made.append(cls)


class Blue(Tagged, tag="blue"):
    SKY = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2

    def __or__(self, other: Any) -> Any:
        return "both"


class Lists(enum.Enum):
    FIRST = [1]  # noqa: RUF012  # as people write it


@pytest.mark.parametrize(
    "value",
    [
        Creature.BEETLE,
        Doubled.TWO,
        Counts.A,
        Solver.SLOW,
        Solver.NEITHER,
        Holiday.NEW_YEAR,
        Price.LOW,
        Blue.SKY,
        Access.READ,
        Lists.FIRST,
        app.Odd.ONE,
    ],
    ids=str,
)
def test_a_member_is_itself_on_the_worker_and_when_it_comes_home(
    worker: BareWorker, value: enum.Enum
) -> None:
    assert worker.run(lambda it, value=value: it is value, value) == "True"
    assert sent_home(worker, value) is value
    assert sent_home(worker, [value])[0] is value


def test_members_have_what_was_made_of_their_values(worker: BareWorker) -> None:
    here_and_there(worker, lambda: (Creature.BEETLE.legs, Creature.DOG.legs, Creature.DOG.value))
    here_and_there(worker, lambda: (Doubled.TWO.value, Doubled(2).name))
    here_and_there(worker, lambda: (Holiday.NEW_YEAR.year, Price.LOW + 1))
    here_and_there(worker, lambda: (Solver.FAST.value(0), Solver.SLOW.value(0)))
    here_and_there(worker, lambda: (Blue.tag, Access.READ | Access.WRITE))  # type: ignore[attr-defined]
    here_and_there(worker, lambda: (app.Odd.ONE.upper(), app.Odd("1").value))


def test_sending_an_enumeration_runs_none_of_its_code() -> None:
    before = list(made)
    serializer.serialize_function(lambda: (Counts.A, Blue.SKY))
    assert made == before


def test_a_value_that_was_changed_in_place_arrives_changed(worker: BareWorker) -> None:
    here_and_there(worker, lambda it: it.value, Lists.FIRST)
    Lists.FIRST.value.append(2)
    here_and_there(worker, lambda it: it.value, Lists.FIRST)


# Exceptions


class TwoParts(Exception):
    def __init__(self, step: int, *, reason: str) -> None:
        super().__init__(f"step {step}: {reason}")
        self.step = step


class Unreadable(OSError):
    def __init__(self, path: str) -> None:
        super().__init__(2, "unreadable", path)


class Several(ExceptionGroup[Exception]):
    pass


def described(error: Any) -> Any:
    return type(error).__name__, str(error), vars(error), getattr(error, "filename", None)


@pytest.mark.parametrize(
    "error",
    [TwoParts(3, reason="cold"), Unreadable("/a"), Several("many", [TwoParts(1, reason="x")])],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_arrives_and_comes_home_as_it_is(worker: BareWorker, error: Any) -> None:
    error.add_note("noted")
    here_and_there(worker, described, error)
    again = sent_home(worker, error)
    assert type(again) is type(error)
    assert described(again) == described(error)


# Classes


class Named:
    @property
    def __name__(self) -> str:
        return "a property"


class Proxy:
    def __init__(self, size: int) -> None:
        self.size = size

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self)


class Mapped:
    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found = {"a": 1}

    @property
    def __dict__(self) -> Any:
        return self._found


class Labels(type):
    @property
    def label(cls) -> str:
        return "the metaclass's"


class Labelled(metaclass=Labels):
    label = "the class's"


class Powers:
    def power(self, base: int, exponent: int = 2) -> int:
        return base**exponent

    cube = functools.partialmethod(power, exponent=3)
    two = functools.partialmethod(power, 2)


def test_partial_methods_arrive(worker: BareWorker) -> None:
    here_and_there(worker, lambda it: (it.cube(2), it.two(5)), Powers())


def test_attributes_that_only_a_class_statement_can_set_arrive(worker: BareWorker) -> None:
    here_and_there(worker, lambda it: it.__name__, Named())
    here_and_there(worker, lambda it: it.size, Proxy(3))
    here_and_there(worker, vars, Mapped())
    here_and_there(worker, lambda: (Labelled().label, Labelled.label))


class Countable(type):
    def __bool__(cls) -> bool:
        raise AssertionError("nobody asks")


class Nothing(metaclass=Countable):
    base: Generic  # type: ignore[type-arg]


def test_a_class_is_not_asked_whether_it_is_true(worker: BareWorker) -> None:
    assert type(sent_home(worker, Nothing())) is Nothing


class Alike(type):
    def __eq__(cls, other: object) -> bool:
        return isinstance(other, Alike)

    def __hash__(cls) -> int:
        return 1


class First(metaclass=Alike):
    size = 1


class Second(metaclass=Alike):
    size = 2


def test_classes_that_compare_equal_stay_two(worker: BareWorker) -> None:
    here_and_there(worker, lambda one, two: (one.size, two.size), First(), Second())
    here_and_there(worker, lambda: (First.size, Second.size))


Point = dataclasses.make_dataclass("Point", [("x", int)])
Renamed = type("Renamed", (), {"__module__": "json", "x": 3})


@pytest.mark.parametrize("kind", [Point, Renamed], ids=["make_dataclass", "another module"])
def test_a_class_that_its_module_does_not_name_is_one_class_and_comes_home(
    worker: BareWorker, kind: Any
) -> None:
    value = kind(3) if dataclasses.is_dataclass(kind) else kind()
    assert worker.run(lambda it: (it.x, type(it) is kind), value) == "(3, True)"
    assert type(sent_home(worker, value)) is kind


class Hostile(type):
    def __hash__(cls) -> int:
        raise RuntimeError("no hash")


class Trap(metaclass=Hostile):
    pass


def test_a_class_that_cannot_be_looked_at_is_refused_by_name() -> None:
    with pytest.raises(SerializationError, match=r"^args\[0\] cannot be sent: .*Trap; .*no hash"):
        serializer.serialize_arguments((Trap(),), {})


# Instances of classes whose data is that of another type


class Lower(dict[str, int]):
    def __init__(self, **items: int) -> None:
        self.spelled: dict[str, str] = {}
        for key, value in items.items():
            self[key] = value

    def __setitem__(self, key: str, value: int) -> None:
        self.spelled[key.lower()] = key
        super().__setitem__(key, 2 * value)


class Path(tuple[str, ...]):
    __slots__ = ()

    def __new__(cls, first: str, *, last: str) -> Self:
        return super().__new__(cls, (first, last))


class Amount(decimal.Decimal):
    def __new__(cls, cents: int) -> Self:
        return super().__new__(cls, cents / 100)


class Recent(collections.deque[int]):
    def __init__(self, name: str) -> None:
        super().__init__([1, 2], maxlen=2)
        self.name = name

    def append(self, item: int) -> None:
        super().append(-item)


class Stamp(dt.datetime):
    def __new__(cls, year: int) -> Self:
        return super().__new__(cls, year, 1, 1)


class Frozen:
    __slots__ = ("size",)
    size: int

    def __init__(self, size: int) -> None:
        object.__setattr__(self, "size", size)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("it is frozen")


class Delegating:
    def __init__(self, inner: object) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Demanding:
    def __new__(cls, size: int) -> Self:
        made = super().__new__(cls)
        made.size = size
        return made

    size: int


def content(it: Any) -> Any:
    base = type(it).__base__
    return (
        type(it).__name__,
        base.__repr__(it) if base is not object else "",
        getattr(it, "name", 0),
    )


@pytest.mark.parametrize(
    "value",
    [
        app.Tags("t", [1]),
        Lower(A=1),
        Path("a", last="b"),
        Amount(150),
        Recent("r"),
        Stamp(2020),
    ],
    ids=lambda value: type(value).__name__,
)
def test_data_of_a_class_is_not_put_through_its_constructor_again(
    worker: BareWorker, value: Any
) -> None:
    here_and_there(worker, content, value)
    again = sent_home(worker, value)
    assert type(again) is type(value)
    assert content(again) == content(value)


def test_what_a_class_keeps_besides_its_data_arrives(worker: BareWorker) -> None:
    here_and_there(worker, lambda it: it.spelled, Lower(A=1))
    here_and_there(worker, lambda it: it.size, Frozen(3))
    here_and_there(worker, lambda it: it.count(1), Delegating([1]))
    here_and_there(worker, lambda it: it.size, Demanding(3))


def test_a_list_of_ones_own_that_holds_itself_arrives(worker: BareWorker) -> None:
    class Ring(list[Any]):
        def append(self, item: Any) -> None:
            raise AssertionError("nobody appends")

    ring = Ring()
    list.append(ring, ring)
    assert worker.run(lambda it: it[0] is it, ring) == "True"


# The process


class Buffer(io.BytesIO):
    pass


def test_a_file_in_memory_may_be_of_a_class_of_ones_own(worker: BareWorker) -> None:
    assert worker.run(lambda file: file.read(), Buffer(b"abc")) == "b'abc'"


def test_a_standard_stream_is_named_whatever_part_of_it_is_meant() -> None:
    for part in (sys.__stdout__.buffer, sys.__stderr__):  # type: ignore[union-attr]
        with pytest.raises(SerializationError, match=r"sys\.std(out|err) inside the function"):
            serializer.serialize_arguments((part,), {})


def test_a_thread_is_refused_as_such() -> None:
    with pytest.raises(SerializationError, match=r"thread of this process; start one in"):
        serializer.serialize_arguments((threading.Thread(),), {})


class OwnLogin(globus_sdk.AccessTokenAuthorizer):
    pass


def test_a_login_is_refused_though_its_class_is_ones_own() -> None:
    with pytest.raises(SerializationError, match=r"OwnLogin; .* may hold credentials"):
        serializer.serialize_arguments((OwnLogin("top secret"),), {})


version = sys.version_info


def test_the_version_of_the_interpreter_is_the_workers(worker: BareWorker) -> None:
    assert worker.run(lambda: version is sys.version_info) == "True"


def test_a_result_is_read_though_the_task_came_from_another_release() -> None:
    written = b"c_funcx_async_0123456789ab\nremake\n(cbuiltins\nValueError\n"
    written += b"cbuiltins\nValueError\nI01\nI3\ntR."
    text = base64.b64encode(written).decode()
    assert repr(serializer.deserialize(f"00\n{text}")) == "ValueError(3)"


namespace = globals()
json_namespace = vars(json)


def test_all_that_a_module_has_is_never_sent(worker: BareWorker) -> None:
    with pytest.raises(SerializationError, match=r"everything that your module .*test_made_again"):
        serializer.serialize_function(lambda: namespace["made"])
    assert worker.run(lambda: json_namespace is vars(json)) == "True"
