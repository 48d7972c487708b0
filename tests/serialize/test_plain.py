from __future__ import annotations

import enum
import pickle
from collections import OrderedDict
from typing import Any, NamedTuple

import dill
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funcx_async.serialize.plain import is_plain


class Level(enum.IntEnum):
    LOW = 1


class Row(NamedTuple):
    x: int


def both_pickles(value: object) -> tuple[bytes, bytes]:
    return pickle.dumps(value, 4), dill.dumps(value, 4)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**2000), 2**2000)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.sampled_from(["shared", b"shared", 300, "", b"", ()])
)
hashable = st.recursive(
    scalars,
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
values = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.tuples(inner)
        | st.tuples(inner, inner, inner, inner)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.sets(hashable, max_size=4)
        | inner.map(lambda value: [value, value, (value, value)])
        | inner.map(lambda value: {"a": value, "b": [value]})
    ),
    max_leaves=20,
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(values)
def test_the_c_pickler_writes_the_bytes_of_dill_for_plain_values(value: Any) -> None:
    assert is_plain(value)
    quick, slow = both_pickles(value)
    assert quick == slow


@pytest.mark.parametrize("size", [0, 1, 2, 998, 999, 1000, 1001, 1002, 1999, 2000, 2001, 2002])
@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, dict.fromkeys])
def test_what_is_plain_has_the_bytes_of_dill_at_every_batch_size(kind: Any, size: int) -> None:
    value = kind(range(size))
    if is_plain(value):
        quick, slow = both_pickles(value)
        assert quick == slow


@pytest.mark.parametrize("size", [65_535, 65_536, 70_000])
@pytest.mark.parametrize("piece", ["x", "é", b"x"])
def test_large_texts_and_bytes_have_the_bytes_of_dill(piece: Any, size: int) -> None:
    value = [piece * size, {"again": [piece * size, 1]}, piece]
    quick, slow = both_pickles(value)
    assert is_plain(value)
    assert quick == slow


def test_a_value_that_contains_itself_has_the_bytes_of_dill() -> None:
    loop: list[Any] = [1]
    loop.append({"self": loop, "pair": (loop, loop)})
    quick, slow = both_pickles(loop)
    assert is_plain(loop)
    assert quick == slow


def test_a_value_shared_many_times_is_looked_at_once() -> None:
    value: Any = []
    for _ in range(100):
        value = [value, value]
    assert is_plain(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Level.LOW, id="a subclass of int"),
        pytest.param(Row(1), id="a subclass of tuple"),
        pytest.param(OrderedDict(), id="a subclass of dict"),
        pytest.param(True + 1j, id="a complex number"),
        pytest.param(bytearray(b""), id="a bytearray"),
        pytest.param(range(3), id="a range"),
        pytest.param(int, id="a type"),
        pytest.param(ValueError(), id="an exception"),
        pytest.param(len, id="a function"),
        pytest.param(list(range(1000)), id="a list that ends a batch"),
    ],
)
def test_anything_else_is_left_to_dill_however_deep_it_is(value: Any) -> None:
    assert not is_plain(value)
    assert not is_plain([1, ({"x": [value]},)])
