"""A local service for a module's tests, and an executor for each; all without an event loop."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator

import pytest

from funcx_async.blocking import FuncXExecutor, LocalService

TIMEOUT = 30

Program = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def service() -> Iterator[LocalService]:
    with LocalService(workers=2) as running:
        yield running


@pytest.fixture
def executor(service: LocalService) -> Iterator[FuncXExecutor]:
    opened = service.executor()
    yield opened
    opened.shutdown(cancel_futures=True)


@pytest.fixture
def run(environment: dict[str, str]) -> Program:
    """Run a program with the service of the test in its environment."""

    def run(program: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    return run
