"""The command line: ``python -m funcx_async``."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from funcx_async.logins import AUTHORIZATION_PARAMETERS, option_of, parameters_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help()
        return 0
    if chosen.command == "local":
        return asyncio.run(_serve(chosen))
    if chosen.command == "doctor":
        return asyncio.run(_look(chosen))
    return _account(chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m funcx_async",
        description="An asyncio-native client for funcX / Globus Compute.",
    )
    commands = parser.add_subparsers(dest="command", title="commands")
    local = commands.add_parser(
        "local",
        help="serve a funcX web service on this machine, for other processes",
        description="Serve a funcX web service on the loopback interface until Ctrl-C.",
    )
    local.add_argument("--port", type=int, default=0, help="port of the service (default: any)")
    local.add_argument("--workers", type=int, help="worker processes (default: one for each CPU)")
    local.add_argument("--amqp-url", help="a RabbitMQ for results (default: an embedded broker)")
    local.add_argument(
        "--agents", action="store_true", help="let official endpoint agents attach (--amqp-url)"
    )
    local.add_argument(
        "--database",
        default=":memory:",
        help="file that outlives the service, its token included (default: none)",
    )
    _add_doctor(commands)
    _add_account(commands)
    return parser


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="look at the service as whoever is logged in",
        description="Look at each fact that this package takes for granted of the service without "
        "having seen it. Registers two functions and runs a dozen small tasks.",
    )
    doctor.add_argument(
        "--contract", action="store_true", required=True, help="look at those facts"
    )
    doctor.add_argument("--endpoint", help="the endpoint to use (default: the environment's)")
    doctor.add_argument("--json", type=Path, help="file to keep what was found in")


async def _look(chosen: argparse.Namespace) -> int:
    """Print what a service does; 1 if a fact differs, 2 if nothing could be looked at."""
    from funcx_async.contract import look_from_here
    from funcx_async.errors import FuncXError

    try:
        findings = await look_from_here(chosen.endpoint, os.environ)
        print(findings.to_markdown())  # noqa: T201
        if chosen.json is not None:
            await asyncio.to_thread(chosen.json.write_text, findings.to_json())
    except (FuncXError, OSError, ValueError) as error:
        print(f"The service cannot be looked at: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 1 if findings.differing else 0


def _add_account(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    login = commands.add_parser(
        "login",
        help="log in to Globus Compute, for the official tools as well",
        description="Print an address to log in at and take the code that it shows. The options "
        "are those that an error names where a service asks for a further login.",
    )
    login.add_argument("--force", action="store_true", help="log in even if there is a login")
    for name, (_, words) in AUTHORIZATION_PARAMETERS.items():
        action = "store_true" if name == "session_required_mfa" else "store"
        login.add_argument(option_of(name), action=action, help=words)
    commands.add_parser("logout", help="end that login: revoke its tokens and remove them")
    commands.add_parser("whoami", help="say who is logged in")


def _account(chosen: argparse.Namespace) -> int:
    """Log in, log out or say who is logged in."""
    from funcx_async.auth.login import log_in, log_out, shared_login, who_is
    from funcx_async.environments import COMPUTE
    from funcx_async.errors import FuncXError

    place = shared_login(os.environ.get(COMPUTE.variable) or "production", os.environ)
    try:
        if chosen.command == "login":
            log_in(place, parameters_of(vars(chosen)), force=chosen.force)
            print(f"Logged in; the login is kept in {place.file}.")  # noqa: T201
        elif chosen.command == "logout":
            log_out(place)
            print("Logged out, for the official tools as well.")  # noqa: T201
        else:
            print(who_is(place))  # noqa: T201
    except (FuncXError, OSError) as error:
        print(f"{chosen.command} failed: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


async def _serve(chosen: argparse.Namespace) -> int:
    """Run a local service until a signal says to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    try:
        from funcx_async.local import LocalService

        service = LocalService(
            port=chosen.port,
            workers=chosen.workers,
            amqp_url=chosen.amqp_url,
            agents=chosen.agents,
            database=chosen.database,
        )
        await service.start()
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"The local service does not start: {error}", file=sys.stderr)  # noqa: T201
        return 1
    try:
        for_agents = service.agent_environment if chosen.agents else {}
        greeting = _greeting(service.url, service.token, service.endpoint_id, for_agents)
        print(greeting, flush=True)  # noqa: T201
        await stop.wait()
    finally:
        await service.aclose()
    return 0


def _greeting(url: str, token: str, endpoint_id: str, for_agents: dict[str, str]) -> str:
    lines_for_agents = [f"export {name}={value}" for name, value in for_agents.items()]
    if lines_for_agents:
        lines_for_agents = ["In the shell of an endpoint agent:", "", *lines_for_agents, ""]
    return "\n".join(
        [
            f"funcX service   {url}",
            f"endpoint        {endpoint_id}",
            "",
            "In the shell of a client:",
            "",
            f"export FUNCX_ASYNC_SERVICE_URL={url}",
            f"export FUNCX_ASYNC_TOKEN={token}",
            f"export FUNCX_ASYNC_ENDPOINT_ID={endpoint_id}",
            "",
            *lines_for_agents,
            "Ctrl-C ends the service.",
        ]
    )
