"""What tests of serialization may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serialize.bare_worker import BareWorker, started_bare_worker


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareWorker]:
    """A fresh interpreter with dill, and without this application's modules."""
    with started_bare_worker(tmp_path_factory.mktemp("importable")) as bare_worker:
        yield bare_worker
