"""What is written as a literal is read as it was."""

from __future__ import annotations

import ast
import doctest

from hypothesis import example, given
from hypothesis import strategies as st

from funcx_async.serialize import literals
from funcx_async.serialize.literals import lines_literal

lines = st.lists(st.text(st.sampled_from("ab\\'\"\r\f\t \u2028é{}#"))).map("\n".join)


@given(lines)
@example("'''" + '"""')
@example("\\")
@example("'")
def test_lines_are_read_as_they_were_written(text: str) -> None:
    assert ast.literal_eval(lines_literal(f"{text}\n")) == f"\n{text}\n"


def test_lines_are_shown_as_they_are() -> None:
    text = "def f(x):\n    return '\\n'.join(x)\n"
    assert text in lines_literal(text)


def test_its_examples_are_true() -> None:
    assert doctest.testmod(literals).failed == 0
