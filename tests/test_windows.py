"""The package does without what Windows lacks, as far as that shows on another system."""

from __future__ import annotations

import asyncio
import os
import pkgutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import funcx_async
from funcx_async.local import LocalService

ROOT = Path(__file__).parents[1]
LIMIT = 170.0
MODULES = [
    module.name
    for module in pkgutil.walk_packages(funcx_async.__path__, "funcx_async.")
    if not module.name.endswith("__main__") and "._pyinstaller." not in module.name
]


def run_as_on_windows(program: str) -> str:
    """The output of a program in which the package finds what Windows has."""
    path = os.pathsep.join([str(ROOT / "tests" / "windows"), str(ROOT)])
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_every_module_can_be_imported():
    said = run_as_on_windows(f"""
        import importlib, sys
        assert sys.as_on_windows
        for name in {MODULES!r}:
            importlib.import_module(name)
        print("all of them")
    """)
    assert said == "all of them\n"


def test_tasks_run_and_crash_alone_and_nothing_is_left_behind():
    said = run_as_on_windows("""
        import asyncio, os
        from funcx_async import TaskExecutionFailed
        from funcx_async.local import LocalService

        def where():
            import sys
            from funcx_async.local.workers import worker
            return sys.as_on_windows, hasattr(worker.os, "killpg")

        async def main():
            async with LocalService(workers=1) as service, service.executor() as executor:
                print(await executor.submit(where))
                try:
                    await executor.submit(os._exit, 3)
                except TaskExecutionFailed as error:
                    print("exit code 3" in str(error))
                print(await executor.submit(pow, 2, 3))

        asyncio.run(main())
    """)
    assert said.splitlines() == ["(True, False)", "True", "8"]


def test_tasks_run_through_the_blocking_executor():
    said = run_as_on_windows("""
        from funcx_async.blocking import LocalService

        with LocalService(workers=1) as service, service.executor() as executor:
            print(executor.submit(pow, 2, 3).result())
    """)
    assert said == "8\n"


class LoopWithoutProcesses(asyncio.SelectorEventLoop):
    """As Windows' selector loop is."""

    async def subprocess_exec(self, *_: object, **__: object) -> None:  # type: ignore[override]
        raise NotImplementedError


def test_an_event_loop_that_starts_no_processes_is_named_by_the_local_service():
    async def start() -> None:
        async with LocalService():
            pass

    with (
        asyncio.Runner(loop_factory=LoopWithoutProcesses) as runner,
        pytest.raises(RuntimeError, match="LoopWithoutProcesses cannot start any"),
    ):
        runner.run(start())
