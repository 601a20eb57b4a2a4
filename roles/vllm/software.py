"""The software of vLLM: the Python environment of a lock file, and the host's compiler."""

from __future__ import annotations

from pathlib import Path

from pyinfra.api.exceptions import DeployError

from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.runtime import python
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.shell import code, shell

ENVIRONMENTS = f"{ROOT}/vllm/environments"

SIZE = {"cpu": 2500 * 10**6, "cuda": 8700 * 10**6}
"""Minimum bytes of an environment. Installed from its lock file for x86_64 and Python 3.11, 0.32.0
for CPUs takes 2.56 GB, with CUDA 8.79 GB."""

WHEELS = {"cpu": 600 * 10**6, "cuda": 3900 * 10**6}
"""Minimum bytes of the wheels of an environment: 0.63 GB for CPUs, 3.95 GB with CUDA."""

PACKAGES = {"cpu": ["libnuma1"], "cuda": ["g++", "python3-dev"]}
"""System packages. With CUDA, Triton and FlashInfer compile kernels at run time: without a compiler
and Python's headers, no engine starts. The environment needs the compiler too: see cuda_tree.sh."""

FILES = Path(__file__).parent / "files"

CUDA_TREE = f"environment={{directory}}\n{code(FILES / 'cuda_tree.sh')}"
"""The identity of an environment with CUDA: the script that completes it."""

CPU_BUILD = """\
metadata=$(echo {directory}/lib/python3.*/site-packages)/vllm-{version}+cpu.dist-info
mkdir "$metadata"
printf 'Metadata-Version: 2.1\\nName: vllm\\nVersion: {version}+cpu\\n' >"$metadata/METADATA"
"""
"""The identity of an environment for CPUs, as release 0.1 wrote it: a different one would rebuild
all environments."""


def packages(plan: HostPlan) -> list[str]:
    """Return the system packages that the engines of a host need."""
    needed = {name for engine in plan.engines_of(VllmPlan) for name in PACKAGES[engine.build]}
    return ["python3", "curl", *sorted(needed)]


def known_directory(engine: VllmPlan) -> str:
    """Return the directory of an engine's environment, or a pattern if its lock file is missing."""
    try:
        return environment(engine).directory
    except DeployError:
        return f"{ENVIRONMENTS}/{engine.lock.stem}-*"


def environment(engine: VllmPlan) -> python.Environment:
    """Return the Python environment of an engine."""
    size, wheels = SIZE[engine.build], WHEELS[engine.build]
    if engine.build == "cuda":
        finish, identity = shell(FILES / "cuda_tree.sh"), CUDA_TREE
    else:
        finish = shell(FILES / "cpu_build.sh", release=engine.version)
        identity = CPU_BUILD.replace("{version}", engine.version)
    return python.Environment("vllm", engine.lock, finish, identity, size=size, wheels=wheels)
