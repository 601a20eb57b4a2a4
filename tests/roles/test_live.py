"""Commands that connect to hosts, on pyinfra's @fake connector: output and exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from pyinfra.api import Host

from mirrorfleet.cli.main import main
from mirrorfleet.runtime import exclusive
from tests.docs.terminals import printed
from tests.docs.test_pictures import same
from tests.roles import forty
from tests.roles.answers import Answers

pytestmark = pytest.mark.usefixtures("offline_cache")

BLOCKS = """\
What will be changed:
  gpu
      Firewall: new: package nftables, 3 files
      Ports: /opt/mirrorfleet/ports/reserve_ports.py is missing
      Ports: /etc/systemd/system/mirrorfleet-ports.service is missing
      vLLM: new: packages python3, curl, libnuma1, system user mirrorfleet-vllm,
        5 files
      vLLM: /opt/mirrorfleet/vllm/environments/0.32.0-cpu-DIGEST is missing
        for Python 3.11.2
      vLLM: mirrorfleet-vllm-tiny.service will be restarted
  gw-1, gw-2
      Ports: /opt/mirrorfleet/ports/reserve_ports.py is missing
      Ports: /etc/systemd/system/mirrorfleet-ports.service is missing
      LiteLLM: new: packages python3, curl, system user mirrorfleet-litellm, NN
        files
      LiteLLM: /opt/mirrorfleet/litellm/environments/RELEASE is missing
        for Python 3.11.2
      LiteLLM: mirrorfleet-litellm.service will be restarted
  dev-01, dev-02, dev-03 and 34 more
      Claude Code: new: 6 files
      Claude Code: /usr/local/bin/claude links to nothing
  40 of 40 hosts will change.
"""


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a terminal's usual width."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(name="file")
def forty_hosts(project: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(project)
    return str(forty.write(project).relative_to(project))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command; return exit code, output and errors, without what depends on the machine."""
    code = main([*arguments])
    out, err = capsys.readouterr()
    return code, _stable(out), _stable(err)


def _without_number(text: str) -> str:
    """Replace the number of a gateway's files, which grows with its programs, and its release."""
    text = re.sub(r"\b\d\d(?=\s+files)", "NN", text)
    return re.sub(
        r"(litellm/environments/)\S+ is\s+missing\s+", r"\1RELEASE is missing\n        ", text
    )


def _stable(text: str) -> str:
    text = re.sub(r"Downloading the wheels of .*\n", "", text)
    text = re.sub(r"(environments/\S*)-[0-9a-f]{8} ", r"\1-DIGEST ", text)
    return re.sub(r"^ +\d+\.\d s", "   0.0 s", text, flags=re.MULTILINE)


def test_plan_shows_hosts_with_equal_changes_once(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with forty.hosts(forty.on_first_run(Path(file)), {}) as traffic:
        code, out, err = run(capsys, "plan", file)
        assert (code, _without_number(out), err) == (0, BLOCKS, "")
        assert run(capsys, "plan", file, "--exit-code") == (3, out, "")
    assert {found.round_trips for found in traffic.values()} == {(2, 0)}, "one exec per run"


def test_plan_of_a_fleet_that_matches_its_file(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with forty.hosts(forty.on_later_runs(Path(file)), {}):
        code, out, _ = run(capsys, "plan", file, "--exit-code")
    assert (code, out) == (0, "What will be changed:\n  No changes on 40 hosts.\n")


def test_plan_as_json_has_each_host(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    with forty.hosts(forty.on_first_run(Path(file)), {}):
        code, out, _ = run(capsys, "plan", file, "--json", "--limit", "gw-*,dev-01")
    report = json.loads(out)
    assert code == 0
    assert list(report["hosts"]) == ["gw-1", "gw-2", "dev-01"]
    assert report["totals"] == {"pending": 3}
    assert "litellm: config.yaml is missing" in report["hosts"]["gw-2"]["changes"]


def test_apply_names_hosts_that_fail_and_how_to_continue(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with forty.hosts(forty.on_first_run(Path(file)), forty.FULL):
        code, out, _ = run(capsys, "apply", file, "--yes")
    assert code == 1
    assert _without_number(out).startswith(BLOCKS)
    assert out.endswith(
        """\
  dev-07: no space left on device
  dev-31: no space left on device
   0.0 s  Claude Code: client: dev-01, dev-02, dev-03 and 32 more; failed on
     dev-07, dev-31
   0.0 s  Claude Code: settings and keys: dev-01, dev-02, dev-03 and 32 more
   0.0 s  Claude Code: commands and policy: dev-01, dev-02, dev-03 and 32 more
40 hosts: 38 changed, 2 failed.
  dev-07, dev-31: no space left on device
Remove the cause, then continue:
  mirrorfleet apply inventories/forty.yml --limit dev-07,dev-31
"""
    )
    same("apply", lambda: printed(f"mirrorfleet apply {file} --yes", out, 80))


def test_apply_of_a_fleet_that_matches_its_file_asks_nothing(
    file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    with forty.hosts(forty.on_later_runs(Path(file)), {}):
        code, out, _ = run(capsys, "apply", file)
    assert (code, out.splitlines()[-1]) == (0, "40 hosts: 40 up to date.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["plan", "--limit", "gpu-a"],
            "mirrorfleet plan: no host matches `--limit gpu-a`. Did you mean 'gpu'?",
        ),
        (
            ["verify", "--models", "tinny"],
            "mirrorfleet verify: no developer's session starts with the model of `--models tinny`, "
            "or uses it as a tier. Did you mean 'tiny'?",
        ),
        (
            ["rollback", "--service", "litelm", "--yes"],
            "mirrorfleet rollback: no host has the service of `--service litelm`. "
            "Did you mean 'litellm'?",
        ),
        (
            ["drivers", "--yes"],
            "mirrorfleet drivers: no host has a `driver`: name its package in the fleet file, as "
            "in hosts.gpu-a.driver: nvidia-driver-580-server.",
        ),
        (
            ["apply"],
            "mirrorfleet apply: this changes hosts, and asks first, which needs a terminal: "
            "add `--yes`, or use `mirrorfleet plan` to see the changes.",
        ),
    ],
)
def test_misuse_ends_with_2_and_changes_nothing(
    arguments: list[str], message: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with forty.hosts(forty.on_first_run(Path(file)), {}) as traffic:
        code, _, err = run(capsys, arguments[0], file, *arguments[1:])
    assert (code, err) == (2, f"{message}\n")
    assert not traffic


def test_a_problem_stops_the_run_before_any_change(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = forty.on_first_run(Path(file))
    for name in ("gw-1", "gw-2"):
        answers[name] = answers[name] | {("machine",): ("debian", "12", "riscv64", "4", "8388608")}
    with forty.hosts(answers, {}) as traffic:
        code, out, _ = run(capsys, "apply", file, "--yes")
    assert code == 1
    assert "nothing was changed:" in out
    assert out.splitlines()[-3:] == [
        "40 hosts: 2 failed, 38 stopped before any change.",
        "Remove the cause, then continue:",
        f"  mirrorfleet apply {file}",
    ]
    assert {found.round_trips for found in traffic.values()} == {(1, 0)}


@pytest.mark.parametrize(
    ("arguments", "again"),
    [
        (
            ["rollback", "--service", "vllm-tiny", "--limit", "gpu", "--yes"],
            "rollback inventories/forty.yml --service vllm-tiny --limit gpu",
        ),
        (
            ["remove", "hosts", "--models", "--limit", "gpu", "--limit", "gw-*", "--yes"],
            "remove hosts inventories/forty.yml --limit gpu --limit 'gw-*' --models",
        ),
        (
            ["apply", "--diff", "--limit", "gpu,gw-1", "--yes"],
            "apply inventories/forty.yml --limit gpu,gw-1 --diff",
        ),
    ],
)
def test_the_command_to_continue_has_the_same_options_and_hosts(
    arguments: list[str], again: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # No host can be read: the run stops before its changes, and no host is done.
    answers: dict[str, Answers] = {name: {} for name in forty.on_first_run(Path(file))}
    with forty.hosts(answers, {}):
        code, out, _ = run(capsys, *arguments, file)
    assert code == 1
    assert out.splitlines()[-1] == f"  mirrorfleet {again}"


def test_an_empty_limit_is_refused(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    with forty.hosts(forty.on_first_run(Path(file)), {}) as traffic:
        code, _, err = run(capsys, "plan", file, "--limit", ",")
    message = "`--limit` names no host: add its name, as in `--limit gw-a`."
    assert (code, err) == (2, f"mirrorfleet plan: {message}\n")
    assert not traffic


def test_a_run_that_stops_reports_its_problems_as_json(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = forty.on_first_run(Path(file))
    answers["gw-1"] |= {("machine",): ("debian", "12", "riscv64", "4", "8388608")}
    with forty.hosts(answers, {}):
        code, out, _ = run(capsys, "apply", file, "--yes", "--json", "--limit", "gw-1,gw-2")
    found = json.loads(out)
    assert code == 1
    assert found["totals"] == {"failed": 1, "stopped": 1}
    assert "riscv64" in found["hosts"]["gw-1"]["causes"][0]
    assert found["hosts"]["gw-2"]["causes"] == []


def test_ctrl_c_says_how_to_continue(
    file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pyinfra.api.operations.run_ops", interrupted)
    with forty.hosts(forty.on_first_run(Path(file)), {}):
        code, out, err = run(capsys, "apply", file, "--yes", "--limit", "gpu")
    assert (code, err.strip()) == (130, "mirrorfleet: interrupted")
    assert out.splitlines()[-3:] == [
        "Interrupted: some hosts have changed, and a step that runs now on a host runs to",
        "  its end. Continue, which waits for such a step:",
        "  mirrorfleet apply inventories/forty.yml --limit gpu",
    ]


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_only_a_run_that_may_change_hosts_holds_them(
    command: str, file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[str] = []

    def take(_: object, hosts: Sequence[Host]) -> list[Host]:
        held.extend(host.name for host in hosts)
        return []

    monkeypatch.setattr(exclusive, "take", take)
    with forty.hosts(forty.on_first_run(Path(file)), {}):
        run(capsys, command, file, *(["--yes"] if command == "apply" else []))
    assert len(held) == (40 if command == "apply" else 0)
