"""Run CPython's own tests of executors with the blocking executor in the place of a thread pool.

A program of its own: it needs an interpreter with the ``test`` package, this package and its extra
``local``. What is left out, and why:

- all that needs ``map``, which the original does not have either;
- what holds for pools alone: ``max_workers``, that tasks begin in the moment of ``submit`` (so that
  some escape ``cancel_futures``), that the interpreter waits for open tasks when it ends;
- what looks into a thread pool's private attributes;
- what expects a task's own exception, where ours is TaskExecutionFailed.
"""

from __future__ import annotations

import sys
import tempfile
import time
import unittest
import uuid
from pathlib import Path
from typing import Any

from test import support
from test.test_concurrent_futures import executor, test_as_completed, test_shutdown, test_wait, util

from funcx_async.blocking import FuncXExecutor, LocalService

LEFT_OUT = {
    "test_free_reference",
    "test_shutdown_race_issue12456",
    "test_max_workers_negative",
    "test_interpreter_shutdown",
    "test_submit_after_interpreter_shutdown",
    "test_hang_gh83386",
    "test_cancel_futures",
    "test_swallows_falsey_exceptions",
}

THEIRS = [
    executor.ExecutorTest,
    test_wait.WaitTests,
    test_as_completed.AsCompletedTests,
    test_shutdown.ExecutorShutdownTest,
]


class Event:
    """An event for several processes, as the tests of Python 3.15 ask for: a file, once it is set.

    Args:
        folder: where that file is made.
    """

    def __init__(self, folder: str) -> None:
        self._file = Path(folder) / uuid.uuid4().hex

    def set(self) -> None:
        """Let every process go on that waits."""
        self._file.touch()

    def wait(self, timeout: float = 60.0) -> bool:
        """Wait until it is set, but not longer than so many seconds."""
        end = time.monotonic() + timeout
        while not (is_set := self._file.exists()) and time.monotonic() < end:
            time.sleep(0.01)
        return is_set


def left_out(name: str) -> bool:
    """Whether a test is none of ours."""
    return name in LEFT_OUT or name.startswith("test_map")


def main() -> int:
    """Run them; the exit code."""
    with LocalService(workers=5) as service, tempfile.TemporaryDirectory() as folder:

        def pool(max_workers: int) -> FuncXExecutor:
            return service.executor(batch_size=max_workers)

        given = {
            "executor_type": staticmethod(pool),
            "create_event": lambda _: Event(folder),
        }
        suite = unittest.TestSuite()
        for tests in THEIRS:
            bases = (tests, util.ExecutorMixin, util.BaseTestCase)
            ours: Any = type(tests.__name__, bases, given)
            names = unittest.defaultTestLoader.getTestCaseNames(ours)
            suite.addTests(ours(name) for name in names if not left_out(name))
        outcome = unittest.TextTestRunner(verbosity=2).run(suite)
    if support.environment_altered:
        print("threads were left behind", file=sys.stderr)
    return 0 if outcome.wasSuccessful() and not support.environment_altered else 1


if __name__ == "__main__":
    sys.exit(main())
