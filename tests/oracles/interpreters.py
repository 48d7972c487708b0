"""Interpreters that have an official package, each in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ORACLES = Path(__file__).parents[2] / ".oracles"


def interpreter(name: str) -> str:
    """The interpreter of an environment: ``sdk``, ``funcx``, ``endpoint`` or ``notebook``."""
    variable = f"FUNCX_ASYNC_ORACLE_{name.upper()}"
    path = Path(os.environ.get(variable, ORACLES / name / "bin" / "python"))
    if not path.exists():
        pytest.fail(f"{path} is not there: `make oracles` makes it, or name another in {variable}")
    return str(path)


def packages_of(python: str) -> str:
    """Where an interpreter's packages are."""
    program = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()
