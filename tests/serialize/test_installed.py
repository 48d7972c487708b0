"""dill, the standard library and what is installed are the worker's, wherever they lie here."""

from __future__ import annotations

import json
import os
import pkgutil
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipapp
import zipfile
from collections.abc import Iterable
from pathlib import Path

import dill
import pytest

import funcx_async

DILL = Path(dill.__file__).parent
OURS = Path(funcx_async.__file__).parent

PROGRAM = """\
import importlib, json, sys

def constant():
    return 4

def task(x):
    return json.dumps(x + constant())

def main():
    from funcx_async.serialize import FuncXSerializer
    from funcx_async.serialize.origin import worker_has

    serializer = FuncXSerializer()
    arguments = json.loads(sys.argv[1])
    for name in arguments:
        importlib.import_module(name)
    back = serializer.deserialize(serializer.serialize_function(task))
    print(json.dumps([back(1), {name: worker_has(name) for name in arguments}]))

if __name__ == "__main__":
    main()
"""


def answers(
    names: Iterable[str],
    *program: str,
    path: Iterable[Path] = (),
    **environment: str,
) -> dict[str, bool]:
    """Run the program in a Python that has no packages but those on the path."""
    base = os.path.realpath(sys.executable)
    run = subprocess.run(
        [base, "-S", *program, json.dumps(list(names))],
        env={"PYTHONPATH": os.pathsep.join(map(str, path)), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    value, has = json.loads(run.stdout)
    assert value == "5"
    return dict(has)


def lay_out(folder: Path, module: str, text: str = "", direct_url: str | None = None) -> None:
    """Write a module as an installer does, with its metadata; a slash in its name is a folder."""
    file = folder / f"{module}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    name = module.replace("/", "_")
    metadata = folder / f"{name}-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (metadata / "RECORD").write_text(f"{module}.py,,\n{metadata.name}/METADATA,,\n")
    if direct_url is not None:
        (metadata / "direct_url.json").write_text(direct_url)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A folder as ``pip install --target`` fills it, not called site-packages."""
    folder = tmp_path / "dependencies"
    lay_out(folder, "from_index")
    lay_out(folder, "from_folder", direct_url='{"url": "file:///x", "dir_info": {}}')
    lay_out(folder, "shared/from_index")
    lay_out(folder, "shared/from_folder", direct_url='{"url": "file:///x", "dir_info": {}}')
    (folder / "copied_here.py").write_text("")
    (folder / "dill").symlink_to(DILL)
    (folder / "funcx_async").symlink_to(OURS)
    return folder


IN_TARGET = {
    "dill": True,
    "dill.session": True,
    "funcx_async.errors": True,
    "json": True,
    "math": True,
    "os": True,
    "calendar": True,
    "from_index": True,
    "from_folder": False,
    "shared.from_index": True,
    "shared.from_folder": False,
    "copied_here": False,
}


def test_what_is_installed_into_any_folder_counts_as_installed(
    tmp_path: Path, target: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    has = answers(IN_TARGET, str(tmp_path / "program.py"), path=[target])
    assert has == IN_TARGET


def test_a_file_next_to_the_script_is_ours_whatever_its_name(tmp_path: Path, target: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    for name in ("calendar", "statistics"):
        (tmp_path / f"{name}.py").write_text("mine = True\n")
    (tmp_path / "own.egg-info").mkdir()
    (tmp_path / "own.egg-info" / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: own\n")
    (tmp_path / "own.egg-info" / "top_level.txt").write_text("own\n")
    (tmp_path / "own.py").write_text("")
    has = answers(
        ["calendar", "statistics", "own", "json"], str(tmp_path / "program.py"), path=[target]
    )
    assert has == {"calendar": False, "statistics": False, "own": False, "json": True}


def test_an_editable_dill_is_the_workers(tmp_path: Path) -> None:
    checkout = tmp_path / "src" / "dill"
    shutil.copytree(DILL, checkout, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "funcx_async").symlink_to(OURS)
    (tmp_path / "program.py").write_text(PROGRAM)
    path = [checkout.parent, tmp_path / "lib"]
    assert answers(["dill"], str(tmp_path / "program.py"), path=path) == {"dill": True}


def test_an_application_in_one_archive_can_send_its_functions(tmp_path: Path, target: Path) -> None:
    bundle = tmp_path / "bundle"
    skipped = shutil.ignore_patterns("tests", "__pycache__", "*.html", "*.js")
    shutil.copytree(target, bundle, ignore=skipped)
    (bundle / "application.py").write_text(PROGRAM)
    archive = tmp_path / "application.pyz"
    zipapp.create_archive(bundle, archive, main="application:main")
    assert answers([*IN_TARGET, "application"], str(archive)) == {**IN_TARGET, "application": False}


def test_a_frozen_application_has_the_standard_library_and_its_own_files_in_one_folder(
    tmp_path: Path, target: Path
) -> None:
    shutil.copy(Path(sysconfig.get_path("stdlib"), "calendar.py"), target)
    (target / "program.py").write_text(PROGRAM)
    (target / "start.py").write_text(
        "import sys\nsys.frozen = True\nimport program\nprogram.main()\n"
    )
    expected = {**IN_TARGET, "program": False}
    assert answers(expected, str(target / "start.py")) == expected


def test_an_embedded_python_has_its_library_in_an_archive(tmp_path: Path, target: Path) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    version = f"{sys.version_info.major}{sys.version_info.minor}"
    left_out = {"ensurepip", "idlelib", "lib2to3", "site-packages", "test", "tkinter", "unittest"}
    home = tmp_path / "home"
    (home / sys.platlibdir).mkdir(parents=True)
    with zipfile.ZipFile(home / sys.platlibdir / f"python{version}.zip", "w") as archive:
        for file in library.rglob("*.py"):
            name = file.relative_to(library)
            if name.parts[0] not in left_out and "__pycache__" not in name.parts:
                archive.write(file, name.as_posix())
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "colorsys.py").write_text("mine = True\n")
    expected = {"json": True, "calendar": True, "os": True, "math": True, "colorsys": False}
    program = [str(tmp_path / "program.py")]
    at_home = f"{home}{os.pathsep}{sys.base_exec_prefix}"
    assert answers(expected, *program, path=[target], PYTHONHOME=at_home) == expected


def test_pyinstaller_finds_a_hook_where_the_entry_point_leads() -> None:
    project = tomllib.loads((OURS.parent / "pyproject.toml").read_text())["project"]
    reference = project["entry-points"]["pyinstaller40"]["hook-dirs"]
    (folder,) = pkgutil.resolve_name(reference)()
    assert (Path(folder) / "hook-funcx_async.py").is_file()
