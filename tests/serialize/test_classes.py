"""A task sees a class as it was when it was sent, on warm workers and cold ones alike."""

from __future__ import annotations

import array
import base64
import io
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import dill
import pytest

from funcx_async.errors import DeserializationError, SerializationError
from funcx_async.serialize import DillCode, FuncXSerializer
from tests.serialize import kinds_of_classes as kinds
from tests.serialize.bare_worker import BareWorker

serializer = FuncXSerializer(DillCode)


class Settings:
    step = 0.1
    seen: list[int] = []  # noqa: RUF012  # as people write it


def step_of(settings: Any) -> float:
    return settings.step  # type: ignore[no-any-return]


def append() -> int:
    Settings.seen.append(1)
    return len(Settings.seen)


def same(value: Any) -> Any:
    return value


def returned(value: Any) -> str:
    """What the official worker does with a result."""
    import base64

    import dill

    return base64.b64encode(dill.dumps(value)).decode()


def sent_home(worker: BareWorker, value: Any) -> Any:
    text: str = eval(worker.run(returned, value))
    return serializer.deserialize(f"00\n{text}")


def test_every_kind_of_class_is_on_the_worker_what_it_is_here(worker: BareWorker) -> None:
    seen = eval(worker.run(kinds.looks))
    here = eval(repr(kinds.looks()))
    here["an instance of itself"] = "root, read"
    assert seen == here


def test_a_class_that_was_changed_arrives_changed(
    worker: BareWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (0.1, 0.2, 0.3):
        monkeypatch.setattr(Settings, "step", step)
        assert worker.run(step_of, Settings) == str(step)
        assert worker.run(step_of, Settings()) == str(step)
        assert worker.run(lambda: Settings.step) == str(step)


def test_a_function_sees_the_class_as_it_was_and_an_argument_as_it_is(
    worker: BareWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = serializer.serialize_function(lambda: Settings.step)
    mixed = serializer.serialize_function(lambda it: (isinstance(it, Settings), it.step))
    monkeypatch.setattr(Settings, "step", 0.9)
    assert worker.run_serialized(frozen, serializer.serialize_arguments((), {})) == "0.1"
    arguments = serializer.serialize_arguments((Settings(),), {})
    assert worker.run_serialized(mixed, arguments) == "(True, 0.9)"


def test_methods_are_added_replaced_and_taken_away(worker: BareWorker) -> None:
    class Walks:
        pass

    class Runs(Walks):
        def run(self) -> str:
            return "first"

    class Never:
        pass

    look = lambda it: [name for name in ("run", "stop") if hasattr(it, name)]  # noqa: E731
    assert worker.run(lambda it: it.run(), Runs()) == "'first'"
    Runs.run = lambda self: "second"  # type: ignore[method-assign]
    Runs.stop = lambda self: None  # type: ignore[attr-defined]
    assert worker.run(lambda it: it.run(), Runs()) == "'second'"
    assert worker.run(look, Runs()) == "['run', 'stop']"
    del Runs.run
    assert worker.run(look, Runs()) == "['stop']"
    Runs.__bases__ = (Never,)
    assert worker.run(lambda it: [base.__name__ for base in type(it).__bases__], Runs()) == (
        "['Never']"
    )


def test_what_a_task_writes_into_a_class_is_gone_with_the_task(worker: BareWorker) -> None:
    assert [worker.run(append) for _ in range(3)] == ["1", "1", "1"]


def test_a_worker_forgets_the_classes_of_earlier_tasks(worker: BareWorker) -> None:
    def kept() -> list[str]:
        import gc

        gc.collect()
        found = (each for each in gc.get_objects() if isinstance(each, type))
        return [each.__name__ for each in found if each.__name__ == "Vanishing"]

    class Vanishing:
        pass

    worker.run(same, Vanishing())
    assert worker.run(kept) == "[]"
    assert worker.run(lambda: [each for each in __import__("sys").modules if "@" in each]) == "[]"


def test_a_class_is_one_class_in_a_task_however_it_came(worker: BareWorker) -> None:
    class Local:
        pass

    for kind in (kinds.Config, kinds.Model.Config, kinds.Model.State, Local):
        assert worker.run(lambda it, kind=kind: it is kind, kind) == "True"
    state = kinds.Model.State.ON
    assert worker.run(lambda it: it is state, state) == "True"


def test_a_class_that_came_twice_shares_its_functions_globals(worker: BareWorker) -> None:
    assert worker.run(kinds.noted, kinds.Logger()) == "['noted']"


@pytest.mark.parametrize(
    "value",
    [
        kinds.Config(),
        kinds.Model.Config(),
        kinds.Model.Config.Deeper(),
        kinds.Model.State.ON,
        kinds.CsvReader(),
        kinds.Sized(),
        kinds.Stack(3),
        kinds.Disc(),
        kinds.Failure(3, "x"),
        kinds.Outer(),
        kinds.Config,
        kinds.Model.Config,
    ],
    ids=lambda value: getattr(value, "__qualname__", type(value).__qualname__),
)
def test_what_a_worker_returns_is_of_the_original_class(worker: BareWorker, value: Any) -> None:
    kind = value if isinstance(value, type) else type(value)
    (again,) = sent_home(worker, [value])
    assert (again if isinstance(value, type) else type(again)) is kind
    assert type(sent_home(worker, value)) is type(value)


def test_an_instance_of_a_class_of_a_function_comes_home_too(worker: BareWorker) -> None:
    def made(number: int) -> Any:
        class Local:
            size = number

        return Local()

    first, second = made(1), made(2)
    assert [type(sent_home(worker, each)) for each in (first, second)] == [
        type(first),
        type(second),
    ]


def test_a_result_never_changes_the_class_that_is_here(worker: BareWorker) -> None:
    before = dict(vars(kinds.Outer))
    copy = pickle.loads(pickle.dumps(kinds.Outer()))
    assert serializer.deserialize(serializer.serialize([kinds.Outer()])) == [copy]
    assert sent_home(worker, kinds.Outer()) == copy
    assert dict(vars(kinds.Outer)) == before


def test_names_that_a_module_gives_to_bare_objects_are_one_object_in_a_task(
    worker: BareWorker,
) -> None:
    for marker in (kinds.UNSET, kinds.MISSING):
        function = lambda it, marker=marker: it is marker  # noqa: E731
        assert worker.run(function, marker) == "True"
    assert worker.run(lambda it: it is kinds.MISSING, kinds.MISSING) == "True"


def test_one_class_has_one_identity_though_threads_send_it_at_once() -> None:
    for _ in range(50):

        class Shared:
            pass

        payloads: list[str] = []
        barrier = threading.Barrier(4)

        def send(kind: type = Shared, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            payloads.append(serializer.serialize(kind))  # noqa: B023

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(set(payloads)) == 1
        assert len(payloads) == 4


def test_a_class_of_the_same_name_is_another_class(worker: BareWorker) -> None:
    def defined(number: int) -> Any:
        namespace: dict[str, Any] = {"__name__": __name__}
        exec(f"class Again:\n    number = {number}", namespace)
        return namespace["Again"]

    old, new = defined(1), defined(2)
    assert worker.run(lambda: (old.number, new.number, old is new)) == "(1, 2, False)"
    assert type(sent_home(worker, new())) is new


class Single:
    made: Any = None

    def __new__(cls) -> Any:
        if cls.made is None:
            cls.made = super().__new__(cls)
        return cls.made


def test_a_class_may_hold_the_only_instance_that_it_makes(worker: BareWorker) -> None:
    assert Single() is Single()
    assert worker.run(lambda: (Single() is Single.made, type(Single()) is Single)) == "(True, True)"
    assert worker.run(lambda it: it is type(it)(), Single()) == "True"


def test_a_type_variable_and_a_named_object_come_home_as_what_they_are(worker: BareWorker) -> None:
    for value in (kinds.T, kinds.UNSET):
        assert serializer.deserialize(serializer.serialize([value])) == [value]


def test_a_view_of_bytes_arrives_as_a_view_of_a_copy(worker: BareWorker) -> None:
    assert worker.run(lambda it: (it.format, bytes(it)), memoryview(b"abc")) == "('B', b'abc')"
    shaped = memoryview(array.array("i", [1, 2, 3, 4])).cast("B").cast("i", (2, 2))
    assert worker.run(lambda it: it.tolist(), shaped) == "[[1, 2], [3, 4]]"


# Results of official workers, and of other Pythons


def read(pickled: str) -> Any:
    return serializer.deserialize("00\n" + base64.b64encode(pickled.encode()).decode())


def test_an_exception_that_an_official_worker_returns_is_read_without_its_libraries() -> None:
    error = read(
        "ctblib.pickling_support\nunpickle_exception\n"
        "(cbuiltins\nValueError\n(I1\ntNNNI00\n(lVnoted\natR."
    )
    assert type(error) is ValueError
    assert (error.args, error.__notes__) == ((1,), ["noted"])
    error = read(
        "ctblib.pickling_support\nunpickle_exception_with_attrs\n"
        "(cbuiltins\nKeyError\n(dVargs\n(I2\ntsNNNI00\nN)tR."
    )
    assert type(error) is KeyError
    assert error.args == (2,)


def test_a_class_that_moved_inside_the_standard_library_is_found() -> None:
    assert read("cpathlib._elsewhere\nPurePosixPath\n(Va\ntR.") == PurePosixPath("a")
    with pytest.raises(DeserializationError, match="No module named 'nowhere'"):
        read("cnowhere._elsewhere\nPath\n.")


def test_an_odd_object_among_the_modules_does_no_harm(
    worker: BareWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    monkeypatch.setitem(sys.modules, "faulty", Faulty())
    assert worker.run(lambda it: it.kind, kinds.Config()) == "'outer'"


# Compiled code of another Python


def test_compiled_code_of_another_python_is_refused_before_it_is_loaded() -> None:
    import importlib.util

    payload = base64.b64decode(serializer.serialize_function(append)[3:])
    other = payload.replace(importlib.util.MAGIC_NUMBER, b"\x01\x02\r\n")
    assert other != payload
    text = "01\n" + base64.encodebytes(other).decode()
    with pytest.raises(DeserializationError, match=r"compiled by Python 3\.\d+ and the worker"):
        serializer.deserialize(text)


# Open files


class Run:
    def __init__(self, log: Any) -> None:
        self.log = log

    def compute(self) -> int:
        return 1


@pytest.mark.parametrize("mode", ["r", "rb", "w", "wb", "a+", "r+b"])
def test_an_open_file_is_refused_by_its_path_and_stays_as_it_is(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "results.txt"
    path.write_text("a week of work")
    if "w" in mode:
        file: Any = open(path, "a")  # noqa: SIM115, PTH123
    else:
        file = open(path, mode)  # noqa: SIM115, PTH123

    def reads() -> Any:
        return file

    with file:
        for refused, where in (
            (lambda: serializer.serialize_arguments((file,), {}), r"args\[0\]"),
            (lambda: serializer.serialize_arguments(([Run(file)],), {}), r"args\[0\]\[0\]\.log"),
            (lambda: serializer.serialize_function(Run(file).compute), r"\.log"),
            (lambda: serializer.serialize_function(reads), r"file in the closure"),
        ):
            with pytest.raises(SerializationError, match=f"{where}.*results.txt"):
                refused()  # type: ignore[no-untyped-call]
    assert path.read_text() == "a week of work"


def test_standard_streams_are_refused_with_what_to_use() -> None:
    with pytest.raises(SerializationError, match=r"sys\.stderr inside the function"):
        serializer.serialize_arguments((sys.stderr,), {})


def test_files_in_memory_travel(worker: BareWorker) -> None:
    assert worker.run(lambda file: file.read(), io.BytesIO(b"abc")) == "b'abc'"
    assert worker.run(lambda file: file.read(), io.StringIO("abc")) == "'abc'"


def test_an_open_file_in_a_result_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "results.txt"
    with path.open("w") as file:
        file.write("a week of work")
        file.flush()
        result = "00\n" + base64.encodebytes(dill.dumps([file])).decode()
        with pytest.raises(DeserializationError, match=r"open file .*results\.txt"):
            serializer.deserialize(result)
    assert path.read_text() == "a week of work"


# Where a task fails


def test_a_traceback_shows_the_lines_of_a_compiled_function(worker: BareWorker) -> None:
    offset = 3

    def fails() -> int:
        return offset // 0  # this very line

    def shown(function: Callable[[], int]) -> str:
        import traceback

        try:
            function()
        except ZeroDivisionError:
            return traceback.format_exc()
        return ""

    code = fails.__code__
    text = eval(worker.run(lambda: shown(fails)))
    assert "return offset // 0  # this very line" in text
    assert f'"{code.co_filename}", line {code.co_firstlineno + 1}, in fails' in text


def test_a_result_is_of_this_programs_class_in_a_later_process(
    worker: BareWorker, tmp_path: Path
) -> None:
    (tmp_path / "lab.py").write_text("class Box:\n    class Lid:\n        pass\n")
    write = "import lab, sys\nfrom funcx_async.serialize import FuncXSerializer\n"
    write += "print(FuncXSerializer().serialize_arguments((lab.Box.Lid(),), {}), end='')"
    read = "import sys\nfrom funcx_async.serialize import FuncXSerializer\n"
    read += "it = FuncXSerializer().deserialize(sys.stdin.read())\n"
    read += "import lab\nprint(type(it) is lab.Box.Lid)"

    def run(program: str, given: str = "") -> str:
        return subprocess.run(
            [sys.executable, "-c", program],
            input=given,
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={"PYTHONPATH": f"{Path(__file__).parents[2]}:{tmp_path}"},
        ).stdout

    arguments = run(write)
    result = eval(worker.run_serialized(serializer.serialize_function(returned), arguments))
    assert run(read, f"00\n{result}") == "True\n"
