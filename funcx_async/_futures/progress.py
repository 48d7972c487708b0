"""A progress bar where one is asked for; tqdm, if it is there, draws it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def no_bar(steps: int) -> None:
    """Do nothing, where no bar was asked for."""


@contextmanager
def progress_bar(
    total: int | None, *, wanted: bool, done: int = 0
) -> Iterator[Callable[[int], object]]:
    """Show a bar of ``total`` steps while the context is open, and yield what moves it.

    Args:
        total: how many steps there will be; None if that is not known.
        wanted: False shows nothing and needs no tqdm.
        done: how many of the steps were made before, in a time that is not known: they do
            not count for the speed.

    Raises:
        ImportError: if a bar is wanted and tqdm is not installed.
    """
    if not wanted:
        yield no_bar
        return
    try:
        with warnings.catch_warnings():
            # In a notebook without ipywidgets the bar is a line of text, which is no trouble.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
    except ImportError as error:
        message = "progress=True needs tqdm: pip install 'funcx-async[progress]'"
        raise ImportError(message) from error
    # Results come in bursts: only the average says how fast they come.
    with tqdm(total=total, initial=done, unit="task", smoothing=0) as bar:
        before = done

        def advance(steps: int) -> None:
            """Move the bar, once those that were done before have been counted."""
            nonlocal before
            counted = min(before, steps)
            before -= counted
            bar.update(steps - counted)

        yield advance
