"""A host with Ollama in a directory: the role's real commands, and a stand-in for the server."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from pyinfra.api.command import FileUploadCommand, PyinfraCommand

from mirrorfleet import fleet
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.roles.ollama import disk, models, render
from mirrorfleet.runtime.commands import script
from mirrorfleet.runtime.observe import Observation
from tests.roles.machine import Machine
from tests.standins import ollama as standin

FLEET = """\
version: 1
name: one
hosts: {{box: {{address: 127.0.0.1}}}}
models:
  {models}
"""

HELPER = {"weights": "qwen3:4b", "context": 65536, "output": 8192}
"""A model that the stand-in can serve with exactly this configuration."""


class OllamaHost:
    """A host with a port for its server, which ``start`` starts."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        machine.at("/opt/mirrorfleet/ollama").mkdir()
        machine.add("python3", f'exec {sys.executable} -I "$@"')

    def plan(self, **configs: dict[str, Any]) -> HostPlan:
        """Return the plan of the host with these models; underscores in names become dashes."""
        lines = []
        for name, model in configs.items():
            whole = {"engine": "ollama", "hosts": ["box"], "port": self.port, **model}
            lines.append(f"{name.replace('_', '-')}: {json.dumps(whole)}")
        path = self.machine.root / "fleet.yml"
        path.write_text(FLEET.format(models="\n  ".join(lines)))
        return fleet.plan(fleet.load(path)).hosts["box"]

    def ollama(self, **configs: dict[str, Any]) -> OllamaPlan:
        [found] = self.plan(**configs).engines_of(OllamaPlan)
        return found

    def start(self, plan: OllamaPlan, version: str = "0.32.7", **other: Any) -> None:
        """Start a server of this version with the environment that the role sets."""
        self.stop()
        release = self.machine.root / f"release-{version}"
        shutil.rmtree(release, ignore_errors=True)
        program = standin.tree(release, version, **other)
        home = self.machine.at(render.HOME)
        models_directory = self.machine.at(plan.models_directory)
        gpus = ",".join(map(str, plan.devices)) or "-1"
        environment = render.variables(plan, gpus) | {
            "OLLAMA_MODELS": str(models_directory),
            "HOME": str(home),
        }
        self.process = subprocess.Popen(
            [sys.executable, program, "serve"],
            env={"PATH": os.environ["PATH"], **environment},
            stdout=subprocess.DEVNULL,
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("the stand-in does not listen")

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        self.process = None

    def make(self, plan: OllamaPlan) -> subprocess.CompletedProcess[str]:
        """Run the step that creates the models."""
        [command] = models.make(plan)
        return self.machine.run(command)

    def prove(self, plan: OllamaPlan, new: bool = False) -> subprocess.CompletedProcess[str]:
        """Run the readiness check of a generation, ``new`` or one that has served before."""
        self.machine.at("/opt/mirrorfleet/ollama/current").unlink(missing_ok=True)
        self.machine.at("/opt/mirrorfleet/ollama/current").symlink_to("generations/1")
        given = f"port={self.port} generation=1 new={'yes' if new else 'no'}\n"
        enter = "cd /opt/mirrorfleet/ollama\n"
        return self.machine.run(script(f"{given}{enter}{models.hooks(plan)}ready\n"))

    def run(self, commands: Iterable[PyinfraCommand]) -> subprocess.CompletedProcess[str]:
        """Run the commands of an operation, uploads and scripts, until one fails."""
        done = subprocess.CompletedProcess[str]([], 0, "", "")
        for command in commands:
            if isinstance(command, FileUploadCommand):
                self.machine.at(command.dest).write_bytes(_content(command.src))
                continue
            done = self.machine.run(command)
            if done.returncode:
                break
        return done

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to the server without the tested code."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, {"Content-Type": "application/json"})
        request.method = method
        with urlopen(request, timeout=5) as answer:
            return json.loads(answer.read() or b"null")

    def names(self) -> set[str]:
        return {model["name"] for model in self.ask("GET", "/api/tags")["models"]}

    def window(self, name: str) -> int:
        """Request an answer of a model, and return its window afterwards, in tokens."""
        request = {"model": name, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
        self.ask("POST", "/v1/messages", request)
        found: int = self.ask("GET", "/api/ps")["models"][0]["context_length"]
        return found

    @property
    def ledger(self) -> Path:
        return self.machine.at(models.LEDGER)

    def observe(self, plan: OllamaPlan) -> Observation:
        """Observe the models of the host as a run does."""
        return self.machine.observe_as_host(*models.facts(plan), *disk.facts(plan))


def _content(source: Any) -> bytes:
    """Return what an upload sends: a file, or an object with the interface of one."""
    if isinstance(source, str):
        return Path(source).read_bytes()
    source.seek(0)
    return b"".join(iter(lambda: source.read(64 * 1024), b""))
