"""The local service with its workers on each version of Python."""

from __future__ import annotations

import platform
import subprocess

import pytest

from funcx_async.local import LocalService
from tests.oracles.interpreters import interpreter
from tests.oracles.kinds_run import ROOT

pytestmark = pytest.mark.oracle


def environment() -> tuple[str, str]:
    import platform

    import dill

    return platform.python_version(), dill.__version__


def total(values: dict[str, list[int]]) -> dict[str, int]:
    return {name: sum(each * factor for each in some) for name, some in values.items()}


def fail() -> None:
    raise ValueError("on purpose")


factor = 3


@pytest.fixture(params=["py312", "py313"])
def python(request: pytest.FixtureRequest) -> str:
    return interpreter(request.param)


@pytest.fixture
def version(python: str) -> str:
    ask = "import platform; print(platform.python_version())"
    told = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    return told.stdout.strip()


async def test_tasks_run_on_another_python(python: str, version: str, monkeypatch, caplog):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert version != platform.python_version()
    async with LocalService(workers=2, python=python) as service, service.executor() as executor:
        endpoint = await service.client().get_endpoint_metadata(service.endpoint_id)
        assert endpoint.raw["python_version"] == version
        assert (await executor.submit(environment))[0] == version
        assert await executor.submit(total, {"a": [1, 2], "b": []}) == {"a": 9, "b": 0}
        assert await executor.submit(lambda x: x + factor, 4) == 7
        with pytest.raises(Exception, match="on purpose"):
            await executor.submit(fail)
    assert any(version in record.getMessage() for record in caplog.records)
