"""The life of the blocking executor: threads, Ctrl-C, fork, shutdown in every order, the end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import textwrap
import threading
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from funcx_async import ExecutorClosed
from funcx_async.blocking import FuncXClient, FuncXExecutor, LocalService
from funcx_async.local import LocalService as AsyncLocalService
from tests.blocking.conftest import Program
from tests.executor.tasks import add

TIMEOUT = 60

PRELUDE = """
import os, signal, sys, threading
from funcx_async.blocking import FuncXExecutor

def add(a, b=1):
    return a + b

"""


# Threads ------------------------------------------------------------------------------------------


def test_no_thread_starts_before_first_use_and_one_serves_all(run: Program):
    program = """
        with FuncXExecutor() as unused:
            unused.label = "unused"
        unused.shutdown()
        print(threading.active_count(), unused, unused.stats.open)
        executors = [FuncXExecutor() for _ in range(3)]
        print(sum(executor.submit(add, 1).result() for executor in executors))
        print(threading.active_count())
    """
    ended = run(PRELUDE + textwrap.dedent(program))
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [
        "1 <FuncXExecutor 'unused' 0 queued, 0 batches in flight, 0 open> 0",
        "6",
        "2",
    ]


def test_should_the_thread_die_open_futures_fail_and_a_new_one_serves(run: Program):
    program = """
        import time
        from funcx_async.blocking.portal import portal

        async def die():
            raise SystemExit

        executor = FuncXExecutor()
        future = executor.submit(time.sleep, 3)
        try:
            portal().wait(die)
        except SystemExit:
            [thread.join() for thread in threading.enumerate() if thread.daemon]
        print(type(future.exception(5)).__name__, executor.submit(add, 1).result())
    """
    ended = run(PRELUDE + textwrap.dedent(program))
    assert ended.stdout == "ExecutorClosed 2\n", ended.stderr


def test_a_forgotten_executor_ends_once_nothing_is_open(service: LocalService):
    executor = service.executor()
    future = executor.submit(add, 1)
    settled = threading.Event()
    future.add_done_callback(lambda _: settled.set())
    gone = weakref.ref(executor)
    inside = weakref.ref(executor.asynchronous)
    del executor
    gc.collect()
    assert gone() is None
    assert inside() is None
    assert settled.wait(TIMEOUT)
    assert future.result() == 2


# Shutdown -----------------------------------------------------------------------------------------


def test_leaving_waits_for_open_tasks_also_with_an_error(service: LocalService):
    with service.executor() as executor:
        futures = [executor.submit(add, number) for number in range(10)]
    assert [future.result(0) for future in futures] == list(range(1, 11))

    def leave_with_an_error() -> None:
        with service.executor() as executor:
            futures.append(executor.submit(add, 20))
            raise KeyError

    with pytest.raises(KeyError):
        leave_with_an_error()
    assert futures[-1].result(0) == 21


def test_after_shutdown_nothing_is_taken_and_shutdown_may_be_repeated(executor: FuncXExecutor):
    executor.submit(add, 1)
    for wait in (True, False, True):
        executor.shutdown(wait)
    with pytest.raises(RuntimeError):
        executor.submit(add, 1)
    with pytest.raises(ExecutorClosed):
        executor.submit_to_registered_function("b0a5d1a0-2b22-4381-b899-ba73321e41e0")
    with pytest.raises(ExecutorClosed):
        executor.register_function(add)
    with pytest.raises(ExecutorClosed):
        executor.reload_tasks()


def test_an_executor_that_was_never_used_shuts_down():
    executor = FuncXExecutor()
    executor.shutdown()
    executor.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(ExecutorClosed):
        executor.submit(add, 1)


@pytest.fixture
async def elsewhere() -> AsyncIterator[AsyncLocalService]:
    """A service on the test's own loop, for its faults; what blocks is called in threads."""
    async with AsyncLocalService(workers=1) as running:
        yield running


@pytest.fixture
async def client(elsewhere: AsyncLocalService) -> AsyncIterator[FuncXClient]:
    opened = FuncXClient(elsewhere.url, auth=elsewhere.token)
    yield opened
    await asyncio.to_thread(opened.close)


async def test_submit_returns_at_once_and_shutdown_without_waiting_lets_futures_settle(
    elsewhere, client
):
    executor = FuncXExecutor(elsewhere.endpoint_id, funcx_client=client)
    with elsewhere.faults.endpoint_offline():
        future = await asyncio.wait_for(asyncio.to_thread(executor.submit, add, 1), TIMEOUT)
        await future.submitted()
        await asyncio.wait_for(asyncio.to_thread(executor.shutdown, wait=False), TIMEOUT)
        assert not future.done()
        shutting_down = asyncio.create_task(asyncio.to_thread(executor.shutdown))
    assert await asyncio.to_thread(future.result, TIMEOUT) == 2
    await asyncio.wait_for(shutting_down, TIMEOUT)


async def test_shutdown_can_cancel_what_is_not_sent(elsewhere, client):
    executor = FuncXExecutor(elsewhere.endpoint_id, funcx_client=client, batch_size=1)
    with elsewhere.faults.hold_replies("submit") as hold:
        futures = await asyncio.to_thread(lambda: [executor.submit(add, n) for n in range(20)])
        await hold.seen()
        await asyncio.to_thread(executor.shutdown, wait=False, cancel_futures=True)
        assert futures[-1].cancelled()
    await asyncio.wait_for(asyncio.to_thread(executor.shutdown), TIMEOUT)
    assert await futures[0] == 1


# Ctrl-C -------------------------------------------------------------------------------------------


@asynccontextmanager
async def running(
    service: AsyncLocalService, program: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    variables = {
        "FUNCX_ASYNC_SERVICE_URL": service.url,
        "FUNCX_ASYNC_TOKEN": service.token,
        "FUNCX_ASYNC_ENDPOINT_ID": service.endpoint_id,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(program)),
        env=os.environ | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def said(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def test_ctrl_c_while_waiting_for_a_result_leaves_task_and_executor_alone(elsewhere):
    program = """
        executor = FuncXExecutor()
        future = executor.submit(add, 1)
        try:
            print("waiting", flush=True)
            future.result()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        print(future.result(), executor.submit(add, 2).result())
    """
    async with running(elsewhere, program) as process:
        with elsewhere.faults.endpoint_offline():
            assert await said(process) == "waiting"
            process.send_signal(signal.SIGINT)
            assert await said(process) == "interrupted"
        assert await process.communicate() == (b"2 3\n", b"")


async def test_ctrl_c_while_registering_ends_the_request_and_it_can_be_made_again(elsewhere):
    program = """
        executor = FuncXExecutor()
        try:
            executor.register_function(add)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        executor.register_function(add)
        print(executor.submit(add, 1).result())
    """
    async with running(elsewhere, program) as process:
        with elsewhere.faults.hold_replies("register") as hold:
            await hold.seen()
            process.send_signal(signal.SIGINT)
            assert await said(process) == "interrupted"
        assert await process.communicate() == (b"2\n", b"")


async def test_ctrl_c_while_shutting_down_leaves_open_tasks_alone(elsewhere):
    program = """
        executor = FuncXExecutor()
        future = executor.submit(add, 1)
        try:
            print("waiting", flush=True)
            executor.shutdown()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        executor.shutdown()
        print(future.result(0))
    """
    async with running(elsewhere, program) as process:
        with elsewhere.faults.endpoint_offline():
            assert await said(process) == "waiting"
            process.send_signal(signal.SIGINT)
            assert await said(process) == "interrupted"
        assert await process.communicate() == (b"2\n", b"")


async def test_ctrl_c_in_a_with_block_leaves_it_at_once_and_names_what_goes_on(elsewhere):
    program = """
        with FuncXExecutor(label="mine") as executor:
            future = executor.submit(add, 1)
            while executor.task_group_id is None:
                pass
            print(executor.task_group_id, flush=True)
            future.result()
    """
    with elsewhere.faults.endpoint_offline():
        async with running(elsewhere, program) as process:
            group = await said(process)
            process.send_signal(signal.SIGINT)
            output, errors = await process.communicate()
    assert output == b""
    assert f"mine: leaving with an error; 1 task(s) of the group {group}" in errors.decode()
    assert errors.decode().rstrip().endswith("KeyboardInterrupt")


# The end ------------------------------------------------------------------------------------------


BEGINNING = """
    import asyncio

    def forever():
        import time
        time.sleep(1000)

    def taken(future):
        asyncio.run(future.submitted())

"""


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("taken(executor.submit(add, 1))", id="sent"),
        pytest.param("executor.submit(add, 1)", id="not sent yet"),
        pytest.param("executor.submit(add, 1); executor.shutdown(False)", id="closing"),
        pytest.param("executor.submit(add, 1); sys.exit()", id="by exit"),
        pytest.param("executor.submit(add, 1); del executor", id="forgotten"),
        pytest.param(
            "executor.submit(add, 1); other.submit(add, 2, 3).result(); del other", id="several"
        ),
        pytest.param(
            "threading.Thread(target=executor.submit, args=(add, 1)).start()", id="by a thread"
        ),
    ],
)
async def test_a_program_that_ends_waits_for_its_tasks(elsewhere, program):
    told = """
        executor, other = FuncXExecutor(), FuncXExecutor()
        submit = FuncXExecutor.submit

        def submitting(self, *args):
            future = submit(self, *args)
            future.add_done_callback(lambda future: print(future.result(), flush=True))
            return future

        FuncXExecutor.submit = submitting
    """
    text = textwrap.dedent(BEGINNING) + textwrap.dedent(told) + program
    async with running(elsewhere, text) as process:
        output, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert b"2\n" in output


async def test_ctrl_c_at_the_end_of_a_program_says_how_many_tasks_go_on_and_where(elsewhere):
    program = """
        executor = FuncXExecutor()
        futures = [executor.submit(add, number) for number in range(3)]
        for future in futures:
            taken(future)
        print(executor.task_group_id, flush=True)
    """
    with elsewhere.faults.endpoint_offline():
        async with running(
            elsewhere, textwrap.dedent(BEGINNING) + textwrap.dedent(program)
        ) as process:
            group = await said(process)
            assert process.stderr is not None
            waiting = (await process.stderr.readline()).decode()
            assert "waits at its end for 3 open task(s)" in waiting
            process.send_signal(signal.SIGINT)
            _, errors = await process.communicate()
    assert process.returncode == 0
    told = errors.decode()
    assert "3 go on without being awaited, 0 were not sent" in told
    assert group in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("print(executor.submit(forever).cancel())", id="cancelled"),
        pytest.param("future = executor.submit(forever); taken(future)", id="sent"),
        pytest.param("taken(executor.submit(forever)); executor.shutdown(False)", id="closing"),
        pytest.param("taken(executor.submit(forever)); del executor", id="forgotten"),
        pytest.param(
            "future = executor.submit(forever); taken(future)\n"
            "threading.Thread(target=future.exception, daemon=True).start()",
            id="while a thread waits",
        ),
        pytest.param("taken(executor.submit(forever)); taken(other.submit(forever))", id="several"),
    ],
)
async def test_a_program_that_is_not_to_wait_ends_promptly_and_quietly(elsewhere, program):
    made = "executor, other = [FuncXExecutor(wait_at_exit=False) for _ in range(2)]\n"
    text = textwrap.dedent(BEGINNING) + made + program
    with elsewhere.faults.endpoint_offline():
        async with running(elsewhere, text) as process:
            _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")


async def test_a_program_that_is_not_to_wait_says_how_many_tasks_are_not_sent(elsewhere):
    program = """
        executor = FuncXExecutor(wait_at_exit=False)
        futures = [executor.submit(add, number) for number in range(3)]
    """
    elsewhere.faults.refuse("submit", status=503, retry_after=100)
    try:
        async with running(elsewhere, textwrap.dedent(program)) as process:
            _, errors = await process.communicate()
    finally:
        elsewhere.faults.reset()
    assert "ended before 3 task(s) were sent" in errors.decode()


async def test_a_thread_that_waits_when_the_main_thread_ends_gets_its_result(elsewhere):
    program = """
        executor = FuncXExecutor()
        future = executor.submit(add, 1)
        threading.Thread(target=lambda: print(future.result())).start()
        print("ending", flush=True)
    """
    async with running(elsewhere, program) as process:
        with elsewhere.faults.endpoint_offline():
            assert await said(process) == "ending"
        assert await process.communicate() == (b"2\n", b"")


async def test_at_the_end_open_futures_fail_with_clear_words(elsewhere):
    program = """
        executor = FuncXExecutor(wait_at_exit=False)
        future = executor.submit(add, 1)
        future.add_done_callback(lambda future: print(repr(future.exception())))
    """
    with elsewhere.faults.endpoint_offline():
        async with running(elsewhere, program) as process:
            output, _ = await process.communicate()
    assert "ExecutorClosed" in output.decode()
    assert "reload_tasks" in output.decode()


def test_a_local_service_that_was_not_closed_ends_with_its_program_quietly(run: Program):
    program = """
        from funcx_async.blocking import LocalService
        service = LocalService(workers=1)
        service.start()
        print(service.executor().submit(pow, 2, 5).result())
    """
    ended = run(textwrap.dedent(program))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "32\n", "")


# Fork ---------------------------------------------------------------------------------------------


def test_in_a_forked_process_the_old_executor_refuses_and_a_new_one_works(run: Program):
    program = """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: our very subject
        import time

        def told(call):
            try:
                return call()
            except RuntimeError as error:
                return str(error)

        executor = FuncXExecutor()
        # A process that is forked while one of its threads imports a module never gets the rest
        # of it; after a first result all is there.
        executor.submit(add, 0).result()
        future = executor.submit(time.sleep, 0.5)
        child = os.fork()
        if child == 0:
            print(told(lambda: executor.submit(add, 1)))
            print(told(lambda: executor.register_function(add)))
            print(told(future.result))
            executor.shutdown()
            with FuncXExecutor() as own:
                print(own.submit(add, 1).result(), flush=True)
            sys.exit()
        print(os.waitpid(child, 0)[1], future.result(), executor.submit(add, 2).result())
    """
    ended = run(PRELUDE + textwrap.dedent(program))
    assert ended.stderr == ""
    submit, register, result, own, parent = ended.stdout.splitlines()
    assert "forked" in submit
    assert "make a new one" in submit
    assert "forked" in register
    assert "forked" in result
    assert own == "2"
    assert parent == "0 None 3"
