from __future__ import annotations

import os
import sys
from typing import Any

from funcx_async.serialize.bytecode import globals_read

value: Any = None


def test_attributes_that_share_a_name_with_a_global_are_not_reads_of_it() -> None:
    assert "value" not in globals_read((lambda response: response.value).__code__)


def test_chains_of_attributes_are_told_apart_from_uses_as_a_value() -> None:
    def reads() -> Any:
        return os.path.exists(sys.prefix), sys  # noqa: PTH110  # a chain is the point

    assert globals_read(reads.__code__)["os"] == {("path", "exists")}
    assert globals_read(reads.__code__)["sys"] == {("prefix",), ()}


def test_functions_classes_and_comprehensions_inside_count_too() -> None:
    def outer() -> Any:
        class Inner:
            attribute = value

        def inner() -> Any:
            return [os.sep for _ in sys.argv]

        return Inner, inner

    read = globals_read(outer.__code__)
    assert read["value"] == {()}
    assert read["os"] == {("sep",)}
    assert read["sys"] == {("argv",)}


def test_setting_an_attribute_reads_none_of_it() -> None:
    def sets() -> None:
        os.attribute = 1  # type: ignore[attr-defined]

    assert globals_read(sets.__code__)["os"] == frozenset()


def test_a_global_that_is_only_assigned_is_not_read() -> None:
    def assigns() -> None:
        global value
        value = 1

    assert "value" not in globals_read(assigns.__code__)
