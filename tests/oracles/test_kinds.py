"""Functions and values of all kinds arrive as they are, on every worker that there is.

They go from a script and from modules of one's own, on three versions of Python, to our worker
and to the official one, on the same version and on others; in different orders, and twice.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.oracles.kinds import blocks
from tests.oracles.kinds_run import run_everything

pytestmark = [pytest.mark.oracle, pytest.mark.proof, pytest.mark.timeout(900)]


def test_there_are_functions_and_values_of_two_hundred_kinds() -> None:
    calls = [prompt for block in blocks() if block.calls for prompt in block.prompts]
    values = [prompt for block in blocks() if not block.calls for prompt in block.prompts]
    assert len({block.name for block in blocks()}) == len(blocks())
    assert len(calls) >= 200
    assert len(values) >= 200


def test_everything_arrives_as_it_is_or_is_refused_at_submit(tmp_path: Path) -> None:
    clients = run_everything(tmp_path)
    failures = [
        f"{failure['case']} {failure.get('task', '')}, {client.name} to "
        f"{failure.get('reader', 'nobody')}: {failure['verdict']}"
        for client in clients
        for failure in client.failures
    ]
    assert not failures, f"{len(failures)} failures\n" + "\n".join(failures[:100])
    for client in clients:
        refused = {place.partition(" ")[0] for place in client.refusals}
        assert len(client.cases) - len(refused) >= 500, client.name
        assert client.answered >= 4_000, client.name
