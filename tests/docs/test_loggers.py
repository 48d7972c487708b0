"""The loggers and fields that the page of telemetry names are those of the package."""

from __future__ import annotations

import importlib
import logging
import re

from tests.docs.docstrings import modules
from tests.docs.pages import ROOT
from tests.telemetry.test_log_records import FIELDS

PAGE = (ROOT / "docs/telemetry.md").read_text()


def test_a_logger_that_is_named_is_there():
    for module in modules():
        importlib.import_module(module)
    told = set(re.findall(r"^\| `(funcx_async\.\w+)` \|", PAGE, re.MULTILINE))
    assert told
    assert told <= set(logging.root.manager.loggerDict)


def test_the_fields_of_records_are_told():
    (table,) = re.findall(r"^\| field \|.*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(FIELDS)
