"""The function that the tasks run on the endpoint."""

from __future__ import annotations

import time

SETTLE = 2_000
POINTS = 240


def attractor(r: float, pause: float) -> list[float]:
    """Return the values between which x → r·x·(1-x) finally alternates, for one r.

    Args:
        r: the growth rate, from 0 to 4.
        pause: seconds to sleep first, as a real simulation takes longer than this one.
    """
    time.sleep(pause)
    x = 0.4  # from 0.5 the map of r = 4 reaches 0 at once and stays there
    for _ in range(SETTLE):
        x = r * x * (1 - x)
    values = set()
    for _ in range(POINTS):
        x = r * x * (1 - x)
        values.add(round(x, 4))
    return sorted(values)
