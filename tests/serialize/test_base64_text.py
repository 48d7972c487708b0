"""Base64 is the same with the SIMD library and without it."""

from __future__ import annotations

import base64
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funcx_async.serialize.payloads import decode, decoded_size, encode, encoded_size

CONTENT = bytes(range(256)) * 50


@given(st.binary(max_size=300))
def test_the_text_is_that_of_the_standard_library(content: bytes):
    assert encode(content) == base64.encodebytes(content).decode()
    assert decode(encode(content)) == content
    assert encoded_size(len(content)) == len(encode(content))


@given(st.integers(0, 2_000))
def test_what_fits_in_a_text_is_known(size: int):
    assert encoded_size(decoded_size(size)) <= size < encoded_size(decoded_size(size) + 1)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(base64.encodebytes(CONTENT).decode(), id="in lines"),
        pytest.param(base64.b64encode(CONTENT).decode(), id="in one line"),
        pytest.param(base64.encodebytes(CONTENT).decode().replace("\n", "\r\n"), id="other lines"),
    ],
)
def test_lines_may_be_of_any_length(text: str):
    assert decode(text) == CONTENT


@pytest.mark.parametrize("text", ["YWJ", "Y", "YQ=", "é"])
def test_what_is_no_base64_is_a_value_error(text: str):
    with pytest.raises(ValueError, match=r"padding|characters"):
        decode(text)


def test_without_the_library_the_standard_one_writes_and_reads_the_same():
    program = textwrap.dedent("""
        import sys
        sys.modules["pybase64"] = None
        from funcx_async.serialize import FuncXSerializer
        serializer = FuncXSerializer()
        value = [bytes(range(256)) * 20, 2.5]
        text = serializer.serialize(value)
        assert serializer.deserialize(text) == value
        print(text, end="")
    """)
    ended = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=30, capture_output=True, text=True
    )
    from funcx_async.serialize import FuncXSerializer

    assert ended.stdout == FuncXSerializer().serialize([bytes(range(256)) * 20, 2.5])
