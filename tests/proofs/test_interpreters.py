"""The package keeps its promises on the newer Pythons that are here, as on the one of all tests."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.oracles.interpreters import ORACLES, interpreter

pytestmark = [pytest.mark.proof, pytest.mark.timeout(280)]

ROOT = Path(__file__).parents[2]
NEWER = [name for name in ("py312", "py313") if (ORACLES / name).exists()]
"""Those that `make oracles` has found; without any, the tests say what is missing."""


PARTS = {
    "the prompt": (
        "tests/interfaces/test_prompt.py",
        "tests/interfaces/test_prompt_setting.py",
        "tests/interfaces/test_script.py",
        "tests/interfaces/test_repl.py",
    ),
    "what decides": ("tests/core",),
    "futures": (
        "tests/futures/test_future.py",
        "tests/futures/test_light.py",
        "tests/futures/test_waiting.py",
    ),
    "what travels": ("tests/serialize",),
    "the executor": (
        "tests/executor/test_submit.py",
        "tests/executor/test_life.py",
        "tests/executor/test_journal.py",
    ),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", NEWER or ["py313"])
def test_the_same_tests_pass(name: str, part: str):
    """Every one of them: none is skipped, warnings are errors as they are elsewhere."""
    ended = subprocess.run(
        [interpreter(name), "-m", "pytest", "-q", "-m", "not proof and not oracle", *PARTS[part]],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=270,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"^\d\d+ passed(, \d+ deselected)? in ", ended.stdout, re.MULTILINE), (
        ended.stdout
    )
