"""Submodules that a function reaches by other ways than a plain dotted name."""

from __future__ import annotations

import email.mime.text
import os.path
import xml.dom.minidom
import xml.etree.ElementTree  # noqa: ICN001  # the dotted name is the point
from types import FunctionType
from typing import Any, cast

import pytest

from funcx_async.serialize.names import (
    globals_read,
    modules_used,
    submodules_of,
    submodules_read,
    words_of,
)


def reached(function: Any, package: Any = xml, name: str = "xml") -> set[str]:
    code = cast("FunctionType", function).__code__
    chains = globals_read(code)[name]
    found = submodules_read(package, chains)
    for module in modules_used(package, chains):
        found |= submodules_of(module, words_of(code))
    return found


def dotted() -> Any:
    return xml.etree.ElementTree.fromstring("<a/>")


def local_name() -> Any:
    etree = xml.etree
    return etree.ElementTree.fromstring("<a/>")


def local_package() -> Any:
    package = xml
    return package.dom.minidom


def by_getattr() -> Any:
    return getattr(xml, "dom").minidom  # noqa: B009


def by_dotted_text() -> Any:
    from operator import attrgetter

    return attrgetter("dom.minidom")(xml)


def by_tuple_of_names() -> Any:
    found: Any = xml
    for name in ("etree", "ElementTree"):
        found = getattr(found, name)
    return found


def in_an_inner_function() -> Any:
    def inner() -> Any:
        package = xml
        return lambda: package.dom.minidom

    return inner


ELEMENT_TREE = {"xml.etree", "xml.etree.ElementTree"}
MINIDOM = {"xml.dom", "xml.dom.minidom"}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (dotted, ELEMENT_TREE),
        (local_name, ELEMENT_TREE),
        (local_package, MINIDOM),
        (by_getattr, MINIDOM),
        (by_dotted_text, MINIDOM),
        (by_tuple_of_names, ELEMENT_TREE),
        (in_an_inner_function, MINIDOM),
    ],
)
def test_the_submodules_that_a_function_reaches_are_found(
    function: Any, expected: set[str]
) -> None:
    assert reached(function) == expected


def test_a_dotted_name_needs_no_submodule_that_it_does_not_read() -> None:
    def reads() -> Any:
        return email.mime.text.MIMEText("xml"), "header", "utils"

    assert reached(reads, email, "email") == {"email.mime", "email.mime.text"}


def test_a_module_under_another_name_is_followed() -> None:
    assert submodules_read(os, frozenset({("path", "os", "path", "join")})) == {"os.path"}


def test_a_chain_ends_where_no_module_follows() -> None:
    assert submodules_read(xml, frozenset({("nothing", "etree")})) == set()
    assert modules_used(xml, frozenset({("nothing",)})) == []


def test_long_texts_and_sentences_are_no_names() -> None:
    def speaks() -> Any:
        return "the dom is etree", "dom." * 100, b"dom", ("a", ("b.c",))

    assert words_of(speaks.__code__) == {"a", "b", "c"}
