"""The CUDA build: its compiler fits its runtime, and an engine's environment leads to it."""

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
def test_the_cuda_compiler_is_of_the_release_of_the_runtime(
    lock: Path, python: str, architecture: str
) -> None:
    pins = pinned(for_host(lock.read_text("utf-8"), python, architecture))
    release = {name: ".".join(version.split(".")[:2]) for name, version in pins.items()}
    compiler = {release[f"nvidia-{name}"] for name in ("cuda-nvcc", "cuda-crt", "nvvm")}
    assert compiler == {release["nvidia-cuda-runtime"]}


@pytest.fixture
def engine(plans: Planned) -> VllmPlan:
    return next(
        each for each in plans("prod").hosts["gpu-a"].engines_of(VllmPlan) if each.build == "cuda"
    )


def test_a_cuda_engine_finds_its_compiler_before_any_other(plans: Planned) -> None:
    host = plans("prod").hosts["gpu-a"]
    place = software.environment(host.engines_of(VllmPlan)[0]).directory
    [service, *_] = [each for each in services(host) if each.name.startswith("vllm-")]
    said = service.environment
    assert said["PATH"].split(":")[:2] == [f"{place}/bin", f"{place}/cuda/bin"]
    assert {"/usr/bin", "/usr/sbin"} <= set(said["PATH"].split(":")), "and the host's programs"
    assert said["CUDA_HOME"] == f"{place}/cuda"
    assert said["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID", "GPUs count as in nvidia-smi"
    assert said["MAX_JOBS"] == "8"


def test_the_cpu_build_needs_no_cuda_compiler(plans: Planned) -> None:
    [service] = services(plans("lab").hosts["gpu"])
    assert not {"PATH", "CUDA_HOME", "CUDA_DEVICE_ORDER"} & service.environment.keys()


def test_an_environment_of_an_earlier_release_is_rebuilt(plans: Planned) -> None:
    host = plans("prod").hosts["gpu-a"]
    found = observation_of(converged(host))
    wanted = software.environment(host.engines_of(VllmPlan)[0])
    # Named by its lock file alone, and without the tree that compilers know.
    digest = sha256(wanted.lock.read_bytes() + b"true").hexdigest()[:8]
    former = f"{wanted.directory.rpartition('-')[0]}-{digest}"
    before = with_values(
        found, {Environments(former): {former: ""}, Environments(wanted.directory): {}}
    )
    said = [change.what for change in python.changes(wanted, before)]
    assert said == [f"{wanted.directory} is missing for Python 3.11.2"]


def packages(environment: Path) -> Path:
    """Make what NVIDIA's packages for Python bring: libraries by their release only."""
    cuda = environment / "lib/python3.11/site-packages/nvidia/cu13"
    for folder in ("bin", "lib", "include"):
        (cuda / folder).mkdir(parents=True)
    (cuda / "bin/nvcc").write_text("#!/bin/sh\n")
    (cuda / "bin/nvcc").chmod(0o755)
    for name in ("cudart", "nvrtc", "cublas", "cublasLt"):
        library = cuda / f"lib/lib{name}.so.13"
        shared("-Wl,-soname,lib" + f"{name}.so.13", "-o", str(library), "/dev/null")
    return cuda


def shared(*arguments: str) -> None:
    subprocess.run(["g++", "-shared", "-fPIC", "-x", "c++", *arguments], check=True)


def complete(environment: Path) -> subprocess.CompletedProcess[str]:
    command = ["env", f"environment={environment}", "sh", "-eu", str(TREE)]
    return programs.run(command, "")


def test_what_is_compiled_links_against_the_tree_as_against_nvidias_own(tmp_path: Path) -> None:
    packages(tmp_path)
    done = complete(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    home = tmp_path / "cuda"
    assert os.access(home / "bin/nvcc", os.X_OK)
    module = tmp_path / "module.so"
    # As FlashInfer links: against everything, used or not.
    libraries = ["-lcudart", "-lcuda", "-lnvrtc", "-lcublas", "-lcublasLt"]
    directories = [f"-L{home}/lib64", f"-L{home}/lib64/stubs"]
    shared("-o", str(module), "/dev/null", "-Wl,--no-as-needed", *directories, "-xnone", *libraries)
    said = programs.run(["readelf", "-d", str(module)], "").stdout
    for needed in ("libcudart.so.13", "libcuda.so.1", "libnvrtc.so.13", "libcublasLt.so.13"):
        assert f"[{needed}]" in said, "the library itself is found by its release"
    assert complete(tmp_path).returncode == 0, "also a second time"


def test_an_environment_without_the_compiler_is_refused(tmp_path: Path) -> None:
    cuda = packages(tmp_path)
    (cuda / "lib/libnvrtc.so.13").unlink()
    assert "no libnvrtc.so.*" in complete(tmp_path).stderr
    (cuda / "bin/nvcc").unlink()
    done = complete(tmp_path)
    assert done.returncode == 1
    assert "no CUDA compiler (nvcc)" in done.stderr
