"""``doctor``: what is wrong, and what to do about it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from funcx_async.cli.options import AmqpPort, Endpoint, Service
from funcx_async.cli.printing import as_text, console
from funcx_async.doctor import Check, Examination, Report, Wanted
from funcx_async.errors import FuncXError

COLOURS = {"OK": "green", "WARN": "yellow", "FAIL": "bold red", "SKIP": "dim"}


def doctor(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="File to keep the JSON in.")
    ] = None,
    task: Annotated[
        bool, typer.Option("--task", help="Also run a small task on the endpoint.")
    ] = False,
    contract: Annotated[
        bool, typer.Option("--contract", help="Look at what is taken for granted instead.")
    ] = False,
    amqp_port: AmqpPort = None,
    endpoint: Endpoint = None,
    service: Service = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, or write it to FILE.")
    ] = False,
) -> None:
    """Look whether a service can be used from here, and say what is in the way.

    Each check ends as OK, WARN, FAIL or SKIP, with what to do about it. The exit code is 1 if one
    of them failed.

    With --contract: look at each fact that this package takes for granted of the service without
    having seen it; that registers two functions and runs a dozen small tasks.
    """
    if contract:
        raise typer.Exit(asyncio.run(_contract(endpoint, file, as_json=as_json)))
    wanted = Wanted(service, endpoint, amqp_port, task)
    with _quiet():
        report = asyncio.run(_report(wanted, show=file is not None or not as_json))
    if file is not None:
        file.write_text(as_text(report.document()) + "\n")
    elif as_json:
        typer.echo(as_text(report.document()))
    raise typer.Exit(0 if report.works else 1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Have nothing logged: what the library would say, the checks say."""
    loggers = [logging.getLogger(name) for name in ("funcx_async", "aiormq", "aio_pika")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


async def _report(wanted: Wanted, *, show: bool) -> Report:
    """Make the checks, and show each as soon as it is made."""
    examination, checks, out = Examination(wanted), [], console()
    width = max(map(len, examination.names))
    async for check in examination.checks():
        checks.append(check)
        if show:
            show_check(check, out, width)
    report = Report(examination.url, checks)
    if show:
        show_sum(report, out)
    return report


def show_check(check: Check, out: Console, width: int) -> None:
    """Print one check.

    Args:
        check: the check.
        out: where it is printed.
        width: how wide its name's column is.
    """
    if not out.is_terminal:  # a table would fill each line with blanks up to its width
        lines = [f"{check.status:<4}  {check.name:<{width}}  {check.found}"]
        lines += [f"{'':<{width + 8}}→ {check.remedy}"] if check.remedy else []
        out.print(Text("\n".join(lines)), soft_wrap=True)
        return
    line = Table.grid(padding=(0, 2))
    line.add_column(width=4)
    line.add_column(width=width)
    line.add_column(overflow="fold")
    words = Text(check.found, "dim" if check.status == "SKIP" else "")
    if check.remedy:
        words.append(f"\n→ {check.remedy}", "dim" if check.status == "SKIP" else "bold")
    line.add_row(Text(check.status, COLOURS[check.status]), check.name, words)
    out.print(line)


def show_sum(report: Report, out: Console) -> None:
    """Print what it comes to."""
    count = {word: sum(each.status == word for each in report.checks) for word in COLOURS}
    if not report.works:
        checks = "check" if count["FAIL"] == 1 else "checks"
        told = "failed: do what stands at the arrow, and ask the doctor again."
        words = Text(f"{count['FAIL']} {checks} {told}", "bold red")
    elif count["WARN"]:
        words = Text(f"It works, with {count['WARN']} warning(s).", "yellow")
    else:
        words = Text("All is well.", "green")
    out.print()
    out.print(words)


async def _contract(endpoint: str | None, file: Path | None, *, as_json: bool) -> int:
    """Print what a service does; 1 if a fact differs, 2 if nothing could be looked at."""
    from funcx_async.doctor.contract import look_from_here

    try:
        findings = await look_from_here(endpoint, os.environ)
        if file is not None:
            await asyncio.to_thread(file.write_text, findings.to_json())
        shown = findings.to_json() if as_json and file is None else findings.to_markdown()
        typer.echo(shown)
    except (FuncXError, OSError, ValueError) as error:
        typer.echo(f"The service cannot be looked at: {error}", err=True)
        return 2
    return 1 if findings.differing else 0
