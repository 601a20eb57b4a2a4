"""The compiler of the CUDA build, with the unit and the environment of a real engine.

The lab has no GPU, and the engine itself is too large: the environment has the packages of the CUDA
lock file that compile, and PyTorch's CPU build. Unit, variables, directories and check are those of
a production host.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pyinfra.api.command import FileUploadCommand

from mirrorfleet import fleet
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles import vllm
from mirrorfleet.roles.vllm import devices, render, software
from mirrorfleet.runtime import cache, generations, python
from mirrorfleet.runtime.facts.python import Python
from mirrorfleet.runtime.observe import assumed
from mirrorfleet.runtime.service import Service
from tests.lab import keys, look
from tests.lab.hosts import BY_NAME

HOST = "dev-2"
"""A bare host that is not in the lab's fleet file."""

COMPILER = """
    apache-tvm-ffi cuda-bindings cuda-core cuda-pathfinder cuda-python einops filelock
    flashinfer-python fsspec jinja2 markupsafe mpmath networkx ninja numpy nvidia-cublas
    nvidia-cuda-cccl nvidia-cuda-crt nvidia-cuda-nvcc nvidia-cuda-nvrtc nvidia-cuda-runtime
    nvidia-curand nvidia-ml-py nvidia-nvjitlink nvidia-nvvm packaging requests certifi
    charset-normalizer idna urllib3 setuptools sympy tabulate tqdm click triton typing-extensions
"""
"""Packages of the CUDA lock file that FlashInfer and Triton import and compile with."""

NEWER = ("nvidia-cuda-nvcc", "nvidia-cuda-crt", "nvidia-nvvm")

FLEET = f"""\
version: 1
name: toolchain
firewall: none
hosts: {{{HOST}: {{address: {BY_NAME[HOST].address}, gpus: {{count: 1}}}}}}
models:
  coder: {{engine: vllm, version: 0.32.0, weights: {{path: /srv/coder}}, family: hermes,
    hosts: [{HOST}], context: 65536, output: 8192}}
"""

# A stand-in for the unit that creates device files: it needs a GPU.
DEVICES = f"""\
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
# {devices.UNIT}
"""

CHECKED = "journalctl -q -o cat -u mirrorfleet-check-vllm-coder | grep -c '^Starting' || true"


@dataclass(frozen=True)
class Engine:
    service: Service
    environment: str


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Install the environment of an engine on the host; remove it at the end."""
    directory = tmp_path_factory.mktemp("toolchain")
    (directory / "toolchain.yml").write_text(FLEET)
    plan = fleet.plan(fleet.load(directory / "toolchain.yml")).hosts[HOST]
    [desired] = plan.engines_of(VllmPlan)
    complete = software.environment(desired)
    lock = directory / complete.lock.name
    lock.write_text(selected(complete.lock))
    environment = replace(complete, lock=lock)
    look.run(
        HOST,
        "export DEBIAN_FRONTEND=noninteractive; apt-get -qq update; "
        "apt-get -qq -y --no-install-recommends install python3 curl g++ python3-dev >/dev/null; "
        f"id {render.USER} >/dev/null 2>&1 || useradd --system --no-create-home "
        f"{render.USER}; mkdir -p /srv/coder; echo '{{}}' >/srv/coder/config.json; "
        f"cat >{devices.UNIT_PATH}; systemctl daemon-reload; [ ! -e /usr/local/cuda ]",
        stdin=DEVICES,
    )
    build(environment, replace(plan, packages="controller"))
    yield Engine(
        render.service(desired, environment.directory, "/srv/coder", None),
        environment.directory,
    )
    look.run(
        HOST,
        f"systemctl stop {devices.UNIT}; rm -rf {devices.UNIT_PATH} /opt/mirrorfleet "
        f"/var/lib/mirrorfleet /srv/coder; userdel {render.USER}; systemctl daemon-reload",
    )


def entries(lock: Path) -> dict[str, list[str]]:
    """Return the pins of a lock file with their hashes, by package."""
    found: dict[str, list[str]] = {}
    for entry in re.findall(r"^[a-z0-9].*(?:\n .*)*", lock.read_text("utf-8"), re.MULTILINE):
        found.setdefault(entry.partition("==")[0], []).append(entry)
    return found


def selected(lock: Path) -> str:
    """Return the pins of COMPILER in the CUDA build's lock file, and PyTorch of the CPU build."""
    names = COMPILER.split()
    pinned, cpu = entries(lock), entries(lock.with_name(f"{lock.stem}-cpu.txt"))
    assert not [name for name in names if name not in pinned]
    return "\n".join([*(pin for name in names for pin in pinned[name]), *cpu["torch"]]) + "\n"


def build(environment: python.Environment, plan: HostPlan) -> None:
    """Build the environment as a run does, from wheels on this machine."""
    version = look.run(HOST, "python3 -V").split()[1]
    observed = assumed({Python(): version}, architecture="x86_64")
    for command in python.install(environment, plan, observed):
        if isinstance(command, FileUploadCommand):
            with Path(str(command.src)).open("rb") as file:
                line = keys.ssh(HOST, [f"cat >{command.dest}"])
                subprocess.run(line, stdin=file, check=True)
        else:
            look.run(HOST, str(command))


def stage(engine: Engine, check: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Stage a generation of the engine as a run does, and return the finished process."""
    # Without a GPU, the test sets the compute capability.
    words = tuple("capability=9.0" if word == "capability=" else word for word in check)
    assert words != check
    [command] = generations.stage(replace(engine.service, check=words), assumed())
    [archive] = command.connector_arguments["_stdin"]
    line = keys.ssh(HOST, ["sudo", "sh", "-c", shlex.quote(str(command))])
    return subprocess.run(line, input=archive, capture_output=True, text=True, check=False)


def test_an_engine_compiles_for_hopper_and_is_accepted(engine: Engine) -> None:
    done = stage(engine, engine.service.check)
    assert (done.returncode, done.stderr) == (0, "")
    cache_of_engine = "/var/lib/mirrorfleet/vllm-coder/.cache/flashinfer"
    found = look.run(HOST, f"find {cache_of_engine} -name sampling.so").split()
    assert len(found) == 1, "the sampler is where the engine looks for it"
    assert "/90a/" in found[0]


def test_compiled_kernels_are_not_compiled_again(engine: Engine) -> None:
    before = look.run(HOST, CHECKED)
    look.run(HOST, f"rm -r {engine.service.generation_path}")
    assert stage(engine, engine.service.check).returncode == 0
    assert look.run(HOST, CHECKED) == before


def refused(engine: Engine, check: tuple[str, ...]) -> str:
    """Return the reason why a generation is refused, without the records of earlier ones."""
    look.run(HOST, f"rm -rf {engine.service.directory}")
    done = stage(engine, check)
    assert done.returncode != 0
    assert "the new generation failed its check; the running one is unaffected" in done.stderr
    assert look.run(HOST, f"ls {engine.service.directory}/generations") == ""
    return done.stderr


def without(check: tuple[str, ...], text: str) -> tuple[str, ...]:
    assert any(text in word for word in check)
    return tuple(word.replace(text, "") for word in check)


def test_without_its_programs_in_path_the_engine_is_refused(engine: Engine) -> None:
    check = without(
        engine.service.check, f"{engine.environment}/bin:{engine.environment}/cuda/bin:"
    )
    assert "ninja is not in PATH (/usr/local/sbin:" in refused(engine, check)


def test_without_cuda_home_the_engine_is_refused(engine: Engine) -> None:
    check = without(engine.service.check, f'CUDA_HOME="{engine.environment}/cuda"\n')
    assert "CUDA_HOME is not set" in refused(engine, check)


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("lib64", "cannot find -lcudart"),
        ("lib/libcudart.so", "cannot find -lcudart"),
        ("lib/libnvrtc.so", "cannot find -lnvrtc"),
        ("lib/libcublasLt.so", "cannot find -lcublasLt"),
        ("lib/stubs", "cannot find -lcuda"),
    ],
)
def test_without_a_link_of_the_tree_the_engine_is_refused(
    engine: Engine, link: str, reason: str
) -> None:
    path = f"{engine.environment}/cuda/{link}"
    look.run(HOST, f"mv {path} {path}.away")
    try:
        assert reason in refused(engine, engine.service.check)
    finally:
        look.run(HOST, f"mv {path}.away {path}")


def test_with_a_compiler_of_another_release_the_engine_is_refused(engine: Engine) -> None:
    """The lock file once had the newest nvcc beside an older runtime."""
    pinned = entries(next(iter(Path(vllm.__file__).parent.glob("locks/0.32.0.txt"))))
    newer = "\n".join(
        re.sub(r" ;[^\\]*", " ", pin, count=1)
        for name in NEWER
        for pin in pinned[name]
        if "== 'darwin'" in pin
    )
    archive = cache.wheels(newer, "nvcc", "3.11.2", "x86_64", also="")
    look.run(HOST, "rm -rf /srv/newer; mkdir -m 777 -p /srv/newer/wheels")
    with archive.open("rb") as file:
        subprocess.run(keys.ssh(HOST, ["tar -xC /srv/newer/wheels"]), stdin=file, check=True)
    tree = f"{engine.environment}/cuda"
    look.run(
        HOST,
        f"cp -a $(readlink -f {tree}) /srv/newer/cu13; cd /srv/newer; "
        "for wheel in wheels/*.whl; do python3 -m zipfile -e $wheel packages; done; "
        "cp -a packages/nvidia/cu13/. cu13; chmod -R a+rx cu13/bin cu13/nvvm/bin; "
        f"mv {tree} {tree}.away; ln -s /srv/newer/cu13 {tree}",
    )
    try:
        reason = refused(engine, engine.service.check)
        assert "CUDA compiler and CUDA toolkit headers are incompatible" in reason
    finally:
        look.run(HOST, f"rm {tree}; mv {tree}.away {tree}; rm -rf /srv/newer")
