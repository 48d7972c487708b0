"""The official SDK's Executor, unmodified and in an environment of its own, on the local service.

Its base URL cannot be set: the environment ``local`` is ``http://localhost:5000``, whatever the
port of our service. So our service is its HTTP proxy, and answers itself.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from funcx_async.local import LocalService

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(180)]

HERE = Path(__file__).parent
LIMIT = 120.0


@pytest.fixture
def official_python() -> str:
    """The interpreter that has the official SDK."""
    default = HERE.parents[1] / ".oracles" / "sdk" / "bin" / "python"
    path = Path(os.environ.get("FUNCX_ASYNC_ORACLE_SDK", default))
    if not path.exists():
        pytest.fail(
            f"{path} is not there; make a virtual environment with globus-compute-sdk in "
            ".oracles/sdk, or name its interpreter in FUNCX_ASYNC_ORACLE_SDK"
        )
    return str(path)


@pytest.fixture(params=["embedded broker", "RabbitMQ"])
def amqp_url(request: pytest.FixtureRequest) -> str | None:
    """Where the service sends results."""
    if request.param == "embedded broker":
        return None
    url: str = request.getfixturevalue("rabbitmq_url")
    return url


async def official_session(python: str, service: LocalService, home: Path) -> dict[str, Any]:
    """Run the official SDK's program; what it saw."""
    process = await asyncio.create_subprocess_exec(
        *(python, str(HERE / "official_session.py")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            "HTTP_PROXY": service.url,
            "HOME": str(home),
            "LOCAL_TOKEN": service.token,
            "LOCAL_ENDPOINT": service.endpoint_id,
            "PATH": os.environ["PATH"],
        },
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), LIMIT)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    document: dict[str, Any] = json.loads(out)
    return document


async def test_the_official_executor_works_on_the_local_service(
    official_python: str, amqp_url: str | None, tmp_path: Path
):
    async with LocalService(workers=2, amqp_url=amqp_url) as service:
        seen = await official_session(official_python, service, tmp_path)
        assert service.faults.count("accepted") == 305
    assert seen["values"] == [2 * number for number in range(300)]
    assert 'raise ValueError("on purpose")' in seen["error"]
    assert "exit code 3" in seen["crash"]
    assert seen["hello"] == "Hello World!"
    assert seen["reloaded"] == 304
    assert seen["reloaded value"] == 42
    assert seen["reloaded error"] == seen["error"]
    assert seen["reloaded, was unfinished"] is False
    assert seen["reloaded, finished later"] == "slow"
    assert seen["afterwards"] == 2
    assert seen["status"] == "online"
    assert seen["task"] == "success"
