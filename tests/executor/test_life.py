"""The executor's life: loops, threads, processes, shutdown in every order, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from types import SimpleNamespace

import pytest

from funcx_async import ExecutorClosed, FuncXExecutor, gather
from funcx_async.local import LocalService
from tests.executor.tasks import add, size_of

TIMEOUT = 60


def run(program: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


# Binding ------------------------------------------------------------------------------------------


def test_without_a_running_loop_submit_says_so():
    executor = FuncXExecutor("4b116d3c-1703-4f8f-9f6f-39921e5864df")
    with pytest.raises(RuntimeError, match="event loop"):
        executor.submit(add, 1)


def test_under_trio_submit_says_that_it_needs_asyncio(monkeypatch):
    # As in a task of trio's, which is no dependency of ours.
    trio = SimpleNamespace(lowlevel=SimpleNamespace(current_task=object))
    monkeypatch.setitem(sys.modules, "trio", trio)
    executor = FuncXExecutor("4b116d3c-1703-4f8f-9f6f-39921e5864df")
    with pytest.raises(RuntimeError, match="runs on asyncio, and this is trio"):
        executor.submit(add, 1)


async def test_a_thread_without_a_loop_cannot_be_the_first_user(executor):
    with pytest.raises(RuntimeError, match="none runs in this thread"):
        await asyncio.to_thread(executor.submit, add, 1)
    assert await executor.submit(add, 1) == 2
    assert await (await asyncio.to_thread(executor.submit, add, 2)) == 3


async def test_a_second_loop_is_refused_while_the_first_is_open(executor):
    await executor.submit(add, 1)

    async def elsewhere() -> None:
        executor.submit(add, 2)

    with pytest.raises(RuntimeError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, elsewhere())
    assert await executor.submit(add, 2) == 3


async def test_one_executor_can_serve_one_loop_after_another(environment: dict[str, str]):
    executor = FuncXExecutor()

    async def once(number: int) -> int:
        return await executor.submit(add, number)

    assert await asyncio.to_thread(asyncio.run, once(1)) == 2
    assert await asyncio.to_thread(asyncio.run, once(2)) == 3


# Python 3.12 and later warn of forking where there are threads, as those of pytest-xdist.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_a_forked_child_is_told_to_make_its_own(executor):
    await executor.submit(add, 1)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            executor.submit(add, 2)
        except RuntimeError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    await asyncio.to_thread(os.waitpid, child, 0)
    told = os.read(reader, 1_000).decode()
    os.close(reader)
    assert "forked" in told
    assert await executor.submit(add, 2) == 3


async def test_it_may_be_opened_in_one_task_and_closed_in_another(service: LocalService):
    executor = service.executor()
    await asyncio.create_task(executor.__aenter__())
    future = await asyncio.create_task(asyncio.to_thread(executor.submit, add, 1))
    await asyncio.create_task(executor.__aexit__(None, None, None))
    assert future.result() == 2


# Shutdown -----------------------------------------------------------------------------------------


async def test_leaving_waits_for_open_tasks(service: LocalService):
    async with service.executor() as executor:
        futures = [executor.submit(add, number) for number in range(10)]
    assert [future.result() for future in futures] == list(range(1, 11))


async def test_after_shutdown_nothing_is_taken_and_shutdown_may_be_repeated(executor):
    await executor.submit(add, 1)
    for _ in range(2):
        await executor.shutdown()
    with pytest.raises(ExecutorClosed):
        executor.submit(add, 1)
    with pytest.raises(RuntimeError):
        await executor.register_function(add)
    with pytest.raises(ExecutorClosed):
        await executor.reload_tasks()


async def test_an_executor_that_was_never_used_shuts_down():
    executor = FuncXExecutor()
    await executor.shutdown()
    await executor.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(ExecutorClosed):
        executor.submit(add, 1)


async def test_shutdown_without_waiting_lets_open_futures_settle(service: LocalService):
    executor = service.executor()
    with service.faults.endpoint_offline():
        future = executor.submit(add, 1)
        await future.submitted()
        await executor.shutdown(wait=False)
        assert not future.done()
    assert await asyncio.wait_for(future, TIMEOUT) == 2
    await executor.shutdown()


async def test_shutdown_can_cancel_what_is_not_sent(service: LocalService):
    executor = service.executor(batch_size=1)
    with service.faults.hold_replies("submit") as hold:
        futures = [executor.submit(add, number) for number in range(20)]
        await hold.seen()
        await executor.shutdown(wait=False, cancel_futures=True)
    await executor.shutdown()
    assert not futures[0].cancelled()
    assert futures[0].result() == 1
    assert futures[-1].cancelled()


async def test_leaving_with_an_error_does_not_wait_and_names_what_is_left(service, caplog):
    with service.faults.endpoint_offline():
        executor = service.executor(label="mine")
        future = executor.submit(add, 1)
        await future.submitted()
        with pytest.raises(KeyError):
            async with executor:
                raise KeyError
        assert not future.done()
        assert "mine" in caplog.text
        assert str(executor.task_group_id) in caplog.text
    assert await asyncio.wait_for(future, TIMEOUT) == 2
    await executor.shutdown()


async def test_a_cancelled_shutdown_can_be_repeated(service: LocalService):
    executor = service.executor()
    with service.faults.endpoint_offline():
        future = executor.submit(add, 1)
        await future.submitted()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(executor.shutdown(), 0.01)
    await asyncio.wait_for(executor.shutdown(), TIMEOUT)
    assert future.result() == 2


async def test_an_executor_closes_the_client_that_it_made_and_no_other(service, environment):
    async with FuncXExecutor() as executor:
        assert await executor.submit(add, 1) == 2
    client = service.client()
    async with FuncXExecutor(service.endpoint_id, funcx_client=client) as executor:
        await executor.submit(add, 1)
    assert "api" in await client.get_version()


# The end ------------------------------------------------------------------------------------------


async def test_when_the_loop_ends_open_futures_fail_with_clear_words(service, environment):
    futures = []

    async def leave_open() -> None:
        executor = FuncXExecutor()
        futures.append(executor.submit(add, 1))
        await futures[0].submitted()

    with service.faults.endpoint_offline():
        await asyncio.to_thread(asyncio.run, leave_open())
    with pytest.raises(ExecutorClosed, match="reload_tasks"):
        futures[0].result(timeout=TIMEOUT)
    with pytest.raises(ExecutorClosed) as caught:
        await futures[0]
    assert caught.value.task_id == futures[0].task_id


async def test_shutting_down_from_a_second_loop_is_refused(executor):
    await executor.submit(add, 1)
    with pytest.raises(RuntimeError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, executor.shutdown())
    assert await executor.submit(add, 2) == 3


async def test_open_futures_fail_when_the_loop_was_closed_over_them(service, environment):
    """No cancellation tells the executor that its loop is gone."""
    program = """
        import asyncio, gc, warnings
        from funcx_async import ExecutorClosed, FuncXExecutor

        warnings.simplefilter("ignore")  # a loop that is closed like this leaves things open
        loop = asyncio.new_event_loop()
        executor = FuncXExecutor()

        async def leave_open():
            future = executor.submit(pow, 2, 3)
            await future.submitted()
            return future

        future = loop.run_until_complete(leave_open())
        loop.close()
        asyncio.run(executor.shutdown())
        print(type(future.exception()).__name__)
    """
    with service.faults.endpoint_offline():
        ended = await asyncio.to_thread(run, program, environment)
    assert ended.stdout == "ExecutorClosed\n", ended.stderr


async def test_a_forgotten_executor_ends_by_itself_once_nothing_is_open(service: LocalService):
    executor = service.executor()
    future = executor.submit(add, 1)
    gone = weakref.ref(executor)
    ours = {task for task in asyncio.all_tasks() if task.get_name() == "funcx:executor"}
    del executor
    gc.collect()
    assert gone() is None
    assert await future == 2
    await asyncio.wait_for(asyncio.gather(*ours), TIMEOUT)


async def test_an_executor_that_ends_with_tasks_unsent_leaves_them_to_garbage_collection(
    service: LocalService,
):
    executor = service.executor()
    await executor.submit(add, 1)
    queued = [executor.submit(add, number) for number in range(5)]
    await executor.shutdown(cancel_futures=True)
    assert all(future.cancelled() for future in queued)
    gone = [weakref.ref(future) for future in queued]
    del executor, queued
    gc.collect()
    assert [reference() for reference in gone] == [None] * 5


def test_so_does_one_whose_loop_is_closed_over_them(environment: dict[str, str]):
    """As is one that nobody shuts down either."""
    program = """
        import asyncio, gc, warnings, weakref
        from funcx_async import FuncXExecutor

        warnings.simplefilter("ignore")  # a loop that is closed like this leaves things open
        loop = asyncio.new_event_loop()
        executor = FuncXExecutor()

        async def submit():
            return executor.submit(pow, 2, 3)

        gone = weakref.ref(loop.run_until_complete(submit()))
        loop.close()
        del executor, loop
        gc.collect()
        gc.collect()  # coroutines that await once more as they are closed live until here
        print(gone())
    """
    ended = run(program, environment)
    assert ended.stdout == "None\n", ended.stderr


LEFT_OPEN = {
    "idle": """
        async def use():
            assert await executor.submit(pow, 2, 3) == 8
            await requests_over()
    """,
    "open": """
        async def use():
            events = executor.events()
            future = executor.submit(pow, 2, 3)
            future.add_done_callback(lambda future: None)
            await future.submitted()
            while (await anext(events)).kind is not EventKind.CONNECTED:
                pass
            await requests_over()
    """,
    "queued": """
        async def use():
            executor.submit(pow, 2, 3)
    """,
    "being sent": """
        sending = asyncio.Event()

        async def never_answer(request):
            sending.set()
            await asyncio.Event().wait()

        transport = httpx.MockTransport(never_answer)
        client = FuncXClient("http://127.0.0.1:9", auth="token", transport=transport)
        executor = FuncXExecutor(funcx_client=client)

        async def use():
            future = executor.submit(pow, 2, 3)
            await sending.wait()
    """,
}


@pytest.mark.parametrize("use", [pytest.param(use, id=name) for name, use in LEFT_OPEN.items()])
async def test_a_loop_that_was_closed_over_an_executor_is_garbage_collected(
    service, environment, use
):
    """With the streams, futures and connections of it: nobody has to shut the executor down."""
    program = f"""
        import asyncio, gc, warnings, weakref
        import httpx
        from funcx_async import EventKind, FuncXClient, FuncXExecutor

        warnings.simplefilter("ignore")  # a loop that is closed like this leaves things open

        class Loop(asyncio.SelectorEventLoop):
            "One that weak references can be made to."

        async def requests_over():
            "A library underneath holds requests that are on the wire as their loop is closed."
            asking = [each for each in asyncio.all_tasks() if each.get_name() == "funcx:endpoint"]
            await asyncio.gather(*asking)

        loop = Loop()
        gone = weakref.ref(loop)
        executor = FuncXExecutor()
        {textwrap.indent(textwrap.dedent(use), " " * 8).strip()}

        loop.run_until_complete(use())
        loop.close()
        del executor, loop, use
        client = transport = never_answer = sending = None
        for _ in range(3):  # coroutines that await once more as they are closed live on until then
            gc.collect()
        print(gone())
    """
    with service.faults.hold_results() if "CONNECTED" in use else contextlib.nullcontext():
        ended = await asyncio.to_thread(run, program, environment)
    assert ended.stdout == "None\n", ended.stderr


async def test_nothing_is_left_behind(service: LocalService):
    before = asyncio.all_tasks()
    async with service.executor() as executor:
        await gather(*(executor.submit(add, number) for number in range(5)))
    left = {task for task in asyncio.all_tasks() - before if "funcx" in task.get_name()}
    assert not left


async def test_executors_of_one_group_share_one_consumer(service: LocalService):
    async with service.executor() as first:
        await first.submit(add, 0)
        async with service.executor(task_group_id=first.task_group_id) as second:
            before = service.faults.count("amqp_url")
            futures = [
                executor.submit(add, number) for number in range(20) for executor in (first, second)
            ]
            assert sum(await gather(*futures)) == 2 * sum(range(1, 21))
            assert service.faults.count("amqp_url") == before
        assert await first.submit(size_of, "four") == 4, "the stream outlives the one that left"


async def test_executors_in_several_threads_do_not_disturb_each_other(environment):
    async def run(number: int) -> int:
        async with FuncXExecutor() as executor:
            return sum(await gather(*(executor.submit(add, number) for _ in range(20))))

    def in_thread(number: int) -> int:
        assert threading.current_thread() is not threading.main_thread()
        return asyncio.run(run(number))

    sums = await asyncio.gather(*(asyncio.to_thread(in_thread, n) for n in range(3)))
    assert sums == [20, 40, 60]


async def test_a_program_that_ends_with_open_futures_ends_at_once_and_quietly(service, environment):
    program = """
        import asyncio, os
        from funcx_async import FuncXExecutor

        def forever():
            import time
            time.sleep(1000)

        async def main():
            executor = FuncXExecutor()
            await executor.submit(forever).submitted()
            print("leaving")

        asyncio.run(main())
    """
    with service.faults.endpoint_offline():
        ended = await asyncio.to_thread(run, program, environment)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "leaving\n", "")


async def test_however_many_groups_an_executor_sees_it_keeps_few_connections(
    service: LocalService,
):
    groups = []
    for _ in range(8):
        async with service.executor() as other:
            await other.submit(add, 1)
            groups.append(other.task_group_id)
    async with service.executor() as executor:
        for _ in range(2):
            for group in groups:
                assert await executor.options(task_group_id=group).submit(add, 1) == 2
        assert await executor.submit(add, 2) == 3
        streams = {task for task in asyncio.all_tasks() if "funcx:results" in task.get_name()}
        assert len(streams) <= 6


# Programs that end ------------------------------------------------------------------------------


FORGETFUL = """
    import asyncio
    from funcx_async import FuncXExecutor

    async def main():
        executor = FuncXExecutor(label="mine")
        for number in range(3):
            executor.submit(pow, number, 2)

    asyncio.run(main())
"""


async def test_a_program_that_ends_before_its_tasks_are_sent_says_how_many(environment):
    ended = await asyncio.to_thread(run, FORGETFUL, environment)
    assert ended.returncode == 0
    assert "The executor ended before 3 task(s) were sent: they do not run." in ended.stderr


async def test_in_development_mode_a_forgotten_executor_is_named_with_the_line_that_made_it(
    environment, tmp_path
):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(FORGETFUL))
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-X", "dev", program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert "ResourceWarning: FuncXExecutor 'mine' was not shut down" in ended.stderr
    assert f"It was made at {program}:6." in ended.stderr


async def test_what_is_open_when_its_local_service_closes_says_that_the_service_was_closed():
    async with LocalService(workers=1) as service:
        executor = service.executor()
        with service.faults.endpoint_offline():
            future = executor.submit(add, 1)
            await asyncio.wait_for(future.submitted(), TIMEOUT)
    with pytest.raises(ExecutorClosed, match="The local service was closed"):
        await asyncio.wait_for(future, TIMEOUT)
