"""Objects that the worker has itself are found by the name of a module that holds them."""

from __future__ import annotations

import builtins
import copyreg
import dataclasses
import datetime as dt
import decimal
import gc
import importlib
import io
import logging
import os
import random
import re
import sys
import threading
import unittest.mock
import warnings
import weakref
import zoneinfo
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, Optional

import pytest

from funcx_async.serialize.origin import send_by_reference, send_by_value, state_of_worker

LIBRARY = """\
import random

registry = {}
_private = []
both = _alias = {}
rng = random.Random(1)
marker = object()
given = {"default": 1}
by_star = None


class Thing:
    pass


thing = Thing()
slot = {}


def configure(value):
    global slot
    slot = value
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An installed package with a registry and other objects of its own."""
    site = tmp_path / "site-packages"
    name = f"library_{tmp_path.name.translate(str.maketrans('[]-', '___'))}"
    (site / name).mkdir(parents=True)
    (site / name / "_core.py").write_text(LIBRARY)
    (site / name / "__init__.py").write_text("from ._core import registry, marker, slot\n")
    (site / f"a{name}.py").write_text(f"from {name} import registry\nfrom {name}._core import *\n")
    monkeypatch.syspath_prepend(site)
    importlib.import_module(f"a{name}")
    return importlib.import_module(name)


PRIVATE = "_private"


def core_of(library: ModuleType) -> Any:
    return sys.modules[f"{library.__name__}._core"]


@pytest.mark.parametrize(
    ("value", "home"),
    [
        (os.environ, ("os", "environ")),
        (sys.path, ("sys", "path")),
        (sys.modules, ("sys", "modules")),
        (sys.meta_path, ("sys", "meta_path")),
        (sys.implementation, ("sys", "implementation")),
        (logging.root, ("logging", "root")),
        (vars(random)["_inst"], ("random", "_inst")),
        (copyreg.dispatch_table, ("copyreg", "dispatch_table")),
        (dataclasses.MISSING, ("dataclasses", "MISSING")),
        (dataclasses.KW_ONLY, ("dataclasses", "KW_ONLY")),
        (unittest.mock.DEFAULT, ("unittest.mock", "DEFAULT")),
        (decimal.DefaultContext, ("decimal", "DefaultContext")),
        (vars(threading)["_active"], ("threading", "_active")),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_objects_of_the_standard_library_are_found(value: object, home: tuple[str, str]) -> None:
    assert state_of_worker(value) == home


def test_filters_of_warnings_are_found_where_people_look_for_them() -> None:
    with warnings.catch_warnings():
        replacement = warnings.filters
        assert state_of_worker(replacement) == ("warnings", "filters")
    assert state_of_worker(warnings.filters) == ("warnings", "filters")
    assert state_of_worker(replacement) is None


@pytest.mark.parametrize(
    "value",
    [
        os,
        os.path,
        dict,
        dataclasses.field,
        random.random,
        len,
        sys.stdout,
        io.StringIO(),
        None,
        True,
        ...,
        NotImplemented,
        5,
        1.5,
        sys.version,
        b"",
        (),
        frozenset(),
        range(3),
        re.compile("a"),
        re.IGNORECASE,
        dt.UTC,
        dt.datetime.min.replace(tzinfo=dt.UTC),
        zoneinfo.ZoneInfo("UTC"),
        decimal.Decimal(1),
        PurePosixPath("/"),
        Optional[int],  # noqa: UP045  # typing caches it, so that modules share it
        list[int],
        logging.getLogger("concurrent.futures"),
        object(),
        {},
        [],
        set(),
    ],
    ids=lambda value: type(value).__qualname__,
)
def test_values_code_and_the_users_own_objects_are_not_state(value: object) -> None:
    assert state_of_worker(value) is None


def test_registries_and_sentinels_of_libraries_are_found(library: ModuleType) -> None:
    name, core = library.__name__, core_of(library)
    assert state_of_worker(core.registry) == (name, "registry")
    assert state_of_worker(core.marker) == (name, "marker")
    assert state_of_worker(getattr(core, PRIVATE)) == (f"{name}._core", PRIVATE)
    assert state_of_worker(core.rng) in {(f"{name}._core", "rng"), (f"a{name}", "rng")}
    assert state_of_worker(core.thing) is not None


def test_a_public_name_is_preferred(library: ModuleType) -> None:
    found = state_of_worker(core_of(library).both)
    assert found is not None
    assert found[1] == "both"


def test_what_was_attached_to_a_module_from_outside_is_not_the_workers(
    library: ModuleType,
) -> None:
    class Mine:
        pass

    core = core_of(library)
    mine: dict[str, int] = {}
    library.extra = mine  # type: ignore[attr-defined]
    core.thing = Mine()
    assert state_of_worker(mine) is None
    assert state_of_worker(core.thing) is None


def test_what_a_function_of_the_library_assigns_is_not_the_workers(library: ModuleType) -> None:
    core = core_of(library)
    mine = {"my": "settings"}
    core.configure(mine)
    assert core.slot is mine
    assert state_of_worker(mine) is None


def test_the_last_value_of_a_session_is_not_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    last: list[int] = []
    monkeypatch.setattr(builtins, "_", last, raising=False)
    monkeypatch.setattr(sys, "last_value", error := ValueError(), raising=False)
    assert state_of_worker(last) is None
    assert state_of_worker(error) is None


def test_modules_that_are_imported_later_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert state_of_worker({}) is None
    site = tmp_path / "site-packages"
    site.mkdir()
    (site / "imported_later.py").write_text("state = {}\n")
    monkeypatch.syspath_prepend(site)
    later: Any = importlib.import_module("imported_later")
    assert state_of_worker(later.state) == ("imported_later", "state")
    replaced, later.state = later.state, {}
    assert state_of_worker(replaced) is None


def test_a_module_that_counts_as_ours_has_no_state_of_the_workers(library: ModuleType) -> None:
    core = core_of(library)
    for module in (library.__name__, f"a{library.__name__}"):
        send_by_value(module)
    assert state_of_worker(core.registry) is None
    send_by_reference(library)
    assert state_of_worker(core.registry) == (library.__name__, "registry")


def test_state_of_our_own_modules_is_not_the_workers() -> None:
    assert state_of_worker(OWN_STATE) is None


def test_looking_objects_up_keeps_none_of_them_alive(library: ModuleType) -> None:
    core = core_of(library)
    assert state_of_worker(core.thing) is not None
    watched = weakref.ref(core.thing)
    core.thing = sys.modules[f"a{library.__name__}"].thing = None  # type: ignore[attr-defined]
    gc.collect()
    assert watched() is None


def test_several_threads_may_look_up_at_once(library: ModuleType) -> None:
    core = core_of(library)
    send_by_reference(library)  # so that all modules are looked through again
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(state_of_worker, [core.registry] * 40))
    assert found == {(library.__name__, "registry")}


OWN_STATE: dict[str, int] = {}
