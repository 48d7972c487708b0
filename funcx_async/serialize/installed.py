"""Where a module lies here, and so whether other machines can be expected to have it too.

They have the standard library, and what was installed here from a package index. They do not have
the files of an application, an editable install, or what was installed from a folder of this
machine. An installed distribution is known by the metadata next to it, as it may lie in any folder
or archive (``pip install --target``, a zipapp, a frozen application).
"""

from __future__ import annotations

import encodings
import importlib.metadata
import json
import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from pathlib import Path

_SITE = frozenset({"site-packages", "dist-packages"})
"""Names of folders in which everything was installed, with metadata or without."""

_CODE = (*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES)


@cache
def is_everywhere(module_name: str, place: str | None) -> bool:
    """Return whether a module that lies at a place here can be expected on other machines.

    Args:
        module_name: dotted.
        place: its file, or the folder of a package without one; None if it has neither.

    Returns:
        True if it is part of the standard library or of an installed distribution.
    """
    if place is None:
        return module_name.partition(".")[0] in sys.stdlib_module_names
    place = place.replace(os.sep, "/")
    return _is_standard(module_name, place) or _is_installed(module_name, place)


def _is_standard(module_name: str, place: str) -> bool:
    """Whether it is the standard library's, and not a file of the user's with the same name.

    A frozen application has both in one folder. There, and for what is compiled, the name decides.
    """
    if place.startswith(_library()) and _SITE.isdisjoint(place.split("/")):
        return True
    if module_name.partition(".")[0] not in sys.stdlib_module_names:
        return False
    is_compiled = place.endswith(tuple(EXTENSION_SUFFIXES))
    return is_compiled or hasattr(sys, "frozen") or place.startswith(_loaded_library())


@cache
def _library() -> tuple[str, ...]:
    return tuple(_folder(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))


@cache
def _loaded_library() -> str:
    """Where the interpreter loads its library from, which may be an archive: python311.zip.

    It loads ``encodings`` when it starts, before any file of the user's could take its place.
    """
    return _folder(str(Path(str(encodings.__file__)).parent.parent))


def _folder(path: str) -> str:
    return path.replace(os.sep, "/") + "/"


def _is_installed(module_name: str, place: str) -> bool:
    """Whether it belongs to a distribution that is neither editable nor local."""
    parts = place.split("/")
    for number, part in enumerate(parts, 1):
        if part in _SITE:
            return not _is_among(module_name, _modules_in("/".join(parts[:number]), local=True))
    top = module_name.partition(".")[0]
    folders = ("/".join(parts[:n]) for n, part in enumerate(parts) if part.partition(".")[0] == top)
    return any(_is_among(module_name, _modules_in(folder, local=False)) for folder in folders)


def _is_among(module_name: str, modules: frozenset[str]) -> bool:
    """Whether a module is one of these, is in one of these, or is the namespace of one."""
    inside = f"{module_name}."
    return not modules.isdisjoint(_packages(module_name)) or any(
        other.startswith(inside) for other in modules
    )


def _packages(module_name: str) -> Iterator[str]:
    """A module's name, and those of the packages that it is in."""
    while module_name:
        yield module_name
        module_name = module_name.rpartition(".")[0]


def _modules_in(folder: str, *, local: bool) -> frozenset[str]:
    """The modules of the distributions in a folder that are local to this machine, or are not."""
    try:
        changed = os.stat(folder).st_mtime_ns  # noqa: PTH116  # this is called for each module
    except OSError:  # it is in an archive
        changed = 0
    return _recorded_in(folder, changed, local)


@lru_cache(maxsize=64)
def _recorded_in(folder: str, _changed: int, local: bool) -> frozenset[str]:
    found: set[str] = set()
    for distribution in importlib.metadata.distributions(path=[folder]):
        if _is_local(distribution.read_text("direct_url.json")) is local:
            found |= _modules_of(distribution.read_text("RECORD") or "")
    return frozenset(found)


def _is_local(direct_url: str | None) -> bool:
    if direct_url is None:
        return False
    try:
        return "dir_info" in json.loads(direct_url)
    except (ValueError, TypeError):
        return False


def _modules_of(record: str) -> set[str]:
    """The outermost packages and modules among the files of a distribution.

    A package without an ``__init__`` may be shared by several, and so is not among them.
    """
    paths = (line.partition(",")[0] for line in record.splitlines())
    files = (path.split("/") for path in paths if path.endswith(_CODE))
    modules = {(*folders, name.partition(".")[0]) for *folders, name in files}
    packages = {parts[:-1] for parts in modules if parts[-1] == "__init__"}
    return {".".join(_outermost(parts, packages)) for parts in modules}


def _outermost(parts: tuple[str, ...], packages: set[tuple[str, ...]]) -> tuple[str, ...]:
    prefixes = (parts[:length] for length in range(1, len(parts)))
    return next((prefix for prefix in prefixes if prefix in packages), parts)
