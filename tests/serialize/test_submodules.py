"""Submodules that a function reaches by other ways than a plain dotted name."""

from __future__ import annotations

import email.mime.text
import os.path
import xml.dom.minidom
import xml.etree.ElementTree  # noqa: ICN001  # the dotted name is the point
from pathlib import Path
from types import FunctionType
from typing import Any, cast

import pytest

from funcx_async.serialize.bytecode import (
    globals_read,
    modules_used,
    submodules_of,
    submodules_read,
    words_of,
)
from tests.serialize.bare_worker import started_bare_worker


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


def closure() -> Any:
    import xml.dom.minidom
    import xml.etree.ElementTree  # noqa: ICN001

    def parse(text: str) -> Any:
        return xml.etree.ElementTree.fromstring(text).tag

    return parse


def aliased() -> Any:
    dom: Any = xml.dom

    def parse(text: str) -> Any:
        return dom.minidom.parseString(text).documentElement.tagName

    return parse


def given(text: str, package: Any = xml) -> Any:
    return package.dom.minidom.parseString(text).documentElement.tagName


def of(package: Any, text: str) -> Any:
    return package.dom.minidom.parseString(text).documentElement.tagName


def passing_on(text: str) -> Any:
    return of(xml, text)


class Reader:
    package: Any = xml

    def __init__(self) -> None:
        self.own: Any = xml

    def by_class(self, text: str) -> Any:
        return self.package.etree.ElementTree.fromstring(text).tag

    def by_instance(self, text: str) -> Any:
        return self.own.dom.minidom.parseString(text).documentElement.tagName


def through_an_object(text: str) -> Any:
    return Reader().by_class(text), Reader().by_instance(text)


def stored(text: str) -> Any:
    return PACKAGES["xml"].dom.minidom.parseString(text).documentElement.tagName


def local(text: str) -> Any:
    etree = xml.etree
    return etree.ElementTree.fromstring(text).tag


def looked_up(text: str) -> Any:
    found: Any = getattr(xml, "dom")  # noqa: B009
    return found.minidom.parseString(text).documentElement.tagName


PACKAGES = {"xml": xml}


@pytest.mark.parametrize(
    "function",
    [
        closure(),
        aliased(),
        given,
        passing_on,
        Reader().by_class,
        Reader().by_instance,
        through_an_object,
        stored,
        local,
        looked_up,
    ],
    ids=lambda function: function.__qualname__,
)
def test_a_worker_imports_the_submodules_that_a_function_reaches(
    function: Any, tmp_path: Path
) -> None:
    with started_bare_worker(tmp_path) as fresh:
        assert fresh.run(function, "<a/>") == repr(function("<a/>"))
