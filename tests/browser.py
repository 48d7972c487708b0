"""Where a Chromium is, for the tests of pages.

It is looked for on the PATH, or where ``FUNCX_ASYNC_CHROMIUM`` says. On a machine without one those
tests are skipped, and pytest's output says so; where one was promised, by that variable or by
``CI``, its absence fails them: a skip nobody sees would let them rot.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

VARIABLE = "FUNCX_ASYNC_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def found() -> str | None:
    """The path of a Chromium, or None."""
    names = [named] if (named := os.environ.get(VARIABLE)) else NAMES
    return next((path for name in names if (path := shutil.which(name))), None)


def promised() -> bool:
    """Whether the tests may not do without one."""
    return VARIABLE in os.environ or os.environ.get("CI", "").lower() in {"1", "true"}


def note() -> str:
    """One line about the browser for pytest's output."""
    if path := found():
        return f"Chromium: tested, {path}"
    if promised():
        return "Chromium: MISSING on the PATH, its tests will fail"
    return "Chromium: not on the PATH, pages are NOT TESTED"


def require() -> str:
    """Where Chromium is; without one the test is skipped, or fails where one was promised."""
    path = found()
    if path is None and promised():
        pytest.fail("no Chromium is on the PATH; install it, on Debian: apt-get install chromium")
    if path is None:
        pytest.skip("no Chromium is on the PATH; install it, on Debian: apt-get install chromium")
    return path


@asynccontextmanager
async def opened() -> AsyncIterator[Browser]:
    """A headless Chromium with a profile of its own."""
    path = require()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()
