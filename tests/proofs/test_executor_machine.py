"""The real executor on a real service, driven through whatever may happen, in any order.

One loop, and for each example a service and an executor of its own: no fault wanders. A rule does
one thing that a user, the service or the broker may do; at the end of an example all is let go, the
executor is shut down in one of its ways, and every future has settled, once, with what the model
allows.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from funcx_async import (
    FuncXExecutor,
    FuncXFuture,
    RequestRefused,
    SubmitUncertain,
    TaskExecutionFailed,
    TaskTimedOut,
)
from funcx_async._core.backoff import Backoff
from funcx_async._session import task_retry, uncertain
from funcx_async.local import Hold, LocalService

pytestmark = [pytest.mark.proof, pytest.mark.timeout(280)]

TIMEOUT = 40

MAX_REFUSALS = 3
"""With more of them the waits between the tries would be most of the time."""

WAIT, CANCEL_WHAT_IS_QUEUED, LET_SETTLE = WAYS = ("wait", "cancel what is queued", "let settle")
"""Ways to shut an executor down."""


def note_run(path: str, number: int) -> int:
    """Leave a line for each run, so that a second one shows."""
    with open(path, "a") as runs:  # noqa: PTH123 - it runs in a worker
        runs.write(f"{number}\n")
    return number


def fail_at_first(path: str, number: int, failures: int) -> int:
    """Leave a line as well, and raise so many times before all is well."""
    from pathlib import Path

    note_run(path, number)
    if Path(path).read_text().split().count(str(number)) <= failures:
        raise ValueError("not yet")
    return number


@dataclass(frozen=True)
class Expected:
    """What the model knows of a task.

    Attributes:
        number: its number, which it is to give.
        runs: how often it may run.
        errors: what it may fail with, whatever becomes of others.
    """

    number: int
    runs: int = 1
    errors: frozenset[type[Exception]] = field(default=frozenset())


class World:
    """What all examples share: a loop, and the file that tells of runs."""

    runner: asyncio.Runner
    runs: Path
    submitted = 0


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    World.runs = tmp_path_factory.mktemp("runs") / "runs"
    World.runs.touch()
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as World.runner:
        patch.setattr(uncertain, "LOOK_DELAYS", (0.0, 0.1))
        patch.setattr(task_retry, "Backoff", lambda: Backoff(first=0.2))
        yield


class ExecutorMachine(RuleBasedStateMachine):
    """One executor's life; the model knows of each future what it may become."""

    @initialize(batch_size=st.sampled_from([2, 128]), way=st.sampled_from(WAYS))
    def begin(self, batch_size: int, way: str) -> None:
        self.way = way
        self.service = LocalService(workers=1)
        self.run(self.service.start())
        self.faults = self.service.faults
        self.executor: FuncXExecutor = self.service.executor(
            batch_size=batch_size, reconcile_interval=0.5, retry_deadline=20
        )
        self.futures: dict[FuncXFuture[int], Expected] = {}
        self.saved: set[FuncXFuture[int]] = set()
        self.settled: Counter[FuncXFuture[int]] = Counter()
        self.cancelled: set[FuncXFuture[int]] = set()
        self.given_up: set[FuncXFuture[int]] = set()
        self.holds: list[Hold] = []
        self.allowed: set[type[Exception]] = set()
        self.refused = 0
        self.submit(3, from_thread=False)

    def run(self, coroutine: Any) -> Any:
        async def limited() -> Any:
            async with asyncio.timeout(TIMEOUT):
                return await coroutine

        return World.runner.run(limited())

    # What a user does ---------------------------------------------------------------------------

    @rule(count=st.integers(1, 4), from_thread=st.booleans())
    def submit(self, count: int, from_thread: bool) -> None:
        async def submit() -> None:
            for _ in range(count):
                World.submitted += 1
                arguments = (note_run, str(World.runs), World.submitted)
                if from_thread and self.futures:
                    future = await asyncio.to_thread(self.executor.submit, *arguments)
                else:
                    future = self.executor.submit(*arguments)
                self.expect(future, Expected(World.submitted))

        self.run(submit())

    @rule(
        timeout=st.sampled_from([0.02, 0.3, None]),
        retries=st.integers(0, 2),
        failures=st.integers(0, 2),
        from_thread=st.booleans(),
    )
    def submit_on_terms(
        self, timeout: float | None, retries: int, failures: int, from_thread: bool
    ) -> None:
        """Submit a task with a time limit, or further tries, which fails at first."""
        World.submitted += 1
        terms = {"retry_on": Exception} if retries else {}
        view = self.executor.options(timeout=timeout, retries=retries, **terms)
        arguments = (fail_at_first, str(World.runs), World.submitted, failures)
        errors: set[type[Exception]] = set()
        if timeout is not None:
            errors.add(TaskTimedOut)
        if failures:
            errors.add(TaskExecutionFailed)

        async def submit() -> None:
            if from_thread and self.futures:
                future = await asyncio.to_thread(view.submit, *arguments)
            else:
                future = view.submit(*arguments)
            self.expect(future, Expected(World.submitted, 1 + retries, frozenset(errors)))
            if timeout is None and 0 < failures <= retries:
                self.saved.add(future)

        self.run(submit())

    def expect(self, future: FuncXFuture[int], expected: Expected) -> None:
        self.futures[future] = expected
        future.add_done_callback(lambda _: self.settled.update([future]))

    @rule(number=st.integers(0, 99))
    def cancel(self, number: int) -> None:
        # What may be drawn, and which rules may run, must not depend on how fast anything is.
        future = list(self.futures)[number % len(self.futures)]

        async def cancel() -> None:
            if future.cancel() and future not in self.given_up:
                self.cancelled.add(future)

        self.run(cancel())

    @rule()
    def have_all_taken_or_failed(self) -> None:
        """Let go of what is held, and wait until every task is with the service."""
        self.release()

        async def taken() -> None:
            waiting = (future.submitted() for future in self.futures)
            await asyncio.gather(*waiting, return_exceptions=True)

        self.run(taken())

    @rule()
    def wait_in_vain_for_a_moment(self) -> None:
        """Give up waiting, which gives up nothing else."""

        async def give_up_waiting() -> None:
            waiter = asyncio.ensure_future(asyncio.wait(list(self.futures)))
            await asyncio.sleep(0)
            waiter.cancel()

        self.run(give_up_waiting())

    @rule()
    def reload(self) -> None:
        self.release()
        if self.executor.task_group_id is None:
            return

        async def reload() -> None:
            before = [future for future in self.futures if not future.done()]
            self.given_up.update(before)
            known = {future.task_id: expected for future, expected in self.futures.items()}
            again = await self.executor.reload_tasks()
            for future in again:
                expected = known.get(future.task_id)
                if expected is not None:
                    self.expect(future, expected)

        self.run(reload())

    # What goes wrong ----------------------------------------------------------------------------

    @rule(fault=st.sampled_from(["lose_replies", "truncate_replies"]))
    def lose_an_answer(self, fault: str) -> None:
        self.allowed.add(SubmitUncertain)
        getattr(self.faults, fault)("submit")

    @precondition(lambda self: self.refused < MAX_REFUSALS)
    @rule(status=st.sampled_from([409, 429, 500, 503]))
    def refuse(self, status: int) -> None:
        self.refused += 1
        if status in (409, 500):
            self.allowed.add(RequestRefused if status == 409 else SubmitUncertain)
        self.faults.refuse("submit", status=status)

    @rule(what=st.sampled_from(["replies", "results", "order", "endpoint"]))
    def hold(self, what: str) -> None:
        async def hold() -> None:
            begin = {
                "replies": lambda: self.faults.hold_replies("submit"),
                "results": self.faults.hold_results,
                "order": lambda: self.faults.reorder_results(3),
                "endpoint": self.faults.endpoint_offline,
            }
            self.holds.append(begin[what]())

        self.run(hold())

    @rule()
    def release(self) -> None:
        async def release() -> None:
            while self.holds:
                self.holds.pop().release()

        self.run(release())

    @rule(fault=st.sampled_from(["duplicate_results", "drop_results", "high_assurance_results"]))
    def spoil_results(self, fault: str) -> None:
        getattr(self.faults, fault)(2)

    @rule(
        fault=st.sampled_from(
            ["disconnect", "close_channels", "cancel_consumers", "delete_queues", "refuse_logins"]
        )
    )
    def trouble_the_broker(self, fault: str) -> None:
        async def trouble() -> None:
            awaitable = getattr(self.faults, fault)()
            if awaitable is not None:
                await awaitable

        self.run(trouble())

    # The end ------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "executor"):
            return
        try:
            self.release()
            self.run(self.end())
        finally:
            self.run(self.service.aclose())
        runs = Counter(map(int, World.runs.read_text().split()))
        for future, expected in self.futures.items():
            assert self.settled[future] == 1, "it settles exactly once"
            assert runs[expected.number] <= expected.runs, "it ran too often"
            if future in self.cancelled:
                assert future.cancelled()
                assert runs[expected.number] < expected.runs, "a cancelled task ran"
            elif future.cancelled():
                assert future in self.given_up or self.way == CANCEL_WHAT_IS_QUEUED
            elif (error := future.exception(0)) is not None:
                assert isinstance(error, tuple(self.allowed | expected.errors)), error
                assert future not in self.saved or self.allowed, "its further tries were enough"
            else:
                assert future.result(0) == expected.number
        assert self.executor.stats.open == 0

    async def end(self) -> None:
        """Shut down in the way that was chosen, and wait for all futures."""
        if self.way == WAIT:
            await self.executor.shutdown()
        elif self.way == CANCEL_WHAT_IS_QUEUED:
            await self.executor.shutdown(wait=False, cancel_futures=True)
        else:
            await self.executor.shutdown(wait=False)
        await asyncio.wait(list(self.futures))
        await self.executor.shutdown()


TestExecutor = ExecutorMachine.TestCase
TestExecutor.settings = settings(
    max_examples=60,
    stateful_step_count=15,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
