from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funcx_async.serialize import MalformedFrame, pack_buffers, unpack_buffers
from tests.vectors_of import vectors_of


@pytest.mark.parametrize("vector", vectors_of("buffers", kind="pack_buffers"))
def test_packs_are_those_of_the_official_packages(vector: dict[str, Any]) -> None:
    assert pack_buffers(vector["buffers"]) == vector["wire"]
    assert unpack_buffers(vector["wire"]) == vector["buffers"]


@pytest.mark.parametrize("vector", vectors_of("buffers", kind="task_buffer"))
def test_a_task_is_the_function_pack_before_the_argument_pack(vector: dict[str, Any]) -> None:
    assert vector["function_code"] + vector["payload"] == vector["wire"]
    buffers = unpack_buffers(vector["wire"])
    assert len(buffers) == 3
    assert pack_buffers(buffers) == vector["wire"]


def test_lengths_count_characters_and_not_bytes() -> None:
    assert pack_buffers(["é☃🚀", ""]) == "3\né☃🚀0\n"
    assert unpack_buffers("3\né☃🚀0\n") == ["é☃🚀", ""]


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param("5", id="no newline"),
        pytest.param("\nabc", id="no length"),
        pytest.param("5\nabc", id="cut short"),
        pytest.param("3\nabc7", id="cut short in the second length"),
        pytest.param("-1\nabc", id="a negative length"),
        pytest.param("+3\nabc", id="a sign"),
        pytest.param("1_0\n0123456789", id="an underscore"),
        pytest.param(" 3\nabc", id="a space"),
        pytest.param("٣\nabc", id="digits of another script"),
        pytest.param("9" * 5000 + "\nabc", id="a length of 5000 digits"),
        pytest.param("abc\nabc", id="a word for a length"),
    ],
)
def test_what_is_not_a_pack_is_refused(packed: str) -> None:
    with pytest.raises(MalformedFrame):
        unpack_buffers(packed)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=6))
def test_what_is_packed_is_unpacked_again(buffers: list[str]) -> None:
    assert unpack_buffers(pack_buffers(buffers)) == buffers


@settings(derandomize=True, max_examples=500, deadline=None)
@given(st.text("0123456789\nab-+ _é", max_size=20))
def test_any_text_is_unpacked_or_refused(text: str) -> None:
    try:
        buffers = unpack_buffers(text)
    except MalformedFrame:
        return
    assert unpack_buffers(pack_buffers(buffers)) == buffers
