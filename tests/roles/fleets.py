"""Copies of the fleets of inventories/, with fixed secrets and weights.

lab.yml is the one beside this file, without a load balancer.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mirrorfleet import fleet
from mirrorfleet.planning import FleetPlan

ROOT = Path(__file__).parents[2]

SECRETS = {
    # lab.yml: files
    "engine": "engine-key-of-the-tests",
    "master": "sk-master-key-of-the-tests",
    "developers": "sk-developers-key-of-the-tests",
    # front.yml: in the middle of a file
    "key": "private-key-of-the-tests",
    # prod.yml: variables
    "ENGINE_KEY": "engine-key-of-the-tests",
    "LITELLM_MASTER_KEY": "sk-master-key-of-the-tests",
    "MIRRORFLEET_KEY_ROOT": "9b74c9897bac770ffc029102a200c5de-key-of-the-tests",
    # redis.yml, database.yml: variables
    "DATABASE_PASSWORD": "4f0c1d7be62a9c3358d1e07ab4529f6e-key-of-the-tests",
    "LITELLM_SALT_KEY": "c81e5a0d93f7426bb0de614f2a97c53d-key-of-the-tests",
    "REDIS_PASSWORD": "redis-password-key-of-the-tests",
    # prod.yml: the output of a command, `op`
    "op": "anthropic-key-of-the-tests",
}


def prepare_project(directory: Path) -> dict[str, str]:
    """Copy inventories/ and the files they refer to; return the environment variables to set."""
    shutil.copytree(
        ROOT / "inventories",
        directory / "inventories",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("database", "docker", "front", "lab", "ollama", "redis", "rings"):
        shutil.copy(ROOT / f"tests/roles/{name}.yml", directory / "inventories")
    for file, kind in (("llm.pem", "CERTIFICATE"), ("llm.key", "PRIVATE KEY")):
        (directory / "tls").mkdir(exist_ok=True)
        text = f"-----BEGIN {kind}-----\n{SECRETS['key'] if 'KEY' in kind else kind}\n"
        (directory / "tls" / file).write_text(f"{text}-----END {kind}-----\n")
    shutil.copy(ROOT / "tests/fleet/good/coder.modelfile", directory / "inventories")
    (directory / "release.tar.zst").write_text("a stand-in\n")
    secrets = directory / ".lab" / "secrets"
    weights = directory / ".lab" / "weights" / "tiny"
    programs = directory / "bin"
    for folder in (secrets, weights, programs):
        folder.mkdir(parents=True)
    for name in ("engine", "master", "developers"):
        (secrets / name).write_text(f"{SECRETS[name]}\n")
    (weights / "config.json").write_text("{}\n")
    (weights / "model.safetensors").write_bytes(safetensors(bytes(range(256))))
    # A stand-in for 1Password's command line, from which prod.yml gets a key.
    stand_in(programs / "op", f"echo {SECRETS['op']}")
    return {name: value for name, value in SECRETS.items() if name.isupper()}


def safetensors(content: bytes) -> bytes:
    """Return a safetensors file with one tensor."""
    tensor = {"dtype": "U8", "shape": [len(content)], "data_offsets": [0, len(content)]}
    header = json.dumps({"__metadata__": {"format": "pt"}, "x": tensor}).encode()
    return len(header).to_bytes(8, "little") + header + content


def stand_in(program: Path, script: str) -> None:
    """Write a short shell script in place of a real program."""
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def planned(directory: Path, name: str) -> FleetPlan:
    """Return the plan of a fleet in a prepared directory."""
    return fleet.plan(fleet.load(directory / "inventories" / f"{name}.yml"))


def good(name: str) -> FleetPlan:
    """Return the plan of a fleet of tests/fleet/good/."""
    return fleet.plan(fleet.load(ROOT / "tests/fleet/good" / f"{name}.yml"))


def edit(directory: Path, name: str, old: str, new: str) -> None:
    """Replace text that occurs once in a fleet file of a prepared directory."""
    path = directory / "inventories" / f"{name}.yml"
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} must occur once in {name}.yml"
    path.write_text(text.replace(old, new))
