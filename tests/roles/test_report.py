"""The report before a run: each change by its name, with --diff its text, never a secret."""

from __future__ import annotations

import base64
import logging
import re
from pathlib import Path

import click
import pytest

from mirrorfleet.roles.claude import home_files
from mirrorfleet.roles.litellm import keys
from mirrorfleet.runtime import secrets
from mirrorfleet.runtime.diff import difference
from tests.roles.answers import Answers, bare, converged, observation_of, services
from tests.roles.conftest import Planned
from tests.roles.fake import mirror
from tests.roles.fleets import SECRETS, edit

LITELLM = "mirrorfleet-litellm.service"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def report(log: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines of the report, without colours and pyinfra's prefix."""
    lines = [click.unstyle(line).replace("@fake/", "") for line in log.messages]
    start = lines.index("--> What will be changed:") + 1
    end = next((n for n, line in enumerate(lines) if "Starting" in line), len(lines))
    return [line.strip() for line in lines[start:end] if "Ready:" not in line]


@pytest.fixture
def found(plans: Planned) -> dict[str, Answers]:
    """Return the answers of the converged lab."""
    return {name: converged(plan) for name, plan in plans("lab").hosts.items()}


def content(text: str) -> tuple[str]:
    return (base64.b64encode(text.encode()).decode(),)


@pytest.mark.usefixtures("offline_cache")
def test_a_converged_fleet_has_no_changes(
    plans: Planned, found: dict[str, Answers], log: pytest.LogCaptureFixture
) -> None:
    mirror(plans("lab").hosts, found, diff=True)
    assert [line.split("] ")[1].strip() for line in report(log)] == ["no changes"] * 4
    log.clear()
    mirror(plans("lab").hosts, found)
    assert report(log) == ["No changes on 4 hosts."]


@pytest.mark.usefixtures("offline_cache")
def test_missing_things_are_counted_and_equal_hosts_share_a_block(
    plans: Planned, log: pytest.LogCaptureFixture
) -> None:
    hosts = plans("lab").hosts
    mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})
    lines = [re.sub(r"(environments/.*)-[0-9a-f]{8} ", r"\1-DIGEST ", line) for line in report(log)]
    lines = [re.sub(r"\b\d\d files", "NN files", line) for line in lines]
    assert lines[: lines.index("dev")] == [
        "gpu",
        "Firewall: new: package nftables, 3 files",
        "Ports: /opt/mirrorfleet/ports/reserve_ports.py is missing",
        "Ports: /etc/systemd/system/mirrorfleet-ports.service is missing",
        "vLLM: new: packages python3, curl, libnuma1, system user mirrorfleet-vllm, 5 files",
        "vLLM: /opt/mirrorfleet/vllm/environments/0.32.0-cpu-DIGEST is missing for Python 3.11.2",
        "vLLM: mirrorfleet-vllm-tiny.service will be restarted",
        "gw-1, gw-2",
        "Ports: /opt/mirrorfleet/ports/reserve_ports.py is missing",
        "Ports: /etc/systemd/system/mirrorfleet-ports.service is missing",
        "LiteLLM: new: packages python3, curl, system user mirrorfleet-litellm, NN files",
        "LiteLLM: /opt/mirrorfleet/litellm/environments/1.106.12-DIGEST is missing for "
        "Python 3.11.2",
        f"LiteLLM: {LITELLM} will be restarted",
    ]
    assert lines[lines.index("dev") :] == [
        "dev",
        "Claude Code: new: 6 files",
        "Claude Code: /usr/local/bin/claude links to nothing",
        "4 of 4 hosts will change.",
    ]


@pytest.mark.usefixtures("offline_cache")
def test_a_changed_setting_is_reported_as_its_files_and_a_restart(
    plans: Planned, found: dict[str, Answers], project: Path, log: pytest.LogCaptureFixture
) -> None:
    for name in ("gw-1", "gw-2"):
        [before] = services(plans("lab").hosts[name])
        path, probe = before.generation_path, before.files["probe.json"]
        found[name]["content", f"{path}/{LITELLM}"] = content(before.unit)
        found[name]["content", f"{path}/probe.json"] = content(probe)
    edit(project, "lab", "workers: 2", "workers: 3")
    done = mirror(plans("lab").hosts, found, diff=True)
    observations = {name: traffic.observations for name, traffic in done.items()}
    assert observations == {"gpu": 1, "gw-1": 2, "gw-2": 2, "dev": 1}
    lines = report(log)
    assert [line for line in lines if line.startswith("[gw-1]")] == [
        f"[gw-1] litellm: {LITELLM} differs",
        "[gw-1] litellm: probe.json differs",
        f"[gw-1] {LITELLM} will be restarted",
    ]
    assert [line for line in lines if line.startswith(("+ ", "- "))] == [
        "-     --num_workers=2 \\",
        "+     --num_workers=3 \\",
        '-  "workers": 2,',
        '+  "workers": 3,',
    ] * 2


@pytest.mark.usefixtures("offline_cache")
def test_changed_keys_are_reported_by_name_and_never_by_value(
    plans: Planned, found: dict[str, Answers], project: Path, log: pytest.LogCaptureFixture
) -> None:
    for gateway in ("gw-1", "gw-2"):
        [service] = services(plans("lab").hosts[gateway])
        for file in service.members():
            path = f"{service.generation_path}/{file.name}"
            found[gateway]["content", path] = content(file.content.decode())
        plan = plans("lab").hosts[gateway].gateway
        assert plan
        found[gateway]["content", keys.DESIRED] = content(keys.desired(plan))
    for name in ("master", "developers"):
        (project / ".lab/secrets" / name).write_text(f"sk-another-{name}-of-the-tests")
    secrets._reveal.cache_clear()
    mirror(plans("lab").hosts, found, diff=True)
    text = "\n".join(log.messages)
    assert not any(value in text for value in SECRETS.values())
    assert "another-" not in text
    lines = report(log)
    assert "- LITELLM_MASTER_KEY=(hidden)" in lines
    assert "+ LITELLM_MASTER_KEY=(hidden) (changed)" in lines
    assert not any("LITELLM_MODE" in line for line in lines if line.startswith(("+ ", "- ")))
    entry = '{"name": "lab", "group": "lab", "role": "developer", "sha256": '
    assert f"+ {entry}(hidden) (changed)" in lines
    assert "[dev]  ~ada/.claude/mirrorfleet-key differs" in lines


@pytest.mark.usefixtures("offline_cache")
def test_only_keys_that_the_fleet_owns_are_shown_of_a_developers_settings(
    plans: Planned, found: dict[str, Answers], log: pytest.LogCaptureFixture
) -> None:
    theirs = '{"model": "opus", "env": {"MY_TOKEN": "mine"}, "theme": "dark", "apiKeyHelper": "x"}'
    found["dev"]["home_file", "ada", ".claude/settings.json"] = ("600", *content(theirs))
    done = mirror(plans("lab").hosts, found, diff=True)
    assert done["dev"].observations == 1, "the first observation has read it"
    lines = report(log)
    assert "[dev]  ~ada/.claude/settings.json differs" in lines
    assert '- model: "opus"' in lines
    assert '+ model: "tiny"' in lines
    assert not any("mine" in line or "theme" in line or '"x"' in line for line in lines)


@pytest.mark.usefixtures("offline_cache")
def test_exactly_the_changed_and_removed_keys_are_shown(
    plans: Planned, found: dict[str, Answers], project: Path, log: pytest.LogCaptureFixture
) -> None:
    theirs = '{"env": {"MY_PASSWORD": "mine"}, "permissions": {"allow": ["Bash(mine)"]}}'
    member = "users: [ada], model: sonnet,"
    edit(project, "lab", member, f"{member} permissions: {{allow: [Read, WebFetch]}},")
    before = plans("lab").hosts["dev"]
    answers = bare(before) | {
        ("home_file", "ada", ".claude/settings.json"): ("600", *content(theirs))
    }
    for file in home_files.desired(before, observation_of(answers)):
        answers["home_file", file.user, file.path] = (
            file.mode,
            *content((file.content or b"").decode()),
        )
    edit(project, "lab", "[Read, WebFetch]}", "[WebFetch]}, privacy: no_telemetry")
    mirror({"dev": plans("lab").hosts["dev"]}, {"dev": converged(before) | answers}, diff=True)
    assert [line for line in report(log) if line.startswith(("+ ", "- "))] == [
        "- disableClaudeAiConnectors: true",
        '- env.CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1"',
        '- env.DISABLE_FEEDBACK_COMMAND: "1"',
        '- permissions.allow: "Read"',
        "- skipWebFetchPreflight: true",
    ]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("    master_key: os.environ/LITELLM_MASTER_KEY", None),
        ("    api_key: sk-old", "    api_key: (hidden)"),
        ('  "ANTHROPIC_AUTH_TOKEN": "sk-old",', '  "ANTHROPIC_AUTH_TOKEN": (hidden)'),
        ("ExecStart=/x --api-key=sk-old", "ExecStart=/x --api-key=(hidden)"),
        ("url: http://me:secret@host/", "url: http://(hidden)@host/"),
        ('  "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "8192",', None),
        ("  max_input_tokens: 1024", None),
    ],
)
def test_values_that_may_be_secrets_are_hidden(line: str, shown: str | None) -> None:
    [*_, added] = difference("", f"{line}\n", values_hidden=False)
    assert click.unstyle(added) == f"+ {shown or line}"
