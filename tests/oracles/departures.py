"""Where our executor differs from an official one, step by step of the same program, and why.

A difference that is not here fails the comparison, and so does one here that is none any more.
"""

from __future__ import annotations

from typing import Literal, NamedTuple


class Departure(NamedTuple):
    """One step that gives something else, for ``globus_compute_sdk`` 4.19 or ``funcx`` 1.0.13."""

    official: Literal["sdk", "funcx"]
    step: str
    reason: str


NAMES = "The names of submit's own parameters are free for the task: they are positional only."
EARLY = "It is raised where it was caused, by submit, and says which part cannot travel."
ALONE = "What was wrong with one task concerns that task alone; the executor goes on."
RUNS = "The service cannot recall a task, so a future whose task runs is not cancelled."
CALLABLE = "TypeError is what Python raises for an argument of the wrong type."
IDS = "Ids are text, as the original specification has them; UUIDs are taken as well."
GROUPS = "The original specification: earlier futures of the executor are cancelled by a reload."
STATUS = "The error is NotFound and carries the service's code and status."
PYTHON = "dill 0.3.5.1, which funcx 1.0.13 requires, writes no compiled function on Python 3.11."

DEPARTURES = [
    Departure("sdk", "keyword arguments named self and fn", NAMES),
    Departure("sdk", "what is not callable", CALLABLE),
    Departure("sdk", "an argument that cannot be serialized", EARLY),
    Departure("sdk", "another task of an executor that was given what cannot be serialized", ALONE),
    Departure("sdk", "an argument that is too large", EARLY),
    Departure(
        "sdk",
        "another task of an executor that was given a function the service does not know",
        ALONE,
    ),
    Departure(
        "sdk",
        "registering twice under the same id",
        "The original specification: a second registration is a ValueError.",
    ),
    Departure("sdk", "an endpoint that is given after it was missing", ALONE),
    Departure(
        "sdk",
        "map after shutdown",
        "The original specification: map raises NotImplementedError always.",
    ),
    Departure("sdk", "cancel of what was sent", RUNS),
    Departure("sdk", "endpoint ids are text", IDS),
    Departure("sdk", "task group ids are text", IDS),
    Departure(
        "sdk", "reload of a task group", "A reload gives a future for each task, as it says."
    ),
    Departure("sdk", "an earlier future after a reload", GROUPS),
    Departure(
        "sdk",
        "batch_interval",
        "The original specification has it, deprecated: it warns and does nothing.",
    ),
    Departure(
        "sdk",
        "two executors of one client share a task group",
        "The group of the last executor is no hidden default for the whole process.",
    ),
    Departure("funcx", "keyword arguments named self and fn", NAMES),
    Departure("funcx", "a closure", PYTHON),
    Departure("funcx", "a lambda", PYTHON),
    Departure("funcx", "what is not callable", CALLABLE),
    Departure("funcx", "an argument that cannot be serialized", EARLY),
    Departure(
        "funcx", "another task of an executor that was given what cannot be serialized", ALONE
    ),
    Departure("funcx", "a function that cannot be serialized", EARLY),
    Departure("funcx", "an argument that is too large", EARLY),
    Departure("funcx", "a function that the service does not know", STATUS),
    Departure("funcx", "a function id that is none", EARLY),
    Departure(
        "funcx",
        "another task of an executor that was given a function the service does not know",
        ALONE,
    ),
    Departure("funcx", "a task after registering twice", ALONE),
    Departure("funcx", "an endpoint that the service does not know", STATUS),
    Departure("funcx", "an endpoint id that is none", EARLY),
    Departure("funcx", "an endpoint that is given after it was missing", ALONE),
    Departure("funcx", "cancel of what was sent", RUNS),
    Departure(
        "funcx",
        "a task group is assigned",
        "Executors of one process share the consumer of a group; two would take each other's "
        "results.",
    ),
    Departure(
        "funcx",
        "two executors of one client share a task group",
        "The original specification: the default is the client's group.",
    ),
]
