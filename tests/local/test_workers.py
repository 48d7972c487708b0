"""The pool, with functions that do to their worker what users' functions do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from funcx_async.local.injection import AwaitableCounter
from funcx_async.local.outcomes import read_outcome
from funcx_async.local.store import Job
from funcx_async.local.workers.pool import Pool
from funcx_async.serialize import FuncXSerializer
from tests.local.dialogue import LIMIT

SERIALIZER = FuncXSerializer()


def add(a, b):
    return a + b


def forever():
    import time

    while True:
        time.sleep(60)


def touch(path):
    import os
    import pathlib

    pathlib.Path(path).write_text(str(os.getpid()))
    return os.getpid()


SCRIBBLE = """
import contextlib, os
for descriptor in range(3, 64):
    with contextlib.suppress(OSError):
        os.write(descriptor, bytes([255]) * 1000)
"""


class Bench:
    """A pool with its tasks and their results."""

    def __init__(self, size: int) -> None:
        self.buffers: dict[str, tuple[str, str]] = {}
        self.messages: dict[str, tuple[bool, bytes]] = {}
        self.order: list[str] = []
        self.tally = AwaitableCounter(["settled"])
        self.pool = Pool(
            size, work=self.buffers.__getitem__, settled=self._settled, endpoint_id="endpoint"
        )

    def _settled(self, job: Job, message: bytes, failed: bool) -> None:
        self.messages[job.task_id] = failed, message
        self.order.append(job.task_id)
        self.tally.add("settled")

    def job(
        self,
        function: Callable[..., Any],
        *args: object,
        group: str = "group",
        serializers: list[str] | None = None,
        name: str | None = None,
    ) -> Job:
        """A task, not added yet."""
        job = Job(str(uuid.uuid4()), group, name or getattr(function, "__name__", "?"))
        packed = SERIALIZER.pack_buffers(map(SERIALIZER.serialize, (function, args, {})))
        self.buffers[job.task_id] = json.dumps(serializers or []), packed
        return job

    async def settled(self, times: int) -> None:
        """Return when so many tasks were settled in all."""
        async with asyncio.timeout(LIMIT):
            await self.tally.reached("settled", times)

    async def run(self, *jobs: Job) -> list[Any]:
        """Run tasks; the values, and the texts of failures."""
        before = self.tally.count("settled")
        self.pool.add(jobs)
        await self.settled(before + len(jobs))
        return [self.outcome(job) for job in jobs]

    def outcome(self, job: Job) -> Any:
        """The value of a task, or the text of its failure."""
        failed, message = self.messages[job.task_id]
        text = read_outcome(message).data
        return text if failed else SERIALIZER.deserialize(text)

    def code(self, job: Job) -> str | None:
        """The code of a task's failure."""
        details = json.loads(self.messages[job.task_id][1][1:])["data"]["error_details"]
        return None if details is None else details["code"]

    async def say(self, job: Job, path: Any) -> int:
        """Start a task that writes its process id to a named pipe; the process id."""
        self.pool.add([job])
        return int(await asyncio.wait_for(asyncio.to_thread(path.read_text), LIMIT))


@contextlib.asynccontextmanager
async def bench_of(size: int) -> AsyncIterator[Bench]:
    bench = Bench(size)
    await bench.pool.start()
    try:
        yield bench
    finally:
        await bench.pool.aclose()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with bench_of(1) as opened:
        yield opened


@pytest.fixture
async def pair() -> AsyncIterator[Bench]:
    async with bench_of(2) as opened:
        yield opened


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


async def test_values_come_back(bench: Bench):
    jobs = [bench.job(add, number, 1) for number in range(500)]
    assert await bench.run(*jobs) == list(range(1, 501))


async def test_an_error_is_the_user_s_traceback_alone(bench: Bench):
    def outer():
        def inner():
            raise KeyError("lost")

        inner()

    job = bench.job(outer)
    (text,) = await bench.run(job)
    lines = text.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert ", in outer" in lines[1]
    assert lines[-1] == "KeyError: 'lost'"
    assert "worker.py" not in text
    assert bench.code(job) == "RemoteExecutionError"


async def test_a_wrong_call_is_an_error_too(bench: Bench):
    (text,) = await bench.run(bench.job(add, 1))
    assert "TypeError" in text
    assert "missing 1 required positional argument: 'b'" in text


async def test_what_cannot_be_read_is_an_error_too(bench: Bench):
    job = bench.job(add, 1, 2)
    bench.buffers[job.task_id] = "[]", "2\n??2\n??2\n??"
    await bench.run(job)
    assert bench.code(job) == "RemoteExecutionError"
    assert await bench.run(bench.job(add, 1, 2)) == [3]


@pytest.mark.parametrize(
    ("source", "last_line"),
    [
        pytest.param("import sys; sys.exit(3)", "SystemExit: 3", id="sys.exit"),
        pytest.param("raise KeyboardInterrupt", "KeyboardInterrupt", id="KeyboardInterrupt"),
        pytest.param("raise GeneratorExit", "GeneratorExit", id="GeneratorExit"),
        pytest.param("raise Exception('\\ud800')", "Exception: \\ud800", id="half a character"),
    ],
)
async def test_no_exception_ends_the_worker(bench: Bench, source: str, last_line: str):
    pids = bench.pool.process_ids
    (text,) = await bench.run(bench.job(exec, source))
    assert text.splitlines()[-1] == last_line
    assert await bench.run(bench.job(add, 1, 2)) == [3]
    assert bench.pool.process_ids == pids


@pytest.mark.parametrize(
    ("source", "says"),
    [
        pytest.param("import os; os._exit(7)", "ended with exit code 7", id="os._exit"),
        pytest.param("import os; os._exit(0)", "ended with exit code 0", id="os._exit(0)"),
        pytest.param("import os; os.abort()", "SIGABRT", id="abort"),
        pytest.param("import ctypes; ctypes.string_at(0)", "SIGSEGV", id="segmentation fault"),
        pytest.param("import os, signal; os.kill(os.getpid(), 9)", "SIGKILL", id="kill -9"),
        pytest.param("import os; os.closerange(3, 64)", "ended with", id="closing our pipes"),
        pytest.param(SCRIBBLE, "other than results", id="writing into our pipes"),
    ],
)
async def test_a_crash_is_the_error_of_its_task_alone(bench: Bench, source: str, says: str):
    await bench.run(bench.job(add, 1, 2))
    before = [bench.job(add, number, 0) for number in range(20)]
    crash = bench.job(exec, source, name="add")  # taken for as quick as add, so put in its pipe
    after = [bench.job(add, number, 0) for number in range(20)]
    outcomes = await bench.run(*before, crash, *after)
    assert outcomes[:20] == outcomes[21:] == list(range(20))
    assert says in outcomes[20]
    assert crash.task_id in outcomes[20]
    assert bench.code(crash) == "RemoteExecutionError"


async def test_a_worker_killed_from_outside_is_replaced(bench: Bench, fifo):
    pid = await bench.say(bench.job(touch, str(fifo)), fifo)
    await bench.settled(1)
    job = bench.job(forever)
    bench.pool.add([job])
    assert bench.pool.running == [job.task_id]
    os.kill(pid, signal.SIGKILL)
    await bench.settled(2)
    assert "SIGKILL" in bench.outcome(job)
    assert await bench.run(bench.job(add, 1, 2)) == [3]
    assert len(bench.pool.process_ids) == 1
    assert bench.pool.process_ids != [pid]


async def test_an_idle_worker_that_dies_takes_no_task_with_it(bench: Bench):
    os.kill(bench.pool.process_ids[0], signal.SIGKILL)
    jobs = [bench.job(add, number, 0) for number in range(5)]
    bench.pool.add(jobs)
    await bench.settled(5)
    values = [bench.outcome(job) for job in jobs]
    # The first one may have been in the pipe already.
    assert values[1:] == [1, 2, 3, 4]


async def test_a_slow_task_holds_nobody_up(pair: Bench):
    slow = pair.job(forever)
    pair.pool.add([slow])
    jobs = [pair.job(add, number, 0) for number in range(200)]
    assert await pair.run(*jobs) == list(range(200))
    assert pair.pool.running == [slow.task_id]


async def test_tasks_behind_one_that_turns_out_slow_go_elsewhere(pair: Bench, fifo):
    await pair.run(*[pair.job(add, 1, 2) for _ in range(10)])
    # Known as quick, so others are put behind it in its worker's pipe.
    slow = pair.job(forever, name="add")
    jobs = [pair.job(add, number, 0) for number in range(100)]
    pair.pool.add([*jobs[:50], slow, *jobs[50:]])
    await pair.settled(110)
    assert [pair.outcome(job) for job in jobs] == list(range(100))
    assert pair.pool.running == [slow.task_id]


async def test_nothing_is_put_behind_a_function_that_is_not_known_as_quick(bench: Bench):
    # This one cannot be recalled from: it never lets the worker's other thread run.
    hog = bench.job(exec, "sum(range(3_000_000))", name="hog")
    await bench.run(hog)
    again = bench.job(exec, "sum(range(3_000_000))", name="hog")
    jobs = [bench.job(add, number, 0) for number in range(5)]
    bench.pool.add([again, *jobs])
    assert bench.pool.queued == 5
    await bench.settled(7)


async def test_task_groups_take_turns(bench: Bench):
    bench.pool.pause()
    many = [bench.job(add, 1, 1, group="many") for _ in range(300)]
    few = [bench.job(add, 1, 1, group="few") for _ in range(3)]
    bench.pool.add([*many, *few])
    bench.pool.resume()
    await bench.settled(303)
    assert max(bench.order.index(job.task_id) for job in few) < 10


async def test_a_paused_pool_begins_nothing(bench: Bench):
    bench.pool.pause()
    job = bench.job(add, 1, 2)
    bench.pool.add([job])
    assert (bench.pool.queued, bench.pool.running) == (1, [])
    bench.pool.resume()
    await bench.settled(1)
    assert bench.outcome(job) == 3


async def test_what_a_task_prints_and_reads_stays_out_of_the_pipe(capfd):
    def noise():
        import os
        import subprocess
        import sys

        print("printed")
        sys.stdout.buffer.write(b"raw\n")
        sys.stdout.flush()
        os.write(1, b"to the descriptor\n")
        subprocess.run(["echo", "from a child"], check=True)
        return sys.stdin.read(), subprocess.run(["cat"], capture_output=True, check=True).stdout

    async with bench_of(1) as bench:
        assert await bench.run(bench.job(noise), bench.job(add, 1, 2)) == [("", b""), 3]
    captured = capfd.readouterr()
    assert captured.out == ""
    for words in ("printed", "raw", "to the descriptor", "from a child"):
        assert words in captured.err


async def test_a_task_that_forks_answers_once(bench: Bench):
    def fork():
        import os

        return "child" if os.fork() == 0 else "parent"

    assert await bench.run(bench.job(fork), bench.job(add, 1, 2)) == ["parent", 3]
    assert bench.tally.count("settled") == 2


async def test_a_task_may_use_processes_of_its_own(bench: Bench):
    def pool():
        import concurrent.futures
        import multiprocessing

        context = multiprocessing.get_context("fork")
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
            return list(executor.map(abs, [-1, -2, -3]))

    assert await bench.run(bench.job(pool)) == [[1, 2, 3]]


async def test_children_of_a_task_end_with_its_worker(bench: Bench, fifo):
    def leave_a_child(path):
        import subprocess
        import time

        subprocess.Popen(["sh", "-c", f"echo $$ > {path}; exec sleep 1000"])
        while True:
            time.sleep(60)

    child = await bench.say(bench.job(leave_a_child, str(fifo)), fifo)
    os.kill(child, 0)
    await bench.pool.aclose()
    await gone(child)


async def test_a_large_value_comes_back_and_a_too_large_one_does_not(bench: Bench):
    large, too_large = bench.job(bytes, 5_000_000), bench.job(bytes, 8_000_000)
    value, text = await bench.run(large, too_large)
    assert value == bytes(5_000_000)
    assert bench.code(too_large) == "MaxResultSizeExceeded"
    assert "10485760" in text
    assert bench.code(large) is None


async def test_large_arguments_arrive(bench: Bench):
    assert await bench.run(bench.job(len, b"x" * 5_000_000)) == [5_000_000]


async def test_a_value_that_cannot_travel_is_an_error(bench: Bench):
    def generator():
        return (number for number in range(3))

    job = bench.job(generator)
    (text,) = await bench.run(job)
    assert bench.code(job) == "RemoteExecutionError"
    assert "generator" in text


async def test_a_function_is_a_value_too(bench: Bench):
    def make():
        return lambda x: x + 1

    (value,) = await bench.run(bench.job(make))
    assert value(41) == 42


async def test_result_serializers_are_tried_in_order(bench: Bench):
    prefix = "globus_compute_sdk.serialize."
    both = [prefix + "JSONData", prefix + "concretes.DillDataBase64"]
    plain, rich, none = (
        bench.job(add, 1, 2, serializers=both),
        bench.job(complex, 1, serializers=both),
        bench.job(complex, 1, serializers=both[:1]),
    )
    assert (await bench.run(plain, rich, none))[:2] == [3, 1 + 0j]
    data = [read_outcome(bench.messages[job.task_id][1]).data for job in (plain, rich)]
    assert [text[:3] for text in data] == ["11\n", "00\n"]
    assert bench.code(none) == "RemoteExecutionError"


async def test_text_with_half_a_character_passes_the_pipe(bench: Bench):
    assert await bench.run(bench.job(len, "\ud800")) == [1]


def seen_in_main():
    import os
    import sys

    main = sys.modules["__main__"]
    return os.environ["GC_TASK_UUID"], sorted(vars(main))


async def test_a_task_knows_its_id_and_finds_only_its_own_functions_in_main(bench: Bench):
    def look():
        return seen_in_main()

    job = bench.job(look)
    ((task_id, names),) = await bench.run(job)
    assert task_id == job.task_id
    assert [name for name in names if not name.startswith("_")] == ["seen_in_main"]


async def test_a_worker_imports_little(bench: Bench):
    def modules():
        import sys

        return [name for name in ("starlette", "uvicorn") if name in sys.modules]

    assert await bench.run(bench.job(modules)) == [[]]


async def test_workers_die_with_a_service_that_is_killed(fifo):
    program = textwrap.dedent(
        """
        import asyncio, json, sys
        from tests.local.test_workers import Bench, leave_word

        async def main():
            bench = Bench(1)
            await bench.pool.start()
            bench.pool.add([bench.job(leave_word, sys.argv[1])])
            await asyncio.Event().wait()

        asyncio.run(main())
        """
    )
    command = (sys.executable, "-c", program, str(fifo))
    root = Path(__file__).parents[2]
    service = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=root)  # noqa: ASYNC220
    try:
        worker = int(await asyncio.wait_for(asyncio.to_thread(fifo.read_text), LIMIT))
    finally:
        service.kill()
        service.wait()
    await gone(worker)


def leave_word(path):
    """Tell the process id, then be busy without a pause."""
    import os
    import pathlib

    pathlib.Path(path).write_text(str(os.getpid()))
    while True:
        pass


async def gone(pid: int) -> None:
    """Return when a process that is not our child has ended."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(watched, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), LIMIT)
    finally:
        loop.remove_reader(watched)
        os.close(watched)


async def test_a_pool_whose_workers_cannot_start_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    bench = Bench(2)
    with pytest.raises(RuntimeError, match="/bin/false"):
        await bench.pool.start()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(FileNotFoundError):
        await Bench(1).pool.start()
