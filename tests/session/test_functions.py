"""Registering functions, each once."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

import httpx
import pytest

from funcx_async import (
    FuncXClient,
    FuncXSerializer,
    RequestRefused,
    SerializationError,
    ServiceUnavailable,
)
from funcx_async._session.functions import REMEMBERED, Function, Functions

TIMEOUT = 60


class Service:
    """Registers functions when it is let, and counts."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let = asyncio.Event()
        self.requests = 0
        self.cut_off = asyncio.Event()
        self.refusals = 0
        self.client = FuncXClient(
            "https://service.test", auth="t", transport=httpx.MockTransport(self._answer)
        )

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        number = self.requests
        self.asked.set()
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.cut_off.set()
            raise
        if self.refusals:
            self.refusals -= 1
            return httpx.Response(400, json={"reason": "no"})
        return httpx.Response(200, json={"function_uuid": f"id-{number}"})


def functions() -> Functions:
    return Functions(FuncXSerializer())


def add(a: int, b: int) -> int:
    return a + b


def multiplier(factor: int) -> Callable[[int], int]:
    return lambda x: factor * x


def test_a_function_is_recognised_by_its_object_and_by_its_content():
    known = functions()
    assert known.find(add) is known.find(add)
    assert known.find(multiplier(2)) is known.find(multiplier(2))
    assert known.find(multiplier(2)) is not known.find(multiplier(3))


def test_builtins_and_partials_are_functions_too():
    known = functions()
    assert known.find(len) is known.find(len)
    assert known.find(functools.partial(add, 1)) is known.find(functools.partial(add, 1))
    assert known.find(functools.partial(add, 1)) is not known.find(functools.partial(add, 2))


def test_an_object_with_state_is_looked_into_at_each_submit():
    class Scale:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        def __call__(self, x: int) -> int:
            return self.factor * x

    known, scale = functions(), Scale(2)
    first = known.find(scale)
    scale.factor = 3
    assert known.find(scale) is not first


def test_functions_that_are_gone_are_not_kept_alive_and_the_cache_is_bounded():
    known = functions()
    first = known.find(multiplier(-1))
    for factor in range(REMEMBERED):
        known.find(multiplier(factor))
    assert known.find(multiplier(-1)) is not first
    assert known.find(multiplier(REMEMBERED - 1)) is known.find(multiplier(REMEMBERED - 1))


def test_an_unknown_option_of_registration_is_a_type_error():
    with pytest.raises(TypeError, match="colour"):
        functions().add(add, None, {"colour": "red"})


async def test_all_who_ask_at_once_share_one_request():
    service, function = Service(), functions().find(add)
    asking = [asyncio.create_task(function.registered(service.client, 1)) for _ in range(5)]
    await asyncio.wait_for(service.asked.wait(), TIMEOUT)
    service.let.set()
    assert set(await asyncio.gather(*asking)) == {"id-1"}
    assert await function.registered(service.client, 1) == "id-1"
    assert service.requests == 1


async def test_one_who_stops_asking_does_not_spoil_it_for_the_others():
    service, function = Service(), functions().find(add)
    first, second = (asyncio.create_task(function.registered(service.client, 1)) for _ in "ab")
    await asyncio.wait_for(service.asked.wait(), TIMEOUT)
    first.cancel()
    await asyncio.wait([first])
    service.let.set()
    assert await asyncio.wait_for(second, TIMEOUT) == "id-1"


async def test_when_nobody_asks_any_more_the_request_ends():
    service, function = Service(), functions().find(add)
    asking = asyncio.create_task(function.registered(service.client, 1))
    await asyncio.wait_for(service.asked.wait(), TIMEOUT)
    asking.cancel()
    await asyncio.wait_for(service.cut_off.wait(), TIMEOUT)
    service.let.set()
    assert await asyncio.wait_for(function.registered(service.client, 1), TIMEOUT) == "id-2"


async def test_a_refusal_is_everybodys_and_the_next_who_asks_tries_again():
    service, function = Service(), functions().find(add)
    service.refusals = 1
    service.let.set()
    asking = [asyncio.create_task(function.registered(service.client, 1)) for _ in range(3)]
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [RequestRefused] * 3
    assert await function.registered(service.client, 1) == "id-2"


def test_the_repr_names_the_function():
    assert repr(functions().find(add)) == "<Function add>"
    assert repr(Function(function_id="an-id")) == "<Function an-id>"


BALLAST = "x" * 11_000_000


def carries_ballast() -> int:
    return len(BALLAST)


def test_a_function_that_is_too_large_is_refused_with_its_largest_part():
    with pytest.raises(SerializationError, match=r"largest part is BALLAST \(str.*carries_ballast"):
        functions().find(carries_ballast)


async def test_registering_is_retried_while_the_service_is_unavailable_up_to_a_deadline():
    requests: list[httpx.Request] = []

    def unavailable(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(503, headers={"Retry-After": "0.01"})

    transport = httpx.MockTransport(unavailable)
    async with FuncXClient("https://service.test", auth="t", transport=transport) as client:
        function = functions().find(add)
        with pytest.raises(ServiceUnavailable):
            await asyncio.wait_for(function.registered(client, 1.0), TIMEOUT)
        assert len(requests) > 1
        with pytest.raises(ServiceUnavailable):
            await asyncio.wait_for(function.registered(client, 0.000_1), TIMEOUT)
