"""What a person sees of a run: problems as they occur, and one line per step of the run.

On a terminal, the line of the present step is redrawn, with a line for each long work, such as a
download of weights. Elsewhere, lines are appended; those of long work twice a minute.
"""

from __future__ import annotations

import logging
import re
import shlex
import time
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import click
from pyinfra.api import BaseStateCallback, Host, State, output
from rich.console import Console
from rich.text import Text

from mirrorfleet.cli.live.progress import Works
from mirrorfleet.config.problems import printable
from mirrorfleet.runtime.change_summary import some
from mirrorfleet.runtime.intermittent import is_offline
from mirrorfleet.runtime.unreachable import cause, tried

STYLES = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}

# pyinfra's own records of what the screen shows in other words.
_REPLACED = ("connect", "_connect", "missing_host_key", "log_error_or_warning")

_RED = "\x1b[31m"
"""How pyinfra marks a line of standard error."""

_OF_HOST = re.compile(r"^\[(?P<host>[^\]]+)\]\s+(?P<text>.*)", re.DOTALL)


class Screen(logging.Handler):
    """The output of one run.

    ``causes`` has the last error lines of each host, by name.
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.causes: dict[str, list[str]] = {}
        self.callbacks = _Callbacks(self)
        self._status = console.status("connecting") if console.is_terminal else None
        self._works = Works()
        self._step = ""
        self._errors: dict[str, list[str]] = {}

    def begin(self, state: State) -> None:
        """Take pyinfra's log, and show that the run connects to its hosts."""
        log = logging.getLogger("pyinfra")
        log.setLevel(logging.INFO)
        log.handlers = [self]
        log.propagate = False
        # pyinfra's API prints no output of commands by itself. The style marks standard error.
        output.set_formatter(click.style)
        output.set_echo(self.echo)
        hosts = [host for host in state.inventory if state.is_host_in_limit(host)]
        self.now(f"connecting to {len(hosts)} host{'s' if len(hosts) != 1 else ''}")
        if self._status:
            self._status.start()

    def end(self) -> None:
        """Stop redrawing."""
        if self._status:
            self._status.stop()

    def now(self, text: str) -> None:
        """Show what the run does now, where lines can be redrawn."""
        self._step = text
        self._draw()

    def _draw(self) -> None:
        if self._status:
            lines = [self._step, *(f"  {line}" for line in self._works.lines())]
            self._status.update(Text("\n".join(map(printable, lines))))

    def echo(self, message: object = None, **_: object) -> None:
        """Print a line of a command's output as it arrives."""
        text = click.unstyle(str(message)).rstrip()
        match = _OF_HOST.match(text)
        if match and not self._is_progress(match["host"], match["text"]):
            is_error = _RED in str(message)
            if is_error:
                self._errors.setdefault(match["host"], []).append(match["text"])
            self.line(f"  {match['host']}: {match['text']}", "red" if is_error else "")

    def _is_progress(self, host: str, text: str) -> bool:
        """Return whether a line of a host reports the progress of long work, and show it if so."""
        now = time.monotonic()
        work = self._works.take(host, text, now)
        if work is None:
            return False
        if self._status:
            self._draw()
        elif work.take_turn(now):
            self.line(f"          {work}")
        return True

    def step_ended(self, host: str, *, failed: bool) -> None:
        """Forget the work of a host; if its step failed, its error lines say why."""
        self._works.ended(host)
        errors = self._errors.pop(host, [])
        if failed and errors:
            self.causes.setdefault(host, []).extend(errors)

    def line(self, text: str, style: str = "") -> None:
        """Print one line, wrapped between words with its indent."""
        text = printable(text)
        indent = " " * (len(text) - len(text.lstrip()) + 2)
        for part in wrap(
            text,
            self.console.width,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ):
            self.console.print(Text(part, style=style), soft_wrap=True)

    def command(self, words: Sequence[str]) -> None:
        """Print a command to paste: in one line, which only the terminal itself wraps."""
        self.console.print(Text(f"  {shlex.join(words)}"), soft_wrap=True)

    def problem(self, text: str) -> None:
        """Print a problem of several lines."""
        for line in text.splitlines():
            self.line(line, "red")

    def failure(self, host: str, text: str) -> None:
        """Print and remember an error line of a host."""
        self.causes.setdefault(host, []).append(text)
        self.line(f"  {host}: {text}", "red")

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record of pyinfra's log, if the screen does not show it in other words."""
        text = click.unstyle(record.getMessage()).rstrip()
        if record.funcName in _REPLACED or _is_mechanical(record) or not text:
            return
        match = _OF_HOST.match(text)
        if match and record.levelno >= logging.ERROR:
            self.failure(match["host"], match["text"])
        elif match:
            if not self._is_progress(match["host"], match["text"]):
                self.line(f"  {match['host']}: {match['text']}", STYLES.get(record.levelno, ""))
        elif text.startswith("--> "):
            self.line(text.removeprefix("--> "), "bold")
        else:
            self.line(f"  {text}", STYLES.get(record.levelno, ""))


def _is_mechanical(record: logging.LogRecord) -> bool:
    """Return whether pyinfra itself reports a step as done, skipped or started."""
    own = "/pyinfra/" in record.pathname or "/pyinfra_cli/" in record.pathname
    return own and record.levelno < logging.WARNING and record.funcName != "log"


class _Callbacks(BaseStateCallback):
    """Calls of pyinfra during a run."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.done: list[str] = []
        self.failed: list[str] = []
        self.began = 0.0

    def host_connect_error(self, state: State, host: Host, error: Any) -> None:  # type: ignore[override]
        if is_offline(host):
            return  # one line reports all of them
        data = host.data.dict()  # type: ignore[no-untyped-call]
        reason = cause(host.name, tried(error), data)
        self.screen.failure(host.name, f"unreachable: {reason}")

    def operation_start(self, state: State, op_hash: str) -> None:  # type: ignore[override]
        self.done, self.failed, self.began = [], [], time.monotonic()
        self.screen.now(_title(state, op_hash))

    def operation_host_success(  # type: ignore[override]
        self, state: State, host: Host, op_hash: str, retry_count: int = 0
    ) -> None:
        self.done.append(host.name)
        self.screen.step_ended(host.name, failed=False)
        self._progress(state, op_hash)

    def operation_host_error(  # type: ignore[override]
        self, state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        self.failed.append(host.name)
        self.screen.step_ended(host.name, failed=True)
        self._progress(state, op_hash)

    def operation_end(self, state: State, op_hash: str) -> None:  # type: ignore[override]
        # Now pyinfra knows on which hosts the operation had commands.
        changed = [
            host.name
            for host in state.inventory
            if op_hash in state.ops[host] and _did_change(state, host, op_hash)
        ]
        if not changed and not self.failed:
            return
        failed = f"; failed on {some(self.failed)}" if self.failed else ""
        seconds = f"{time.monotonic() - self.began:6.1f} s  "
        self.screen.line(f"{seconds}{_title(state, op_hash)}: {some(changed)}{failed}")

    def _progress(self, state: State, op_hash: str) -> None:
        self.screen.now(f"{_title(state, op_hash)}: {some([*self.done, *self.failed])}")


def _did_change(state: State, host: Host, op_hash: str) -> bool:
    """Return whether an operation ran commands on a host; not if the host failed before."""
    done = state.ops[host][op_hash].operation_meta
    return done.is_complete() and done.did_change()


def _title(state: State, op_hash: str) -> str:
    names: Sequence[str] = sorted(state.op_meta[op_hash].names)
    return names[0].replace(" | ", ": ") if names else "operation"
