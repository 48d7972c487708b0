"""What is too large is named."""

from __future__ import annotations

from typing import Any

import pytest

from funcx_async import SerializationError
from funcx_async.serialize import FuncXSerializer
from funcx_async.serialize.facade import MAX_PAYLOAD
from funcx_async.serialize.sizes import Sized, in_words, largest_arguments

BIG = "x" * 8_000_000


class Grid:
    def __init__(self) -> None:
        self.cells = BIG
        self.name = "small"


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        pytest.param((1, BIG), {}, r"largest: args\[1\] \(str, 1\d\.\d MB\)", id="an argument"),
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
