"""CPython's own tests of Future pass with FuncXFuture in its place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.proof

PROGRAM = Path(__file__).parent / "cpython_future_tests.py"


def interpreters() -> list[str]:
    """Pythons of 3.12 or 3.13 that have their tests installed."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [os.environ.get("FUNCX_ASYNC_CPYTHON")]
    candidates += [str(path) for path in sorted(root.glob("3.1[23]*/bin/python"))]
    candidates += [shutil.which("python3.13"), shutil.which("python3.12")]
    question = "import test.test_concurrent_futures.test_future"
    return [
        candidate
        for candidate in dict.fromkeys(filter(None, candidates))
        if subprocess.run([candidate, "-c", question], capture_output=True, check=False).returncode
        == 0
    ]


def test_cpythons_tests_of_future_pass():
    found = interpreters()
    assert found, (
        "no Python 3.12 or 3.13 with its `test` package was found; name one by FUNCX_ASYNC_CPYTHON"
    )
    for interpreter in found:
        ended = subprocess.run(
            [interpreter, str(PROGRAM)], capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 0, ended.stderr
        ran = re.search(r"Ran (\d+) tests", ended.stderr)
        assert ran is not None
        assert int(ran[1]) >= 15, ended.stderr
        assert "skipped" not in ended.stderr
