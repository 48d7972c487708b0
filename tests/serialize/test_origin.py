from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from funcx_async.errors import SerializationError
from funcx_async.serialize import FuncXSerializer
from funcx_async.serialize.origin import (
    found_by_name,
    is_ours,
    send_by_reference,
    send_by_value,
    worker_has,
)
from tests.serialize import application


@pytest.mark.parametrize(
    "name",
    [
        "builtins",
        "sys",
        "json.decoder",
        "os.path",
        "collections.abc",
        "dill",
        "pytest",
        "funcx_async.errors",
    ],
)
def test_a_worker_has_the_standard_library_and_what_is_installed(name: str) -> None:
    assert worker_has(name)


@pytest.mark.parametrize("name", ["__main__", "no_such_module", application.__name__, __name__])
def test_a_worker_has_neither_the_script_nor_our_own_modules(name: str) -> None:
    assert not worker_has(name)


def test_a_file_of_ours_named_as_a_standard_module_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow = ModuleType("queue")
    shadow.__file__ = str(tmp_path / "queue.py")
    monkeypatch.setitem(sys.modules, "queue", shadow)
    assert not worker_has("queue")


def installed(folder: Path, name: str, direct_url: str | None) -> None:
    """Lay a distribution with one module out as pip does."""
    (folder / f"{name}.py").write_text("def function(): return 1\n")
    metadata = folder / f"{name}-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (metadata / "RECORD").write_text(f"{name}.py,,\n{name}-1.dist-info/METADATA,,\n")
    if direct_url is not None:
        (metadata / "direct_url.json").write_text(direct_url)


def test_a_package_installed_from_a_folder_is_ours_and_one_from_an_index_is_not(
    tmp_path: Path,
) -> None:
    import json
    import subprocess

    folder = tmp_path / "site-packages"
    folder.mkdir()
    installed(folder, "from_index", None)
    installed(folder, "from_archive", '{"url": "file:///x.whl", "archive_info": {}}')
    installed(folder, "from_folder", '{"url": "file:///x", "dir_info": {}}')
    installed(folder, "from_editable", '{"url": "file:///x", "dir_info": {"editable": true}}')
    installed(folder, "from_nonsense", "not json")
    program = (
        "import sys, json; sys.path.append(sys.argv[1])\n"
        "import from_index, from_archive, from_folder, from_editable, from_nonsense\n"
        "from funcx_async.serialize.origin import worker_has\n"
        "print(json.dumps({n: worker_has(n) for n in list(sys.modules) if n.startswith('from_')}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True
    )
    assert json.loads(answer.stdout) == {
        "from_index": True,
        "from_archive": True,
        "from_folder": False,
        "from_editable": False,
        "from_nonsense": True,
    }


def test_a_module_without_a_file_is_judged_by_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dill.made_up", ModuleType("dill.made_up"))
    monkeypatch.setitem(sys.modules, "made_up", ModuleType("made_up"))
    assert worker_has("dill.made_up")
    assert not worker_has("made_up")


def test_a_folder_without_init_is_judged_by_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = ModuleType("name_space")
    namespace.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "name_space", namespace)
    assert not worker_has("name_space")


def test_what_a_name_does_not_lead_to_is_not_found_by_it() -> None:
    import json

    def dumps() -> None: ...

    dumps.__module__, dumps.__qualname__ = "json", "dumps"
    assert found_by_name(json.dumps)
    assert found_by_name(json.JSONDecoder)
    assert not found_by_name(dumps)
    assert not found_by_name(application.add)


def test_classes_of_the_interpreter_are_never_ours() -> None:
    import json

    assert is_ours(application.Point)
    assert not is_ours(json.JSONDecoder)
    assert not is_ours(type(None))
    assert not is_ours(type(len))


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of ours, under a name that no other test uses, and not imported."""
    name = f"mine_{tmp_path.name.translate(str.maketrans('[]-', '___'))}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("def f(): return 1\n")
    (tmp_path / name / "inner.py").write_text("def g(): return 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_somebody_may_say_that_the_workers_have_a_package_of_ours(mine: str) -> None:
    package = importlib.import_module(mine)
    inner = importlib.import_module(f"{mine}.inner")
    assert not worker_has(mine)
    send_by_reference(package)
    assert worker_has(mine)
    assert worker_has(f"{mine}.inner")
    assert found_by_name(inner.g)
    assert len(FuncXSerializer().serialize_function(inner.g)) < 200
    send_by_value(f"{mine}.inner")
    assert worker_has(mine)
    assert not worker_has(f"{mine}.inner")
    assert len(FuncXSerializer().serialize_function(inner.g)) > 200
    send_by_value(mine)
    assert not worker_has(mine)


def test_somebody_may_say_that_the_workers_lack_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages"
    site.mkdir()
    installed(site, "installed_for_rules", None)
    monkeypatch.syspath_prepend(site)
    module = importlib.import_module("installed_for_rules")
    assert worker_has("installed_for_rules")
    send_by_value("installed_for_rules")
    assert not worker_has("installed_for_rules")
    again = FuncXSerializer().deserialize(FuncXSerializer().serialize_function(module.function))
    assert again() == 1
    assert again is not module.function


def test_a_rule_is_for_a_module_and_not_for_the_running_program() -> None:
    for nonsense in (None, 3, ""):
        with pytest.raises(TypeError, match="expected a module or its name"):
            send_by_value(nonsense)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no worker has it"):
        send_by_reference("__main__")


def importing(name: str, text: str = "import {0}") -> Any:
    namespace: dict[str, Any] = {"__name__": "importing"}
    body = "\n".join(f"    {line}" for line in text.format(name).splitlines())
    exec(f"def imports_it():\n{body}\n", namespace)
    return namespace["imports_it"]


@pytest.mark.parametrize("text", ["import {0}", "from {0} import f", "import {0}.inner as i"])
def test_importing_a_module_of_ours_when_it_runs_is_refused_at_submit(mine: str, text: str) -> None:
    with pytest.raises(SerializationError, match=f"imports_it imports your module {mine}") as said:
        FuncXSerializer().serialize_function(importing(mine, text))
    assert "at the top of the file" in str(said.value)
    assert mine not in sys.modules


def test_importing_what_the_workers_have_or_may_have_is_not(mine: str) -> None:
    guarded = "try:\n    import {0}\nexcept ImportError:\n    pass"
    for function in (
        importing("json"),
        importing("xml.etree"),
        importing("dill"),
        importing("nowhere_to_be_found_here"),
        importing("funcx_async"),
        importing(mine, guarded),
    ):
        assert FuncXSerializer().serialize_function(function)
    send_by_reference(mine)
    assert FuncXSerializer().serialize_function(importing(mine))
