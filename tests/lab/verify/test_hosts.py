"""The services of each host: users, rights, ports, settings."""

import http.client
import json
import re

import pytest

from mirrorfleet.data import table
from tests.lab import look
from tests.lab.hosts import BY_NAME
from tests.record import Part

SERVICES = [
    pytest.param("gpu", "vllm-tiny", "mirrorfleet-vllm", id="gpu"),
    pytest.param("gw-1", "litellm", "mirrorfleet-litellm", id="gw-1"),
    pytest.param("gw-2", "litellm", "mirrorfleet-litellm", id="gw-2"),
    pytest.param("gw-1", "front", "mirrorfleet-front", id="load balancer"),
]


@pytest.mark.parametrize(("host", "name", "user"), SERVICES)
def test_service(host: str, name: str, user: str) -> None:
    machine = look.on(host)
    service = machine.service(f"mirrorfleet-{name}.service")
    assert service.is_running
    assert service.is_enabled
    pids = look.run(
        host, f"cat /sys/fs/cgroup/system.slice/mirrorfleet-{name}.service/cgroup.procs"
    )
    assert {machine.process.get(pid=pid).user for pid in map(int, pids.split())} == {user}
    assert machine.user(user).shell == "/usr/sbin/nologin"
    # "OK" or better, in tenths on a scale from 0 to 10.
    exposure = machine.run(f"systemd-analyze security --threshold=40 mirrorfleet-{name}.service")
    assert exposure.rc == 0, exposure.stdout


@pytest.mark.parametrize(("host", "name", "user"), SERVICES)
def test_only_root_reads_the_secrets_of_a_service(host: str, name: str, user: str) -> None:
    environment = look.on(host).file(f"/opt/mirrorfleet/{name}/current/environment")
    assert (environment.user, environment.mode) == ("root", 0o600)
    look.run(host, f"! runuser -u {user} -- cat {environment.path} 2>/dev/null")


@pytest.mark.parametrize(
    ("host", "ports"), [("gpu", [8000]), ("gw-1", [443, 4000]), ("gw-2", [4000])]
)
def test_nothing_but_sshd_listens_outside_the_private_address(host: str, ports: list[int]) -> None:
    sockets = look.on(host).socket.get_listening_sockets()
    network = {name for name in sockets if name.startswith(("tcp", "udp"))}
    reachable = {name for name in network if not name.startswith("tcp://127.0.0.1:")}
    services = {f"tcp://{BY_NAME[host].address}:{port}" for port in ports}
    assert reachable == {*services, "tcp://0.0.0.0:22", "tcp://:::22"}


@pytest.mark.parametrize("gateway", look.GATEWAYS)
def test_workers(gateway: str) -> None:
    """Two workers answer, and their recycling is spread over time."""
    unit = "mirrorfleet-litellm.service"
    pid = look.run(gateway, f"systemctl show -p MainPID --value {unit}").strip()
    arguments = look.run(gateway, f"tr '\\0' '\\n' </proc/{pid}/cmdline").splitlines()
    assert {
        "--num_workers=2",
        "--max_requests_before_restart=20000",
        "--max_requests_before_restart_jitter=10000",
    } <= set(arguments)

    address = str(BY_NAME[gateway].address)
    connections = [http.client.HTTPConnection(address, 4000, timeout=30) for _ in range(16)]
    for connection in connections:
        connection.request("GET", "/health/readiness")
        assert connection.getresponse().read()
    sockets = look.run(gateway, "ss -Htnp state established 'sport = :4000'")
    for connection in connections:
        connection.close()
    assert len(set(re.findall(r"pid=(\d+)", sockets))) == 2


def test_developer() -> None:
    dev = look.on("dev")
    settings = dev.file("/home/ada/.claude/settings.json")
    assert (settings.user, settings.mode) == ("ada", 0o600)
    content = json.loads(settings.content_string)
    assert content["model"] == "tiny"
    expected = {
        "ANTHROPIC_BASE_URL": "https://10.77.0.21",
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "131072",
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "8192",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "tiny",
    }
    assert expected.items() <= content["env"].items()

    key = dev.file("/home/ada/.claude/mirrorfleet-key")
    assert (key.user, key.mode) == ("ada", 0o600)
    assert key.content_string.strip() == look.secret("developers")
    assert "2.1.331" in dev.check_output("claude --version")
    assert not dev.file("/home/grace/.claude").exists


def test_the_known_names_of_vllm_are_those_of_the_installed_package(
    releases: dict[Part, str],
) -> None:
    """Compare mirrorfleet/data/vllm_known/ with the tables in the package of the lab's engine."""
    program = (
        "import ast, glob, json, runpy\n"
        "[vllm] = glob.glob('/opt/mirrorfleet/vllm/environments/*/lib/python3*/'\n"
        "                   'site-packages/vllm')\n"
        "def names(path, table):\n"
        "    for node in ast.parse(open(f'{vllm}/{path}/__init__.py').read()).body:\n"
        "        if table in [getattr(name, 'id', '') for name in getattr(node, 'targets', ())]:\n"
        "            return sorted(key.value for key in node.value.keys)\n"
        "variables = runpy.run_path(f'{vllm}/envs.py')['environment_variables']\n"
        "print(json.dumps({\n"
        "    'tool_parsers': names('tool_parsers', '_TOOL_PARSERS_TO_REGISTER'),\n"
        "    'reasoning_parsers': names('reasoning', '_REASONING_PARSERS_TO_REGISTER'),\n"
        "    'variables': sorted(name for name in variables if name.startswith('VLLM_'))}))\n"
    )
    found = json.loads(look.run("gpu", "python3 -", stdin=program))
    installed = releases["engine"].removeprefix("vllm ").removesuffix("-cpu")
    known = table(f"vllm_known/{installed}")
    assert found == {kind: known[kind] for kind in found}
