"""A hundred thousand malformed payloads and messages: each is one error of ours, soon."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import pytest

from funcx_async._service.messages import MalformedMessage, decode_result, encode_result
from funcx_async.errors import DeserializationError
from funcx_async.models import Result
from funcx_async.serialize import (
    AllCodeStrategies,
    AllDataStrategies,
    CombinedCode,
    FuncXSerializer,
    MalformedFrame,
    unpack_buffers,
)

pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]

COUNT = 100_000
LONGEST = 2.0
"""Seconds that one may take, on a busy machine."""

TASK_ID = "2018a859-359a-4eb7-a7de-75cdd635f4db"
VALUE = {"a": [1, (2.5, None)], "b": "caf\u00e9", "c": b"\x00"}


def double(x: int) -> int:
    return x * 2


def seeds() -> list[str]:
    """Good payloads, which are spoilt. None of them names what a spoilt pickle could call."""
    written = [FuncXSerializer().serialize(VALUE), AllDataStrategies().serialize(VALUE), "11\n[1]"]
    lengths = ["28\n00\ngASVBQAAAAAAAABLAYWULg==\n12\n00\ngAR9lC4=\n"]
    heads = [f"{code}\n" for code in ("00", "01", "02", "03", "04", "10", "12", "13", "st", "sd")]
    return [*written, *lengths, *heads]


def spoilt(text: str, dice: random.Random) -> str:
    """Cut, change, double or mix some of it."""
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(text) + 1)
        what = dice.randrange(5)
        if what == 0:
            text = text[:at]
        elif what == 1:
            text = text[:at] + chr(dice.choice((0, 10, 58, 255, 8364, 0xDC80))) + text[at + 1 :]
        elif what == 2:
            text = text[:at] + text[at : at + 9] * dice.randint(2, 40) + text[at:]
        elif what == 3:
            text = text[:at] + str(dice.getrandbits(dice.choice((4, 32, 300)))) + text[at:]
        else:
            text = text[3:] if dice.random() < 0.5 else f"{dice.choice(seeds_made)[:3]}{text}"
    return text


seeds_made = seeds()


def all_spoilt() -> Iterator[str]:
    dice = random.Random(3)
    for _ in range(COUNT // 2):
        yield spoilt(dice.choice(seeds_made), dice)


def survives(call: Callable[[], object], *errors: type[Exception]) -> bool:
    """Whether it is read, or refused by an error of ours, in good time."""
    began = time.perf_counter()
    try:
        call()
        return True
    except errors:
        return False
    finally:
        assert time.perf_counter() - began < LONGEST


def test_malformed_payloads_are_errors_of_ours() -> None:
    serializer = FuncXSerializer()
    refused = 0
    for text in all_spoilt():
        refused += not survives(
            lambda text=text: serializer.deserialize(text), DeserializationError
        )
        survives(lambda text=text: unpack_buffers(text), MalformedFrame)
    assert refused > COUNT // 4


def test_malformed_messages_are_errors_of_ours() -> None:
    dice = random.Random(4)
    good = encode_result(Result(TASK_ID, "00\ngARLDC4=\n", None, None, {"os": "x"}))
    refused = 0
    for _ in range(COUNT // 2):
        text = spoilt(good.decode(), dice)
        body = text.encode("utf-8", "surrogatepass")
        refused += not survives(lambda body=body: decode_result(body), MalformedMessage)
    assert refused > COUNT // 4


def test_cut_functions_are_errors_of_ours_at_every_length() -> None:
    serializer = FuncXSerializer()
    for strategy in (AllCodeStrategies(), CombinedCode()):
        whole = strategy.serialize(double)
        for length in range(3, len(whole) - 1, 7):
            survives(lambda cut=whole[:length]: serializer.deserialize(cut), DeserializationError)
