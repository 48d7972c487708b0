"""Tells PyInstaller what an application that uses this package needs; an entry point names it."""

from __future__ import annotations

from pathlib import Path


def hook_folders() -> list[str]:
    """Return the folders in which PyInstaller looks for hooks."""
    return [str(Path(__file__).parent)]
