"""Takes pictures for docs/images: python -m docs.captures, or with the names of some of them.

They show what commands print, and what a notebook shows, on a local service, as it ran.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import re
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from docs.lab import notebook_at, served, settle
from docs.transcripts.terminal import Terminal
from docs.transcripts.users import at_prompt
from funcx_async.cli.doctor import print_check, print_summary
from funcx_async.cli.group import GroupView
from funcx_async.cli.watch import picture
from funcx_async.doctor import Diagnosis, Report, Target
from funcx_async.local import LocalService
from tests.docs.pages import ROOT, blocks
from tests.oracles.interpreters import interpreter

IMAGES = Path(__file__).parent / "images"
COLUMNS = 104
TASKS = 240


def recording() -> Console:
    """Make a console that remembers what is printed."""
    return Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)


def keep(out: Console, title: str, name: str) -> None:
    """Write what was printed, without the fonts that it would have loaded from elsewhere."""
    svg = out.export_svg(title=title, theme=MONOKAI, unique_id=name)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    (IMAGES / f"{name}.svg").write_text(svg)


async def doctor(service: LocalService) -> None:
    """An endpoint that is offline."""
    out = recording()
    with service.faults.endpoint_offline():
        diagnosis = Diagnosis(Target(service.url, service.endpoint_id, task=True))
        checks = [check async for check in diagnosis.checks()]
    width = max(map(len, diagnosis.names))
    for check in checks:
        if not check.blocked_by:
            print_check(check, out, width)
    print_summary(Report(diagnosis.url, checks), out, width)
    keep(out, "funcx-async doctor --task", "doctor")


def sample(seconds: float, good: bool) -> float:
    """Stand in for something that takes its time and goes wrong now and then."""
    import time

    time.sleep(seconds)
    if not good:
        raise ValueError(f"no beam for {seconds:.2f} s")
    return seconds


async def watch(service: LocalService) -> None:
    """A sweep, when two thirds of it are done."""
    dice = random.Random(7)  # noqa: S311
    async with service.executor() as executor, service.client() as client:
        for _ in range(TASKS):
            executor.submit(sample, dice.expovariate(9), dice.random() > 0.03)
        await executor.submit(sample, 0.0, True).submitted()
        view, group = GroupView(), str(executor.task_group_id)
        view.listed(await client.list_task_group(group), time.time())
        while view.done < TASKS * 2 // 3:
            await asyncio.sleep(0.3)
            view.listed(await client.list_task_group(group), time.time())
            view.polled(await client.get_batch_status(view.next_to_poll()), time.time())
        out = recording()
        out.print(picture(view, group, time.time()))
        keep(out, f"funcx-async watch {group[:8]}…", "watch")
        await executor.shutdown(wait=False, cancel_futures=True)


FAILED = """failed = executor.submit(norm, 3, "four")
await gather(failed, return_exceptions=True)
failed"""
OPEN = """from time import sleep

waiting = [executor.submit(sleep, 10) for _ in range(200)]
await waiting[-1].submitted()
executor"""


async def notebook() -> None:
    """The cells of the guide in JupyterLab, and three cards in a dark one."""
    cells = [
        block.text for block in blocks(ROOT / "docs/notebooks.md") if block.language == "python"
    ]
    shown = [*cells[:3], "futures[0]", FAILED, OPEN]
    for theme, name in (("JupyterLab Light", "notebook"), ("JupyterLab Dark", "notebook-dark")):
        with tempfile.TemporaryDirectory() as directory:
            home = Path(directory)
            settle(home, theme)
            async with (
                served(interpreter("notebook"), home) as address,
                notebook_at(address) as opened,
            ):
                for cell in shown:
                    await opened.run(cell)
                last = 3 if name == "notebook-dark" else None
                await opened.picture(IMAGES / f"{name}.png", outputs_of_last=last)


def prompt() -> None:
    """The lines of the guide at the prompt, and how the executor is."""
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home}
        with Terminal([sys.executable, "-m", "funcx_async"], ROOT, environment) as terminal:
            for line in [*at_prompt("docs/notebooks.md"), "fxe"]:
                terminal.type_at_prompt(line)
            shown = terminal.finish("exit()")
    out = recording()
    out.print(Text(f"$ python -m funcx_async\n{shown}".rstrip()))
    keep(out, "python -m funcx_async", "prompt")


PICTURES = {"doctor": doctor, "watch": watch}


async def main(wanted: list[str]) -> None:
    """Take them."""
    if not wanted or "notebook" in wanted:
        await notebook()
    if not wanted or "prompt" in wanted:
        prompt()
    async with LocalService(workers=4) as service:
        os.environ["FUNCX_ASYNC_SERVICE_URL"] = service.url
        os.environ["FUNCX_ASYNC_TOKEN"] = service.token
        for name, take in PICTURES.items():
            if not wanted or name in wanted:
                await take(service)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
