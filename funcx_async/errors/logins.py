"""How a person logs in: the command, as messages name it, and what a service may ask for."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

LOGIN_COMMAND = "python -m funcx_async login"
"""Logs a person in, for the official tools as well."""


def _list(value: Any, separator: str) -> str:
    if isinstance(value, list | tuple):
        return separator.join(str(part) for part in value)
    return value if isinstance(value, str) else ""


AUTHORIZATION_PARAMETERS: dict[str, tuple[Callable[[Any], str], str]] = {
    "session_required_mfa": (lambda value: "yes" if value is True else "", "with a second factor"),
    "session_required_identities": (lambda value: _list(value, ","), "ids, separated by commas"),
    "session_required_single_domain": (lambda value: _list(value, ","), "domains, likewise"),
    "session_required_policies": (lambda value: _list(value, ","), "ids of policies, likewise"),
    "required_scopes": (lambda value: _list(value, " "), "further scopes, separated by blanks"),
    "session_message": (lambda value: _list(value, " "), "a sentence to show at the login"),
    "prompt": (lambda value: _list(value, " "), "'login' asks for the password again"),
}
"""What a service may ask a further login to bring: how it is written as a word, and help."""


def option_of(name: str) -> str:
    """Give the command's option for an authorization parameter.

    Example:
        >>> option_of("session_required_mfa")
        '--session-required-mfa'
    """
    return "--" + name.replace("_", "-")


def login_command(parameters: Mapping[str, Any]) -> str:
    """Give the command that brings what a service asks for.

    Args:
        parameters: the service's ``authorization_parameters``; what is not understood is left out.

    Example:
        >>> login_command({"session_required_mfa": True, "session_required_policies": ["p1", "p2"]})
        'python -m funcx_async login --session-required-mfa --session-required-policies p1,p2'
    """
    words = [LOGIN_COMMAND]
    for name, (written, _) in AUTHORIZATION_PARAMETERS.items():
        if value := written(parameters.get(name)):
            words.append(option_of(name))
            if name != "session_required_mfa":
                words.append(shlex.quote(value))
    return " ".join(words) if len(words) > 1 else f"{LOGIN_COMMAND} --force"


def parameters_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Read the options of that command: its authorization parameters, as a service writes them.

    Example:
        >>> parameters_of({"session_required_mfa": True, "session_required_policies": "p1,p2"})
        {'session_required_mfa': True, 'session_required_policies': ['p1', 'p2']}
    """
    found: dict[str, Any] = {}
    for name in AUTHORIZATION_PARAMETERS:
        value = options.get(name)
        if not value:
            continue
        if name == "required_scopes":
            value = value.split()
        elif name.startswith("session_required_") and isinstance(value, str):
            value = value.split(",")
        found[name] = value
    return found
