"""The journal without asyncio: resume is a plain iterator."""

from __future__ import annotations

from pathlib import Path

import pytest

from funcx_async.blocking import FuncXExecutor
from tests.executor.tasks import add


def test_what_is_not_confirmed_is_given_back(service, tmp_path: Path):
    def opened() -> FuncXExecutor:
        return FuncXExecutor(
            service.endpoint_id, funcx_client=service.client(), journal=tmp_path / "journal"
        )

    with opened() as executor:
        futures = [executor.options(key=str(n)).submit(add, n) for n in range(40)]
        assert [future.result(20) for future in futures] == list(range(1, 41))
        executor.confirm("0", "1")
    with opened() as executor:
        assert {key: future.result(20) for key, future in executor.resume()} == {
            str(n): n + 1 for n in range(2, 40)
        }
        key, future = next(executor.resume())
        assert (key, future.key, future.result(0)) == ("2", "2", 3)
        with pytest.raises(KeyError, match="'0'"):
            executor.confirm("0")
        executor.confirm(*(str(n) for n in range(2, 40)))
        assert list(executor.resume()) == []


def test_without_a_journal_there_is_nothing_to_resume(executor: FuncXExecutor):
    with pytest.raises(ValueError, match="no journal"):
        executor.resume()
