"""Feed broken input to the client and the local service: ``python -m benchmarks.fuzz``.

Each fuzzer runs a number of cases, or for a number of seconds, from a seed. An escape is an
exception that the API does not document, a wrong value, or a server that no longer answers. The
first one ends the fuzzer, and is printed with its case, which the seed repeats::

    python -m benchmarks.fuzz --cases 100000
    python -m benchmarks.fuzz executor --seconds 60 --seed 7
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx

from funcx_async import FuncXClient, FuncXError, FuncXExecutor, FuncXFuture
from funcx_async._results.amqp_parser import DeliveryParser
from funcx_async._service.messages import MalformedMessage, decode_outcome, encode_result
from funcx_async.local import LocalService
from funcx_async.local.broker import EmbeddedBroker
from funcx_async.models import Result
from tests.local.broker.wire import GREETING, encoded
from tests.results.streams import message

LIMIT = 60.0
"""Seconds after which something hangs."""

TASK = "4b116d3c-1703-4f8f-9f6f-39921e5864df"
ANSWERS: list[dict[str, Any]] = [
    {"task_id": TASK, "status": "success", "result": "00\ngARLKi4=\n", "completion_t": "1.5"},
    {"results": {TASK: {"status": "failed", "exception": "Traceback", "completion_t": 2}}},
    {"request_id": TASK, "task_group_id": TASK, "endpoint_id": TASK, "tasks": {TASK: [TASK]}},
    {"code": 7, "reason": "no such task", "error_args": [], "http_status_code": 404},
    {"status": "online", "details": {"idle_workers": 3, "heartbeat_period": 30}},
]


class Escape(Exception):
    """What must not happen."""


def mutated(chance: random.Random, content: bytes) -> bytes:
    """Return bytes with a few of them replaced, removed, repeated or added."""
    changed = bytearray(content)
    for _ in range(chance.randint(0, 4)):
        place = chance.randrange(len(changed) + 1)
        length = chance.choice([1, 1, 1, 2, 4, 16])
        changed[place : place + chance.choice([0, length])] = chance.choice(
            [
                chance.randbytes(length),
                b"",
                bytes(changed[place : place + length]) * 2,
                b"\xff" * length,
                b"\0" * length,
                b"[" * length,
            ]
        )
    return bytes(changed)


async def fuzz_parser(chance: random.Random, more: Callable[[], bool]) -> None:
    """Cut streams of AMQP frames anywhere; what is whole must come out whole, and all else pass."""
    while more():
        bodies = [chance.randbytes(chance.choice([0, 1, 80, 5_000])) for _ in range(3)]
        stream = b"".join(message(tag, body) for tag, body in enumerate(bodies, 1))
        spoiled = mutated(chance, stream)
        parser, found, passed = DeliveryParser(), [], 0
        rest = spoiled
        while rest:
            size = chance.choice([1, 7, 100, 4_096])
            deliveries, others = parser.feed(rest[:size])
            found += deliveries
            passed += len(others)
            rest = rest[size:]
        passed += len(parser.end())
        if passed > len(spoiled):
            raise Escape(f"bytes were invented: {spoiled!r}")
        if spoiled == stream and [each.body for each in found] != bodies:
            raise Escape(f"a whole stream was not understood: {stream!r}")


async def fuzz_messages(chance: random.Random, more: Callable[[], bool]) -> None:
    """Spoil results of the queue; they are read, or are malformed, and nothing else."""
    whole = [encode_result(Result(TASK, "00\ngARLKi4=\n")), encode_result(Result(TASK, "x", "E"))]
    while more():
        body = mutated(chance, chance.choice(whole))
        try:
            decode_outcome(body)
        except MalformedMessage:
            pass
        except Exception as error:
            raise Escape(f"{error!r} for {body!r}") from error


class SpoiledAnswers(httpx.AsyncBaseTransport):
    """Answers every request with something broken."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.last = b""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or pass on, what was asked."""
        chance = self._chance
        self.last = mutated(chance, json.dumps(chance.choice(ANSWERS)).encode())
        headers = {"Content-Type": chance.choice(["application/json", "text/html", ""])}
        if chance.random() < 0.1:
            headers["Retry-After"] = chance.choice(["-1", "NaN", "1e300", "tomorrow", ""])
        status = chance.choice([200, 200, 200, 207, 301, 400, 404, 413, 500, 502])
        return httpx.Response(status, headers=headers, content=self.last)


async def fuzz_answers(chance: random.Random, more: Callable[[], bool]) -> None:
    """Spoil the answers of a service; calls raise the errors that they document."""
    transport = SpoiledAnswers(chance)
    async with FuncXClient("http://127.0.0.1:1", auth="token", transport=transport) as client:
        batch = client.create_batch()
        batch.add(TASK, (1,))
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: client.get_task(TASK),
            lambda: client.get_batch_result([TASK]),
            lambda: client.get_endpoint_status(TASK),
            lambda: client.get_endpoint_metadata(TASK),
            lambda: client.get_function(TASK),
            lambda: client.batch_run(TASK, batch),
            lambda: client.register_source_code("def f(): pass", "f"),
        ]
        while more():
            try:
                async with asyncio.timeout(LIMIT):
                    await chance.choice(calls)()
            except FuncXError:
                pass
            except Exception as error:
                raise Escape(f"{error!r} for {transport.last!r}") from error


async def fuzz_rest(chance: random.Random, more: Callable[[], bool]) -> None:
    """Send broken requests to the local service; it refuses them, and goes on working."""
    paths = [
        "/v3/functions",
        "/v3/endpoints",
        f"/v2/tasks/{TASK}",
        "/v2/batch_status",
        "/v3/submit",
    ]
    methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
    async with LocalService(workers=1) as service:
        token = {"Authorization": f"Bearer {service.token}"}
        place = urlsplit(service.url)
        async with httpx.AsyncClient(base_url=service.url, timeout=LIMIT) as web:
            while more():
                body = mutated(chance, json.dumps(chance.choice(ANSWERS)).encode())
                if chance.random() < 0.9:
                    path = chance.choice(paths) + chance.choice(
                        ["", "/", f"/{TASK}", "/x%00", "/é"]
                    )
                    headers = token | {"Content-Type": chance.choice(["application/json", "x"])}
                    asked = (chance.choice(methods), path)
                    response = await web.request(*asked, content=body, headers=headers)
                    if response.status_code >= 500:
                        raise Escape(f"{response.status_code} for {asked} with {body!r}")
                else:
                    head = b"POST /v3/functions HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
                    await talk(place.port or 0, mutated(chance, head) + body)
            check = await web.get("/v2/version", headers=token)
        if check.status_code != httpx.codes.OK:
            raise Escape(f"the service answers {check.status_code} afterwards")


async def talk(port: int, content: bytes) -> None:
    """Send bytes to a server, and hang up without waiting for more than it says at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with suppress(ConnectionError, TimeoutError):
            writer.write(content)
            writer.write_eof()
            async with asyncio.timeout(0.01):
                await reader.read()
    finally:
        writer.transport.abort()


async def fuzz_broker(chance: random.Random, more: Callable[[], bool]) -> None:
    """Speak broken AMQP to the embedded broker; it closes the connection, and serves others."""
    from pamqp import commands

    things = [
        GREETING,
        encoded(commands.Connection.StartOk(mechanism="PLAIN", response="\0alice\0secret"), 0),
        encoded(commands.Connection.TuneOk(channel_max=9, frame_max=131_072, heartbeat=0), 0),
        encoded(commands.Connection.Open(virtual_host="/"), 0),
        encoded(commands.Channel.Open(), 1),
        encoded(commands.Queue.Declare(queue="q", auto_delete=True), 1),
        encoded(commands.Basic.Consume(queue="q"), 1),
        encoded(commands.Basic.Publish(routing_key="q"), 1),
        encoded(commands.Basic.Ack(delivery_tag=1), 1),
    ]
    async with EmbeddedBroker(handshake_timeout=0.5, close_timeout=0.3) as broker:
        broker.add_user("alice", "secret")
        broker.declare_queue("kept")
        port = urlsplit(broker.url("alice", "secret")).port or 0
        while more():
            said = [*things[: chance.randint(1, len(things))], chance.choice(things)]
            await talk(port, mutated(chance, b"".join(said)))
        broker.publish("kept", b"42")
        if broker.queue_length("kept") != 1:
            raise Escape("the broker does not take messages afterwards")


class Spoiling(httpx.AsyncBaseTransport):
    """Passes requests on; some never arrive, and the answers of some are cut."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._onward = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or pass on, what was asked."""
        dice = self._chance.random()
        if dice < 0.02:
            raise httpx.ConnectError("refused", request=request)
        response = await self._onward.handle_async_request(request)
        if dice < 0.04:
            await response.aclose()
            raise httpx.ReadError("cut", request=request)
        if dice < 0.06:
            content = await response.aread()
            await response.aclose()
            # Cut, not changed: another id or value would be a valid one, and nothing could tell.
            content = content[: self._chance.randrange(len(content) or 1)]
            return httpx.Response(response.status_code, content=content)
        return response

    async def aclose(self) -> None:
        """Close what is beneath."""
        await self._onward.aclose()


def negative(number: int) -> int:
    """Return what tells which task it was."""
    return -number


async def fuzz_executor(chance: random.Random, more: Callable[[], bool]) -> None:
    """Run tasks over connections that spoil requests and answers; no value may be wrong."""
    while True:
        async with LocalService(workers=1) as service:
            transport = Spoiling(chance)
            client = FuncXClient(service.url, auth=service.token, transport=transport)
            service.faults.duplicate_results(chance.randint(1, 20))
            async with (
                client,
                FuncXExecutor(
                    service.endpoint_id,
                    funcx_client=client,
                    batch_size=chance.choice([1, 16, 128]),
                    reconcile_interval=1.0,
                ) as executor,
            ):
                futures: dict[FuncXFuture[int], int] = {}
                while len(futures) < 500 and more():
                    futures[executor.submit(negative, len(futures))] = len(futures)
                    if len(futures) % 50 == 0:
                        await asyncio.sleep(0)
                if not futures:
                    return
                async with asyncio.timeout(LIMIT):
                    await asyncio.wait(futures)
                for future, number in futures.items():
                    error = future.exception()
                    if error is None and future.result() != -number:
                        raise Escape(f"{future.result()} for task {number}")
                    if error is not None and not isinstance(error, FuncXError):
                        raise Escape(repr(error)) from error


FUZZERS = {
    "parser": fuzz_parser,
    "messages": fuzz_messages,
    "answers": fuzz_answers,
    "rest": fuzz_rest,
    "broker": fuzz_broker,
    "executor": fuzz_executor,
}


async def run(name: str, seed: int, cases: int, seconds: float) -> bool:
    """Run one fuzzer; print what it did, and return whether all went well."""
    begun, done = time.monotonic(), 0

    def more() -> bool:
        nonlocal done
        if done >= cases or time.monotonic() - begun >= seconds:
            return False
        done += 1
        return True

    escape: BaseException | None = None
    try:
        await FUZZERS[name](random.Random(seed), more)
    except (Exception, TimeoutError) as error:  # each is a finding
        escape = error
    took = time.monotonic() - begun
    print(f"{name:9} seed {seed}: {done} cases in {took:.0f} s, {'an' if escape else 'no'} escape")
    if escape is not None:
        print(f"  case {done}: {type(escape).__name__}: {escape}")
    return escape is None


def main() -> int:
    """Run the fuzzers that were named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("fuzzers", nargs="*", help=f"some of: {', '.join(FUZZERS)}")
    parser.add_argument("--cases", type=int, default=100_000, help="of each at most")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each at most")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    logging.disable()  # of what is spoiled there is much to log
    runs = [
        asyncio.run(run(name, asked.seed, asked.cases, asked.seconds))
        for name in asked.fuzzers or FUZZERS
    ]
    return 0 if all(runs) else 1


if __name__ == "__main__":
    sys.exit(main())
