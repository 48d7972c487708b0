"""Large results, which are read aside from the loop: what is promised of all holds for them."""

from __future__ import annotations

import asyncio
import pickle
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

import pytest

from funcx_async import DeserializationError, FuncXFuture, TaskExecutionFailed
from funcx_async._core.acks import Ack
from funcx_async._results.source import SourceLost
from funcx_async._results.stream import ResultStream, shared_stream
from funcx_async._service.messages import encode_result
from funcx_async.models import Delivery, Result
from funcx_async.serialize import DillDataBase64, pickled
from funcx_async.serialize.payloads import LARGE
from tests.results.parts import Part
from tests.results.sources import Connection, Source

TIMEOUT = 60
LARGE_ID = "2018a859-359a-4eb7-a7de-75cdd635f4db"
SMALL_ID = "3018a859-359a-4eb7-a7de-75cdd635f4db"
PADDING = "x" * LARGE
begun, gate = threading.Event(), threading.Event()


def pass_the_gate() -> str:
    """Say that reading has begun, and wait until it may go on."""
    begun.set()
    assert gate.wait(TIMEOUT)
    return "passed"


class Gated:
    """A value that cannot be read while the gate is closed."""

    def __reduce__(self) -> tuple[Callable[[], str], tuple[()]]:
        return pass_the_gate, ()


def leave_the_program() -> NoReturn:
    sys.exit("bye")


def interrupt() -> NoReturn:
    raise KeyboardInterrupt


def cancel() -> NoReturn:
    raise asyncio.CancelledError


@dataclass
class Raising:
    """A value that raises when it is read."""

    act: Callable[[], NoReturn]

    def __reduce__(self) -> tuple[Callable[[], NoReturn], tuple[()]]:
        return self.act, ()


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    begun.clear()
    gate.clear()
    yield
    gate.set()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
async def part(source: Source) -> Part:
    return Part(source)


@pytest.fixture
async def stream(part: Part) -> AsyncIterator[ResultStream]:
    joined = shared_stream("http://127.0.0.1:9", "group")
    joined.join(part.subscriber)
    yield joined
    gate.set()
    await asyncio.wait_for(joined.leave(part.subscriber), TIMEOUT)


async def connected(source: Source) -> Connection:
    return await asyncio.wait_for(source.opened.get(), TIMEOUT)


async def acked(connection: Connection) -> Ack:
    return await asyncio.wait_for(connection.acks.get(), TIMEOUT)


async def reading() -> None:
    """Wait until a value is being read that waits at the gate."""
    assert await asyncio.to_thread(begun.wait, TIMEOUT)


def payload(value: object) -> str:
    """As text; what our own serializer sends takes its functions along, gate and all."""
    return DillDataBase64.identifier + pickled.to_text(pickle.dumps(value))


def delivery(tag: int, value: object, task_id: str = LARGE_ID) -> Delivery:
    return Delivery(tag, encode_result(Result(task_id, payload(value))))


GATED = (Gated(), PADDING)


async def test_small_results_overtake_a_large_one_that_is_being_read(part, source, stream):
    large, small = part.awaited(LARGE_ID, stream), part.awaited(SMALL_ID, stream)
    connection = await connected(source)
    connection.bursts.put_nowait([delivery(1, GATED), delivery(2, "small", SMALL_ID)])
    await reading()
    assert await asyncio.wait_for(small, TIMEOUT) == "small"
    assert await acked(connection) == Ack(2, multiple=False)
    assert not large.done()
    gate.set()
    assert await asyncio.wait_for(large, TIMEOUT) == ("passed", PADDING)
    assert await acked(connection) == Ack(1, multiple=True)


async def test_a_second_delivery_waits_until_the_first_is_read(part, source, stream):
    future = part.awaited(LARGE_ID, stream)
    connection = await connected(source)
    connection.bursts.put_nowait([delivery(1, GATED)])
    await reading()
    connection.bursts.put_nowait([delivery(2, "again"), delivery(3, "somebody else's", SMALL_ID)])
    assert await acked(connection) == Ack(3, multiple=False)
    assert part.counts["duplicates"] == 1
    gate.set()
    assert await asyncio.wait_for(future, TIMEOUT) == ("passed", PADDING)
    assert await acked(connection) == Ack(2, multiple=True)


async def test_a_connection_may_be_lost_while_a_result_is_read(part, source, stream):
    future, other = part.awaited(LARGE_ID, stream), part.awaited(SMALL_ID, stream)
    old = await connected(source)
    old.bursts.put_nowait([delivery(1, GATED)])
    await reading()
    old.bursts.put_nowait(SourceLost("cut"))
    new = await connected(source)
    new.bursts.put_nowait([delivery(1, GATED), delivery(2, "small", SMALL_ID)])
    assert await asyncio.wait_for(other, TIMEOUT) == "small"
    gate.set()
    assert await asyncio.wait_for(future, TIMEOUT) == ("passed", PADDING)
    last = Ack(0, multiple=False)
    while last != Ack(1, multiple=True) and last != Ack(2, multiple=True):
        last = await acked(new)
    assert old.acks.empty()


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(leave_the_program, id="exit"),
        pytest.param(interrupt, id="interrupt"),
        pytest.param(cancel, id="cancel"),
    ],
)
async def test_whatever_reading_raises_fails_that_future_alone(act, part, source, stream):
    failing, other = part.awaited(LARGE_ID, stream), part.awaited(SMALL_ID, stream)
    connection = await connected(source)
    value = (Raising(act), PADDING)
    connection.bursts.put_nowait([delivery(1, value), delivery(2, PADDING, SMALL_ID)])
    assert await asyncio.wait_for(other, TIMEOUT) == PADDING
    with pytest.raises(DeserializationError) as caught:
        await asyncio.wait_for(failing, TIMEOUT)
    assert (caught.value.task_id, caught.value.payload) == (LARGE_ID, payload(value))
    while (await acked(connection)) != Ack(2, multiple=True):
        pass


async def test_a_task_that_is_reloaded_while_its_result_is_read_gets_it(part, source, stream):
    given_up = part.awaited(LARGE_ID, stream)
    connection = await connected(source)
    connection.bursts.put_nowait([delivery(1, GATED)])
    await reading()
    given_up.give_up()
    stream.forget(LARGE_ID, given_up)
    future = part.awaited(LARGE_ID, stream)
    gate.set()
    assert await asyncio.wait_for(future, TIMEOUT) == ("passed", PADDING)
    assert given_up.cancelled()
    assert await acked(connection) == Ack(1, multiple=True)


async def test_nobody_waits_for_a_reading_at_the_end(part, source, stream):
    future = part.awaited(LARGE_ID, stream)
    connection = await connected(source)
    connection.bursts.put_nowait([delivery(1, GATED)])
    await reading()
    assert not stream.idle
    await asyncio.wait_for(stream.leave(part.subscriber), TIMEOUT)
    assert future.fail(RuntimeError("the end"))
    assert connection.acks.empty()


async def test_a_large_result_may_overtake_its_receipt(part, source, stream):
    part.awaited(SMALL_ID, stream)
    connection = await connected(source)
    submit = stream.sending()
    connection.bursts.put_nowait([delivery(1, PADDING), Delivery(2, PADDING.encode())])
    assert await acked(connection) == Ack(2, multiple=False)
    assert stream.held == 1
    future: FuncXFuture[str] = FuncXFuture(LARGE_ID)
    future.bind(part)
    stream.answered(submit, [(LARGE_ID, future)])
    assert await asyncio.wait_for(future, TIMEOUT) == PADDING
    assert await acked(connection) == Ack(1, multiple=True)


async def test_a_large_result_that_was_asked_for_is_read_aside_too(part, source, stream):
    future = part.awaited(LARGE_ID, stream)
    stream.receive([Result(LARGE_ID, payload(GATED))])
    assert not future.done()
    gate.set()
    assert await asyncio.wait_for(future, TIMEOUT) == ("passed", PADDING)


async def test_message_that_was_too_large_to_be_read_is_acknowledged(part, source, stream):
    part.awaited(LARGE_ID, stream)
    connection = await connected(source)
    connection.bursts.put_nowait([Delivery(1, b"", too_large=True)])
    assert await acked(connection) == Ack(1, multiple=True)
    assert part.counts["malformed"] == 1


async def test_large_messages_that_are_no_values(part, source, stream):
    future = part.awaited(LARGE_ID, stream)
    connection = await connected(source)
    error = encode_result(Result(LARGE_ID, "Traceback " + PADDING, "RemoteExecutionError"))
    connection.bursts.put_nowait([Delivery(1, b"\x01" + PADDING.encode()), Delivery(2, error)])
    with pytest.raises(TaskExecutionFailed):
        await asyncio.wait_for(future, TIMEOUT)
    while (await acked(connection)) != Ack(2, multiple=True):
        pass
    assert part.counts["malformed"] == 1
