"""``doctor``: diagnosis of connection problems."""

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
from funcx_async.cli.printing import console, to_json
from funcx_async.doctor import Check, Diagnosis, Report, Target
from funcx_async.errors import FuncXError, printable

COLORS = {"OK": "green", "WARN": "yellow", "FAIL": "bold red", "SKIP": "dim"}


def doctor(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="File to write the JSON of --json to."),
    ] = None,
    task: Annotated[
        bool, typer.Option("--task", help="Also run a small task on the endpoint.")
    ] = False,
    contract: Annotated[
        bool, typer.Option("--contract", help="Check the service's API contract.")
    ] = False,
    amqp_port: AmqpPort = None,
    endpoint: Endpoint = None,
    service: Service = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, or write it to FILE.")
    ] = False,
) -> None:
    """Diagnose connection problems and suggest fixes.

    The result of each check is OK, WARN, FAIL or SKIP. The exit code is 1 if a check failed.

    With --contract: check what this package assumes about the API of the service. This registers
    two functions and runs a dozen small tasks.
    """
    if contract:
        raise typer.Exit(asyncio.run(_contract(endpoint, file, as_json=as_json)))
    target = Target(service, endpoint, amqp_port, task)
    with _without_logs():
        report = asyncio.run(_diagnose(target, show=file is not None or not as_json))
    if file is not None:
        file.write_text(to_json(report.document()) + "\n")
    elif as_json:
        typer.echo(to_json(report.document()))
    raise typer.Exit(0 if report.works else 1)


@contextmanager
def _without_logs() -> Iterator[None]:
    """Silence the library within the context: the checks report what it would log."""
    loggers = [logging.getLogger(name) for name in ("funcx_async", "aiormq", "aio_pika")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


async def _diagnose(target: Target, *, show: bool) -> Report:
    """Make the checks, and print each as soon as it is done."""
    diagnosis, checks, out = Diagnosis(target), [], console()
    width = max(map(len, diagnosis.names))
    async for check in diagnosis.checks():
        checks.append(check)
        if show and not check.blocked_by:
            print_check(check, out, width)
    report = Report(diagnosis.url, checks)
    if show:
        print_summary(report, out, width)
    return report


def print_check(check: Check, out: Console, width: int) -> None:
    """Print one check.

    Args:
        check: the check.
        out: the console.
        width: the width of the column of names.
    """
    _print_row(check.status, check.name, check.found, check.remedy, out, width)


def print_summary(report: Report, out: Console, width: int) -> None:
    """Print which checks were skipped because another one failed, and the conclusion."""
    for blocker in dict.fromkeys(each.blocked_by for each in report.checks if each.blocked_by):
        names = [each.name for each in report.checks if each.blocked_by == blocker]
        found = f"Skipped, because {blocker!r} did not pass: {', '.join(names)}."
        _print_row("SKIP", f"{len(names)} more", found, "", out, width)
    failed = sum(each.status == "FAIL" for each in report.checks)
    warned = sum(each.status == "WARN" for each in report.checks)
    if failed:
        checks = f"{failed} check failed" if failed == 1 else f"{failed} checks failed"
        text = f"{checks}: fix the item marked → and rerun `funcx-async doctor`."
        conclusion = Text(text, "bold red")
    elif warned:
        warnings = f"{warned} warning" if warned == 1 else f"{warned} warnings"
        conclusion = Text(f"Everything works, with {warnings}.", "yellow")
    else:
        conclusion = Text("Everything works.", "green")
    out.print()
    out.print(conclusion)


def _print_row(status: str, name: str, found: str, remedy: str, out: Console, width: int) -> None:
    found, remedy = printable(found), printable(remedy)
    if not out.is_terminal:  # a table would pad each line with blanks to its width
        lines = [f"{status:<4}  {name:<{width}}  {found}"]
        lines += [f"{'':<{width + 8}}→ {remedy}"] if remedy else []
        out.print(Text("\n".join(lines)), soft_wrap=True)
        return
    row = Table.grid(padding=(0, 2))
    row.add_column(width=4)
    row.add_column(width=width)
    row.add_column(overflow="fold")
    text = Text(found, "dim" if status == "SKIP" else "")
    if remedy:
        text.append(f"\n→ {remedy}", "dim" if status == "SKIP" else "bold")
    row.add_row(Text(status, COLORS[status]), name, text)
    out.print(row)


async def _contract(endpoint: str | None, file: Path | None, *, as_json: bool) -> int:
    """Print the contract report; return 1 if a fact differs, 2 if the check is impossible."""
    from funcx_async.doctor.contract import check_contract

    try:
        report = await check_contract(endpoint, os.environ)
        if file is not None:
            await asyncio.to_thread(file.write_text, report.to_json())
        typer.echo(report.to_json() if as_json and file is None else report.to_markdown())
    except (FuncXError, OSError, ValueError) as error:
        typer.echo(f"The service cannot be checked: {error}", err=True)
        return 2
    return 1 if report.differing else 0
