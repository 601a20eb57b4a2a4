"""Tests of the CUDA build: the compiler matches the runtime, and an engine finds the compiler."""

from __future__ import annotations

import os
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles import vllm
from mirrorfleet.roles.vllm import software
from mirrorfleet.runtime import python
from mirrorfleet.runtime.facts.python import Environments
from mirrorfleet.runtime.locks import for_host
from tests.roles import programs
from tests.roles.answers import converged, observation_of, services, with_values
from tests.roles.conftest import Planned
from tests.roles.test_locks import LOCKS, PYTHONS, pinned

CUDA = [path for path in LOCKS if path.parts[-3] == "vllm" and "cpu" not in path.stem]
TREE = Path(vllm.__file__).parent / "files/cuda_tree.sh"


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", CUDA, ids=lambda path: path.stem)
def test_the_cuda_compiler_and_the_runtime_have_the_same_release(
    lock: Path, python: str, architecture: str
) -> None:
    pins = pinned(for_host(lock.read_text("utf-8"), python, architecture))
    release = {name: ".".join(version.split(".")[:2]) for name, version in pins.items()}
    compiler = {release[f"nvidia-{name}"] for name in ("cuda-nvcc", "cuda-crt", "nvvm")}
    assert compiler == {release["nvidia-cuda-runtime"]}


@pytest.fixture
def engine(plans: Planned) -> VllmPlan:
    return next(
        engine
        for engine in plans("prod").hosts["gpu-a"].engines_of(VllmPlan)
        if engine.build == "cuda"
    )


def test_a_cuda_engine_finds_its_compiler_before_any_other(plans: Planned) -> None:
    host = plans("prod").hosts["gpu-a"]
    directory = software.environment(host.engines_of(VllmPlan)[0]).directory
    [service, *_] = [service for service in services(host) if service.name.startswith("vllm-")]
    environment = service.environment
    assert environment["PATH"].split(":")[:2] == [f"{directory}/bin", f"{directory}/cuda/bin"]
    assert {"/usr/bin", "/usr/sbin"} <= set(environment["PATH"].split(":")), (
        "the host's programs are found, too"
    )
    assert environment["CUDA_HOME"] == f"{directory}/cuda"
    assert environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID", (
        "GPUs have the numbers that nvidia-smi shows"
    )
    assert environment["MAX_JOBS"] == "8"


def test_the_cpu_build_needs_no_cuda_compiler(plans: Planned) -> None:
    [service] = services(plans("lab").hosts["gpu"])
    assert not {"PATH", "CUDA_HOME", "CUDA_DEVICE_ORDER"} & service.environment.keys()


def test_an_environment_of_an_earlier_release_is_rebuilt(plans: Planned) -> None:
    host = plans("prod").hosts["gpu-a"]
    found = observation_of(converged(host))
    desired = software.environment(host.engines_of(VllmPlan)[0])
    # Its name has the digest of the lock file only, and it has no tree that compilers can use.
    digest = sha256(desired.lock.read_bytes() + b"true").hexdigest()[:8]
    former = f"{desired.directory.rpartition('-')[0]}-{digest}"
    before = with_values(
        found, {Environments(former): {former: ""}, Environments(desired.directory): {}}
    )
    changes = [change.what for change in python.changes(desired, before)]
    assert changes == [f"{desired.directory} is missing for Python 3.11.2"]


def packages(environment: Path) -> Path:
    """Create the files of NVIDIA's Python packages: libraries have only names with a release."""
    cuda = environment / "lib/python3.11/site-packages/nvidia/cu13"
    for folder in ("bin", "lib", "include"):
        (cuda / folder).mkdir(parents=True)
    (cuda / "bin/nvcc").write_text("#!/bin/sh\n")
    (cuda / "bin/nvcc").chmod(0o755)
    for name in ("cudart", "nvrtc", "cublas", "cublasLt"):
        library = cuda / f"lib/lib{name}.so.13"
        build_library("-Wl,-soname,lib" + f"{name}.so.13", "-o", str(library), "/dev/null")
    return cuda


def build_library(*arguments: str) -> None:
    subprocess.run(["g++", "-shared", "-fPIC", "-x", "c++", *arguments], check=True, timeout=120)


def create_tree(environment: Path) -> subprocess.CompletedProcess[str]:
    command = ["env", f"environment={environment}", "sh", "-eu", str(TREE)]
    return programs.run(command, "")


def test_a_module_links_against_the_tree_as_against_nvidias_toolkit(tmp_path: Path) -> None:
    packages(tmp_path)
    result = create_tree(tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    home = tmp_path / "cuda"
    assert os.access(home / "bin/nvcc", os.X_OK)
    module = tmp_path / "module.so"
    # FlashInfer links against all of these libraries, used or not.
    libraries = ["-lcudart", "-lcuda", "-lnvrtc", "-lcublas", "-lcublasLt"]
    directories = [f"-L{home}/lib64", f"-L{home}/lib64/stubs"]
    build_library(
        "-o", str(module), "/dev/null", "-Wl,--no-as-needed", *directories, "-xnone", *libraries
    )
    dynamic = programs.run(["readelf", "-d", str(module)], "").stdout
    for needed in ("libcudart.so.13", "libcuda.so.1", "libnvrtc.so.13", "libcublasLt.so.13"):
        assert f"[{needed}]" in dynamic, "the loader finds the library by its release"
    assert create_tree(tmp_path).returncode == 0, "a second run succeeds, too"


def test_an_environment_without_the_compiler_is_refused(tmp_path: Path) -> None:
    cuda = packages(tmp_path)
    (cuda / "lib/libnvrtc.so.13").unlink()
    assert "no libnvrtc.so.*" in create_tree(tmp_path).stderr
    (cuda / "bin/nvcc").unlink()
    result = create_tree(tmp_path)
    assert result.returncode == 1
    assert "no CUDA compiler (nvcc)" in result.stderr
