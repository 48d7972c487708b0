"""What a worker lacks travels by value: each case runs in a bare interpreter and here."""

from __future__ import annotations

import base64
import random
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import pytest

from funcx_async.errors import DeserializationError, SerializationError
from funcx_async.serialize import DillCode, FuncXSerializer
from tests.serialize import application as app
from tests.serialize import toolbox
from tests.serialize.bare_worker import BareWorker

serializer = FuncXSerializer(DillCode)

CASES: list[Any] = [
    pytest.param(app.add, (1,), id="defaults and keyword defaults"),
    pytest.param(app.factorial, (5,), id="recursion"),
    pytest.param(app.even, (4,), id="mutual recursion"),
    pytest.param(app.twice_counted, (), id="a closure that keeps a count"),
    pytest.param(app.decorated, (1,), id="two decorators"),
    pytest.param(app.cached, (1,), id="lru_cache"),
    pytest.param(app.described, (1,), id="singledispatch"),
    pytest.param(app.within, (), id="a context manager"),
    pytest.param(app.guarded, (), id="a lock, a logger and the module's name"),
    pytest.param(app.response_data, (), id="an attribute named as a large global"),
    pytest.param(lambda x: app.Partly().small(x=x), (3,), id="a partial method"),
    pytest.param(app.imported, (), id="imported modules, submodules and names"),
    pytest.param(app.nested, (), id="comprehensions, a generator expression, a nested class"),
    pytest.param(app.annotated.__annotations__.get, ("x",), id="a builtin method"),
    pytest.param(lambda x: x + app.OFFSET, (1,), id="a lambda that reads a module's attribute"),
    pytest.param(app.use_points, (app.Point(1),), id="a class and its instance"),
    pytest.param(app.use_points, (app.Labelled(1),), id="a subclass by super()"),
    pytest.param(app.use_enums, (app.Colour.RED,), id="enumerations and a member"),
    pytest.param(app.use_records, (app.Job("a"),), id="dataclasses and named tuples"),
    pytest.param(app.use_rare_classes, (), id="abstract, generic, slotted, metaclass, exception"),
    pytest.param(app.annotated, (1, 2), id="annotations"),
    pytest.param(app.Point(3).moved, (), id="a bound method"),
    pytest.param(app.Point.at, (3,), id="a class method"),
    pytest.param(app.Point.norm, (-3,), id="a static method"),
    pytest.param(app.Point, (3,), id="a class"),
    pytest.param(len, ([1],), id="a builtin"),
    pytest.param(app.js.dumps, ([1],), id="a function of the standard library"),
    pytest.param(map, (app.factorial, [1]), id="a function as an argument"),
]


@pytest.mark.parametrize(("function", "args"), CASES)
def test_the_worker_gets_what_a_call_here_gets(
    worker: BareWorker, function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    if function is map:
        assert worker.run(lambda fn, items: list(map(fn, items)), *args) == "[1]"
    else:
        assert worker.run(function, *args) == repr(function(*args))


def test_functions_of_one_module_share_its_globals_and_count_from_what_they_were(
    worker: BareWorker,
) -> None:
    assert worker.run(app.counted_twice) == "2"
    assert worker.run(app.counted_twice) == "2"
    assert app.counter == 0


def test_a_module_of_ours_is_there_with_the_attributes_that_are_read(worker: BareWorker) -> None:
    assert worker.run(app.by_module) == repr(app.by_module())


def test_attributes_of_our_module_that_are_not_read_stay_here() -> None:
    assert len(serializer.serialize_function(app.by_module)) < 10_000


def test_a_large_global_that_is_not_read_stays_here() -> None:
    for function in (app.add, app.response_data, app.guarded, app.decorated):
        assert len(serializer.serialize_function(function)) < 10_000


def test_our_module_used_as_a_value_is_refused_with_the_remedy() -> None:
    with pytest.raises(SerializationError, match=r"module_as_value uses .*toolbox.* as a value"):
        serializer.serialize_function(app.module_as_value)


def test_our_module_as_an_argument_is_refused_by_its_path() -> None:
    with pytest.raises(SerializationError, match=r"args\[0\]\['m'\] cannot be sent.*toolbox"):
        serializer.serialize_arguments(({"m": toolbox},), {})


def test_modules_that_the_worker_has_may_be_arguments(worker: BareWorker) -> None:
    assert worker.run(lambda module: module.dumps([1]), app.js) == "'[1]'"


def test_a_class_is_one_class_whether_it_came_with_the_function_or_the_arguments(
    worker: BareWorker,
) -> None:
    assert worker.run(lambda point: type(point) is app.Point, app.Point(1)) == "True"


def test_a_class_that_comes_home_is_the_original() -> None:
    point = serializer.deserialize(serializer.serialize(app.Point(4)))
    assert type(point) is app.Point
    assert serializer.deserialize(serializer.serialize([app.Colour.RED]))[0] is app.Colour.RED


def test_what_a_worker_returns_with_plain_dill_comes_home_as_the_original(
    worker: BareWorker,
) -> None:
    def returned(value: Any) -> Any:
        import base64

        import dill

        return base64.b64encode(dill.dumps(value)).decode()

    for value in (app.Labelled(4), app.Colour.BLUE, app.Job("a"), app.Pair(1), app.Rank(3)):
        sent_back = eval(worker.run(returned, value))
        again = serializer.deserialize("00\n" + sent_back)
        assert type(again) is type(value)
        assert again == value


def referred_to(key: str) -> str:
    """A result as a worker writes it: an instance made of 7 by the class of a key."""
    text = f"cdill._dill\n_load_type\n(Vfuncx_async:{key}\ntR(I7\ntR."
    return "00\n" + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("suffix", ["", "#0123456789ab"])
def test_a_result_is_read_in_a_later_process_by_the_name_of_its_class(suffix: str) -> None:
    again = serializer.deserialize(referred_to(f"{app.__name__}:Point{suffix}"))
    assert type(again) is app.Point
    assert again.x == 7


@pytest.mark.parametrize("home", ["nowhere:Point", "json:Point", "json:loads.<locals>.Point"])
def test_a_result_of_a_class_that_is_not_here_is_an_error_that_names_it(home: str) -> None:
    with pytest.raises(DeserializationError, match=f"its class {home} is not here"):
        serializer.deserialize(referred_to(home))


def test_a_chain_of_helpers_may_be_longer_than_the_interpreters_stack(worker: BareWorker) -> None:
    lines = [f"def f{i}(x): return f{i + 1}(x) + 1" for i in range(300)]
    namespace: dict[str, Any] = {"__name__": "chain"}
    exec("\n".join([*lines, "def f300(x): return x"]), namespace)
    assert worker.run(namespace["f0"], 1) == "301"


def test_serializing_changes_nothing_of_ours() -> None:
    classes = (app.Point, app.Colour, app.Job, app.Stack, app.Slotted)
    before = [dict(vars(kind)) for kind in classes]
    names = set(vars(app))
    attributes = vars(app.add).copy()
    for kind in classes:
        serializer.serialize(kind)
    serializer.serialize_function(app.add)
    serializer.serialize_function(app.use_points)
    assert [dict(vars(kind)) for kind in classes] == before
    assert set(vars(app)) == names
    assert vars(app.add) == attributes
    assert app.add.__module__ == app.__name__


def test_equal_functions_are_written_alike() -> None:
    made = [serializer.serialize_function(lambda x: x + app.OFFSET) for _ in range(2)]
    assert made[0] == made[1]


class Connected:
    connection = (number for number in ())


def test_annotations_are_classes_where_these_can_be_sent(worker: BareWorker) -> None:
    def annotated(x: app.Point, y: int, z: list[app.Job], w: Connected) -> dict[str, int]:
        return {}

    annotated.__annotations__ = {
        "x": app.Point,
        "y": int,
        "z": list[app.Job],
        "u": app.typing.Any,
        "w": Connected,
        "return": dict[str, int],
    }

    def described(function: Any) -> dict[str, tuple[str, str]]:
        seen = function.__annotations__.items()
        return {name: (type(value).__name__, str(value)) for name, value in seen}

    seen = eval(worker.run(described, annotated))
    assert seen == {**described(annotated), "w": ("str", "Connected")}


def test_annotations_that_name_what_is_not_here_do_no_harm(worker: BareWorker) -> None:
    late = (
        "" if "annotationlib" in sys.stdlib_module_names else "from __future__ import annotations"
    )
    namespace: dict[str, Any] = {"__name__": "made_up"}
    exec(f"{late}\nclass Box:\n    x: Missing = 1\ndef f(x: Missing): return Box.x + x", namespace)
    assert worker.run(namespace["f"], 2) == "3"
    assert worker.run(lambda it: it.x, namespace["Box"]()) == "1"


def test_a_free_lock_travels_as_a_new_one_and_a_held_one_is_refused(worker: BareWorker) -> None:
    def acquire(lock: Any) -> bool:
        return lock.acquire(blocking=False)  # type: ignore[no-any-return]

    assert worker.run(acquire, threading.Lock()) == "True"
    assert worker.run(acquire, threading.RLock()) == "True"
    held = threading.Lock()
    with held, pytest.raises(SerializationError, match=r"args\[0\].*held"):
        serializer.serialize_arguments((held,), {})


def test_an_empty_cell_is_empty_over_there(worker: BareWorker) -> None:
    def reads() -> str:
        return later

    assert worker.run(lambda function: function.__closure__[0] == types.CellType(), reads) == "True"
    later = ""  # what the closure is waiting for


def test_an_enumeration_whose_members_cannot_be_made_again_is_refused() -> None:
    with pytest.raises(
        SerializationError, match=r"^Closed cannot be sent: .* as Sealed does not tell from what"
    ):
        serializer.serialize_arguments((app.Closed.ONE,), {})


def test_a_function_that_names_nothing_known_fails_when_called_as_it_does_here(
    worker: BareWorker,
) -> None:
    def unknown() -> Any:
        return no_such_name  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(AssertionError, match="NameError: name 'no_such_name'"):
        worker.run(unknown)


def test_code_that_was_never_in_a_module_travels(worker: BareWorker) -> None:
    namespace: dict[str, Any] = {"__name__": "made_up", "base": 5, "unused": object()}
    exec("def function(x): return x + base", namespace)
    assert worker.run(namespace["function"], 1) == "6"


def test_code_without_line_numbers_travels(worker: BareWorker) -> None:
    """As tools leave it that make code harder to read."""
    bare = (lambda x: x + 7).__code__.replace(co_linetable=b"")
    assert worker.run(types.FunctionType(bare, {}), 1) == "8"


def test_functions_of_installed_packages_travel_by_name() -> None:
    assert len(serializer.serialize_function(pytest.approx)) < 100


def test_a_modules_own_random_numbers_are_the_workers() -> None:
    for method in (random.random, random.randint):
        again = serializer.deserialize(serializer.serialize_function(method))
        assert again == method
        assert len(serializer.serialize_function(method)) < 200
