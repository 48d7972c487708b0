"""What the service says to whoever asks, and what it means: plain functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from funcx_async._net.environments import ENDPOINT_VARIABLE
from funcx_async._net.proxies import Proxy
from funcx_async._session.endpoints import EndpointVersions
from funcx_async.auth.login import login_command
from funcx_async.doctor.credentials import Credentials
from funcx_async.doctor.report import Verdict
from funcx_async.doctor.troubles import Trouble
from funcx_async.doctor.verdicts import sentence
from funcx_async.errors import (
    AuthenticationFailed,
    Forbidden,
    FuncXError,
    NotFound,
    TaskExecutionFailed,
    last_error,
)
from funcx_async.models import EndpointStatus

SCOPE_CODE = "INSUFFICIENT_AUTH_SCOPE"

AGAIN = "Try again; if it stays so, ask who runs the service."
"""What to do about something that nobody here has done."""

_BY_HTTP = "Results are asked for over HTTP instead, which is slower."


def of_login(error: FuncXError | None, credentials: Credentials) -> Verdict:
    """Whether the service accepts the credentials.

    Args:
        error: what came of a request with them.
        credentials: which they are.
    """
    words = credentials.words
    if error is None:
        return Verdict("OK", f"The service accepts {words}.")
    if isinstance(error, AuthenticationFailed):
        if error.authorization_parameters:
            command = login_command(error.authorization_parameters)
            return Verdict("FAIL", "The service wants a further login.", f"Run `{command}`.")
        if (error.code or "").upper() == SCOPE_CODE:
            return Verdict(
                "FAIL",
                f"The service refuses {words}: made for another scope ({error.code}).",
                f"{credentials.renewal} The scope has to be Globus Compute's.",
            )
        if error.reason or error.code:
            told = ": ".join(word for word in (error.code, error.reason) if word)
            found = f"The service refuses {words}: missing, wrong or expired ({told})."
            return Verdict("FAIL", found, credentials.renewal)
        first, _, rest = str(error).partition(". ")
        return Verdict("FAIL", sentence(first), rest or credentials.renewal)
    if isinstance(error, Forbidden):
        return Verdict(
            "FAIL",
            f"The service knows {words}, but does not let them in ({error.reason}).",
            "Ask whoever runs the service for access.",
        )
    return Verdict("FAIL", str(error), AGAIN)


def of_endpoint(
    endpoint_id: str, status: EndpointStatus | None, error: FuncXError | None
) -> Verdict:
    """Whether the endpoint is there, and for us.

    Args:
        endpoint_id: its id.
        status: what the service says of it.
        error: why it says nothing.
    """
    if isinstance(error, NotFound):
        return Verdict(
            "FAIL",
            f"The service does not know the endpoint {endpoint_id}.",
            f"Check --endpoint or {ENDPOINT_VARIABLE}; `funcx-async endpoints --all` lists those "
            "that you may use.",
        )
    if isinstance(error, Forbidden):
        return Verdict(
            "FAIL",
            f"The endpoint {endpoint_id} is not for you to use ({error.reason}).",
            "Ask its owner for access.",
        )
    if status is None:
        return Verdict("FAIL", str(error), AGAIN)
    if status.status.lower() == "offline":
        return Verdict(
            "FAIL",
            f"The endpoint {endpoint_id} is offline; tasks for it wait.",
            "Start it on its machine, `globus-compute-endpoint start NAME`, or ask its owner to.",
        )
    return Verdict("OK", f"The endpoint {endpoint_id} is {status.status.lower()}.")


def of_versions(versions: EndpointVersions) -> Verdict:
    """Whether Python and dill are the same on both sides.

    Args:
        versions: those of the endpoint.
    """
    if differing := versions.mismatch():
        return Verdict(
            "WARN",
            f"The endpoint has {differing}. Functions whose source is complete run there all the "
            "same; others, and objects of your own classes, may fail.",
            "Use the same versions on both sides: an environment with that Python here, or one "
            "with this Python there. `funcx_async.explain(function)` tells what would be sent.",
        )
    if versions.python is None and versions.dill is None:
        return Verdict(
            "SKIP", "The service does not tell the endpoint's versions.", "A task does: --task."
        )
    pairs = (("Python", versions.python), ("dill", versions.dill))
    told = " and ".join(f"{name} {version}" for name, version in pairs if version)
    return Verdict("OK", f"{told} there, and the like here.")


def of_queue_port(
    host: str,
    port: int,
    trouble: Trouble | None,
    working: Sequence[int | None],
    proxy: Proxy | None,
) -> Verdict:
    """Whether the broker of results can be reached.

    Args:
        host: the broker's.
        port: its port.
        trouble: why there is no connection to it.
        working: other ports at which it lets us in.
        proxy: through which it was tried.
    """
    if trouble is None:
        way = "" if proxy is None else f", through {proxy}"
        return Verdict("OK", f"Port {port} of {host} takes connections{way}.")
    if trouble.refusal is None:
        found = f"Port {port} of {host} cannot be reached ({trouble.words})."
        ports = "443 or 5671" if port in (443, 5671) else str(port)
        remedy = (
            f"Have the firewall let connections to port {ports} out, or set HTTPS_PROXY, if there "
            "is a proxy."
        )
    else:
        found, remedy = sentence(trouble.refusal.found), trouble.refusal.remedy
    if working:
        remedy = (
            f"Port {working[0]} works: `run --amqp-port {working[0]}`, in programs "
            f"FuncXExecutor(amqp_port={working[0]})."
        )
    return Verdict("WARN", f"{found} {_BY_HTTP}", remedy, blocks=True)


def of_queue_login(trouble: Trouble | None) -> Verdict:
    """Whether the broker lets us in.

    Args:
        trouble: what went wrong.
    """
    if trouble is None:
        return Verdict("OK", "The broker of results accepts the login.")
    if trouble.kind == "login":
        return Verdict(
            "FAIL",
            f"The broker of results refuses the login that the service gave ({trouble.words}).",
            "Try again: the service gives a new one each time. If it stays so, ask who runs it.",
        )
    if trouble.kind == "certificate":
        return Verdict(
            "WARN",
            f"The certificate of the broker of results is refused: {trouble.words}. {_BY_HTTP}",
            "If the broker has a certificate authority of its own, set SSL_CERT_FILE to the file "
            "of its certificate. If a firewall opens TLS and looks inside, AMQP does not pass it: "
            "ask its operators to except the broker.",
        )
    return Verdict(
        "WARN",
        f"The broker of results does not answer as one ({trouble.words}). {_BY_HTTP}",
        "Check --amqp-port, if you give one; a firewall that opens TLS lets no AMQP pass.",
    )


def of_task(value: Any, error: FuncXError | None, seconds: float | None) -> Verdict:
    """Whether a task makes its way there and back.

    Args:
        value: what it gave; 42 is right.
        error: why it gave nothing.
        seconds: how long it took; None: it has not ended.
    """
    if isinstance(error, TaskExecutionFailed):
        return Verdict(
            "FAIL",
            f"The task failed: {last_error(error.remote_data)}",
            "See `versions`, and the endpoint's own log on its machine.",
        )
    if error is not None:
        return Verdict("FAIL", str(error), AGAIN)
    if seconds is None:
        return Verdict(
            "WARN",
            "The task was taken, but did not end in time.",
            "The endpoint may have to start its workers first, or wait for the machine's queue.",
        )
    if value != 42:
        found = f"The task gave {value!r} instead of 42."
        return Verdict("FAIL", found, "See the endpoint's own log on its machine.")
    return Verdict("OK", f"A task went there and back in {seconds:.2f} s.")


def no_endpoint() -> Verdict:
    """There is no endpoint to look at."""
    remedy = f"Name one: --endpoint or {ENDPOINT_VARIABLE}."
    return Verdict("SKIP", "No endpoint is named.", remedy, blocks=True)


def told_versions(documents: list[Mapping[str, Any]]) -> EndpointVersions:
    """Read versions from what an endpoint and its workers tell; the last that tells one counts.

    Example:
        >>> told_versions([{"python_version": "3.11"}, {"dill_version": "0.3.9"}]).dill
        '0.3.9'
    """
    together: dict[str, Any] = {}
    for document in documents:
        metadata = document.get("metadata")
        together |= dict(metadata) if isinstance(metadata, Mapping) else {}
        together |= {name: value for name, value in document.items() if value is not None}
    together.pop("metadata", None)
    return EndpointVersions.told_by(together)
