"""Large payloads, read in steps."""

from __future__ import annotations

import base64
import pickle
from collections import namedtuple
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from funcx_async.serialize import FuncXSerializer
from funcx_async.serialize.payloads import LARGE, SteppedFile, decode, decode_large

Point = namedtuple("Point", "x y")  # noqa: PYI024 - dill treats these in its own way


def outcome(text: str, **options: int) -> bytes | str:
    try:
        return decode_large(text, **options) if options else decode(text)
    except ValueError as error:
        return str(error)


@given(st.binary(max_size=600), st.sampled_from([4, 8, 76, 77 * 4]))
def test_base64_is_read_the_same_in_steps(content: bytes, step: int):
    assert decode_large(base64.encodebytes(content).decode(), step=step) == content
    assert decode_large(base64.b64encode(content).decode(), step=step) == content


@given(st.text("QUJD=\n -é", max_size=40), st.sampled_from([4, 8]))
@example("QQ==QUJD", 4)
@example("QUJDQ\nUJD", 4)
@example("Q-UJDQUJD", 8)
def test_what_is_hardly_base64_is_read_or_refused_the_same_in_steps(text: str, step: int):
    assert outcome(text, step=step) == outcome(text)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_unpickler_reads_the_same_in_steps(protocol: int):
    value = [list(range(100_000)), "é" * 300_000, bytes(1_000_000), bytearray(300_000), {1: 2.5}]
    assert pickle.Unpickler(SteppedFile(pickle.dumps(value, protocol))).load() == value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(["x" * LARGE], id="plain"),
        pytest.param([Fraction(1, 3), "x" * LARGE], id="of a class"),
        pytest.param([Point(1, 2), "x" * LARGE], id="of a named tuple"),
    ],
)
def test_large_values_come_back(value: Any):
    serializer = FuncXSerializer()
    assert serializer.deserialize(serializer.serialize(value)) == value
