"""One machine without SSH: a plain host of the lab provisions itself, as its user with sudo.

The real gateway and the real client. No model is served: `verify` is not run.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator

import pytest

from tests.lab import keys, look, paths

HOST = "extra-1"
HOME = "/home/deploy"
COMMAND = f"{HOME}/venv/bin/mirrorfleet"


def as_user(command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command on the host as `deploy`, in its fleet's folder if there is one."""
    text = f"cd {HOME}; [ ! -d fleet ] || cd fleet; {command}"
    done = subprocess.run(
        keys.ssh(HOST, ["sh", "-c", shlex.quote(text)]), capture_output=True, text=True
    )
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Boot a plain host, and install the wheel of this tree there."""
    subprocess.run(["bin/lab", "up", "1"], cwd=paths.REPOSITORY, check=True)
    folder = tmp_path_factory.mktemp("wheel")
    build = [str(paths.REPOSITORY / ".venv/bin/python"), "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run([*build, "-d", str(folder)], cwd=paths.REPOSITORY, check=True)
    [wheel] = folder.glob("*.whl")
    look.run(HOST, "apt-get -qq update && apt-get -qq install -y python3-venv npm >/dev/null 2>&1")
    with wheel.open("rb") as file:
        target = shlex.quote(f"cat >{HOME}/{wheel.name}")
        subprocess.run(keys.ssh(HOST, ["sh", "-c", target]), stdin=file, check=True)
    as_user(f"python3 -m venv venv && venv/bin/pip install -q {HOME}/{wheel.name}")
    yield
    look.run(HOST, f"rm -rf {HOME}/venv {HOME}/fleet {HOME}/*.whl")


@pytest.fixture(scope="module")
def applied() -> str:
    """Let the host provision itself as the tutorial says, and return the output of `apply`."""
    as_user(f"{COMMAND} init --local fleet")
    # No model can be downloaded here: a provider takes the place of Ollama's model.
    provider = (
        "  coder: {provider: anthropic, id: claude-sonnet-5-5, context: 200000, output: 32000, "
        "api_key: {file: secrets/provider}}"
    )
    program = (
        "import pathlib, re; file = pathlib.Path('fleet.yml'); text = file.read_text(); "
        f"file.write_text(re.sub(r'(?s)models:.*?\\ngateway:', 'models:\\n' + {provider!r} + "
        "'\\n\\ngateway:', text))"
    )
    as_user(f"python3 -c {shlex.quote(program)}; umask 077; echo sk-none >secrets/provider")
    as_user(f"{COMMAND} check --secrets")
    return as_user(f"{COMMAND} apply --yes").stdout


def test_the_machine_provisions_itself(applied: str) -> None:
    assert "1 host: 1 changed." in applied
    assert look.run(HOST, "systemctl is-active mirrorfleet-litellm").strip() == "active"
    assert look.run(HOST, f"stat -c '%a %U' {HOME}/.claude/mirrorfleet-key") == "600 deploy\n"


def test_a_second_run_changes_nothing(applied: str) -> None:
    assert as_user(f"{COMMAND} plan --exit-code").returncode == 0
    assert as_user(f"{COMMAND} apply --yes").stdout.endswith("1 host: 1 up to date.\n")


def test_nothing_listens_outside_of_the_machine(applied: str) -> None:
    listening = look.run(HOST, "ss -Hltn 'sport = :4000'").split()
    assert "127.0.0.1:4000" in listening
    assert not any(address.endswith(":4000") and "127." not in address for address in listening)


def test_the_own_key_opens_the_gateway_and_another_does_not(applied: str) -> None:
    ask = (
        "curl -s -o /dev/null -w '%{http_code}' -H \"x-api-key: $(cat ~/.claude/mirrorfleet-key)\" "
        "http://127.0.0.1:4000/v1/models"
    )
    assert as_user(ask).stdout == "200"
    assert as_user(ask.replace("$(cat ~/.claude/mirrorfleet-key)", "sk-other")).stdout == "401"


def test_pyinfra_runs_the_same_fleet(applied: str) -> None:
    as_user(
        "printf '%s\\n' 'from mirrorfleet.runtime.inventory import groups' "
        "'globals().update(groups(__file__))' >fleet.py; printf '%s\\n' "
        "'from mirrorfleet.deploys.mirror import mirror' 'mirror()' >mirror.py"
    )
    done = as_user(f"{HOME}/venv/bin/pyinfra -y fleet.py mirror.py")
    assert "No changes on 1 host." in done.stdout + done.stderr
