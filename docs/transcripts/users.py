"""The kinds of users, and the way of each: from the README by one page to a first result."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from docs import lab
from docs.transcripts.stage import ROOT, Stage
from tests.docs.pages import blocks


def code(page: str, containing: str) -> str:
    """The one block of Python of a page that contains a text."""
    found = [
        block.text
        for block in blocks(ROOT / page)
        if block.language == "python" and containing in block.text
    ]
    assert len(found) == 1, f"{len(found)} blocks of {page} contain {containing!r}"
    return found[0]


def at_prompt(page: str) -> list[str]:
    """What a page shows as typed at a prompt, line by line."""
    shown = [line for block in blocks(ROOT / page) for line in block.text.splitlines()]
    return [line[4:] for line in shown if line.startswith((">>> ", "..."))]


def begin(stage: Stage, page: str, extras: str, *more: str) -> None:
    """What every user does first."""
    stage.say(
        f"From the README to [{page}](../{page}). Here the package comes from a "
        f"clone, so `../funcx_async[{extras}]` takes the place of `funcx-async[{extras}]`."
    )
    stage.run('git clone --quiet "$REPOSITORY" ../funcx_async')
    stage.run("python3 -m venv .venv && source .venv/bin/activate")
    stage.run(" ".join([f"pip install --quiet '../funcx_async[{extras}]'", *more]))


def service(stage: Stage) -> None:
    """A local service in another terminal, and its variables in this one."""
    stage.say("In another terminal:")
    printed = stage.serve("funcx-async local", until="Ctrl-C")
    stage.say("And in this one, as it says:")
    stage.export(dict(re.findall(r"^export (FUNCX_ASYNC\w+)=(\S+)$", printed, re.MULTILINE)))


def tester(stage: Stage) -> None:
    begin(stage, "testing.md", "local", "pytest")
    stage.say("The application, and its first test:")
    stage.save("cubes.py", code("docs/testing.md", "# cubes.py"))
    stage.save("test_cubes.py", code("docs/testing.md", "# test_cubes.py"))
    stage.run("python -m pytest test_cubes.py", expect="2 passed")


def from_funcx(stage: Stage) -> None:
    begin(stage, "moving.md", "cli,local")
    old = code("docs/moving.md", "from funcx import")
    stage.say(
        "The program as it was, but for its endpoint, which the environment names from now on:"
    )
    stage.save("reciprocals.py", old.replace('endpoint_id="..."', ""))
    service(stage)
    stage.say("One import is changed, and it runs:")
    stage.run("sed -i 's/from funcx import/from funcx_async.blocking import/' reciprocals.py")
    stage.run("python reciprocals.py", expect="[0.25, 0.5, 1.0]")


def from_sdk(stage: Stage) -> None:
    begin(stage, "moving.md", "cli,local")
    old = code("docs/moving.md", "from globus_compute_sdk import Executor")
    stage.say(
        "The program as it was, but for its endpoint, which the environment names from now on:"
    )
    stage.save("reciprocals.py", old.replace('endpoint_id="..."', ""))
    service(stage)
    stage.say("One import is changed, and it runs:")
    old_import = "from globus_compute_sdk import Executor"
    new_import = "from funcx_async.blocking import FuncXExecutor as Executor"
    stage.run(f"sed -i 's/{old_import}/{new_import}/' reciprocals.py")
    stage.run("python reciprocals.py", expect="[1.0, 0.5, 0.25]")


def operator(stage: Stage) -> None:
    begin(stage, "firewalls.md", "cli,local")
    service(stage)
    stage.run("funcx-async doctor", expect="OK")
    stage.say("The same with a token that is good no longer:")
    stage.run("FUNCX_ASYNC_TOKEN=expired funcx-async doctor", expect="FAIL", code=1)


def gateway(stage: Stage) -> None:
    begin(stage, "fastapi.md", "cli,fastapi,local")
    stage.save("service.py", code("docs/fastapi.md", "# service.py"))
    service(stage)
    stage.say("The service, at any port that is free:")
    command = "uvicorn service:app --timeout-graceful-shutdown 10 --port 0"
    printed = stage.serve(command, until="Uvicorn running")
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+", printed)
    stage.say("And its client, in a third terminal:")
    accepted = stage.run(f"curl -s -X POST '{url}/simulations?steps=10'", expect="task_id")
    (task_id,) = re.findall(r'"task_id":"([^"]+)"', accepted)
    stage.run(f"curl -s -N '{url}/tasks/events?task_id={task_id}'", expect="event: end")
    stage.run(f"curl -s {url}/tasks/{task_id}", expect='"result":45')
    stage.run(f"curl -s {url}/readyz", expect='"ready":true')


def notebook(stage: Stage) -> None:
    begin(stage, "notebooks.md", "local,progress", "jupyterlab", "ipywidgets")
    lab.settle(stage.home)
    printed = stage.serve("jupyter lab --port=0 --log-level=WARN", until="127.0.0.1")
    stage.say("In the browser, a new notebook; its cells are those of the page:")
    cells = [
        code("docs/notebooks.md", containing)
        for containing in (
            "await service.start()",
            "await executor.submit(norm, 3, 4)",
            "max(norms)",
        )
    ]

    async def typed() -> list[str]:
        async with lab.notebook_at(lab.ADDRESS.findall(printed)[0]) as opened:
            return [await opened.run(cell) for cell in [*cells, "executor"]]

    stage.look("the cells", "Untitled.ipynb", lambda _: "\n\n".join(asyncio.run(typed())))


def repl(stage: Stage) -> None:
    begin(stage, "notebooks.md", "local,progress")
    stage.say("The lines of the page, typed at the prompt:")
    stage.converse("python -m funcx_async", at_prompt("docs/notebooks.md"), expect="999.008")


USERS: dict[str, tuple[str, Callable[[Stage], None]]] = {
    "notebook": ("A scientist in a notebook", notebook),
    "repl": ("A scientist at the prompt", repl),
    "gateway": ("A gateway developer with FastAPI", gateway),
    "operator": ("An operator behind a firewall", operator),
    "tester": ("A developer who tests", tester),
    "from-funcx": ("Moving from funcx", from_funcx),
    "from-globus-compute-sdk": ("Moving from globus-compute-sdk", from_sdk),
}
