"""Hostile clients, full disks and tasks that misbehave: the local service goes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from funcx_async.local import LocalService
from funcx_async.local.broker import EmbeddedBroker
from funcx_async.local.database import open_database
from funcx_async.local.dispatch import Dispatch
from funcx_async.local.http_server import HttpServer
from funcx_async.local.injection import Switches
from funcx_async.local.publisher import EmbeddedPublisher
from funcx_async.local.store import Store
from tests.local.broker.wire import opened
from tests.local.dialogue import LIMIT, Rest, payload, rest_of, value

HELLO_WORLD = "b0a5d1a0-2b22-4381-b899-ba73321e41e0"
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


async def greet(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


@contextlib.asynccontextmanager
async def server(**options: Any) -> AsyncIterator[HttpServer]:
    serving = HttpServer("127.0.0.1", 0, **options)
    await serving.start(greet)
    try:
        yield serving
    finally:
        await serving.aclose()


@contextlib.asynccontextmanager
async def idle(port: int) -> AsyncIterator[asyncio.StreamReader]:
    """A connection on which nothing is said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader
    finally:
        writer.transport.abort()


async def raw(port: int, data: bytes) -> bytes:
    """Send bytes on a connection of their own, and read until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    async with asyncio.timeout(LIMIT):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nX-Slow: 1\r\n"])
async def test_connection_without_a_complete_request_is_closed(sent: bytes):
    async with server(authenticate_within=0.05) as serving:
        assert await raw(serving.port, sent) == b""


async def test_connection_that_never_brings_a_token_is_closed_when_idle():
    async with server(authenticate_within=0.05) as serving:
        answer = await raw(serving.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.endswith(b"hello")


async def test_beyond_the_limit_a_stranger_makes_way_for_a_new_connection():
    async with (
        server(most_connections=2) as serving,
        idle(serving.port) as oldest,
        idle(serving.port),
        httpx.AsyncClient(timeout=LIMIT) as http,
    ):
        assert (await http.get(f"http://127.0.0.1:{serving.port}/")).text == "hello"
        async with asyncio.timeout(LIMIT):
            with contextlib.suppress(ConnectionError):
                assert await oldest.read() == b""


@contextlib.contextmanager
def limited(kind: int, limit: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


class Log(logging.Handler):
    """Keeps records, and tells when the first one has come."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.first = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.first.set()


@contextlib.contextmanager
def logged(*names: str) -> Iterator[Log]:
    log = Log()
    for name in names:
        logging.getLogger(name).addHandler(log)
    try:
        yield log
    finally:
        for name in names:
            logging.getLogger(name).removeHandler(log)


async def test_without_file_descriptors_clients_wait_and_the_log_has_one_line():
    async with server() as serving:
        client = socket.socket()
        client.setblocking(False)
        with logged("asyncio", "funcx_async.local.listener") as log:
            with limited(resource.RLIMIT_NOFILE, client.fileno() + 1):
                loop = asyncio.get_running_loop()
                await loop.sock_connect(client, ("127.0.0.1", serving.port))
                async with asyncio.timeout(LIMIT):
                    await log.first.wait()
            await loop.sock_sendall(client, b"GET / HTTP/1.0\r\n\r\n")
            async with asyncio.timeout(LIMIT):
                assert await loop.sock_recv(client, 1000)
        client.close()
        assert len(log.records) == 1
        assert log.records[0].exc_info is None


async def test_broker_at_its_limit_refuses_nobody_who_logs_in(monkeypatch):
    monkeypatch.setattr("funcx_async.local.broker.embedded.connection_limit", lambda: 2)
    async with EmbeddedBroker() as broker, contextlib.AsyncExitStack() as strangers:
        broker.add_user("alice", "secret")
        for _ in range(5):
            await strangers.enter_async_context(idle(broker.port))
        async with opened(broker.url("alice", "secret")):
            assert broker.connections <= 3


# Requests


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is logged with a traceback."""
    yield
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.usefixtures("quiet")
async def test_target_that_is_no_url_is_refused(service: LocalService):
    port = httpx.URL(service.url).port
    assert port is not None
    answer = await raw(port, b"GET http://[ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("header", [b"Basic \xff\xfe", b"Basic !!!", b"Basic", b"\xe9"])
async def test_malformed_basic_header_is_refused(header: bytes):
    async with (
        LocalService(workers=1, agents=True, amqp_url="amqp://guest:guest@127.0.0.1:5672/") as own,
        httpx.AsyncClient(base_url=own.url) as http,
    ):
        answer = await http.post("/v2/oauth2/token", headers={b"Authorization": header})
        assert answer.status_code == 401


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("depth", [900, 5_000, 100_000])
async def test_deeply_nested_json_is_refused_or_taken(rest: Rest, depth: int):
    deep = "[" * depth + "]" * depth
    meta = f'{{"function_name": "f", "function_code": "01", "meta": {{"deep": {deep}}}}}'
    submit = f'{{"tasks": {{"{HELLO_WORLD}": ["x"]}}, "user_endpoint_config": {{"deep": {deep}}}}}'
    for path, body in [
        ("/v3/functions", meta),
        (f"/v3/endpoints/{rest.service.endpoint_id}/submit", submit),
        ("/v2/batch_status", f'{{"task_ids": {deep}}}'),
        ("/v2/submit", f'{{"tasks": {deep}}}'),
    ]:
        answer = await rest.http.post(path, content=body)
        assert answer.status_code < 500, path
    assert (await rest.post({HELLO_WORLD: [payload()]})).status_code == 200


async def test_look_up_of_many_tasks_lets_others_have_their_turn():
    store = Store()
    dispatch = Dispatch(store, EmbeddedPublisher(EmbeddedBroker()), Switches())
    look_up = asyncio.ensure_future(dispatch.documents(map(str, range(24_000))))
    turns = 0
    while not look_up.done():
        await asyncio.sleep(0)
        turns += 1
    assert len(look_up.result()) == 24_000
    assert turns > 50
    store.close()


async def test_submit_of_too_many_tasks_is_refused_as_too_large(rest: Rest):
    answer = await rest.post({HELLO_WORLD: [""] * 10_001})
    assert (answer.status_code, answer.json()["code"]) == (413, "BATCH_RUN_TOO_LARGE")


async def test_request_without_a_token_uses_up_no_fault(rest: Rest):
    rest.service.faults.refuse("submit", status=503, times=1)
    rest.service.faults.lose_replies("amqp_url", times=1)
    async with httpx.AsyncClient(base_url=rest.service.url) as stranger:
        path = f"/v3/endpoints/{rest.service.endpoint_id}/submit"
        assert (await stranger.post(path, json={})).status_code == 401
        assert (await stranger.get("/v2/get_amqp_result_connection_url")).status_code == 401
    assert rest.service.faults.count("submit") == 0
    assert (await rest.post({HELLO_WORLD: [payload()]})).status_code == 503
    with pytest.raises(httpx.RemoteProtocolError):
        await rest.http.get("/v2/get_amqp_result_connection_url")


# Tasks and disks


def raise_half_a_pair():
    raise ValueError("file \udce9.txt is missing")


async def test_error_text_with_half_a_surrogate_pair_is_delivered(rest: Rest):
    document = await rest.run(raise_half_a_pair)
    assert document["status"] == "failed"
    assert "file \\udce9.txt is missing" in document["exception"]


async def test_full_disk_refuses_submits_and_loses_no_result(tmp_path: Path):
    path = tmp_path / "service.sqlite"
    async with LocalService(workers=1, database=path) as own, rest_of(own) as rest:
        function = await rest.register(wait_for)
        go, begun = tmp_path / "go", tmp_path / "begun"
        os.mkfifo(go)
        os.mkfifo(begun)
        _, ids = await rest.submit(function, payload(str(begun), str(go)))
        await asyncio.to_thread(begun.read_text)
        size = largest(tmp_path)
        with logged("funcx_async.local.workers.pool") as log:
            with limited(resource.RLIMIT_FSIZE, size), ignored(signal.SIGXFSZ):
                refusal = await rest.post({function: ["x" * 100_000]})
                assert (refusal.status_code, refusal.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
                await asyncio.to_thread(go.write_text, "y" * 1000)
                async with asyncio.timeout(LIMIT):
                    await log.first.wait()
            await rest.executed(1)
        assert value((await rest.documents(ids))[0]) == "y" * 1000 * 100
        assert value(await rest.run(len, "four")) == 4


def largest(folder: Path) -> int:
    """Return the size of the largest file in a folder, in bytes."""
    return max(each.stat().st_size for each in folder.iterdir())


def wait_for(begun: str, go: str) -> str:
    import pathlib

    pathlib.Path(begun).write_text("begun")
    return pathlib.Path(go).read_text() * 100


@contextlib.contextmanager
def ignored(number: int) -> Iterator[None]:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_store_works_again_after_the_disk_was_full(tmp_path: Path):
    store = Store(tmp_path / "service.sqlite")
    function, group = store.add_function("f", "01"), store.add_task_group(queued=False)
    (pages,) = store.database.execute("PRAGMA page_count").fetchone()
    store.database.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.add_tasks([(function, "x" * 100_000)], group_id=group, endpoint_id="e")
    store.database.execute("PRAGMA max_page_count = 100000")
    assert store.add_tasks([(function, "x")], group_id=group, endpoint_id="e")
    store.close()


async def test_classic_submit_that_does_not_fit_the_disk_takes_no_task(tmp_path: Path):
    store = Store(tmp_path / "service.sqlite")
    dispatch = Dispatch(store, EmbeddedPublisher(EmbeddedBroker()), Switches())
    function = store.add_function("f", "01")
    (pages,) = store.database.execute("PRAGMA page_count").fetchone()
    store.database.execute(f"PRAGMA max_page_count = {pages + 1}")
    tasks = {"first": [(function, "x")], "second": [(function, "x" * 100_000)]}
    with pytest.raises(sqlite3.OperationalError, match="full"):
        await dispatch.take_classic(tasks, group_id="group", create_queue=False)
    assert store.open_jobs() == {}
    store.close()


@pytest.mark.parametrize("kind", [3, 4, 5], ids=["ready", "done", "returned"])
async def test_task_that_writes_a_frame_into_its_pipe_fails_and_others_run(rest: Rest, kind: int):
    document = await rest.run(write_frame, kind, 0)
    if kind != 5:
        assert document["status"] == "failed"
        assert "something other than results came through its pipe" in document["exception"]
    assert value(await rest.run(len, "four")) == 4


async def test_task_that_writes_a_result_without_its_id_fails(rest: Rest):
    document = await rest.run(write_frame, 4, 200)
    assert document["status"] == "failed"
    assert "something other than results came through its pipe" in document["exception"]
    assert value(await rest.run(len, "four")) == 4


def write_frame(kind: int, length: int) -> None:
    import contextlib
    import os
    import stat
    import struct
    import time

    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode) or kind:
                os.write(descriptor, struct.pack(">IB", length, kind) + bytes(length))
    if kind != 5:
        time.sleep(20)


def close_everything() -> None:
    import os

    os.closerange(3, 64)


async def test_task_that_closes_the_pipes_of_its_worker_stalls_nothing(rest: Rest):
    document = await rest.run(close_everything)
    assert document["status"] == "failed"
    assert value(await rest.run(len, "four")) == 4


# The database's file


def test_file_that_others_may_read_is_closed_to_them(tmp_path: Path):
    path = tmp_path / "service.sqlite"
    open_database(path).close()
    path.chmod(0o664)
    open_database(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@ROOT_ONLY
def test_file_of_somebody_else_is_refused(tmp_path: Path):
    path = tmp_path / "service.sqlite"
    open_database(path).close()
    os.chown(path, 65534, 65534)
    with pytest.raises(PermissionError, match="belongs to user 65534"):
        open_database(path)


@ROOT_ONLY
def test_link_of_somebody_else_is_refused(tmp_path: Path):
    path, link = tmp_path / "service.sqlite", tmp_path / "link.sqlite"
    open_database(path).close()
    link.symlink_to(path)
    open_database(link).close()
    os.chown(link, 65534, 65534, follow_symlinks=False)
    with pytest.raises(PermissionError, match="the link belongs to user 65534"):
        open_database(link)
