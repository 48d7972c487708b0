"""Every example runs as it is printed, those of the docstrings included."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import funcx_async

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
MODULES = [
    module.name
    for module in pkgutil.walk_packages(funcx_async.__path__, "funcx_async.")
    if not module.name.endswith("__main__") and "._pyinstaller." not in module.name
]


def run(program: Path, cwd: Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        capture_output=True,
        text=True,
        timeout=170,
        cwd=cwd,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stdout


@pytest.mark.parametrize("example", [pytest.param(path, id=path.stem) for path in EXAMPLES])
def test_an_example_runs(example: Path, tmp_path: Path):
    assert run(example, tmp_path)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings_are_true(name: str):
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0
