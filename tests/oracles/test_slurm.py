"""A real Slurm runs what our executor submits, by the official agent, configured as the guide says.

`.ci/slurm` sets one up on this machine; without it these tests fail.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from funcx_async import FuncXExecutor, TaskExecutionFailed, gather
from funcx_async.local import LocalService
from tests import brokers
from tests.oracles.agent_process import AgentProcess, agent_process, bin_directory
from tests.oracles.interpreters import interpreter, packages_of
from tests.oracles.test_agents import endpoint_of

pytestmark = [pytest.mark.oracle, pytest.mark.proof, pytest.mark.timeout(280)]

LIMIT = 240.0
HERE = Path(__file__).parent

RANKS = r"""
#include <mpi.h>
#include <stdio.h>
int main(void) {
    int rank, size;
    MPI_Init(NULL, NULL);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    printf("%d of %d\n", rank, size);
    MPI_Finalize();
}
"""


def double(number):
    return 2 * number


def job():
    """Return the number and the partition of the Slurm job that runs this."""
    import os

    return os.environ["SLURM_JOB_ID"], os.environ["SLURM_JOB_PARTITION"]


def announce_and_wait(path):
    """Write the number of the Slurm job into a file, and wait for longer than any test."""
    import os
    import time
    from pathlib import Path

    Path(path + ".new").write_text(os.environ["SLURM_JOB_ID"])
    Path(path + ".new").rename(path)
    time.sleep(3600)


async def run(*command: str | Path) -> str:
    """Return what a command prints."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=HERE.parents[1], stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, command
    return output.decode()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what Slurm has no event for."""
    while not await condition():
        await run("sleep", "0.5")


async def jobs() -> list[str]:
    """Return the numbers of the Slurm jobs that wait or run."""
    listed = await run("squeue", "--noheader", "--states", "PENDING,RUNNING", "--format", "%i")
    return listed.split()


@pytest.fixture
def variables() -> dict[str, str]:
    if "SLURM_CONF" not in os.environ:
        pytest.fail(
            "There is no Slurm: run `.ci/slurm python -m pytest tests/oracles/test_slurm.py`"
        )
    return {"SLURM_CONF": os.environ["SLURM_CONF"]}


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=1, amqp_url=brokers.require(), agents=True) as running:
        yield running
        await running.faults.delete_queues()


@pytest.fixture
async def agent(
    service: LocalService, tmp_path: Path, variables: dict[str, str], request
) -> AsyncIterator[AgentProcess]:
    (tmp_path / "agent").symlink_to(bin_directory().parent)  # the guide's ~/agent
    async with agent_process(tmp_path, request.param, variables) as started:
        await started.start(service)
        try:
            yield started
        finally:
            print(started.log, await jobs())


@pytest.fixture
async def executor(service: LocalService, agent: AgentProcess) -> AsyncIterator[FuncXExecutor]:
    endpoint_id = await endpoint_of(service)
    async with service.executor(endpoint_id=endpoint_id) as running, asyncio.timeout(LIMIT):
        yield running


on_slurm = pytest.mark.parametrize("agent", ["Slurm"], indirect=True)


@on_slurm
async def test_tasks_run_in_jobs_that_end_when_idle_and_start_again(executor: FuncXExecutor):
    two = executor.options(user_endpoint_config={"workers": 2, "blocks": 1, "idle_seconds": 5})
    other = executor.options(user_endpoint_config={"partition": "debug", "walltime": "00:05:00"})
    futures = [two.submit(double, number) for number in range(1000)]
    in_parallel = other.submit(job)
    assert await gather(*futures) == [2 * number for number in range(1000)]
    number, partition = await two.submit(job)
    assert partition == "normal"
    assert (await in_parallel)[1] == "debug"

    async def job_ended() -> bool:
        return number not in await jobs()

    await until(job_ended)
    again, partition = await two.submit(job)
    assert (int(again) > int(number), partition) == (True, "normal")


@on_slurm
async def test_tasks_of_a_job_that_ends_fail_and_say_so(executor: FuncXExecutor, tmp_path: Path):
    config = {"workers": 1, "blocks": 1, "idle_seconds": 5}
    short = executor.options(user_endpoint_config=config | {"walltime": "00:01:00"})
    canceled = executor.options(user_endpoint_config=config | {"walltime": "00:05:00"})
    out_of_time = short.submit(announce_and_wait, str(tmp_path / "short"))
    out_of_luck = canceled.submit(announce_and_wait, str(tmp_path / "canceled"))

    async def both_run() -> bool:
        return (tmp_path / "canceled").exists() and (tmp_path / "short").exists()

    await until(both_run)
    await run("scancel", (tmp_path / "canceled").read_text())
    for future, view in ((out_of_luck, canceled), (out_of_time, short)):
        with pytest.raises(TaskExecutionFailed, match=r"ManagerLost|WorkerLost"):
            await future
        assert await view.submit(double, 21) == 42


CLIENT = """
import asyncio, os, signal, sys
from funcx_async import FuncXClient, FuncXExecutor
from tests.oracles.test_slurm import double

async def main(url, token, endpoint_id, journal, step):
    client = FuncXClient(url, auth=token)
    async with client, FuncXExecutor(endpoint_id, funcx_client=client, journal=journal) as executor:
        if step == "submit":
            for number in range(100):
                executor.options(key=str(number)).submit(double, number)
            future = executor.options(key="last").submit(double, 100)
            await future.submitted()
            os.kill(os.getpid(), signal.SIGKILL)
        total = 0
        async for key, future in executor.resume():
            total += await future
            await executor.confirm(key)
        print(total)

asyncio.run(main(*sys.argv[1:]))
"""


@on_slurm
async def test_a_client_that_was_killed_resumes_while_jobs_run(
    executor: FuncXExecutor, service: LocalService, tmp_path: Path
):
    told = [service.url, service.token, str(executor.endpoint_id), str(tmp_path / "journal.db")]

    program = [sys.executable, "-c", CLIENT, *told]
    killed = await asyncio.create_subprocess_exec(*program, "submit", cwd=HERE.parents[1])
    assert await killed.wait() == -signal.SIGKILL
    assert int(await run(*program, "resume")) == sum(2 * number for number in range(101))


SHELL = """
import asyncio, sys
sys.path.append(sys.argv[1])
from globus_compute_sdk import MPIFunction, ShellFunction
from funcx_async import FuncXClient, FuncXExecutor

async def main(url, token, endpoint_id, kind, command):
    client = FuncXClient(url, auth=token)
    async with client, FuncXExecutor(endpoint_id, funcx_client=client) as executor:
        if kind == "mpi":
            executor.resource_specification = {"num_nodes": 1, "ranks_per_node": 3}
        result = await executor.submit((MPIFunction if kind == "mpi" else ShellFunction)(command))
        print(result.returncode, sorted(result.stdout.split("\\n")))

asyncio.run(main(*sys.argv[2:]))
"""


async def run_command(
    service: LocalService, executor: FuncXExecutor, kind: str, command: str
) -> str:
    """Return what a program of a user prints who runs a command by a function of the SDK."""
    arguments = [packages_of(interpreter("sdk")), service.url, service.token]
    arguments += [str(executor.endpoint_id), kind, command]
    return (await run(sys.executable, "-c", SHELL, *arguments)).strip()


@on_slurm
async def test_shell_functions_run_in_a_job(executor: FuncXExecutor, service: LocalService):
    printed = await run_command(service, executor, "shell", "echo $SLURM_JOB_PARTITION")
    assert printed == "0 ['', 'normal']"


@pytest.mark.parametrize("agent", ["Slurm with MPI"], indirect=True)
async def test_mpi_functions_run_with_their_ranks(
    executor: FuncXExecutor,
    service: LocalService,
    tmp_path: Path,
    variables: dict[str, str],
):
    (tmp_path / "ranks.c").write_text(RANKS)
    program = tmp_path / "ranks"
    await run("mpicc", "-o", program, tmp_path / "ranks.c")
    printed = await run_command(service, executor, "mpi", str(program))
    assert printed == "0 ['', '0 of 3', '1 of 3', '2 of 3']"
