"""Functions of all kinds, from all places where people write them, run by the official worker.

The worker's code is that of globus-compute-endpoint, in a process of its own, which has neither
funcx_async nor the functions' files. The source parts run on other Pythons too.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from funcx_async._service.messages import decode_result
from funcx_async.serialize import FuncXSerializer, unpack_buffers
from tests.oracles.blocks import ARGUMENTS, BLOCKS, COUNT, DUMP, NAMES, expected
from tests.oracles.interpreters import interpreter
from tests.serialize.layouts import FUNCTIONS
from tests.serialize.test_places import converse, environment

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PATHS = os.pathsep.join([str(ROOT), *(entry for entry in sys.path if "site-packages" in entry)])
serializer = FuncXSerializer()

Place = Callable[[Path], list[str]]


@functools.cache
def other_pythons() -> tuple[str, ...]:
    """Pythons of other versions than this, as far as they are found."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    this = f"{sys.version_info.major}.{sys.version_info.minor}"
    named = os.environ.get("FUNCX_ASYNC_CPYTHON")
    found = {
        path.parent.parent.name.rpartition(".")[0]: str(path)
        for path in sorted(root.glob("3.1[1-9]*/bin/python"))
    }
    found.pop(this, None)
    return (*([named] if named else []), *found.values())


def run(command: list[str], **extra: str) -> None:
    environ = {**environment(), "PYTHONPATH": PATHS, **extra}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]


def from_a_script(folder: Path, *blocks: str) -> list[str]:
    script, answer = folder / "script.py", folder / "answer.json"
    parts = [f"path = {str(answer)!r}", *(blocks or [*BLOCKS, DUMP])]
    script.write_text("\n\n".join(parts) + "\n")
    run([sys.executable, str(script)])
    script.unlink()
    return json.loads(answer.read_text())


def from_a_module(folder: Path) -> list[str]:
    module, script, answer = folder / "mine.py", folder / "script.py", folder / "answer.json"
    module.write_text("\n\n".join(BLOCKS) + "\n")
    script.write_text(f"path = {str(answer)!r}\nfrom mine import *\n{DUMP}\n")
    run([sys.executable, str(script)])
    module.unlink()
    return json.loads(answer.read_text())


def from_a_repl(python: str, *arguments: str) -> Place:
    def place(folder: Path) -> list[str]:
        answer = folder / "answer.json"
        # One line each: the plain REPL of asyncio in 3.13.0 takes no more at a simple terminal.
        parts = [f"exec({part!r})" for block in [*BLOCKS, DUMP] for part in block.split("\n\n")]
        typed = "\n".join([f"path = {str(answer)!r}", *parts]) + "\n"
        said = converse([python, *arguments], typed, PYTHONPATH=PATHS)
        assert answer.exists(), said[-3000:]
        return json.loads(answer.read_text())

    return place


CELLS = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in json.load(sys.stdin):
    shell.run_cell(cell).raise_error()
"""

KERNEL = """
import json, sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel()
try:
    for cell in json.load(sys.stdin):
        reply = client.execute_interactive(cell, timeout=60, output_hook=lambda message: None)
        assert reply["content"]["status"] == "ok", reply["content"]
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""


def from_cells(program: str, *blocks: str) -> Place:
    def place(folder: Path) -> list[str]:
        answer = folder / "answer.json"
        cells = [f"path = {str(answer)!r}", *(blocks or [*BLOCKS, DUMP])]
        ended = subprocess.run(
            [interpreter("notebook"), "-c", program],
            input=json.dumps(cells),
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "HOME": str(folder),
                "IPYTHONDIR": str(folder),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr[-3000:]
        return json.loads(answer.read_text())

    return place


def run_officially(
    written: list[str], folder: Path, arguments: list[tuple[Any, ...]] = ARGUMENTS
) -> list[str]:
    """What the official worker makes of the functions with their arguments; errors are texts."""
    tasks = [
        json.dumps([function, serializer.serialize_arguments(args, {})])
        for function, args in zip(written, arguments, strict=True)
    ]
    ended = subprocess.run(
        [
            interpreter("endpoint"),
            *("-I", str(HERE / "official_worker.py"), str(folder)),
        ],
        input="\n".join(tasks) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    lines = ended.stdout.splitlines()
    results = [
        decode_result(line.encode().decode("unicode_escape").encode("latin-1")) for line in lines
    ]
    return [
        repr(serializer.deserialize(each.data)) if each.error_code is None else str(each.data)
        for each in results
    ]


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(from_a_script, id="a script"),
        pytest.param(from_a_module, id="a module of ones own"),
        pytest.param(from_a_repl(sys.executable, "-i"), id="the plain REPL"),
        pytest.param(from_a_repl(sys.executable, "-m", "asyncio"), id="the asyncio REPL"),
        pytest.param(from_cells(CELLS), id="IPython"),
        pytest.param(from_cells(KERNEL), id="Jupyter"),
    ],
)
def test_the_official_worker_runs_functions_of_all_kinds(place: Place, tmp_path: Path) -> None:
    written = place(tmp_path)
    assert len(written) == COUNT
    assert run_officially(written, tmp_path / "run") == expected()


DIVIDE = """\
def divide(x):
    nothing = x - x
    # A comment between.
    return x / nothing
"""
DUMP_ONE = DUMP.replace(NAMES, "divide")


@pytest.mark.parametrize(
    ("place", "where"),
    [
        pytest.param(lambda folder: from_a_script(folder, DIVIDE, DUMP_ONE), "script", id="script"),
        pytest.param(from_cells(CELLS, DIVIDE, DUMP_ONE), "ipython-input", id="IPython"),
        pytest.param(from_cells(KERNEL, DIVIDE, DUMP_ONE), "ipykernel", id="Jupyter"),
    ],
)
def test_tracebacks_of_the_official_worker_show_the_users_lines(
    place: Place, where: str, tmp_path: Path
) -> None:
    written = place(tmp_path)
    assert written[0].startswith("12\n")
    (told,) = run_officially(written, tmp_path / "run", [(1,)])
    number = 6 if where == "script" else 4
    assert re.search(
        rf'File ".*{where}.*", line {number}, in divide\n    return x / nothing\n', told
    )


LAYOUTS = """
import json
from funcx_async.serialize.source import source_of
from tests.serialize.layouts import FUNCTIONS
sources = map(source_of, FUNCTIONS)
print(json.dumps([[source.name, source.text, repr(f(3))] for source, f in zip(sources, FUNCTIONS)]))
"""

LAYOUTS_READER = """
import json, sys
for name, text, value in json.load(sys.stdin):
    space = {}
    exec(text, space)
    found = repr(space[name](3))
    assert found == value, (name, found, value)
"""


@pytest.mark.parametrize("python", other_pythons())
@pytest.mark.parametrize("here", [False, True], ids=["from here", "to here"])
def test_functions_of_any_layout_have_source_for_other_pythons(python: str, here: bool) -> None:
    writer, reader = (python, sys.executable) if here else (sys.executable, python)
    sources = ran([writer, "-c", LAYOUTS], "", PYTHONPATH=PATHS)
    assert len(json.loads(sources)) == len(FUNCTIONS)
    ran([reader, "-I", "-c", LAYOUTS_READER], sources)


def ran(command: list[str], given: str, **extra: str) -> str:
    ended = subprocess.run(
        command,
        input=given,
        env={**os.environ, **extra},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


@pytest.mark.parametrize("python", other_pythons())
def test_source_runs_on_other_pythons(python: str, tmp_path: Path) -> None:
    sources = {
        number: unpack_buffers(text[3:])[0]
        for number, text in enumerate(from_a_script(tmp_path))
        if text.startswith("12\n")
    }
    assert len(sources) >= COUNT / 2
    reader = (
        "import inspect, asyncio, json, sys\n"
        "for source, args in json.load(sys.stdin):\n"
        "    name, text = source[3:].split(':', 1)\n"
        "    namespace = {}\n"
        "    exec(text, namespace)\n"
        "    print(repr(namespace[name](*args)))\n"
    )
    ended = subprocess.run(
        [python, "-I", "-c", reader],
        input=json.dumps([[source, ARGUMENTS[number]] for number, source in sources.items()]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    values = expected()
    assert ended.stdout.splitlines() == [values[number] for number in sources]


@pytest.mark.parametrize("python", other_pythons())
def test_the_asyncio_repl_of_other_pythons_sends_what_a_worker_there_runs(
    python: str, tmp_path: Path
) -> None:
    written = from_a_repl(python, "-m", "asyncio")(tmp_path)
    reader = (
        "import base64, dill, json, sys\n"
        "def read(p):\n"
        "    if p[:3] == '01\\n': return dill.loads(base64.b64decode(p[3:]))\n"
        "    n, _, rest = p[3:].partition('\\n')\n"
        "    name, text = rest[3:int(n)].split(':', 1)\n"
        "    exec(text, space := {})\n"
        "    return space[name]\n"
        "for p, args in json.load(sys.stdin): print(repr(read(p)(*args)))\n"
    )
    ended = subprocess.run(
        [python, "-c", reader],
        input=json.dumps(list(zip(written, ARGUMENTS, strict=True))),
        env={**os.environ, "PYTHONPATH": PATHS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == expected()
