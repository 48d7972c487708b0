"""Imports inside functions: refused at submit where they would fail on the worker."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import Any

import pytest

from funcx_async.errors import SerializationError
from funcx_async.serialize import FuncXSerializer
from funcx_async.serialize.bytecode import inner_imports
from funcx_async.serialize.origin import send_by_reference

HEAD = """\
import builtins
import contextlib
import importlib
import threading
import typing
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

optional = (ImportError, OSError)

def imports_it():
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of ours, under a name that no other test uses."""
    name = f"laboratory_{tmp_path.name.translate(str.maketrans('[]-', '___'))}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / name / "helpers.py").write_text("def tenfold(x):\n    return 10 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def importing(package: str, body: str) -> Any:
    """A function of a module in the package; ``{0}`` in its body is the package's name."""
    folder = Path(str(importlib.import_module(package).__file__)).parent
    (folder / "tasks.py").write_text(HEAD + indent(body.format(package), "    "))
    importlib.invalidate_caches()
    return importlib.import_module(f"{package}.tasks").imports_it


def serialize(function: Any) -> str:
    return FuncXSerializer().serialize_function(function)


@pytest.mark.parametrize(
    "body",
    [
        "import {0}.helpers",
        "import {0}.helpers as h",
        "from {0} import helpers",
        "from {0}.helpers import tenfold",
        "from .helpers import tenfold",
        "from . import helpers",
        "from .. import sibling",
        "with threading.Lock():\n    from .helpers import tenfold",
        "with threading.Lock() as a, threading.Lock():\n    import {0}.helpers",
        "with suppress(KeyError):\n    import {0}.helpers",
        "for _ in range(3):\n    import {0}.helpers",
        "while True:\n    import {0}.helpers\n    break",
        "try:\n    import {0}.helpers\nfinally:\n    print()",
        "try:\n    import {0}.helpers\nexcept KeyError:\n    pass",
        "try:\n    import {0}.helpers\nexcept (KeyError, OSError) as error:\n    print(error)",
        "try:\n    import json\nexcept ImportError:\n    import {0}.helpers",
        "try:\n    import json\nexcept ImportError:\n    pass\nelse:\n    import {0}.helpers",
        "try:\n    import json\nexcept ImportError:\n    pass\nfinally:\n    import {0}.helpers",
        "try:\n    from .helpers import tenfold\nexcept ModuleNotFoundError:\n    pass",
        "if TYPE_CHECKING:\n    import json\nelse:\n    import {0}.helpers",
        "if TYPE_CHECKING:\n    import json\nimport {0}.helpers",
        "if not TYPE_CHECKING:\n    import {0}.helpers",
        "def inner():\n    from . import helpers\n    return helpers\nreturn inner",
        "class Inner:\n    from . import helpers\nreturn Inner",
        "return [__import__('{0}.helpers') for _ in range(3)]",
        "return importlib.import_module('{0}.helpers')",
        "return import_module('.helpers', __package__)",
    ],
)
def test_an_import_that_fails_on_the_worker_is_refused(package: str, body: str) -> None:
    function = importing(package, body)
    with pytest.raises(SerializationError, match="imports_it imports") as caught:
        serialize(function)
    assert "at the top of the file" in str(caught.value) or "by its full name" in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        "import json, xml.dom.minidom, dill, funcx_async",
        "import not_here_at_all",
        "from not_here_at_all.either import anything",
        "import_module('json')",
        "try:\n    import {0}.helpers\nexcept ImportError:\n    pass",
        "try:\n    from .helpers import tenfold\nexcept ImportError as error:\n    print(error)",
        "try:\n    import {0}.helpers\nexcept ModuleNotFoundError:\n    pass",
        "try:\n    import {0}.helpers\nexcept Exception:\n    pass",
        "try:\n    import {0}.helpers\nexcept BaseException:\n    raise",
        "try:\n    import {0}.helpers\nexcept:\n    pass",
        "try:\n    import {0}.helpers\nexcept (KeyError, ImportError):\n    pass",
        "try:\n    import {0}.helpers\nexcept KeyError:\n    pass\nexcept ImportError:\n    pass",
        "try:\n    import {0}.helpers\nexcept KeyError:\n    pass\nexcept:\n    pass",
        "try:\n    import {0}.helpers\nexcept builtins.ImportError:\n    pass",
        "try:\n    import {0}.helpers\nexcept optional:\n    pass",
        "try:\n    import {0}.helpers\nexcept* ImportError:\n    pass",
        "try:\n with threading.Lock():\n  import {0}.helpers\nexcept ImportError:\n pass",
        "try:\n try:\n  import {0}.helpers\n finally:\n  print()\nexcept ImportError:\n pass",
        "try:\n try:\n  import {0}.helpers\n except OSError as e:\n  1\nexcept ImportError:\n pass",
        "try:\n    for _ in range(3):\n        import {0}.helpers\nexcept ImportError:\n    pass",
        "try:\n    import {0}.helpers\nexcept ImportError:\n    pass\nfinally:\n    print()",
        "with suppress(ImportError):\n    import {0}.helpers",
        "with contextlib.suppress(KeyError, ModuleNotFoundError):\n    import {0}.helpers",
        "with suppress(ImportError), threading.Lock():\n    import {0}.helpers",
        "with suppress(ImportError):\n    with threading.Lock():\n        import {0}.helpers",
        "with suppress(ImportError):\n    return import_module('{0}.helpers')",
        "if TYPE_CHECKING:\n    import {0}.helpers",
        "if typing.TYPE_CHECKING:\n    from . import helpers",
        "if TYPE_CHECKING and not optional:\n    from . import helpers",
    ],
)
def test_an_import_that_works_or_is_handled_is_sent(package: str, body: str) -> None:
    assert serialize(importing(package, body))


def test_the_error_names_the_module_and_the_remedy(package: str) -> None:
    function = importing(package, "from . import helpers")
    importlib.import_module(f"{package}.helpers")
    with pytest.raises(SerializationError) as caught:
        serialize(function)
    assert f"your module {package}.helpers" in str(caught.value)
    assert f"send_by_reference('{package}')" in str(caught.value)


def test_a_relative_import_needs_a_package_even_of_what_the_workers_have(package: str) -> None:
    function = importing(package, "from .helpers import tenfold")
    send_by_reference(f"{package}.helpers")
    with pytest.raises(SerializationError, match=f"by its full name, {package}.helpers"):
        serialize(function)


def test_a_function_inside_an_installed_package_may_import_relatively(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"installed_{tmp_path.name}"
    folder = tmp_path / "site-packages" / name
    folder.mkdir(parents=True)
    (folder / "inner.py").write_text("f = 1\n")
    (folder / "__init__.py").write_text(
        "def outer():\n    def inside():\n        from .inner import f\n        return f\n"
        "    return inside\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    assert serialize(importlib.import_module(name).outer())


def test_a_relative_import_of_a_script_is_relative_to_nothing() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("def imports_it():\n    from . import helpers\n", namespace)
    with pytest.raises(SerializationError, match="not part of a package"):
        serialize(namespace["imports_it"])


def test_asking_imports_nothing(package: str) -> None:
    namespace: dict[str, Any] = {"__name__": "asking"}
    exec(f"def imports_it():\n    import {package}.helpers\n", namespace)
    with pytest.raises(SerializationError, match=package):
        serialize(namespace["imports_it"])
    assert package not in sys.modules


def test_levels_and_names_are_read_from_long_functions_too() -> None:
    lines = "".join(f"    name_{number} = ({number}, 'x')\n" for number in range(400))
    namespace: dict[str, Any] = {}
    exec(f"def long():\n{lines}    from ...one import two, three\n    return 1\n", namespace)
    (found,) = inner_imports(namespace["long"].__code__)
    assert (found.module, found.level, found.names) == ("one", 3, ("two", "three"))


def test_what_a_module_says_of_itself_need_not_be_true(package: str) -> None:
    module = ModuleType("odd")
    vars(module)["__package__"] = package
    exec("def imports_it():\n    from .helpers import tenfold\n", vars(module))
    with pytest.raises(SerializationError, match=f"your module {package}"):
        serialize(vars(module)["imports_it"])
