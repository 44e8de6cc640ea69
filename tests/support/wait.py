"""Waiting for what another process does, with a limit.

Used by: mount and compat tests.
"""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float, what: str) -> float:
    """Seconds until *condition* was true; a failure that says *what* did not happen in time."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)
    return time.monotonic() - started
