"""The real Claude Code, as the developer: through HAProxy with TLS, a gateway and the engine."""

import shlex
import subprocess

from tests.lab import keys, look
from tests.lab.hosts import BY_NAME

NOTE = "/home/ada/mirrorfleet-note.txt"
GATEWAYS = {str(BY_NAME[name].address) for name in look.GATEWAYS}


def claude(*arguments: str) -> str:
    done = subprocess.run(
        keys.ssh("ada@dev", [shlex.join(["claude", *arguments])]),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_answer() -> None:
    with (
        look.journal("gpu", "-u", "mirrorfleet-vllm-tiny") as engine,
        look.journal("gw-1", "-u", "mirrorfleet-front") as load_balancer,
    ):
        answer = claude("-p", "What does Mirrorfleet do?")
    assert "makes every machine of the fleet agree" in answer
    assert set(look.turns(load_balancer)) == {"200"}
    assert look.requests(engine)
    assert set(look.requests(engine)) <= GATEWAYS


def test_a_tool_call() -> None:
    dev = look.on("dev")
    assert not dev.file(NOTE).exists
    with (
        look.journal("gpu", "-u", "mirrorfleet-vllm-tiny") as engine,
        look.journal("gw-1", "-u", "mirrorfleet-front") as load_balancer,
    ):
        answer = claude("-p", "Please leave a note.", "--allowedTools", "Bash")
    note = dev.file(NOTE)
    assert (note.user, note.content_string) == ("ada", "hello from the tiny model\n")
    look.run("dev", f"rm {NOTE}")
    assert "I left a note" in answer
    requests = look.requests(engine)
    assert len(requests) >= 2  # the tool call, and its result
    assert len(set(requests)) == 1, "the load balancer keeps a session on one gateway"
    assert set(look.turns(load_balancer)) == {"200"}


def test_the_certificate_of_the_private_authority_is_checked() -> None:
    request = "curl -s -o /dev/null -w '%{http_code}' https://10.77.0.21/health/readiness"
    authority = look.run(
        "dev",
        'sed -n \'s/.*"NODE_EXTRA_CA_CERTS": "\\(.*\\)".*/\\1/p\' /home/ada/.claude/settings.json',
    ).strip()
    assert look.run("dev", f"{request} --cacert {authority}") == "200"
    assert look.run("dev", f"{request} || true") == "000"
