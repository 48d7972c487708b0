"""The vectors: what official packages write and read, recorded from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

_FOLDER = Path(__file__).parent / "vectors"


def vectors_of(*names: str, **wanted: object) -> list[Any]:
    """The vectors of some files that have these values, as parameters of a test."""
    return [
        pytest.param(vector, id=f"{name} {vector['name']}")
        for name in names
        for vector in json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))["vectors"]
        if all(vector.get(key) == value for key, value in wanted.items())
    ]
