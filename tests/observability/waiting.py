"""Saying what has been checked, and waiting for what is to come."""

import time
from collections.abc import Callable
from typing import Any

# Between two looks at something that is waited for.
PAUSE = 0.25


class Failure(Exception):
    """Something is not as it should be."""


def say(text: str) -> None:
    print(f"✓ {text}", flush=True)


def wait(what: str, limit: float, look: Callable[[], Any]) -> Any:
    """Looks until there is something to see, and returns it."""
    deadline = time.monotonic() + limit
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise Failure(f"waited {limit:.0f} s in vain for {what}")
        time.sleep(PAUSE)
    return seen
