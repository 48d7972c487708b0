"""Source text is offered where it says all of a function, and then means the same."""

from __future__ import annotations

import ast
import importlib
import linecache
import math
import os
import subprocess
import sys
import traceback
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from funcx_async.serialize import AllCodeStrategies, DillCode, FuncXSerializer, unpack_buffers
from funcx_async.serialize.source import Incomplete, Source, source_of
from funcx_async.serialize.wrappers import runnable
from tests.serialize import application, layouts
from tests.serialize import statements as module
from tests.serialize.bare_worker import BareWorker

serializer = FuncXSerializer()

AS_SOURCE: list[Any] = [
    pytest.param(module.plain, (1, 2, 3), {"z": 1}, id="all kinds of arguments, a docstring"),
    pytest.param(module.positional, (1,), {"d": 4}, id="positional and keyword only"),
    pytest.param(module.helped, (1,), {}, id="helpers, also of another module, and constants"),
    pytest.param(module.renamed_helper, (2,), {}, id="a helper under another name"),
    pytest.param(module.calls_lambda, (3,), {}, id="a lambda and a builtin as globals"),
    pytest.param(module.constants, (), {}, id="constants of all plain types"),
    pytest.param(module.uses_imports, (), {}, id="imported modules, submodules, classes"),
    pytest.param(module.uses_bound_builtin, (), {}, id="a bound method that a module gives"),
    pytest.param(module.uses_state, (), {}, id="state that modules hold"),
    pytest.param(module.counts, (), {}, id="a global that is assigned"),
    pytest.param(module.changes_table, (), {}, id="a mutable global"),
    pytest.param(module.recursive, (5,), {}, id="recursion"),
    pytest.param(module.nested, (5,), {}, id="nested functions and comprehensions"),
    pytest.param(module.makes_class, (), {}, id="a class inside"),
    pytest.param(module.own_name, (), {}, id="the module's name"),
    pytest.param(module.matches, ({"kind": "a", "b": 1},), {}, id="match"),
    pytest.param(module.handles, (0,), {}, id="try"),
    pytest.param(module.annotated, (1,), {}, id="annotations that the worker cannot evaluate"),
    pytest.param(module.unknown_name, (), {}, id="a name that is nowhere"),
    pytest.param(module.noted, (1,), {}, id="a decorator that gives the function back"),
    pytest.param(module.closure, (1,), {}, id="a closure"),
    pytest.param(module.deeper, (1,), {}, id="a lambda around a closure"),
    pytest.param(module.builtin_inside, (-1,), {}, id="a closure over a builtin"),
    pytest.param(module.recursing, (2,), {}, id="a closure that calls itself"),
    pytest.param(module.Plain.norm, (-3,), {}, id="a static method"),
    pytest.param(lambda x, y=2: [x, y], (1,), {}, id="a lambda"),
    pytest.param(module.uses_generator, (), {}, id="a generator function as a helper"),
    pytest.param(module.annotates_inside, (1,), {}, id="annotations inside"),
    pytest.param(module.Plain.method, (module.Plain(),), {}, id="a private name"),
    *[pytest.param(f, (3,), {}, id=f"layout of {f.__qualname__}") for f in layouts.FUNCTIONS],
    pytest.param(module.rebound, (1,), {}, id="two helpers that were defined by one name"),
    pytest.param(module.wrapped_twice, (1,), {}, id="two closures of one name"),
    pytest.param(application.imported, (), {}, id="under __future__, imports under other names"),
    pytest.param(application.even, (4,), {}, id="mutual recursion"),
]

AS_BYTES: list[Any] = [
    pytest.param(module.decorated, (1,), "has attributes", id="a wrapper that wraps notes"),
    pytest.param(module.uses_decorated, (1,), "has attributes", id="a helper so decorated"),
    pytest.param(module.cached, (1,), "not a function written in Python", id="lru_cache"),
    pytest.param(module.uses_dataclass, (), "Point is not in a module", id="a dataclass"),
    pytest.param(module.uses_class, (), "Plain is not in a module", id="a class of ours"),
    pytest.param(module.uses_shared, (), "reached in two ways", id="one list, two names"),
    pytest.param(module.uses_huge, (), "too large", id="a large constant"),
    pytest.param(module.uses_nan, (), "no literal", id="not a number"),
    pytest.param(module.uses_logger, (), "Logger has no literal", id="an object"),
    pytest.param(module.default_object, (), "no literal", id="a default that is no literal"),
    pytest.param(module.default_shared, (), "two ways", id="one list as two defaults"),
    pytest.param(module.uses_state_inside, (), r"holds sys\.path", id="state inside a constant"),
    pytest.param(module.default_state, (), r"holds sys\.path", id="state as a default"),
    pytest.param(module.attributed, (1,), "has attributes", id="attributes"),
    pytest.param(module.Plain().method, (), "bound method, which needs", id="a method"),
    pytest.param(module.counter(1), (), "assigns n of its closure", id="a closure that counts"),
    pytest.param(application.by_module, (), "your module", id="a module of ours"),
    pytest.param(application.guarded, (), "lock has no literal", id="a lock"),
    pytest.param(len, ([],), "not a function written in Python", id="a builtin"),
]


def parts_of(function: Callable[..., Any]) -> list[str]:
    payload = AllCodeStrategies().serialize(runnable(function))
    return [part[:3] for part in unpack_buffers(payload[3:])]


def defined(function: Callable[..., Any]) -> Any:
    """The function that the text of a function defines."""
    return ran(source_of(function))


def ran(source: Source) -> Any:
    namespace: dict[str, Any] = {}
    exec(source.text, namespace)
    return namespace[source.name]


def freshly(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """What the function gives in a process of its own, whose state no other test has changed."""
    again = FuncXSerializer().deserialize(DillCode().serialize(function))
    return repr(again(*args, **kwargs))


@pytest.mark.parametrize(("function", "args", "kwargs"), AS_SOURCE)
def test_what_is_complete_goes_as_source_and_runs_as_here(
    worker: BareWorker, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    assert parts_of(function) == ["st\n", "01\n"]
    there = worker.run_serialized(
        serializer.serialize_function(function), serializer.serialize_arguments(args, kwargs)
    )
    assert there == freshly(function, *args, **kwargs)


@pytest.mark.parametrize(("function", "args", "reason"), AS_BYTES)
def test_what_text_would_not_say_goes_as_bytes_alone(
    worker: BareWorker, function: Any, args: tuple[Any, ...], reason: str
) -> None:
    with pytest.raises(Incomplete, match=reason):
        source_of(function)
    assert parts_of(function) == ["01\n"]
    written = serializer.serialize_function(function)
    assert written.startswith("01\n")
    there = worker.run_serialized(written, serializer.serialize_arguments(args, {}))
    assert there == freshly(function, *args)


@pytest.mark.parametrize("function", [module.later, module.awaits], ids=["helped", "inside"])
def test_an_async_function_goes_as_source_under_its_name(
    worker: BareWorker, function: Callable[..., Any]
) -> None:
    assert parts_of(function) == ["st\n", "01\n"]
    written = serializer.serialize_function(function)
    there = worker.run_serialized(written, serializer.serialize_arguments((1,), {}))
    assert there == worker.run(function, 1)
    assert defined(runnable(function)).__name__ == function.__name__


def loaded(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    monkeypatch.syspath_prepend(folder)
    (folder / f"{name}.py").write_text(text)
    importlib.invalidate_caches()
    found = importlib.import_module(name)
    del sys.modules[name]  # for the next test that has a module of this name
    return found


CHANGED = "since.py compiles to what runs here; the file was changed while this program ran"


@pytest.mark.parametrize(
    ("edited", "reason"),
    [
        pytest.param("def f(x):\n    return x + 2\n", CHANGED, id="another constant"),
        pytest.param("def f(y):\n    return y + 1\n", CHANGED, id="another name"),
        pytest.param("def g(x):\n    return x + 1\n", "since.py has no function f", id="gone"),
        pytest.param("def f(x: return", "since.py cannot be parsed", id="broken"),
        pytest.param("", "since.py (is not available|has no function f)", id="empty"),
    ],
)
def test_a_file_that_was_edited_since_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edited: str, reason: str
) -> None:
    mine = loaded(tmp_path, "edited_since", "def f(x):\n    return x + 1\n", monkeypatch)
    (tmp_path / "edited_since.py").write_text(edited)
    linecache.checkcache()
    with pytest.raises(Incomplete, match=rf"f: .*{reason}"):
        source_of(mine.f)
    assert parts_of(mine.f) == ["01\n"]
    assert FuncXSerializer().deserialize(serializer.serialize_function(mine.f))(1) == 2


def test_a_function_that_only_moved_in_its_file_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "def f(x):\n    return x + 3\n"
    mine = loaded(tmp_path, "moved_since", text, monkeypatch)
    (tmp_path / "moved_since.py").write_text(f"import os\n\n\ndef f(x):\n    return os\n\n\n{text}")
    linecache.checkcache()
    assert parts_of(mine.f) == ["st\n", "01\n"]
    assert "x + 3" in source_of(mine.f).text


def test_defaults_and_constants_are_those_of_now_and_not_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "N = 1\ndef f(x=N, *, y=[N]):\n    return x, y, N\n"
    mine = loaded(tmp_path, "changed_values", text, monkeypatch)
    mine.N = 5
    mine.f.__defaults__ = (7,)
    mine.f.__kwdefaults__["y"].append(8)
    assert defined(mine.f)() == (7, [1, 8], 5)


def test_lambdas_of_one_line_are_told_apart() -> None:
    one, other = (lambda x: x + 1), (lambda x: x + 2)
    assert (defined(one)(0), defined(other)(0)) == (1, 2)


def test_a_cell_with_its_imports_has_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython compiles each statement of a cell by itself, and so does not know its imports."""
    cell = "import math\n\ndef f(x):\n    return math.floor(x) + math.pi\n"
    lines = cell.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, "<cell 1>", (len(cell), None, lines, "<cell 1>"))
    namespace: dict[str, Any] = {}
    for statement in ast.parse(cell).body:
        exec(compile(ast.Module([statement], []), "<cell 1>", "exec"), namespace)
    assert defined(namespace["f"])(2.5) == 2 + math.pi


def test_names_imported_by_a_star_are_constants_and_functions_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(tmp_path, "starred", "N = 1\ndef g():\n    return N\n", monkeypatch)
    mine = loaded(
        tmp_path, "star", "from starred import *\ndef f():\n    return g()\n", monkeypatch
    )
    assert defined(mine.f)() == 1


def test_functions_imported_relatively_travel_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "pack_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "near.py").write_text("N = 4\ndef g():\n    return N\n")
    text = "from . import near\nfrom .near import g\n"
    text += "def f():\n    return g()\ndef h():\n    return near.g()\n"
    (package / "far.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    mine = importlib.import_module("pack_of_mine.far")
    assert parts_of(mine.f) == ["st\n", "01\n"]
    assert parts_of(mine.h) == ["01\n"]
    for function in (mine.f, mine.h):
        assert FuncXSerializer().deserialize(serializer.serialize_function(function))() == 4


def test_two_modules_with_one_name_for_two_things_go_as_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(tmp_path, "other_n", "N = [1]\ndef g():\n    return N\n", monkeypatch)
    text = "import other_n\ng = other_n.g\nN = [2]\ndef f():\n    return g() + N\n"
    mine = loaded(tmp_path, "one_n", text, monkeypatch)
    with pytest.raises(Incomplete, match="N means two things"):
        source_of(mine.f)
    assert FuncXSerializer().deserialize(serializer.serialize_function(mine.f))() == [1, 2]


def test_what_is_assigned_in_one_module_is_not_another_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(tmp_path, "setter", "def g():\n    global M\n    M = 1\n", monkeypatch)
    text = "from setter import g\ndef f():\n    g()\n    return 'M' in globals()\n"
    mine = loaded(tmp_path, "reader", text, monkeypatch)
    with pytest.raises(Incomplete, match="assigns globals"):
        source_of(mine.f)
    assert FuncXSerializer().deserialize(serializer.serialize_function(mine.f))() is False


def test_running_the_text_calls_nothing_of_the_users() -> None:
    before = dict(module.registry)
    exec(source_of(module.noted).text, {})
    assert module.registry == before


def test_source_is_written_alike_each_time_and_in_each_process() -> None:
    program = (
        "from funcx_async.serialize.source import source_of\n"
        "from tests.serialize import statements as module\n"
        "print(source_of(module.uses_imports).text, source_of(module.helped).text)"
    )
    root = Path(__file__).parent.parent.parent
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "12"
    }
    assert len(texts) == 1


def test_a_file_that_was_not_edited_is_not_said_to_be() -> None:
    namespace: dict[str, Any] = {}
    exec(compile("def plain(x): return -x\nnever = lambda: 0", module.__file__, "exec"), namespace)
    with pytest.raises(
        Incomplete, match=r"no function plain in .*\.py compiles to what runs here$"
    ):
        source_of(namespace["plain"])
    exec(compile("def nowhere_there(): return 1", module.__file__, "exec"), namespace)
    with pytest.raises(Incomplete, match=r"statements\.py has no function nowhere_there$"):
        source_of(namespace["nowhere_there"])
    exec(compile("def f(): return 1", "<typed>", "exec"), namespace)
    with pytest.raises(Incomplete, match="the source text of <typed> is not available"):
        source_of(namespace["f"])


def test_the_rest_of_a_file_is_not_even_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "def f(x):\n    return x + 4\n"
    mine = loaded(tmp_path, "large_file", text, monkeypatch)
    (tmp_path / "large_file.py").write_text(f"{text}\n\ndef broken(:\n")
    linecache.checkcache()
    assert defined(mine.f)(1) == 5


def test_what_is_too_long_is_given_up_before_all_of_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(f"    y{n} = x + {n}\n" for n in range(1_500))
    text = f"def f(x):\n{lines}    return last(x)\ndef last(x):\n    return x\nlast.note = 1\n"
    mine = loaded(tmp_path, "long_function", text, monkeypatch)
    with pytest.raises(Incomplete, match="f: its text has more than 20,000 characters"):
        source_of(mine.f)


def test_a_function_that_a_decorator_registers_travels_without_what_the_decorator_says() -> None:
    text = source_of(layouts.decorated).text
    before = list(layouts.function_names)
    assert defined(layouts.decorated)(1) == 2
    assert layouts.function_names == before
    assert "secret" not in text


TRACED = """\
offset = 3


def simulate(x, y={"a": 1}):
    'Fails.'
    def deeper(z):
        # A comment between.
        return offset + z / x

    return deeper(y['a'])


def around(n):
    return lambda x: [x, simulate(x, {'a': n})][0]


run = around(1)
"""

LINES = [
    "return lambda x: [x, simulate(x, {'a': n})][0]",
    "return deeper(y['a'])",
    "return offset + z / x",
]


def traceback_of(function: Callable[..., Any]) -> str:
    """What is printed of the frames of a function that fails."""
    with pytest.raises(ZeroDivisionError) as failed:
        function(0)
    assert failed.value.__traceback__ is not None
    return "".join(traceback.format_tb(failed.value.__traceback__.tb_next))


def test_tracebacks_show_file_line_and_text_though_the_file_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = loaded(tmp_path, "traced", TRACED, monkeypatch)
    here, source = traceback_of(mine.run), source_of(mine.run)
    assert f'File "{tmp_path / "traced.py"}", line 8, in deeper\n' in here
    assert all(line in here for line in LINES)
    (tmp_path / "traced.py").unlink()
    linecache.clearcache()
    assert traceback_of(ran(source)) == here


def test_tracebacks_show_what_runs_though_the_worker_has_another_version_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = loaded(tmp_path, "traced_elsewhere", TRACED, monkeypatch)
    here, source = traceback_of(mine.run), source_of(mine.run)
    file = tmp_path / "traced_elsewhere.py"
    file.write_text("first = 1\n")
    linecache.clearcache()
    assert traceback_of(ran(source)) == here
    assert linecache.getline(str(file), 1) == "first = 1\n"


def test_a_worker_that_has_the_very_file_goes_on_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = loaded(tmp_path, "traced_here", TRACED, monkeypatch)
    file = tmp_path / "traced_here.py"
    assert traceback_of(defined(mine.run)) == traceback_of(mine.run)
    file.write_text("# only a comment now\n")
    linecache.checkcache()
    assert linecache.getlines(str(file)) == ["# only a comment now\n"]


EDITED = """\
def added_since():
    return 1


def divide(x):
    # The reason why it was edited.
    return 2 / x
"""


@pytest.mark.parametrize("reload", [True, False], ids=["imported again", "only edited"])
def test_tracebacks_of_compiled_code_show_what_runs_though_the_file_was_edited(
    worker: BareWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reload: bool
) -> None:
    mine = loaded(tmp_path, "edited_on", "def divide(x):\n    return 1 / x\n", monkeypatch)
    assert "return 1 / x" in traceback_of(mine.divide)
    (tmp_path / "edited_on.py").write_text(EDITED)
    if reload:
        monkeypatch.setitem(sys.modules, "edited_on", mine)
        importlib.reload(mine)
    divide = mine.divide
    written = DillCode().serialize(lambda: told_by(divide))
    (tmp_path / "edited_on.py").unlink()
    told = worker.run_serialized(written, serializer.serialize_arguments((), {}))
    place = "line 7, in divide\\n    return 2" if reload else "line 2, in divide\\n    return 1"
    assert f'edited_on.py", {place} / x' in told


def told_by(function: Callable[[int], Any]) -> str:
    """What the worker prints of a function that fails."""
    import traceback

    try:
        function(0)
    except ZeroDivisionError:
        return traceback.format_exc()
    return ""


def test_functions_of_two_files_that_are_alike_keep_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "def f(x):\n    return x + 41\n"
    one = loaded(tmp_path, "alike_one", text, monkeypatch)
    other = loaded(tmp_path, "alike_other", text, monkeypatch)
    assert defined(one.f).__code__.co_filename == str(tmp_path / "alike_one.py")
    assert defined(other.f).__code__.co_filename == str(tmp_path / "alike_other.py")


def test_syntax_that_the_worker_cannot_read_is_an_error_of_the_call_with_file_and_line() -> None:
    text = source_of(module.doubled).text
    newer = ran(Source("doubled", text.replace("scale(x) * 2", "scale(x) newer 2")))
    with pytest.raises(SyntaxError, match=r"in Python 3\.\d+; it was written for 3\.\d+") as failed:
        newer(1)
    assert failed.value.filename == module.__file__
    assert failed.value.lineno == module.doubled.__code__.co_firstlineno + 1


def test_a_module_that_was_changed_and_imported_again_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "def f(x):\n    return x + 51\n"
    mine = loaded(tmp_path, "imported_again", text, monkeypatch)
    assert defined(mine.f)(1) == 52
    (tmp_path / "imported_again.py").write_text("N = 1\ndef f(x):\n    return x + 61\n")
    monkeypatch.setitem(sys.modules, "imported_again", mine)
    importlib.reload(mine)
    assert defined(mine.f)(1) == 62


def test_a_module_in_an_archive_has_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "application.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("in_an_archive.py", "def f(x):\n    return x + 71\n")
    monkeypatch.syspath_prepend(archive)
    mine = importlib.import_module("in_an_archive")
    del sys.modules["in_an_archive"]
    assert defined(mine.f)(1) == 72


def test_a_global_named_as_what_the_text_begins_with_goes_as_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "_from_file = 1\ndef f():\n    return _from_file\n"
    mine = loaded(tmp_path, "same_name", text, monkeypatch)
    with pytest.raises(Incomplete, match="_from_file means two things"):
        source_of(mine.f)


def test_annotations_and_documentation_are_there() -> None:
    assert defined(module.annotated).__annotations__ == {
        "x": "'Point | None'",
        "y": "os.PathLike",
        "return": "list[int]",
    }
    assert defined(module.plain).__doc__ == module.plain.__doc__
    assert defined(module.undocumented).__doc__ is None
