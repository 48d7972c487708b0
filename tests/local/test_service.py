"""The service as a whole: beginning, end, and what outlives it."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import aio_pika
import aiormq
import httpx
import pytest

from funcx_async import FuncXClient, FuncXExecutor
from funcx_async.local import LocalService
from tests.local.dialogue import LIMIT, messages_of, next_of, payload, rest_of, task_id_of, value


def add(a: int, b: int) -> int:
    return a + b


def open_files() -> set[str]:
    """Our sockets and pipes."""
    links = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue
        if target.startswith(("socket:", "pipe:")):
            links.add(target)
    return links


def children() -> set[str]:
    """Our child processes."""
    found = set()
    for thread in Path("/proc/self/task").iterdir():
        found |= set((thread / "children").read_text().split())
    return found


async def test_nothing_is_left_behind():
    tasks, files, processes = asyncio.all_tasks(), open_files(), children()
    signals = signal_state()
    async with LocalService(workers=2) as service, rest_of(service) as rest:
        await rest.submit(await rest.register(add), *[payload(number, 1) for number in range(50)])
        await rest.executed(50)
        assert len(children() - processes) == 2
        assert signal_state() == signals
    assert asyncio.all_tasks() == tasks
    assert children() == processes
    assert open_files() == files
    for thread in threading.enumerate():
        if thread.name.startswith("waitpid"):
            thread.join(LIMIT)


def signal_state() -> tuple[object, ...]:
    import signal

    return tuple(signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM))


async def test_it_starts_quickly():
    loop = asyncio.get_running_loop()
    service = LocalService(workers=1)
    before = loop.time()
    await service.start()
    took = loop.time() - before
    await service.aclose()
    assert took < 3  # half a second, on a machine that has nothing else to do


async def test_closing_ends_running_tasks_and_requests_that_wait(rest, service):
    def forever():
        while True:
            pass

    await rest.submit(await rest.register(forever), payload())
    service.faults.hold_replies("endpoints")
    waiting = asyncio.create_task(rest.http.get("/v2/endpoints"))
    await asyncio.wait_for(service.faults.seen("endpoints"), LIMIT)
    await asyncio.wait_for(service.aclose(), LIMIT)
    assert (await asyncio.wait_for(waiting, LIMIT)).status_code == 200
    with pytest.raises(httpx.TransportError):
        await rest.http.get("/v2/endpoints")


async def test_two_services_live_side_by_side():
    async with (
        LocalService(workers=1) as first,
        LocalService(workers=1) as second,
        rest_of(first) as one,
        rest_of(second) as two,
    ):
        assert first.url != second.url
        assert first.token != second.token
        assert first.endpoint_id != second.endpoint_id
        assert value(await one.run(add, 1, 2)) == 3
        assert value(await two.run(add, 3, 4)) == 7
        assert first.faults.count("executed") == 1
        headers = {"Authorization": f"Bearer {first.token}"}
        answer = await two.http.get("/v2/endpoints", headers=headers)
        assert answer.status_code == 401


async def test_it_may_be_started_again():
    service = LocalService(workers=1)
    for _ in range(2):
        async with service, rest_of(service) as rest:
            assert value(await rest.run(add, 1, 2)) == 3
        await service.aclose()


async def test_a_second_start_is_refused(service):
    with pytest.raises(RuntimeError, match="running already"):
        await service.start()


async def test_what_needs_it_running_says_so():
    service = LocalService()
    for use in (
        lambda: service.url,
        lambda: service.endpoint_id,
        lambda: service.worker_process_ids,
        service.client,
        service.executor,
        service.faults.disconnect,
        service.faults.endpoint_offline,
    ):
        with pytest.raises(RuntimeError, match="not running"):
            use()
    await service.aclose()


def test_there_must_be_a_worker():
    with pytest.raises(ValueError, match="at least one worker"):
        LocalService(workers=0)


async def test_the_token_is_neither_in_the_repr_nor_in_the_log(caplog):
    caplog.set_level(logging.DEBUG)
    service = LocalService(workers=1)
    assert repr(service) == "<LocalService, not running>"
    async with service, rest_of(service) as rest:
        await rest.run(add, 1, 2)
        address = (await rest.http.get("/v2/get_amqp_result_connection_url")).json()
        password = httpx.URL(address["connection_url"]).password
        assert service.url in repr(service)
        assert service.token not in repr(service)
    ours = [record for record in caplog.records if record.name.startswith("funcx_async")]
    text = "\n".join(record.getMessage() for record in ours)
    assert service.token not in text
    assert password not in text


async def test_a_port_that_is_taken_leaves_nothing_running(service):
    before = children()
    port = int(service.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        await LocalService(workers=1, port=port).start()
    assert children() == before


async def test_a_file_carries_everything_to_the_next_service(tmp_path: Path):
    database = tmp_path / "service.sqlite"
    async with LocalService(workers=1, database=database) as first, rest_of(first) as rest:
        function_id = await rest.register(add)
        group_id, done = await rest.submit(function_id, payload(1, 2), create_queue=True)
        await rest.executed(1)
        with first.faults.endpoint_offline():
            _, unfinished = await rest.submit(
                function_id, payload(3, 4), task_group_id=group_id, create_queue=True
            )
            port, token, endpoint_id = first.url.rpartition(":")[2], first.token, first.endpoint_id
            await first.aclose()
    second = LocalService(workers=1, database=database, port=int(port), token=token)
    async with second, rest_of(second) as rest:
        assert second.endpoint_id == endpoint_id
        async with messages_of(rest, group_id) as messages:
            assert task_id_of(await next_of(messages)) == unfinished[0]
        documents = await rest.documents([*done, *unfinished])
        assert [value(document) for document in documents] == [3, 7]
        await rest.submit(function_id, payload(5, 6), task_group_id=group_id)
        await rest.executed(2)


async def test_clients_and_executors_come_ready_to_use():
    async with LocalService(workers=1) as service:
        client = service.client()
        assert isinstance(client, FuncXClient)
        assert service.token not in repr(client)
        executor = service.executor(batch_size=7)
        assert isinstance(executor, FuncXExecutor)
        assert executor.batch_size == 7
        assert executor.endpoint_id == service.endpoint_id
        async with executor:
            async with asyncio.timeout(LIMIT):
                assert await executor.submit(add, 1, 2) == 3


async def test_the_program_of_the_documentation_runs():
    async with LocalService() as service, service.executor() as fxe:
        assert await fxe.submit(add, 1, 2) == 3


async def test_a_rabbitmq_that_is_not_there_is_named_without_its_password(unused_port):
    url = f"amqp://guest:secret-word@127.0.0.1:{unused_port}/"
    service = LocalService(workers=1, amqp_url=url)
    before = children()
    with pytest.raises(ConnectionError, match=rf"127\.0\.0\.1:{unused_port}") as caught:
        await service.start()
    assert "secret-word" not in str(caught.value)
    assert "secret-word" not in repr(service)
    assert children() == before


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_old_credentials_stop_working(service, rest, monkeypatch):
    monkeypatch.setattr("funcx_async.local.publisher.USERS_AT_MOST", 2)
    path = "/v2/get_amqp_result_connection_url"
    urls = [(await rest.http.get(path)).json()["connection_url"] for _ in range(3)]
    with pytest.raises(aiormq.exceptions.AMQPError):
        await aio_pika.connect(urls[0])
    for url in urls[1:]:
        await (await aio_pika.connect(url)).close()


def test_a_missing_extra_is_named_with_its_remedy():
    program = (
        "import sys; sys.modules['starlette'] = None\n"
        "import funcx_async.local\n"
        "from funcx_async.local import LocalService"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "ImportError" in done.stderr
    assert "pip install 'funcx-async[local]'" in done.stderr


def test_the_package_has_no_other_names():
    import funcx_async.local as package

    assert dir(package) == ["Faults", "Hold", "LocalService"]
    with pytest.raises(AttributeError, match="no attribute 'Service'"):
        _ = package.Service


def test_workers_default_to_the_number_of_cpus(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert repr(LocalService()) == "<LocalService, not running>"
