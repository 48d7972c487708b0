from __future__ import annotations

import enum
import pickle
from collections import OrderedDict
from typing import Any, NamedTuple

import dill
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funcx_async.serialize.payloads import TooMuch
from funcx_async.serialize.pickled import dump_plain


class Level(enum.IntEnum):
    LOW = 1


class Row(NamedTuple):
    x: int


def both_pickles(value: object) -> tuple[bytes | None, bytes]:
    return dump_plain(value), dill.dumps(value, 4)


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
    quick, slow = both_pickles(value)
    assert quick == slow


@pytest.mark.parametrize("size", [0, 1, 2, 998, 999, 1002, 1999, 2002, 5_500])
@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, dict.fromkeys])
def test_the_bytes_are_those_of_dill_where_no_batch_of_items_ends(kind: Any, size: int) -> None:
    quick, slow = both_pickles(kind(range(size)))
    assert quick == slow


@pytest.mark.parametrize("size", [1000, 1001, 2000, 2001, 10_000, 100_000, 100_001])
@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, dict.fromkeys])
def test_round_sizes_are_written_by_the_c_pickler_and_read_by_every_reader(
    kind: Any, size: int
) -> None:
    value = {"nested": kind(range(size))}
    quick = dump_plain(value)
    assert quick is not None
    assert quick == pickle.dumps(value, 4)
    readers: list[Any] = [pickle.loads, pickle._loads, dill.loads]  # type: ignore[attr-defined]  # noqa: SLF001
    for read in readers:
        assert read(quick) == value


@pytest.mark.parametrize("size", [65_535, 65_536, 70_000])
@pytest.mark.parametrize("piece", ["x", "é", b"x"])
def test_large_texts_and_bytes_have_the_bytes_of_dill(piece: Any, size: int) -> None:
    value = [piece * size, {"again": [piece * size, 1]}, piece]
    quick, slow = both_pickles(value)
    assert quick == slow


def test_a_value_that_contains_itself_has_the_bytes_of_dill() -> None:
    loop: list[Any] = [1]
    loop.append({"self": loop, "pair": (loop, loop)})
    quick, slow = both_pickles(loop)
    assert quick == slow


def test_a_value_shared_many_times_is_written_once() -> None:
    value: Any = []
    for _ in range(100):
        value = [value, value]
    quick, slow = both_pickles(value)
    assert quick == slow


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(["x" * 100_000], id="one large part"),
        pytest.param(list(range(1_000_000)), id="many small parts"),
    ],
)
def test_writing_stops_where_it_is_too_much(value: Any) -> None:
    with pytest.raises(TooMuch) as stopped:
        dump_plain(value, at_most=50_000)
    assert 50_000 < stopped.value.size < 200_000


def test_what_fits_exactly_is_written_whole() -> None:
    whole = dump_plain(["x" * 100_000])
    assert whole is not None
    assert dump_plain(["x" * 100_000], at_most=len(whole)) == whole
    with pytest.raises(TooMuch):
        dump_plain(["x" * 100_000], at_most=len(whole) - 1)


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
        pytest.param(Ellipsis, id="an ellipsis"),
    ],
)
def test_anything_else_is_left_to_dill_however_deep_it_is(value: Any) -> None:
    assert dump_plain(value) is None
    assert dump_plain([1, ({"x": [value]},)]) is None
