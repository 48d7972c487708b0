"""``ShellFunction`` and ``MPIFunction`` of the official SDK, run by our executors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from funcx_async import FuncXSerializer
from funcx_async._service.messages import decode_result
from tests.oracles.interpreters import interpreter, packages_of

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(180)]

HERE = Path(__file__).parent
EXPECTED = [
    ["hello you\n", ["careful"], 0],
    ["42\n", 0, None],
    ["", [], 3],
    ["", [], 124],
    ["ranks\n", 0, None],
]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the program of the shell functions saw."""
    ended = subprocess.run(
        [sys.executable, str(HERE / "shell_session.py"), packages_of(interpreter("sdk"))],
        cwd=tmp_path_factory.mktemp("shell"),
        env={**os.environ, "GC_TASK_SANDBOX_DIR": str(tmp_path_factory.mktemp("sandbox"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


@pytest.mark.parametrize("kind", ["async", "blocking"])
def test_shell_functions_run_through_our_executors(session: dict[str, Any], kind: str):
    assert session[kind] == EXPECTED


def test_the_official_worker_runs_them_as_we_write_them(session: dict[str, Any], tmp_path: Path):
    ended = subprocess.run(
        [interpreter("endpoint"), "-I", str(HERE / "official_worker.py"), str(tmp_path)],
        input="".join(json.dumps(each) + "\n" for each in session["written"]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    messages = [
        line.encode().decode("unicode_escape").encode("latin-1")
        for line in ended.stdout.splitlines()
    ]
    results = [decode_result(message) for message in messages]
    assert [result.error_code for result in results] == [None] * 3
    shell, ranks, hardware = [FuncXSerializer().deserialize(str(each.data)) for each in results]
    assert (shell["stdout"], shell["returncode"]) == ("42\n", 0)
    assert (ranks["stdout"], ranks["returncode"]) == ("ranks\n", 0)
    assert "== processors ==" in hardware
