"""From a delivery to its result, and from a result to the future that awaits it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from funcx_async._futures.future import FuncXFuture
from funcx_async._service.messages import MalformedMessage, decode_outcome, spelled_alike
from funcx_async._service.outcomes import failure_of, unreadable, value_of
from funcx_async.errors import FuncXError
from funcx_async.models import Delivery, Result
from funcx_async.serialize.payloads import LARGE


def decoded(delivery: Delivery) -> Result | MalformedMessage:
    """Give the result that was delivered, its task id as it is spelled there, or why it is none."""
    try:
        result = decode_outcome(delivery.body)
    except MalformedMessage as error:
        return error
    if delivery.high_assurance:
        return Result(result.task_id, None)
    if result.error_code is not None and delivery.timestamp is not None:
        return replace(result, completion_t=str(delivery.timestamp))
    return result


def spelled(outcome: Result | MalformedMessage) -> Result | MalformedMessage:
    """Give a result with its task id in the one spelling, or why it is none."""
    if isinstance(outcome, MalformedMessage):
        return outcome
    try:
        return spelled_alike(outcome)
    except MalformedMessage as error:
        return error


def settle(
    future: FuncXFuture[Any], result: Result, here: asyncio.AbstractEventLoop | None = None
) -> bool:
    """Give ``future`` its only outcome; False if it has one already.

    Args:
        future: what awaits the result.
        result: what came.
        here: the loop that runs in this thread, if the caller knows it.
    """
    failure = None if result.error_code is None else failure_of(result)
    return future.succeed(result.data or "", here) if failure is None else future.fail(failure)


def takes_long(result: Result) -> bool:
    """Whether reading the value is too much for the loop to do in between."""
    return result.error_code is None and len(result.data or "") >= LARGE


def read_apart(future: FuncXFuture[Any], result: Result) -> Callable[[], bool]:
    """Read a result in whatever thread this is; gives what settles the future, on its loop."""
    try:
        value = value_of(result, future.reader())
    except FuncXError as error:
        return partial(future.fail, error)
    except KeyboardInterrupt as error:  # the value's own: a person's reaches the main thread only
        return partial(future.fail, unreadable(result, error))
    return partial(future.fulfil, value)
