"""The service's error codes: numbers until December 2022, names since then."""

from __future__ import annotations

_NAMES = {
    0: "UNKNOWN_ERROR",
    1: "USER_UNAUTHENTICATED",
    2: "USER_NOT_FOUND",
    3: "FUNCTION_NOT_FOUND",
    4: "ENDPOINT_NOT_FOUND",
    5: "CONTAINER_NOT_FOUND",
    6: "TASK_NOT_FOUND",
    7: "AUTH_GROUP_NOT_FOUND",
    8: "FUNCTION_ACCESS_FORBIDDEN",
    9: "ENDPOINT_ACCESS_FORBIDDEN",
    10: "FUNCTION_NOT_PERMITTED",
    11: "ENDPOINT_ALREADY_REGISTERED",
    12: "FORWARDER_REGISTRATION_ERROR",
    13: "FORWARDER_CONTACT_ERROR",
    14: "ENDPOINT_STATS_ERROR",
    15: "LIVENESS_STATS_ERROR",
    16: "REQUEST_KEY_ERROR",
    17: "REQUEST_MALFORMED",
    18: "INTERNAL_ERROR",
    19: "ENDPOINT_OUTDATED",
    20: "TASK_GROUP_NOT_FOUND",
    21: "TASK_GROUP_ACCESS_FORBIDDEN",
    22: "INVALID_UUID",
    23: "INVALID_AUTH_TOKEN",
    24: "INSUFFICIENT_AUTH_SCOPE",
    25: "RESOURCE_LOCKED",
    26: "RESOURCE_CONFLICT",
    27: "BATCH_RUN_TOO_LARGE",
    28: "TASK_PAYLOAD_TOO_LARGE",
    29: "CONTAINER_SERVICE_NOT_PERMITTED",
    30: "FUNCTION_TOO_LARGE",
}


def code_name(code: object) -> str | None:
    """Give the name of a code, however the service spells it; None for none.

    Example:
        >>> code_name(3), code_name("3"), code_name("FUNCTION_NOT_FOUND"), code_name(99)
        ('FUNCTION_NOT_FOUND', 'FUNCTION_NOT_FOUND', 'FUNCTION_NOT_FOUND', '99')
    """
    if code is None:
        return None
    text = str(code)
    return _NAMES.get(int(text), text) if text.isascii() and text.isdigit() else text
