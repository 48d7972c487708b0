"""PyInstaller hooks, which an entry point of this package names."""

from __future__ import annotations

from pathlib import Path


def hook_folders() -> list[str]:
    """Return the folders in which PyInstaller looks for hooks."""
    return [str(Path(__file__).parent)]
