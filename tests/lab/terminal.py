"""What the lab tells the person in front of it: steps with their times, and failures."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class LabError(Exception):
    """Something failed; the message says what, and what to do."""

    code = 1


class CannotRun(LabError):
    """This machine cannot carry the lab; the message says what is missing, and what to do."""

    code = 2


def log(text: str) -> None:
    """One line to the terminal, at once, also through a pipe."""
    print(f"lab: {text}", flush=True)


class Step:
    """A step under way: `progress` adds a line to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = time.monotonic()

    def progress(self, text: str) -> None:
        """Say how far the step is, and how long it has taken so far."""
        log(f"{self.name} … {text}, {self.elapsed}")

    @property
    def elapsed(self) -> str:
        """The time since the step began, in seconds."""
        return f"{time.monotonic() - self.started:.1f} s"


@contextmanager
def step(name: str) -> Iterator[Step]:
    """Time a step, and say so when it is done; a failed one speaks through its exception."""
    current = Step(name)
    yield current
    log(f"{name} … {current.elapsed}")
