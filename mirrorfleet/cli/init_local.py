"""Write the fleet file of one machine, from what is found on it: `mirrorfleet init --local`."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from mirrorfleet import fleet as fleets
from mirrorfleet.checks.windows import SMALLEST
from mirrorfleet.cli.this_machine import Machine, Ollama, this_machine
from mirrorfleet.data import proposed

FILE = "fleet.yml"

TAGS = ((28, "qwen3-coder:30b"), (12, "qwen3:8b"), (0, "qwen3:4b"))
"""Models of Ollama's registry that call tools, by the least memory in GiB with a full window."""

TEXT = """\
# One machine: a model on Ollama, LiteLLM as the gateway, and Claude Code for {user}.
# Nothing listens outside of this machine. `mirrorfleet docs laptop` explains it.
version: 1
name: local

hosts:
  {name}: {{address: local{gpus}}}                 # local: this machine, without SSH

models:
{model}
gateway:
  hosts: [{name}]
  version: {litellm}
{port}  workers: 1
  master_key: {{file: secrets/master-key}}      # readable by you only

# The model behind each tier of Claude Code.
aliases: {{opus: coder, sonnet: coder, haiku: coder}}

keys: {{root: {{file: secrets/key-root}}}}

firewall: none                                # everything listens on 127.0.0.1

developers:
  me: {{hosts: [{name}], users: [{user}], model: coder, version: {claude}}}
"""

RUNNING = """\
  # Found: Ollama {version} at {url}. It stays as it is.
  coder:
    engine: ollama
    url: "{url}"
    served_name: "{tag}"
    context: {context}{comment}
    output: 8192
"""

INSTALLED = """\
  # No Ollama runs here: `mirrorfleet apply` installs one, and downloads this model.
  coder:
    engine: ollama
    weights: "{tag}"                  # for {memory:.0f} GiB of {of}
    hosts: [{name}]
    context: 65536
    output: 8192
    kv_cache_type: q8_0
"""


def write(directory: Path) -> int:
    """Write fleet.yml, its secrets and .gitignore, and return the exit code.

    Nothing is written if fleet.yml exists, or if this machine cannot be a host.
    """
    file = directory / FILE
    if file.exists():
        return _refuse(f"{file}: exists; nothing was written. Remove it, or choose another folder")
    if platform.system() != "Linux":
        return _refuse(
            f"services need Debian 12, Ubuntu 22.04 or newer, and this is {platform.system()}: "
            "use a gateway that runs elsewhere (`mirrorfleet docs only-clients`)"
        )
    print("Looking for Ollama, its models, and GPUs; Ollama loads its largest model")
    machine = this_machine()
    # The jobs import pyinfra, which takes a third of a second.
    from mirrorfleet.jobs import secret_files

    try:
        directory.mkdir(parents=True, exist_ok=True)
        file.write_text(text(machine), encoding="utf-8")
        print(f"{file}: written")
        fleet = fleets.load(file)
        secrets = list(secret_files.found(fleet, create=True))
        made = [secret_files.path_of(each.secret) for each in secrets if each.state == "made"]
        ignored = secret_files.ignore(fleet, made)
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}")
    for path in made:
        print(f"{directory / path.relative_to(directory.resolve())}: written, a random secret")
    if ignored:  # unless a repository around this directory excludes them already
        print(f"{directory / '.gitignore'}: excludes the secrets")
    for warning in fleet.warnings:
        print(warning, file=sys.stderr)
    for line in _next(machine, directory):
        print(line)
    return 0


def text(machine: Machine) -> str:
    """Return the fleet file for a machine."""
    installs = machine.ollama is None
    gpus = f", gpus: {{count: {len(machine.gpus)}}}" if machine.gpus and installs else ""
    return TEXT.format(
        name=machine.name,
        user=machine.user,
        litellm=proposed("litellm"),
        claude=proposed("claude"),
        gpus=gpus,
        model=_running(machine, machine.ollama) if machine.ollama else _installed(machine),
        port="" if machine.port == 4000 else f"  port: {machine.port}    # 4000 is in use\n",
    )


def _installed(machine: Machine) -> str:
    return INSTALLED.format(
        tag=_tag(machine),
        name=machine.name,
        memory=machine.model_memory,
        of="the GPUs" if machine.gpus else "memory, on the CPU",
    )


def _running(machine: Machine, ollama: Ollama) -> str:
    first = next(iter(ollama.models), None)
    window = first.window if first else 0
    if window and window < SMALLEST:
        comment = f"    # it has {window} now: Claude Code needs {SMALLEST}"
    elif window:
        comment = "    # as this Ollama reports it"
    else:
        comment = "    # OLLAMA_CONTEXT_LENGTH of this Ollama must be the same"
    others = [model.tag for model in ollama.models[1:]]
    found = RUNNING.format(
        version=ollama.version,
        url=ollama.url,
        tag=first.tag if first else _tag(machine),
        context=max(window, SMALLEST),
        comment=comment,
    )
    return found + (f"  # It also has {', '.join(others)}.\n" if others else "")


def _tag(machine: Machine) -> str:
    return next(tag for least, tag in TAGS if machine.model_memory >= least)


def _next(machine: Machine, directory: Path) -> Iterator[str]:
    """Yield what is left to do, in the order of the steps."""
    ollama = machine.ollama
    if ollama and not ollama.models:
        yield f"Ollama has no model that calls tools. Run: ollama pull {_tag(machine)}"
    elif ollama and ollama.models[0].window < SMALLEST:
        yield (
            f"Claude Code needs a window of {SMALLEST} tokens. Set "
            f"OLLAMA_CONTEXT_LENGTH={SMALLEST} where Ollama runs (sudo systemctl edit ollama), "
            "and restart it."
        )
    if not machine.has_systemd:
        yield "This machine does not run systemd: the gateway cannot run here."
    inside = "" if directory == Path() else f"cd {directory} && "
    yield f"Next: {inside}mirrorfleet plan, then mirrorfleet apply"


def _refuse(message: str) -> int:
    print(message, file=sys.stderr)
    return 1
