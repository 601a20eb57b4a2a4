"""A gateway as the role renders it, served by the real LiteLLM on loopback.

Changes for the tests: one worker by default, a free port of loopback, and the stand-in upstream
instead of every address of the fleet.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import Path
from typing import Any
from unittest.mock import patch

from mirrorfleet import fleet
from mirrorfleet.planning import DerivedKey, LitellmPlan
from mirrorfleet.roles.litellm import keys, limits, references, render
from mirrorfleet.roles.litellm.environment import variables
from mirrorfleet.roles.litellm.files import keyring
from mirrorfleet.runtime.observe import Observation
from tests.litellm.environment import RELEASE, environment
from tests.litellm.upstream import Upstream
from tests.record import ran_with
from tests.roles.answers import MACHINE, observation_of

START = 900
"""Maximum seconds until a gateway is ready; on an idle machine it takes six."""


@dataclass(frozen=True)
class Answer:
    """A response of a gateway."""

    code: int
    body: Any
    headers: Message

    @property
    def text(self) -> str:
        return str(self.body["content"][0]["text"])


@dataclass(frozen=True)
class Gateway:
    """A running gateway.

    ``plan`` is the plan of the fleet file, with its own addresses. ``session`` is the session ID of
    all its processes.
    """

    url: str
    metrics: str
    plan: LitellmPlan
    secrets: dict[Any, str]
    directory: Path
    session: int

    def ask(self, path: str, body: Any = None, key: str | None = None, **headers: str) -> Answer:
        """Send a request with a developer's key, or another one; POST if there is a body."""
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                **self.headers(key),
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return Answer(response.status, _parsed(response.read()), response.headers)
        except urllib.error.HTTPError as error:
            return Answer(error.code, _parsed(error.read()), error.headers)

    def headers(self, key: str | None = None) -> dict[str, str]:
        """Return the headers of a request with a developer's key, or with another one."""
        key = self.key if key is None else key
        return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def message(self, model: str, prompt: str = "ping", **headers: str) -> Answer:
        """Send a turn as Claude Code does."""
        return self.ask("/v1/messages", message(model, prompt), **headers)

    @property
    def key(self) -> str:
        """A developer's key."""
        return self.secrets[self.plan.keys[0].key]

    @property
    def master(self) -> str:
        return self.secrets[self.plan.master_key]


def message(model: str, prompt: str = "ping", **more: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": prompt}]
    return {
        "model": model,
        "max_tokens": 64,
        "messages": [{"role": "user", "content": content}],
        **more,
    }


def planned(path: Path) -> LitellmPlan:
    """Return the plan of a fleet's first gateway."""
    hosts = fleet.plan(fleet.load(path)).hosts.values()
    return next(host.gateway for host in hosts if host.gateway)


@contextmanager
def serving(
    plan: LitellmPlan,
    upstream: Upstream,
    directory: Path,
    workers: int = 1,
    patience: int = START,
) -> Iterator[Gateway]:
    """Serve a gateway during the block; fail with its log if it does not become ready.

    ``patience``: seconds that uvicorn waits for a worker's reply.
    """
    secrets = _secrets(plan, upstream)
    moved = _on_loopback(plan, upstream)
    _write(moved, secrets, directory)
    # As container.sh starts a gateway with a database.
    program = ["python", render.PROGRAM] if moved.database else ["litellm"]
    program[0] = str(environment() / "bin" / program[0])
    # On a busy machine, a worker that still loads LiteLLM would be killed and restarted for ever.
    with patch.object(render, "PATIENCE", patience):
        _, *arguments = render.arguments(moved, workers)
    command = [*program, f"--config={directory}/config.yaml", *arguments]
    url = f"http://127.0.0.1:{moved.port}"
    variables = _variables(moved, secrets, directory, workers)
    with started(command, directory, variables, f"{url}/health/readiness") as process:
        ran_with("gateway", RELEASE)
        metrics = f"http://127.0.0.1:{moved.metrics_port}/metrics/"
        yield Gateway(url, metrics, plan, secrets, directory, process.pid)


@contextmanager
def started(
    command: list[str], directory: Path, variables: Mapping[str, str], ready: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in a session of its own during the block; wait for its URL ``ready``."""
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=variables,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(process, ready, log)
        yield process
    finally:
        # The whole session: workers would outlive their server.
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def check(plan: LitellmPlan, upstream: Upstream, directory: Path) -> str:
    """Run the role's check of a generation, and return its complaints."""
    secrets = _secrets(plan, upstream)
    moved = _on_loopback(plan, upstream)
    _write(moved, secrets, directory)
    done = subprocess.run(
        [str(environment() / "bin/python"), "check_config.py"],
        cwd=directory,
        env=_variables(moved, secrets, directory),
        capture_output=True,
        text=True,
        timeout=600,
    )
    complaints = [
        line for line in done.stderr.splitlines() if line.startswith("LiteLLM has loaded")
    ]
    assert bool(done.returncode) == bool(complaints), done.stderr[-2000:]
    return "\n".join(complaints)


def _on_loopback(plan: LitellmPlan, upstream: Upstream) -> LitellmPlan:
    passthrough = plan.passthrough
    return replace(
        plan,
        listen="127.0.0.1",
        port=free_port(),
        metrics_port=plan.metrics_port and free_port(),
        mcp_servers=tuple(
            replace(server, url=upstream.instead_of(server.url)) for server in plan.mcp_servers
        ),
        routes=tuple(
            replace(route, settings=_redirected(route.settings, upstream)) for route in plan.routes
        ),
        guardrails=tuple(
            replace(guardrail, parameters=_redirected(guardrail.parameters, upstream))
            for guardrail in plan.guardrails
        ),
        environment=_redirected(plan.environment, upstream),
        web_search=plan.web_search and replace(plan.web_search, url=upstream.search),
        passthrough=passthrough and replace(passthrough, url=upstream.instead_of(passthrough.url)),
    )


def _redirected(settings: Mapping[str, Any], upstream: Upstream) -> dict[str, Any]:
    """Return settings with the address of the stand-in instead of each URL."""
    return {
        name: upstream.instead_of(value) if str(value).startswith("http") else value
        for name, value in settings.items()
    }


def _secrets(plan: LitellmPlan, upstream: Upstream) -> dict[Any, str]:
    """Return a value for each secret, and the developers' keys.

    A variable whose name ends with _URL has the address of the stand-in: OWN_URL is own.example.com
    there. One whose name ends with _REGION has a region.
    """

    def value(name: str) -> str:
        if name.endswith("_URL"):
            return upstream.instead_of(f"https://{name[:-4].lower()}.example.com/")
        return "eu-west-1" if name.endswith("_REGION") else f"sk-{name.lower()}-0123456789"

    values: dict[Any, str] = {secret: value(secret.value) for secret in references.secrets(plan)}
    for entry in plan.keys:
        key = entry.key
        root = key.root if isinstance(key, DerivedKey) else key
        values[root] = f"sk-{root.value.lower()}-0123456789"
        if isinstance(key, DerivedKey):
            values[key] = key.value(values[root])
    return values


def write_keys(plan: LitellmPlan, values: Mapping[Any, str], directory: Path) -> None:
    """Replace the key files as a run does."""
    new = directory / "keys.new"
    with patch("mirrorfleet.roles.litellm.keys.reveal", values.__getitem__):
        new.write_text(keys.desired(plan))
    new.replace(directory / "keys.json")
    (directory / "former.json").write_text(keyring.document([], []))
    if text := limits.desired(plan):
        limited = directory / "limits.new"
        limited.write_text(text)
        limited.replace(directory / "limits.json")


def _write(plan: LitellmPlan, secrets: dict[Any, str], directory: Path) -> None:
    write_keys(plan, secrets, directory)
    service = render.service(plan, "/nowhere", secrets, _observed())
    for name, content in service.files.items():
        (directory / name).write_text(content)


def _observed() -> Observation:
    return observation_of(MACHINE)


def _variables(
    plan: LitellmPlan, secrets: dict[Any, str], directory: Path, workers: int = 1
) -> dict[str, str]:
    """Return the service's environment; of this machine's, it has PATH only."""
    return {
        "PATH": os.environ["PATH"],
        **variables(plan, secrets, workers),
        "HOME": str(directory),
        "MIRRORFLEET_KEYS": str(directory),
        "PYTHONPATH": str(directory),
        "MIRRORFLEET_HELD": str(directory / "held"),
        "MIRRORFLEET_COUNTS": str(directory / "counts"),
        "MIRRORFLEET_LEDGER": str(directory / "usage-1.sqlite"),
        # As PrivateTmp does: another gateway would remove the files with the workers' counters.
        "TMPDIR": str(directory),
    }


def _wait(process: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(ready, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the gateway is not ready:\n{log.read_text()[-3000:]}")


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode()
