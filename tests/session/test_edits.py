"""What a function was sent with, and what has become of it."""

from __future__ import annotations

import dataclasses
import gc
import importlib
import sys
import types
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from funcx_async import FuncXClient, FuncXExecutor
from funcx_async._session.functions import Functions
from funcx_async.serialize import FuncXSerializer

CELL_OF_HELPER = "def h(x):\n    return x + 1\n"
CELL = """
import math
RATE = 2

class Model:
    def run(self, x):
        return deep(x)

def deep(x):
    return x

def f(x):
    return h(x) * RATE + math.sqrt(4)

def g(x):
    return Model().run(x)

def recursive(x):
    return recursive(x - 1) if x else 0

def alone(x):
    return math.sqrt(x) + len([x])
"""


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], types.ModuleType]:
    """Runs cells in a module of its own."""
    module = types.ModuleType("a_notebook")
    monkeypatch.setitem(sys.modules, "a_notebook", module)

    def run(cell: str) -> types.ModuleType:
        exec(cell, vars(module))
        return module

    run(CELL_OF_HELPER)
    run(CELL)
    return run


def functions() -> Functions:
    return Functions(FuncXSerializer())


def assert_warns_once(known: Functions, fn: Any, message: str) -> None:
    with pytest.warns(UserWarning, match=message) as told:
        first = known.find(fn)
    assert len(told) == 1
    assert known.find(fn) is first  # a second warning would be an error


def test_a_helper_that_was_defined_again_is_told_once(notebook: Any):
    known, cells = functions(), notebook("")
    first = known.find(cells.f)
    assert known.find(cells.f) is first
    notebook("def h(x):\n    return x + 2\n")
    assert_warns_once(
        known, cells.f, r"^f\(\) still runs with h .* define f\(\) again.*or pass h as an argument"
    )
    assert known.find(cells.f) is first


def test_a_function_that_was_defined_again_too_takes_the_new_helper_silently(notebook: Any):
    known, cells = functions(), notebook("")
    first = known.find(cells.f)
    notebook("def h(x):\n    return x + 2\n")
    notebook(CELL)
    assert known.find(cells.f) is not first


def test_what_a_helper_reads_is_looked_at_as_well(notebook: Any):
    known, cells = functions(), notebook("")
    known.find(cells.g)
    notebook("def deep(x):\n    return -x\n")
    assert_warns_once(known, cells.g, r"^g\(\) still runs with deep ")


def test_a_class_that_was_defined_again_is_told(notebook: Any):
    known, cells = functions(), notebook("")
    known.find(cells.g)
    notebook("class Model:\n    def run(self, x):\n        return 0\n")
    assert_warns_once(known, cells.g, r"^g\(\) still runs with Model ")


def test_code_that_was_put_into_the_same_helper_is_told(notebook: Any):
    """As tools do that load modules again when their files change."""
    known, cells = functions(), notebook("")
    known.find(cells.f)
    cells.h.__code__ = (lambda x: x + 3).__code__
    assert_warns_once(known, cells.f, r"^f\(\) still runs with h ")


@pytest.mark.parametrize(
    "helper",
    [
        "@functools.lru_cache\ndef h(x):\n    return x + 1\n",
        "h = functools.partial(lambda y, x: x + 1, 0)\n",
    ],
    ids=["lru_cache", "partial"],
)
def test_a_function_inside_a_wrapper_is_looked_at(notebook: Any, helper: str):
    known, cells = functions(), notebook("import functools\n" + helper)
    first = known.find(cells.f)
    notebook(helper)
    assert known.find(cells.f) is first
    notebook(helper.replace("1", "2"))
    assert_warns_once(known, cells.f, r"^f\(\) still runs with h ")


@pytest.mark.parametrize("kind", ["", "@staticmethod", "@classmethod", "@property"])
def test_a_method_that_was_exchanged_in_its_class_is_told(notebook: Any, kind: str):
    cell = f"class Model:\n    {kind}\n    def run(*args):\n        return 1\n"
    known, cells = functions(), notebook(cell)
    known.find(cells.g)
    newer: dict[str, Any] = {}
    exec(cell.replace("1", "2"), newer)
    cells.Model.run = vars(newer["Model"])["run"]
    assert_warns_once(known, cells.g, r"^g\(\) still runs with Model ")


def test_a_class_that_is_decorated_again_is_the_same(notebook: Any):
    cell = "import dataclasses\n@dataclasses.dataclass\nclass Model:\n    x: list = 1\n"
    known, cells = functions(), notebook(cell)
    first = known.find(cells.g)
    dataclasses.dataclass(cells.Model)
    assert known.find(cells.g) is first


def test_a_helper_of_a_module_that_was_loaded_again_is_told(
    notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "mine_to_reload.py"
    file.write_text("def tool(x):\n    return x\n")
    cells = notebook("import mine_to_reload\ndef uses(x):\n    return mine_to_reload.tool(x)\n")
    known = functions()
    known.find(cells.uses)
    file.write_text("def tool(x):\n    return x * 1000\n")
    importlib.invalidate_caches()
    importlib.reload(cells.mine_to_reload)
    assert_warns_once(known, cells.uses, r"^uses\(\) still runs with tool ")
    del sys.modules["mine_to_reload"]


@pytest.mark.parametrize("name", ["recursive", "alone", "f"])
def test_nothing_is_told_where_nothing_changed(notebook: Any, name: str):
    known, cells = functions(), notebook("")
    fn = getattr(cells, name)
    first = known.find(fn)
    notebook("other = 1\nRATE = 3\n")
    assert known.find(fn) is first


DECORATED = """
def doubled(function):
    def wrapper(x, times=2):
        return function(x) * times
    return wrapper

@doubled
def h(x, y=1, *, z=("a", [2])):
    return x + y
"""


@pytest.mark.parametrize("cell", [CELL_OF_HELPER, DECORATED], ids=["plain", "decorated"])
def test_a_cell_that_was_run_again_as_it_was_changes_nothing(notebook: Any, cell: str):
    known, cells = functions(), notebook(cell)
    first = known.find(cells.f)
    notebook(cell)
    assert known.find(cells.f) is first
    notebook(cell.replace("x + ", "x - "))
    assert_warns_once(known, cells.f, r"^f\(\) still runs with h ")


def test_code_that_is_loaded_again_as_it_was_changes_nothing(notebook: Any):
    """As tools do that load modules again when some other function in their file changes."""
    known, cells = functions(), notebook("")
    first = known.find(cells.f)
    cells.h.__code__ = cells.h.__code__.replace(co_firstlineno=7)
    assert known.find(cells.f) is first


@pytest.mark.parametrize(
    ("old", "new"), [("times=2", "times=3"), ("times=2", "times=object()"), ("y=1", "y=[1]")]
)
def test_a_helper_that_was_decorated_again_with_another_value_is_told(
    notebook: Any, old: str, new: str
):
    known, cells = functions(), notebook(DECORATED)
    known.find(cells.f)
    notebook(DECORATED.replace(old, new))
    assert_warns_once(known, cells.f, r"^f\(\) still runs with h ")


@pytest.mark.parametrize("new", ["y=2", "y=None", "y=True", "*y", "y=object()"])
def test_a_helper_that_was_defined_again_with_another_default_is_told(notebook: Any, new: str):
    known, cells = functions(), notebook("def h(x, y=1):\n    return x\n")
    known.find(cells.f)
    notebook(f"def h(x, {new}):\n    return x\n")
    assert_warns_once(known, cells.f, r"^f\(\) still runs with h ")


def test_a_function_can_be_forgotten_though_its_helpers_are_watched():
    namespace: dict[str, Any] = {"__name__": "made_up"}
    exec(CELL_OF_HELPER + CELL, namespace)
    known, kept = functions(), weakref.ref(namespace["f"])
    known.find(namespace["f"])
    namespace = {}
    gc.collect()
    assert kept() is None


def test_a_helper_that_was_deleted_is_not_missed(notebook: Any):
    known, cells = functions(), notebook("")
    first = known.find(cells.f)
    del cells.h
    assert known.find(cells.f) is first


def test_where_warnings_are_errors_the_next_submit_works(notebook: Any):
    known, cells = functions(), notebook("")
    first = known.find(cells.f)
    notebook("def h(x):\n    return x + 2\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="still runs with h"):
            known.find(cells.f)
        assert known.find(cells.f) is first


async def test_the_warning_is_one_of_the_line_that_submits(notebook: Any):
    cells = notebook("")
    transport = httpx.MockTransport(lambda request: httpx.Response(503))
    client = FuncXClient("https://service.test", auth="t", transport=transport)
    async with client, FuncXExecutor(str(uuid4()), funcx_client=client) as executor:
        executor.submit(cells.f, 1)
        notebook("def h(x):\n    return x + 2\n")
        with pytest.warns(UserWarning, match="still runs with h") as told:
            executor.options(timeout=9).submit(cells.f, 1)
        assert told[0].filename == __file__
        await executor.shutdown(wait=False, cancel_futures=True)
