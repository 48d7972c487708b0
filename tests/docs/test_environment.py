"""The page of environment variables has each that the package reads or sets, and no other."""

from __future__ import annotations

import ast
import re

from tests.docs.pages import ROOT

PAGE = ROOT / "docs/reference/environment.md"
NAME = re.compile(
    r"(?:FUNCX|GLOBUS)_[A-Z_]+|PYTHON_?[A-Z]{4,}|GC_[A-Z_]+|[A-Z]+_PROXY|SSL_CERT_FILE"
)
ASSEMBLED = {
    *("GLOBUS_COMPUTE_CLIENT_ID", "GLOBUS_COMPUTE_CLIENT_SECRET"),
    *("FUNCX_SDK_CLIENT_ID", "FUNCX_SDK_CLIENT_SECRET"),
    *("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"),
}
"""The code makes these names of two parts, or takes them in small letters."""

PREFIXES = {"GLOBUS_COMPUTE", "GLOBUS_COMPUTE_CLIENT_", "FUNCX_SDK"}
READ_BY_OTHERS = {"SSL_CERT_FILE"}
"""httpx reads it, for us."""


def told() -> set[str]:
    return {name for name in re.findall(r"`(\w+)`", PAGE.read_text()) if NAME.fullmatch(name)}


def in_the_code() -> set[str]:
    texts = {
        node.value
        for path in (ROOT / "funcx_async").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {text for text in texts if NAME.fullmatch(text)} - PREFIXES


def test_each_variable_of_the_code_is_on_the_page():
    assert in_the_code() <= told()


def test_each_variable_of_the_page_is_in_the_code():
    assert told() <= in_the_code() | ASSEMBLED | READ_BY_OTHERS
