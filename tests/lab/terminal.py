"""The lab's output: steps with their times, and failures."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class LabError(Exception):
    """A failure; the message has the cause and the fix."""

    code = 1


class CannotRun(LabError):
    """This machine cannot run the lab; the message has what is missing, and the fix."""

    code = 2


def log(text: str) -> None:
    """Print a line without buffering, also into a pipe."""
    print(f"lab: {text}", flush=True)


class Step:
    """A running step; `progress` prints a line."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = time.monotonic()

    def progress(self, text: str) -> None:
        """Print the progress of the step with the time since it began."""
        log(f"{self.name} … {text}, {self.elapsed}")

    @property
    def elapsed(self) -> str:
        """Return the time since the step began, in seconds."""
        return f"{time.monotonic() - self.started:.1f} s"


@contextmanager
def step(name: str) -> Iterator[Step]:
    """Time a step and print that when it is done; a failed step raises its exception instead."""
    current = Step(name)
    yield current
    log(f"{name} … {current.elapsed}")
