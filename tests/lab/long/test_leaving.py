"""Removal of a vLLM model from the fleet file, on a host that serves another model."""

import re
from collections.abc import Iterator

import pytest

from tests.lab import look
from tests.lab.hosts import BY_NAME

UNIT = "mirrorfleet-vllm-second.service"
STAYS = "mirrorfleet-vllm-tiny.service"
PORT = 8001
WEIGHTS = "/var/lib/mirrorfleet/weights"

SECOND = f"""\
models:
  second:
    engine: vllm
    version: 0.32.0
    build: cpu
    weights: {{push: ../.lab/weights/tiny}}
    family: hermes
    hosts: [gpu]
    port: {PORT}
    context: 131072
    output: 8192
    api_key: {{file: ../.lab/secrets/engine}}
"""


@pytest.fixture(scope="module", autouse=True)
def _two_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    fleet = look.variant(tmp_path_factory.mktemp("two"), "models:\n", SECOND)
    done = look.mirror(fleet=fleet)
    assert done.returncode == 0, done.stdout + done.stderr
    yield
    assert look.mirror().returncode == 0


def status(host: str) -> str:
    """Return the second engine's HTTP status on a host, "000" for no answer."""
    url = f"http://{BY_NAME['gpu'].address}:{PORT}/health"
    return look.run(host, f"curl -s -m 5 -o /dev/null -w '%{{http_code}}' {url} || true")


def weights() -> list[str]:
    return [name.partition("-")[0] for name in look.run("gpu", f"ls {WEIGHTS}").split()]


def test_the_removed_model_stops_and_the_other_one_serves() -> None:
    assert [status(host) for host in ("gw-1", "dev")] == ["200", "000"]
    started = look.run("gpu", f"systemctl show -p InvocationID {STAYS}")
    with look.polling(look.answering_gateway, 0.3) as answers:
        done = look.mirror("--json")
    assert "gpu: vLLM | services that are no longer in the fleet file" in look.changes(done)
    assert f"{UNIT} will be stopped and removed" in look.plain(done.stderr)
    assert set(answers) <= {"gw-1", "gw-2"}
    assert look.run("gpu", f"systemctl show -p InvocationID {STAYS}") == started

    assert [status(host) for host in ("gw-1", "dev")] == ["000", "000"]
    assert not look.on("gpu").service(UNIT).exists
    assert str(PORT) not in look.run("gpu", "nft list ruleset; ss -Hltn")
    assert "second" not in look.run("gpu", "ls /opt/mirrorfleet; ps -eo args"), (
        "no secrets are left"
    )
    assert weights() == ["second", "tiny"]
    assert look.changes(look.mirror("--json")) == []


def test_remove_weights_removes_its_weights() -> None:
    remove = ("inventories/lab.py", "deploys/remove_weights.py")
    output = look.plain(look.pyinfra("--dry", "-y", *remove).stderr)
    assert re.search(rf"{WEIGHTS}/second-\w+ \(0\.00 GB\) will be removed", output), output
    assert weights() == ["second", "tiny"], "a dry run"
    assert look.pyinfra("-y", *remove).returncode == 0
    assert weights() == ["tiny"]
    assert look.changes(look.pyinfra("-y", "--json", *remove)) == []
    assert look.message("gw-1", look.secret("developers"))[0] == 200
