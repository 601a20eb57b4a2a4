"""deploys/status.py on a healthy fleet, and with a stopped gateway; `mirrorfleet logs`."""

import json
import subprocess

from tests.lab import look, paths

LITELLM = "mirrorfleet-litellm.service"


def status() -> tuple[int, str, dict[str, dict[str, object]]]:
    done = look.pyinfra("-y", "inventories/lab.py", "deploys/status.py", "--data", "report=-")
    report = json.loads(done.stdout)
    assert report["unreachable"] == {}
    return done.returncode, done.stdout, report["hosts"]


def test_a_healthy_fleet() -> None:
    code, _, hosts = status()
    assert (code, [host["faults"] for host in hosts.values()]) == (0, [[]] * 4)
    services = {
        (name, service["name"]): service
        for name, host in hosts.items()
        for service in host["services"]  # type: ignore[attr-defined]
    }
    for name in (("gpu", "vllm-tiny"), ("gw-1", "litellm"), ("gw-2", "litellm")):
        service = services[name]
        assert service["process"]["active"] == "active"
        assert service["generation"] == service["desired"] != ""


def test_a_stopped_gateway() -> None:
    look.run("gw-2", f"systemctl stop {LITELLM}")
    try:
        code, output, hosts = status()
    finally:
        look.run("gw-2", f"systemctl start {LITELLM}")
    assert code == 1
    assert hosts["gw-2"]["faults"] == [
        f"{LITELLM} runs no generation",
        f"{LITELLM} is inactive",
        f"{LITELLM} will be restarted",
    ]
    assert not any(look.secret(name) in output for name in ("engine", "master", "developers"))


def test_the_latest_lines_of_a_gateway() -> None:
    look.run("gw-2", f"systemctl restart {LITELLM}")
    command = [str(paths.REPOSITORY / ".venv/bin/mirrorfleet"), "logs", str(look.FLEET)]
    options = ["--limit", "gw-2", "--service", "litellm", "--json", "--lines", "500"]
    lines = _printed(*command, *options)
    assert {(line["host"], line["service"]) for line in lines} == {("gw-2", "litellm")}
    assert any(line["message"].startswith(f"Started {LITELLM}") for line in lines)
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    done = subprocess.run(
        [*command, *options[:-1], "1"], capture_output=True, text=True, check=True
    )
    [last] = map(json.loads, done.stdout.splitlines())
    assert last["time"] >= lines[-1]["time"]


def _printed(*command: str) -> list[dict[str, str]]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
