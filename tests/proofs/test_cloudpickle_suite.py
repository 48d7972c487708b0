"""cloudpickle's own test suite, with our serializer in place of cloudpickle.

`make oracles` gets the suite: the last one that was published as a package. A newer one is in the
repository of cloudpickle; FUNCX_ASYNC_CLOUDPICKLE names a clone, a folder with `tests` in it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.oracles.interpreters import ORACLES, interpreter

pytestmark = [pytest.mark.proof, pytest.mark.timeout(280)]

ROOT = Path(__file__).parents[2]
ADAPTER = Path(__file__).parent / "cloudpickle_adapter"
SUITE = Path(os.environ.get("FUNCX_ASYNC_CLOUDPICKLE", ORACLES / "cloudpickle"))
RUNS = [("", "compiled"), ("", "default"), ("py312", "default"), ("py313", "default")]
"""Environments, "" for this one, and how functions are written."""
COUNT = 114
"""Tests of the suite that apply to us; the published copy of it has somewhat fewer."""
FEWEST = 100
"""So many of the published copy must pass."""

READING = (
    # Its payloads are read by plain pickle; ours are read by dill, or by our reader.
    (r"\bpickle\.load(s?)\b", r"cloudpickle.load\1"),
    (r"(from cloudpickle\.compat )?\bimport pickle\b", "import cloudpickle, pickle"),
    (r"from pickle import loads", "from cloudpickle import loads"),
)

INTERNAL = "it calls an internal function of cloudpickle"
REGISTRY = "it tests the registry of modules by value, which has other rules and errors here"
BYTES = (
    "it compares the bytes that a worker writes of a class with ours; only the class must be one"
)
STATE = "it keeps objects in a worker from task to task and expects later changes to reach them"
SOURCE = "source text says it otherwise; the compiled function has it, as the other runs show"
VALUE_IS_MODULE = "modules do not travel as values; submit names the module"
OPEN_FILE = "open files do not travel; submit says to open them inside of the function"

NOT_APPLICABLE = {
    "test_extract_class_dict": INTERNAL,
    "test_cell_manipulation": INTERNAL,
    "test_cloudpickle_extract_nested_globals": INTERNAL,
    "test_importing_multiprocessing_does_not_impact_whichmodule": INTERNAL,
    "test_module_importability": INTERNAL,
    "test_module_level_pickler": INTERNAL,
    "test_non_module_object_passing_whichmodule_test": INTERNAL,
    "test_lookup_module_and_qualname_dynamic_typevar": INTERNAL,
    "test_lookup_module_and_qualname_importable_typevar": INTERNAL,
    "test_lookup_module_and_qualname_stdlib_typevar": INTERNAL,
    "test_register_pickle_by_value": REGISTRY,
    "test_pickle_constructs_from_module_registered_for_pickling_by_value": REGISTRY,
    "test_out_of_band_buffers": "it asks for buffers besides the pickle, which the wire has not",
    "test_deterministic_dynamic_class_attr_ordering_for_chained_pickling": BYTES,
    "test_deterministic_str_interning_for_chained_dynamic_class_pickling": BYTES,
    "test_dynamic_class_determinist_subworker_tuple_memoization": BYTES,
    "test_dynamic_class_deterministic_roundtrip": BYTES,
    "test_interactive_dynamic_type_and_stored_remote_instances": STATE,
}
REFUSED = {
    "test_dynamic_module": VALUE_IS_MODULE,
    "test_dynamic_module_no_package": VALUE_IS_MODULE,
    "test_dynamic_module_with_unpicklable_builtin": VALUE_IS_MODULE,
    "test_load_dynamic_module_in_grandchild_process": VALUE_IS_MODULE,
    "test_pickling_file_handles": OPEN_FILE,
    "test_pickling_special_file_handles": OPEN_FILE,
    "test_empty_file": OPEN_FILE,
    "test_closed_file": OPEN_FILE,
    "test_r_mode": OPEN_FILE,
    "test_plus_mode": OPEN_FILE,
    "test_seek": OPEN_FILE,
}
"""They fail, and by a refusal at submit."""
NOT_IN_SOURCE = {
    "test_closure_none_is_preserved": SOURCE,
    "test_function_annotations": SOURCE,
    "test_function_module_name": SOURCE,
    "test_function_qualname": SOURCE,
}


def missing() -> str:
    return (
        f"{COUNT} tests of cloudpickle were not run: {SUITE}/tests is not there; `make oracles` "
        "gets it, or name a copy in FUNCX_ASYNC_CLOUDPICKLE"
    )


def adapted(folder: Path) -> None:
    """Lay the suite out around the adapter, as its own repository is."""
    if not (SUITE / "tests" / "cloudpickle_test.py").exists():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing())
    shutil.copytree(SUITE / "tests", folder / "tests")
    for file in ADAPTER.glob("*.py"):
        shutil.copy(file, folder)
    (folder / "funcx_async").symlink_to(ROOT / "funcx_async")
    package = folder / "tests" / "cloudpickle_testpkg" / "_cloudpickle_testpkg"
    (folder / "_cloudpickle_testpkg").symlink_to(package)
    for file in (folder / "tests").glob("*.py"):
        text = file.read_text()
        for old, new in READING:
            text = re.sub(old, new, text)
        file.write_text(text)


def outcomes(folder: Path, python: str, strategy: str) -> dict[str, str]:
    """Run the suite: of each test the text of its failure, "" if it passed."""
    answer = folder / "answer.xml"
    ended = subprocess.run(
        [
            *(python, "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder), "-q"),
            *("-p", "no:cacheprovider", "-k", "not Protocol2", "--tb=short"),
            *(
                f"--junitxml={answer}",
                "tests/cloudpickle_test.py",
                "tests/cloudpickle_file_test.py",
            ),
        ],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "SUITE_STRATEGY": strategy,
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert answer.exists(), ended.stdout[-3000:] + ended.stderr[-3000:]
    found: dict[str, str] = {}
    for case in ET.parse(answer).iter("testcase"):
        if case.find("skipped") is None:
            failures = [*case.iter("failure"), *case.iter("error")]
            found[case.attrib["name"]] = "".join(each.text or "failed" for each in failures)
    return found


@pytest.mark.parametrize(("name", "strategy"), RUNS)
def test_cloudpickles_own_tests_pass(name: str, strategy: str, tmp_path: Path) -> None:
    adapted(tmp_path)
    python = interpreter(name) if name else sys.executable
    found = outcomes(tmp_path, python, strategy)
    excused = {**NOT_APPLICABLE, **REFUSED, **(NOT_IN_SOURCE if strategy == "default" else {})}
    failed = {test: text for test, text in found.items() if text and test not in excused}
    assert not failed, "\n\n".join(f"{test}\n{text[-1500:]}" for test, text in failed.items())
    for test in REFUSED:
        told = found.get(test, "Refused:")
        assert re.search(r"\bRefused[:(]", told), f"{test} is not refused, {told}"
    passed = [test for test, text in found.items() if not text and test not in NOT_APPLICABLE]
    assert len(passed) >= FEWEST
