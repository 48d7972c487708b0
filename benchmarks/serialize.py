"""Measure the serializer: ``python -m benchmarks.serialize``.

For each kind of value: how long its arguments take to be written and read, and how many times as
long ``pickle`` and ``base64`` of the standard library alone take for the same. A last table has
how long it takes to refuse what is too large.
"""

from __future__ import annotations

import base64
import pickle
import random
import time
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any

from funcx_async import FuncXSerializer, SerializationError

ROUNDS = 7
ENOUGH = 0.02
"""Seconds that a round takes at least, by repetition."""

VALUES: dict[str, Callable[[], Any]] = {
    "a number": lambda: 7,
    "a small record": lambda: {"site": "north", "depth": 2.5, "tags": ["a", "b"]},
    "1,000 integers": lambda: list(range(1_000)),
    "1,001 integers": lambda: list(range(1_001)),
    "1,002 integers": lambda: list(range(1_002)),
    "100,000 integers": lambda: list(range(100_000)),
    "a dict of 100,000": lambda: dict.fromkeys(range(100_000), 1.5),
    "4 MB of bytes": lambda: random.Random(1).randbytes(4_000_000),
    "4 MB of text": lambda: "x" * 4_000_000,
    "4 MB of floats": lambda: [number / 7 for number in range(444_444)],
}

TOO_LARGE: dict[str, Callable[[], Any]] = {
    "50 MB of bytes": lambda: bytes(50_000_000),
    "50 MB of text": lambda: "x" * 50_000_000,
    "50 MB in an array": lambda: array("d", bytes(50_000_000)),
    "50 MB of floats": lambda: [number / 7 for number in range(5_555_555)],
    "5,000,000 integers": lambda: list(range(5_000_000)),
}


def main() -> None:
    serializer = FuncXSerializer()
    print(f"{'':20} {'write ms':>9} {'ratio':>6} {'read ms':>9} {'ratio':>6}")
    for name, make in VALUES.items():
        args = (make(),)
        text = serializer.serialize(args)
        write = seconds(partial(serializer.serialize_arguments, args, {}))
        read = seconds(partial(serializer.deserialize, text))
        plain_write = seconds(partial(written_plainly, args))
        plain_read = seconds(partial(read_plainly, text))
        print(
            f"{name:20} {write * 1e3:9.3f} {write / plain_write:6.2f}"
            f" {read * 1e3:9.3f} {read / plain_read:6.2f}"
        )
    print(f"\n{'':20} {'refuse ms':>9}")
    for name, make in TOO_LARGE.items():
        args = (make(),)
        print(f"{name:20} {seconds(partial(refused, serializer, args)) * 1e3:9.3f}")


def written_plainly(args: tuple[Any, ...]) -> str:
    return base64.encodebytes(pickle.dumps(args, 4)).decode("ascii")


def read_plainly(text: str) -> Any:
    return pickle.loads(base64.b64decode(text[3:]))


def refused(serializer: FuncXSerializer, args: tuple[Any, ...]) -> None:
    try:
        serializer.serialize_arguments(args, {})
    except SerializationError:
        return
    raise AssertionError("it was to be too large")


def seconds(do: Callable[[], object]) -> float:
    """Return what one call takes, the best of some rounds."""
    begin = time.perf_counter()
    do()
    calls = max(1, int(ENOUGH / (time.perf_counter() - begin)))
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(calls):
            do()
        best = min(best, (time.perf_counter() - begin) / calls)
    return best


if __name__ == "__main__":
    main()
