"""CPython's own tests of Future and of executors pass with ours in their place."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.oracles.interpreters import ORACLES, interpreter

pytestmark = [pytest.mark.proof, pytest.mark.timeout(280)]

HERE = Path(__file__).parent
PYTHONS = sorted({path.name for path in ORACLES.glob("py3*")} - {"py312"}) or ["py315"]
"""The environments that `make newer-pythons` has made; without any, the tests say what is missing.
CPython has had its tests as a package since 3.13."""


@pytest.mark.parametrize("name", PYTHONS)
@pytest.mark.parametrize(
    ("program", "count"),
    [
        pytest.param("cpython_future_tests.py", 15, id="Future"),
        pytest.param("cpython_executor_tests.py", 19, id="executors"),
    ],
)
def test_cpythons_own_tests_pass(name: str, program: str, count: int):
    ended = subprocess.run(
        [interpreter(name), "-W", "error", str(HERE / program)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    ran = re.search(r"Ran (\d+) tests", ended.stderr)
    assert ran is not None
    assert int(ran[1]) >= count, ended.stderr
    assert "skipped" not in ended.stderr
