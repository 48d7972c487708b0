"""The service's error codes: numbers until December 2022, names since then."""

from __future__ import annotations

_CODES = {
    0: ("UNKNOWN_ERROR", 500),
    1: ("USER_UNAUTHENTICATED", 401),
    2: ("USER_NOT_FOUND", 404),
    3: ("FUNCTION_NOT_FOUND", 404),
    4: ("ENDPOINT_NOT_FOUND", 404),
    5: ("CONTAINER_NOT_FOUND", 404),
    6: ("TASK_NOT_FOUND", 404),
    7: ("AUTH_GROUP_NOT_FOUND", 404),
    8: ("FUNCTION_ACCESS_FORBIDDEN", 403),
    9: ("ENDPOINT_ACCESS_FORBIDDEN", 403),
    10: ("FUNCTION_NOT_PERMITTED", 403),
    11: ("ENDPOINT_ALREADY_REGISTERED", 403),
    12: ("FORWARDER_REGISTRATION_ERROR", 502),
    13: ("FORWARDER_CONTACT_ERROR", 502),
    14: ("ENDPOINT_STATS_ERROR", 500),
    15: ("LIVENESS_STATS_ERROR", 502),
    16: ("REQUEST_KEY_ERROR", 400),
    17: ("REQUEST_MALFORMED", 400),
    18: ("INTERNAL_ERROR", 500),
    19: ("ENDPOINT_OUTDATED", 400),
    20: ("TASK_GROUP_NOT_FOUND", 404),
    21: ("TASK_GROUP_ACCESS_FORBIDDEN", 403),
    22: ("INVALID_UUID", 400),
    23: ("INVALID_AUTH_TOKEN", 401),
    24: ("INSUFFICIENT_AUTH_SCOPE", 403),
    25: ("RESOURCE_LOCKED", 423),
    26: ("RESOURCE_CONFLICT", 409),
    27: ("BATCH_RUN_TOO_LARGE", 413),
    28: ("TASK_PAYLOAD_TOO_LARGE", 413),
    29: ("CONTAINER_SERVICE_NOT_PERMITTED", 403),
    30: ("FUNCTION_TOO_LARGE", 413),
}
"""The name of each, and the HTTP status that it comes with."""

_STATUS_OF = dict(_CODES.values())


def code_name(code: object) -> str | None:
    """Give the name of a code, however the service spells it; None for none.

    Example:
        >>> code_name(3), code_name("3"), code_name("FUNCTION_NOT_FOUND"), code_name(99)
        ('FUNCTION_NOT_FOUND', 'FUNCTION_NOT_FOUND', 'FUNCTION_NOT_FOUND', '99')
    """
    if code is None:
        return None
    text = str(code)
    number = int(text) if len(text) < 4 and text.isascii() and text.isdigit() else -1
    return _CODES[number][0] if number in _CODES else text


def status_of(name: str | None) -> int | None:
    """Give the HTTP status that a code stands for, by its name; None for an unknown one.

    Example:
        >>> status_of("FUNCTION_NOT_FOUND"), status_of("SOMETHING_ELSE")
        (404, None)
    """
    return None if name is None else _STATUS_OF.get(name.upper())
