"""What the tasks compute; it runs on the endpoint."""

from __future__ import annotations

import time

SETTLE = 2_000
POINTS = 240


def attractor(r: float, pause: float) -> list[float]:
    """Give the values that x → r·x·(1-x) comes back to for ever, for one r.

    Args:
        r: the growth rate, from 0 to 4.
        pause: seconds to rest before: simulations that are worth an endpoint take longer than this.
    """
    time.sleep(pause)
    x = 0.4  # from 0.5 the map of r = 4 falls on 0 at once, and stays there
    for _ in range(SETTLE):
        x = r * x * (1 - x)
    values = set()
    for _ in range(POINTS):
        x = r * x * (1 - x)
        values.add(round(x, 4))
    return sorted(values)
