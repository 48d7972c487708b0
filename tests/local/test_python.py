"""Workers on another Python than the service's."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from funcx_async.local import LocalService
from tests.local.dialogue import Rest, rest_of, value


def executable_of_worker():
    import os

    return os.environ["WORKER_STARTED_BY"]


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter that marks what it runs."""
    script = tmp_path / "python of mine"
    run = f'WORKER_STARTED_BY="$0" exec {shlex.quote(sys.executable)} "$@"'
    script.write_text(f"#!/bin/sh\n{run}\n")
    script.chmod(0o755)
    return script


async def test_tasks_run_on_the_interpreter_that_is_named(python: Path):
    async with LocalService(workers=1, python=python) as service, service.executor() as executor:
        assert await executor.submit(executable_of_worker) == str(python)


async def test_endpoint_tells_the_versions_of_its_workers(rest: Rest):
    endpoint = (await rest.http.get(f"/v2/endpoints/{rest.service.endpoint_id}")).json()
    details = (await rest.run(pow, 2, 5))["details"]
    assert endpoint["python_version"] == details["python_version"]
    assert endpoint["dill_version"] == details["dill_version"]


def test_interpreter_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="'/no/python' is not a program"):
        LocalService(python="/no/python")


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """An interpreter without packages."""
    bare, script = tmp_path / "bare", tmp_path / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    interpreter = shlex.quote(str(bare / "bin" / "python"))
    script.write_text(f'#!/bin/sh\nunset PYTHONPATH\nexec {interpreter} "$@"\n')
    script.chmod(0o755)
    return script


async def test_interpreter_without_the_package_is_named(bare_python: Path, capfd):
    with pytest.raises(RuntimeError, match=f"{bare_python}.* install funcx-async there"):
        await LocalService(workers=1, python=bare_python).start()
    assert "funcx_async" in capfd.readouterr().err


async def test_frozen_application_needs_a_python(monkeypatch, python: Path):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(RuntimeError, match=r"frozen application.*python="):
        await LocalService(workers=1).start()
    async with LocalService(workers=1, python=python) as service, rest_of(service) as rest:
        assert value(await rest.run(pow, 2, 5)) == 32
