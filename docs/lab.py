"""JupyterLab in a headless Chromium, where cells are typed and run as its users do."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import indent

from playwright.async_api import Page, expect

from tests.browser import opened
from tests.docs.pages import ROOT

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/lab\?token=\w+")
WIDTH, HEIGHT = 860, 2400
MARGIN = 4
TIMEOUT_MS = 60_000
"""Milliseconds for a cell, or for JupyterLab to open."""


def settle(home: Path, theme: str = "JupyterLab Light") -> None:
    """Keep settings in a user's home: a theme, no question about news, and root may run it."""
    jupyter = home / ".jupyter"
    settings = jupyter / "lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    server = {"ServerApp": {"allow_root": True, "open_browser": False}}
    (jupyter / "jupyter_server_config.json").write_text(json.dumps(server))
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    news = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(news))


@asynccontextmanager
async def served(python: str, home: Path) -> AsyncIterator[str]:
    """Run JupyterLab for a user; gives its address, which opens it."""
    process = await asyncio.create_subprocess_exec(
        *(python, "-m", "jupyterlab", "--port=0", "--log-level=WARN", f"--notebook-dir={home}"),
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"HOME": str(home), "PYTHONPATH": str(ROOT)},
    )
    try:
        yield "" if process.stderr is None else await _until(ADDRESS, process.stderr)
    finally:
        process.terminate()
        await process.communicate()


async def _until(wanted: re.Pattern[str], stream: asyncio.StreamReader) -> str:
    said = ""
    async for line in stream:
        said += line.decode()
        if found := wanted.search(said):
            return found[0]
    raise RuntimeError(f"JupyterLab did not say where it is: {said}")


@asynccontextmanager
async def notebook_at(address: str) -> AsyncIterator[Notebook]:
    """Open a new notebook in a browser."""
    async with opened() as browser:
        page = await browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1.5
        )
        page.set_default_timeout(TIMEOUT_MS)
        await page.goto(address)
        await page.locator('.jp-LauncherCard[data-category="Notebook"]').click()
        await page.locator(".jp-Notebook .cm-content").wait_for()
        await page.get_by_text("| Idle").wait_for()
        await page.keyboard.press("Control+b")  # folds the list of files
        yield Notebook(page)


class Notebook:
    """A notebook in a browser.

    Args:
        page: shows it.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._run = 0

    async def run(self, text: str) -> str:
        """Type a cell into the last one, run it, and give what is seen of both."""
        cell = self._page.locator(".jp-CodeCell").nth(self._run)
        self._run += 1
        await cell.locator(".cm-content").click()
        await self._page.keyboard.insert_text(text.rstrip())
        await self._page.keyboard.press("Shift+Enter")
        number = f"[{self._run}]: "
        prompt = cell.locator(".jp-InputPrompt")
        await expect(prompt).to_have_text(number.strip(), timeout=TIMEOUT_MS)
        shown = await cell.locator(".jp-OutputArea-output").all_inner_texts()
        failed = await cell.locator('[data-mime-type="application/vnd.jupyter.error"]').count()
        if failed:
            raise RuntimeError("\n".join(shown))
        typed = indent(text.rstrip(), " " * len(number)).lstrip()
        return "\n".join([number + typed, *map(str.strip, shown)])

    async def picture(self, file: Path, *, outputs_of_last: int | None = None) -> None:
        """Take a picture of the notebook as far as it was run, or of some last cells' outputs."""
        cells = self._page.locator(".jp-CodeCell")
        await cells.nth(self._run).locator(".cm-content").click()  # marks the one that is empty
        await self._page.mouse.move(0, 0)
        first, margin = self._page.locator(".jp-NotebookPanel"), 0
        if outputs_of_last is not None:
            first = cells.nth(self._run - outputs_of_last).locator(".jp-OutputArea")
            margin = MARGIN
        box = "element => element.getBoundingClientRect().toJSON()"
        begin = await first.evaluate(box)
        end = await cells.nth(self._run - 1).evaluate(box)
        top, bottom = begin["top"] - margin, end["bottom"] + MARGIN
        clip = {"x": begin["left"], "y": top, "width": begin["width"], "height": bottom - top}
        await self._page.screenshot(path=file, clip=clip)
