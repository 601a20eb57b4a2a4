"""The acceptance of a new generation of a CUDA engine, and the unit of the device files."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest
from pyinfra.api.command import StringCommand

from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.vllm import devices
from mirrorfleet.roles.vllm.role import Vllm
from mirrorfleet.runtime import generations
from mirrorfleet.runtime.facts import Services, Unit, UnitState
from mirrorfleet.runtime.observe import Observation, assumed
from mirrorfleet.runtime.service import Service
from tests.roles.answers import converged, observation_of, services, with_values
from tests.roles.conftest import Planned
from tests.roles.machine import Machine

# A stand-in for systemd: a start records the unit, and fails if the file `broken` exists.
SYSTEMCTL = """\
case "$*" in
    start*)
        unit="$ROOT/run/systemd/system/$2"
        cat "$unit" "$unit.d/check.conf" >>"$ROOT/started"
        [ ! -e "$ROOT/broken" ] || {
            echo "noise of a compiler" >"$ROOT/run/mirrorfleet-check-vllm-coder/output"
            cat "$ROOT/broken" >>"$ROOT/run/mirrorfleet-check-vllm-coder/output"
            exit 1
        } ;;
esac
"""


@pytest.fixture(name="host")
def gpu_host(machine: Machine) -> Machine:
    for folder in ("/run/systemd/system", "/srv"):
        machine.at(folder).mkdir(parents=True)
    machine.add("systemctl", SYSTEMCTL)
    machine.add("chgrp", "exit 0")
    machine.add("python3", "exit 0")  # the weights are complete
    machine.add("nvidia-smi", 'cat "$ROOT/gpus"')
    (machine.root / "gpus").write_text("GPU-1, 580.95.05\n")
    return machine


@pytest.fixture
def engine(plans: Planned) -> Service:
    [service, *_] = services(plans("prod").hosts["gpu-a"])
    assert service.name == "vllm-coder"
    return service


def place(host: Machine, engine: Service) -> subprocess.CompletedProcess[str]:
    [command] = generations.stage(engine, assumed())
    text = str(command).replace("=/run/", f"={host.root}/run/")
    # The stand-ins come before the engine's own PATH.
    before = "\n. ./environment && exec"
    assert before in text
    text = text.replace(before, f"\nPATH={host.programs}:$PATH && exec")
    return host.run(StringCommand(text, **command.connector_arguments))


def started(host: Machine) -> str:
    file = host.root / "started"
    return file.read_text() if file.exists() else ""


def test_a_generation_is_accepted_by_a_copy_of_its_own_unit(host: Machine, engine: Service) -> None:
    done = place(host, engine)
    assert (done.returncode, done.stderr) == (0, "")
    unit, _, change = started(host).replace(str(host.root), "").partition("[Service]\nType=oneshot")
    assert unit == engine.unit, "it has the sandbox of the engine"
    stage = "/run/mirrorfleet-check-vllm-coder"
    python = f"{engine.environment['CUDA_HOME'].removesuffix('/cuda')}/bin/python"
    assert f"\nExecStart=\nExecStart={python} -I {stage}/toolchain.py " in change
    assert f"\nEnvironmentFile=\nEnvironmentFile={stage}/environment\n" in change
    assert not list(host.at("/run/systemd/system").iterdir()), "it is removed afterwards"
    assert [path.name for path in host.at("/run").iterdir()] == ["systemd"]


def test_it_compiles_again_only_after_a_change(host: Machine, engine: Service) -> None:
    place(host, engine)
    once = started(host)
    # Another window does not affect the compilation.
    other = replace(engine, unit=engine.unit.replace("--max-model-len=", "--max-model-len=1"))
    assert other.unit != engine.unit
    assert place(host, other).returncode == 0
    assert started(host) == once
    (host.root / "gpus").write_text("GPU-1, 590.44.01\n")
    assert place(host, replace(engine, files={"another": ""})).returncode == 0
    assert len(started(host)) > len(once), "another driver"


def test_a_failed_compilation_is_refused_with_its_reason(host: Machine, engine: Service) -> None:
    reason = (
        "The engine cannot compile for its GPUs: ninja is not in PATH (/usr/bin). Run it again.\n"
    )
    (host.root / "broken").write_text(reason)
    done = place(host, engine)
    assert done.returncode == 1
    assert done.stderr == (
        f"{reason}{engine.unit_name}: the new generation is refused; what ran before runs on\n"
    )
    assert list(host.at(engine.directory).glob("generations/*")) == []
    (host.root / "broken").unlink()
    assert place(host, engine).returncode == 0, "the next run compiles again"


def test_incomplete_weights_are_refused_first(host: Machine, engine: Service) -> None:
    host.add("python3", "echo 'weights are truncated' >&2; exit 1")
    done = place(host, engine)
    assert "weights are truncated" in done.stderr
    assert done.returncode == 1
    assert started(host) == ""


def test_the_check_gets_no_key(host: Machine, engine: Service) -> None:
    secret = engine.environment["VLLM_API_KEY"]
    assert secret not in engine.check


# A stand-in for a driver that responds at the third attempt.
NVIDIA_SMI = """\
echo x >>"$ROOT/asked"
[ "$(wc -l <"$ROOT/asked")" -gt 2 ] && echo 'GPU 0: NVIDIA H200'
"""


@pytest.mark.parametrize(
    "module", [True, False], ids=["the driver is slow", "the driver is missing"]
)
def test_engines_wait_for_the_device_files(machine: Machine, module: bool) -> None:
    machine.add("nvidia-smi", NVIDIA_SMI)
    machine.add("modprobe", "exit 0")
    machine.add("nvidia-modprobe", 'echo "$*" >>"$ROOT/modprobe"')
    machine.add("sleep", "exit 0")
    device = "/dev/null" if module else str(machine.root / "nowhere")
    text = (devices.HERE / "files/nvidia.sh").read_text()
    command = StringCommand(f"PATIENCE={5 if module else 0}\n{text.replace(UVM, device)}")
    done = machine.run(command)
    assert (machine.root / "modprobe").read_text().splitlines()[0] == "-c 0 -u"
    if module:
        assert (done.returncode, done.stdout) == (0, "GPU 0: NVIDIA H200\n")
    else:
        assert done.returncode == 1
        assert "NVIDIA's driver does not respond" in done.stderr


UVM = "/dev/nvidia-uvm"


def changes(plan: HostPlan, found: Observation) -> list[str]:
    return [change.what for change in Vllm().changes(plan, found)]


def test_engines_start_after_their_device_files(plans: Planned, engine: Service) -> None:
    unit = "mirrorfleet-nvidia.service"
    assert f"Requires={unit}\n" in engine.unit
    for first in (unit, "nvidia-persistenced.service", "nvidia-fabricmanager.service"):
        [after] = [line for line in engine.unit.splitlines() if line.startswith(f"After={unit}")]
        assert first in after
    [cpu] = services(plans("lab").hosts["gpu"])
    assert unit not in cpu.unit


def test_an_inactive_unit_of_the_device_files_is_started(plans: Planned) -> None:
    plan = plans("prod").hosts["gpu-a"]
    complete = observation_of(converged(plan))
    assert changes(plan, complete) == []
    failed = with_values(complete, {Unit(devices.UNIT): UnitState("failed", "enabled")})
    assert changes(plan, failed) == ["mirrorfleet-nvidia.service is not active and enabled"]
    [command] = devices.install(plan, failed)
    assert '\nsystemctl start "$unit"' in str(command)
    assert "systemctl restart" not in str(command), (
        "a restart would stop the engines that require it"
    )


def test_the_unit_of_the_device_files_is_removed_with_the_last_engine(plans: Planned) -> None:
    plan = plans("prod").hosts["gpu-a"]
    found = with_values(
        observation_of(converged(plan)), {Services("nvidia"): frozenset({"nvidia"})}
    )
    assert devices.removed(plan, found) == []
    assert devices.removed(replace(plan, engines=()), found) == ["nvidia"]
