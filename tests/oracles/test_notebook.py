"""In a notebook: a real Jupyter kernel runs the cells."""

from __future__ import annotations

import ast
import json
import os
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.oracles.interpreters import interpreter

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(120)]

WIDGET = "application/vnd.jupyter.widget-view+json"
BEGIN = """
from funcx_async import FuncXExecutor, as_completed, gather
from funcx_async.local import LocalService

service = LocalService(workers=1)
await service.start()
executor = service.executor()
"""


class Notebook:
    """A kernel, for a `with` block.

    Args:
        home: its user's directory.
    """

    def __init__(self, home: Path) -> None:
        root = str(Path(__file__).parents[2])
        self._process = subprocess.Popen(
            [interpreter("notebook"), str(Path(__file__).parent / "notebook_kernel.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": root, "HOME": str(home), "IPYTHONDIR": str(home)},
        )

    def run(self, cell: str, *, interrupt_at: str = "") -> Shown:
        """Run a cell, and have it interrupted when it has printed something."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([cell, interrupt_at]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the kernel is gone"
        return Shown(**json.loads(line))

    def close(self) -> None:
        """Shut the kernel down, as closing the notebook does."""
        self._process.communicate(timeout=60)


class Shown:
    """What a cell showed.

    Args:
        outputs: its outputs, each by kind.
        error: the name and the text of what it raised, or None.
    """

    def __init__(self, outputs: list[dict[str, Any]], error: list[str] | None) -> None:
        self.outputs = outputs
        self.error = error

    def of(self, kind: str) -> str:
        """All outputs of one kind: ``stdout``, ``text/html`` ..."""
        return "".join(str(output[kind]) for output in self.outputs if kind in output)

    @property
    def value(self) -> str:
        """The cell's last expression, as text; fails if there was an error or a warning."""
        assert self.error is None, self.error
        assert not self.of("stderr")
        return self.of("text/plain")


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Notebook]:
    opened = Notebook(tmp_path)
    assert opened.run(BEGIN).value == ""
    yield opened
    opened.close()


def test_functions_of_cells_run_and_are_redefined(notebook: Notebook):
    notebook.run("offset = 1\ndef shift(x): return x + offset")
    notebook.run("def twice(x): return 2 * shift(x)")
    assert notebook.run("await executor.submit(twice, 20)").value == "42"
    notebook.run("def shift(x): return x - offset")
    notebook.run("def twice(x): return 2 * shift(x)")
    assert notebook.run("await executor.submit(twice, 20)").value == "38"
    assert notebook.run("await gather(*map(executor.submit, [twice] * 3, range(3)))").value == (
        "[-2, 0, 2]"
    )


def test_what_ends_a_cell_is_shown_as_a_card(notebook: Notebook):
    notebook.run("future = executor.submit(pow, 2, 5); await future")
    for name in ("executor", "future", "service", "executor.funcx_client"):
        shown = notebook.run(name)
        assert shown.of("text/html").startswith("<div")
        assert shown.value.startswith("<")


def test_an_interrupted_cell_leaves_the_task_alone_and_the_next_one_awaits_it(
    notebook: Notebook, tmp_path: Path
):
    os.mkfifo(tmp_path / "gate")
    notebook.run(f"gate = {str(tmp_path / 'gate')!r}\ndef read(path): return open(path).read()")
    notebook.run("future = executor.submit(read, gate); await future.submitted()")
    stopped = notebook.run("print('waiting', flush=True); await future", interrupt_at="waiting")
    assert stopped.error is not None
    assert "running" in notebook.run("future").of("text/html")
    assert notebook.run("print('done', file=open(gate, 'w'), end='')").value == ""
    assert notebook.run("await future").value == "'done'"
    assert notebook.run("await executor.submit(pow, 2, 5)").value == "32"


def test_results_come_in_between_cells(notebook: Notebook, tmp_path: Path):
    os.mkfifo(tmp_path / "bell")
    notebook.run(f"import os; bell = os.open({str(tmp_path / 'bell')!r}, os.O_RDWR)")
    notebook.run("def ring(future): os.write(bell, str(future.result()).encode())")
    notebook.run("future = executor.submit(pow, 2, 5); future.add_done_callback(ring)")
    with (tmp_path / "bell").open("rb", buffering=0) as bell:
        assert bell.read(2) == b"32"
    assert notebook.run("future.result()").value == "32"


def test_blocking_objects_block_without_deadlock_and_can_be_interrupted(
    notebook: Notebook, tmp_path: Path
):
    os.mkfifo(tmp_path / "gate")
    notebook.run("from funcx_async import blocking\nother = blocking.LocalService(workers=1)")
    notebook.run("other.start(); waiting = other.executor()")
    assert notebook.run("waiting.submit(pow, 2, 5).result()").value == "32"
    assert "1 done" in notebook.run("waiting").of("text/html")
    notebook.run(f"gate = {str(tmp_path / 'gate')!r}\ndef read(path): return open(path).read()")
    notebook.run("future = waiting.submit(read, gate)")
    stopped = notebook.run("print('begun', flush=True); future.result()", interrupt_at="begun")
    assert stopped.error == ["KeyboardInterrupt", ""]
    notebook.run("print('done', file=open(gate, 'w'), end='')")
    assert notebook.run("future.result()").value == "'done'"
    assert notebook.run("await waiting.submit(pow, 2, 3)").value == "8"
    assert notebook.run("waiting.shutdown(); other.close()").value == ""


SWEEP = "len(await gather(*[executor.submit(pow, 2, n) for n in range(9)], progress=True))"


def test_progress_is_a_widget(notebook: Notebook):
    shown = notebook.run(SWEEP)
    assert shown.of(WIDGET)
    assert shown.value.endswith("9")


def test_progress_without_widgets_is_a_line_and_no_warning(notebook: Notebook):
    notebook.run("import sys; sys.modules['ipywidgets'] = None")
    shown = notebook.run(SWEEP)
    assert shown.error is None
    assert "9/9" in shown.of("stderr")
    assert "Warning" not in shown.of("stderr")


def test_the_end_of_the_kernel_ends_the_workers(notebook: Notebook):
    told = notebook.run("service.worker_process_ids").value
    workers = [os.pidfd_open(worker) for worker in ast.literal_eval(told)]
    assert workers
    notebook.close()
    for worker in workers:
        assert select.select([worker], [], [], 60)[0]
        os.close(worker)
