"""What is too large is named."""

from __future__ import annotations

import re
from array import array
from typing import Any

import pytest

from funcx_async import SerializationError
from funcx_async.serialize import DillDataBase64, FuncXSerializer, JSONData
from funcx_async.serialize.serializer import MAX_PAYLOAD
from funcx_async.serialize.sizes import Sized, in_words, largest_arguments

BIG = "x" * 8_000_000


class Grid:
    def __init__(self) -> None:
        self.cells = BIG
        self.name = "small"


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        pytest.param((1, BIG), {}, r"largest: args\[1\] \(str, 8\.0 MB\)", id="an argument"),
        pytest.param((), {"k": {"a": [0, BIG]}}, r"kwargs\['k'\]\['a'\]\[1\] \(str", id="deep"),
        pytest.param((Grid(),), {}, r"args\[0\]\.cells \(str", id="an attribute"),
        pytest.param(([BIG[:5_000_000], BIG[1:]],), {}, r"args\[0\] \(list", id="halves"),
    ],
)
def test_arguments_that_are_too_large_are_refused_with_the_largest_part(
    args: tuple[Any, ...], kwargs: dict[str, Any], words: str
) -> None:
    with pytest.raises(SerializationError, match=words) as refusal:
        FuncXSerializer().serialize_arguments(args, kwargs)
    assert f"at most {MAX_PAYLOAD:,}" in str(refusal.value)
    assert "send their names" in str(refusal.value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(bytes(50_000_000), id="bytes"),
        pytest.param(bytearray(50_000_000), id="a bytearray"),
        pytest.param("x" * 50_000_000, id="a text"),
        pytest.param("é" * 25_000_000, id="a text beyond ASCII"),
        pytest.param(array("d", bytes(50_000_000)), id="an array"),
        pytest.param([bytes([number % 256]) * 50_000 for number in range(1_000)], id="pieces"),
        pytest.param([number / 7 for number in range(5_555_555)], id="numbers"),
        pytest.param([[0.5] * 1_000 for _ in range(5_555)], id="rows of one number"),
        pytest.param({number: f"{number:09999}" for number in range(5_000)}, id="a dictionary"),
    ],
)
def test_a_refusal_says_how_large_it_is_before_and_after_it_is_encoded(value: Any) -> None:
    with pytest.raises(SerializationError) as refusal:
        FuncXSerializer().serialize_arguments((value,), {})
    told = str(refusal.value)
    assert re.search(r"make about (49|50)\.\d MB \(6[678]\.\d MB when encoded\)", told)
    assert "10,000,000 bytes when encoded, which is 7.4 MB of data" in told


def test_a_refusal_tells_no_size_that_makes_no_sense() -> None:
    """Of a long list a sample is looked at."""
    ragged = [1] * 4_999 + [bytes(30_000_000)]
    with pytest.raises(SerializationError, match=r"make more than 7\.4 MB") as refusal:
        FuncXSerializer().serialize_arguments((ragged,), {})
    assert "The largest: args[0] (list). Keep" in str(refusal.value)


def test_arguments_that_are_too_large_only_together_are_refused() -> None:
    with pytest.raises(SerializationError, match=r"about 8\.0 MB \(10\.8 MB when encoded\)"):
        FuncXSerializer().serialize_arguments((bytes(4_000_000),), {"more": bytes(4_000_000)})


@pytest.mark.parametrize("size", [7_300_000, 7_400_000, 7_402_500, 7_402_600, 7_500_000])
def test_what_is_refused_is_what_would_be_too_large_when_encoded(size: int) -> None:
    text = DillDataBase64().serialize((bytes(size),))
    packed = len(FuncXSerializer.pack_buffers([text, DillDataBase64().serialize({})]))
    serializer = FuncXSerializer()
    if packed <= MAX_PAYLOAD:
        assert len(serializer.serialize_arguments((bytes(size),), {})) == packed
    else:
        with pytest.raises(SerializationError, match="at most 10,000,000 bytes"):
            serializer.serialize_arguments((bytes(size),), {})


def test_a_refusal_of_json_says_the_one_size_that_there_is() -> None:
    with pytest.raises(SerializationError, match=r"make 12\.0 MB, .* at most 10,000,000 bytes,"):
        FuncXSerializer(strategy_data=JSONData).serialize_arguments(("x" * 12_000_000,), {})


def test_the_three_largest_are_told_in_order() -> None:
    largest = largest_arguments([b"a", b"b" * 9, b"c" * 5, b"d" * 7], {}, len)
    assert [str(part) for part in largest] == [
        "args[1] (bytes, 9 B)",
        "args[3] (bytes, 7 B)",
        "args[2] (bytes, 5 B)",
    ]


def test_sizes_are_told_as_people_say_them() -> None:
    assert [in_words(size) for size in (0, 999, 1_000, 5_040, 13_300_000)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "5.0 kB",
        "13.3 MB",
    ]
    assert Sized("args[0]", 5, "int").path == "args[0]"
