"""A real browser without a window, driven by the DevTools protocol over pipes: without a library.

`bin/lab packages tests` installs Debian's chromium-headless-shell, which it finds.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)

needed = pytest.mark.skipif(
    PROGRAM is None, reason="no browser: `bin/lab packages tests` installs one"
)

FINDINGS = {"Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"}


@dataclass
class Page:
    """A page in a browser. ``requests`` are the addresses that it has asked for, its own included.

    ``errors`` are messages of its console: exceptions, and what its security policy has blocked.
    """

    browser: Browser
    session: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def send(self, method: str, **parameters: Any) -> Any:
        """Send a command of the protocol for this page; return its result."""
        return self.browser.send(method, self.session, **parameters)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression as plain data."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def resize(self, width: int, height: int, *, is_dark: bool = False) -> None:
        """Set the size of the view in pixels of CSS, and the user's choice of colours."""
        sizes = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", **sizes)
        value = "dark" if is_dark else "light"
        feature = {"name": "prefers-color-scheme", "value": value}
        self.send("Emulation.setEmulatedMedia", features=[feature])

    def open(self, url: str) -> None:
        """Load a page, and wait until it is complete."""
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        loaded = self.browser.loaded
        self.send("Page.navigate", url=url)
        while self.browser.loaded == loaded:
            self.browser.receive()

    def picture(self, path: Path) -> None:
        """Save the whole page as a PNG."""
        options = {"format": "png", "captureBeyondViewport": True}
        found = self.send("Page.captureScreenshot", **options)
        path.write_bytes(base64.b64decode(found["data"]))

    def note(self, method: str, parameters: Any) -> None:
        """Note an event of this page."""
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method in FINDINGS:
            self.errors.append(json.dumps(parameters)[:1000])


class Browser:
    """A running browser. Messages are JSON, each ended by a zero byte."""

    def __init__(self, requests: int, responses: int) -> None:
        self._requests, self._responses = requests, responses
        self._buffer = b""
        self._numbers = count(1)
        self._pages: dict[str, Page] = {}
        self.loaded = 0

    def page(self) -> Page:
        """Return a new page."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        page = self._pages[attached["sessionId"]] = Page(self, attached["sessionId"])
        return page

    def send(self, method: str, session: str = "", **parameters: Any) -> Any:
        """Send a command; return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        os.write(self._requests, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def receive(self) -> Any:
        """Return the next message. Events are noted at their page."""
        while b"\0" not in self._buffer:
            part = os.read(self._responses, 1 << 20)
            assert part, "the browser has ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(text)
        self.loaded += message.get("method") == "Page.loadEventFired"
        if page := self._pages.get(message.get("sessionId", "")):
            page.note(message.get("method", ""), message.get("params"))
        return message


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Run a browser during the block, with an empty directory for its profile."""
    read_requests, write_requests = os.pipe()
    read_responses, write_responses = os.pipe()

    # The browser reads its file descriptor 3 and writes to 4.
    def arrange() -> None:
        os.dup2(os.dup(read_requests), 3)
        os.dup2(os.dup(write_responses), 4)

    command = [
        *(str(PROGRAM), "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"),
        *("--no-first-run", "--disable-background-networking", "--hide-scrollbars"),
        f"--user-data-dir={profile}",
    ]
    process = subprocess.Popen(
        command,
        preexec_fn=arrange,
        close_fds=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_requests)
    os.close(write_responses)
    try:
        yield Browser(write_requests, read_responses)
    finally:
        process.kill()
        process.wait()
        os.close(write_requests)
        os.close(read_responses)
