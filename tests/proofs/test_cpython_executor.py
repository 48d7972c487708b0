"""CPython's own tests of executors pass with the blocking executor in a thread pool's place."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.proofs.test_cpython import interpreters

pytestmark = [pytest.mark.proof, pytest.mark.timeout(280)]

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "cpython_executor_tests.py"


def equipped(interpreter: str) -> str:
    """An environment of this interpreter with the package in it, made once."""
    question = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
    version = subprocess.check_output([interpreter, "-c", question], text=True).strip()
    home = ROOT / ".oracles" / f"cpython-{version}"
    python, ready = home / "bin" / "python", home / ".ready"
    if not ready.exists():
        subprocess.run([interpreter, "-m", "venv", "--clear", home], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--editable", f"{ROOT}[local]"]
        subprocess.run(install, check=True)
        ready.touch()
    return str(python)


def test_cpythons_tests_of_executors_pass():
    found = interpreters()
    assert found, (
        "no Python 3.12 or 3.13 with its `test` package was found; name one by FUNCX_ASYNC_CPYTHON"
    )
    for interpreter in found:
        ended = subprocess.run(
            [equipped(interpreter), "-W", "error", str(PROGRAM)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        ran = re.search(r"Ran (\d+) tests", ended.stderr)
        assert ran is not None
        assert int(ran[1]) >= 19, ended.stderr
        assert "skipped" not in ended.stderr
