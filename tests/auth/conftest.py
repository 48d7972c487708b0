"""A token endpoint of the tests' own, and an environment without credentials."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.auth.issuer import Issuer


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, and no credentials from the environment."""
    for name in os.environ:
        if name.startswith(("FUNCX_", "GLOBUS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
async def issuer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Issuer]:
    issuer = Issuer()
    await issuer.start()
    monkeypatch.setenv("GLOBUS_SDK_SERVICE_URL_AUTH", issuer.url)
    yield issuer
    await issuer.aclose()
