"""What would be sent, told before it is."""

from __future__ import annotations

import doctest
import json
from typing import Any

import pytest

from funcx_async import SerializationError, explain
from funcx_async.serialize import FuncXSerializer, explanation
from tests.serialize import application as app
from tests.serialize import statements as module


def test_every_part_is_told_with_its_size_and_reason() -> None:
    told = explain(module.helped)
    assert told.function_name == "helped"
    assert told.size == len(FuncXSerializer().serialize_function(module.helped))
    parts = {part.name: part for part in told.parts}
    assert list(parts) == ["helped", "LIMIT", "doubled", "scale", "FACTOR", "(rebuild)"]
    assert parts["scale"].why == "doubled() reads it"
    assert parts["LIMIT"].kind == "int"
    assert {part.travels for part in told.parts} == {"by value"}
    assert all(part.size > 0 for part in told.parts)


def test_a_large_global_stands_out_and_one_that_is_not_read_is_not_there() -> None:
    told = explain(module.uses_huge)
    largest = max(told.parts, key=lambda part: part.size)
    assert largest.name == "HUGE"
    assert largest.size > 50_000
    assert "HUGE" not in [part.name for part in explain(module.plain).parts]


def test_what_the_worker_has_is_told_to_go_by_reference() -> None:
    parts = {part.name: part for part in explain(app.imported).parts}
    assert parts["js"].travels == "by reference"
    assert parts["js"].why.endswith("the worker has it")
    assert parts["scaled"].travels == "by value"
    assert explain(json.dumps).parts[0].travels == "by reference"


def test_the_source_is_shown_or_why_there_is_none() -> None:
    told = explain(module.helped)
    assert told.no_source is None
    assert told.source is not None
    assert "def doubled(x):" in told.source
    told = explain(module.attributed)
    assert (told.source, told.no_source) == (None, "attributed has attributes")


def test_a_person_reads_it_line_by_line() -> None:
    told = explain(module.helped, [1] * 2000, note="x")
    assert repr(told).startswith("<Explanation helped: ")
    assert repr(told).endswith(" kB, 6 parts>")
    lines = str(told).splitlines()
    assert lines[0].startswith("helped makes ")
    assert "Source for any Python" in lines[1]
    assert "int, by value; helped() reads it" in lines[3]
    assert lines[-3:] == [
        "Arguments:",
        "  args[0] (list, 5.4 kB)",
        "  kwargs['note'] (str, 25 B)",
    ]
    assert "Compiled alone" in str(explain(module.cached))


@pytest.mark.parametrize(
    "function",
    [
        app.Adder(1),
        app.AsyncAdder(),
        app.awaited,
        app.Point(1).moved,
        app.Point,
        len,
        app.use_enums,
    ],
)
def test_whatever_can_be_submitted_can_be_explained(function: Any) -> None:
    told = explain(function)
    assert told.parts[0].size > 0
    assert str(told)


def test_what_cannot_be_submitted_is_refused_likewise() -> None:
    with pytest.raises(TypeError):
        explain(3)  # type: ignore[arg-type]
    with pytest.raises(SerializationError, match="generator function"):
        explain(app.generated)
    with pytest.raises(SerializationError, match=r"args\[0\]"):
        explain(app.add, (i for i in ()))


def test_its_example_is_true() -> None:
    assert doctest.testmod(explanation).failed == 0
