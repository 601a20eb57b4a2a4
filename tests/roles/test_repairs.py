"""Repairs: each fault on one host is repaired with as few commands as possible, only there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile

import click
import pytest

from tests.roles.answers import Answers, converged
from tests.roles.conftest import Planned
from tests.roles.fake import mirror
from tests.roles.jobs import jobs

Fields = tuple[str, ...]


@dataclass(frozen=True)
class Fault:
    """A fault: on ``host``, the answers of this ``kind`` that contain ``about`` differ.

    ``found`` returns the wrong answer for the right one; with None, there is no answer. The run
    must report ``what`` is wrong and do the jobs in ``repair``.
    """

    host: str
    kind: str
    about: str
    found: Callable[[Fields], Fields] | None
    repair: list[str]
    what: str

    def applied(self, answers: Answers) -> Answers:
        """Return the answers of the host with this fault."""
        changed = [
            answer
            for answer in answers
            if answer[0] == self.kind and any(self.about in word for word in answer[1:])
        ]
        assert changed
        rest = {key: fields for key, fields in answers.items() if key not in changed}
        return rest | (
            {question: self.found(answers[question]) for question in changed} if self.found else {}
        )


DROP_IN = "/etc/systemd/system/mirrorfleet-litellm.service.d/override.conf"
RESTART, REPLACE, UPLOAD = ["restart"], ["generation", "restart"], ["inbox", "take"]
PACKAGES, USER = ["packages"], ["user"]

FAULTS = {
    "its unit is stopped": Fault(
        "gw-1",
        "unit",
        "litellm",
        lambda right: ("inactive", right[1], "", *right[3:]),
        RESTART,
        "is inactive",
    ),
    "its unit failed": Fault(
        "gw-1", "unit", "litellm", lambda right: ("failed", *right[1:]), RESTART, "is failed"
    ),
    "its unit is not enabled": Fault(
        "gw-1",
        "unit",
        "litellm",
        lambda right: (right[0], "disabled", *right[2:]),
        RESTART,
        "is not enabled",
    ),
    "another generation runs": Fault(
        "gw-1",
        "unit",
        "litellm",
        lambda right: (*right[:2], "0123456789ab", *right[3:]),
        RESTART,
        "runs 0123456789ab",
    ),
    "a process without a generation runs": Fault(
        "gw-1",
        "unit",
        "litellm",
        lambda right: (*right[:2], "", *right[3:]),
        RESTART,
        "runs no generation",
    ),
    "systemd has not read the unit": Fault(
        "gw-1",
        "unit",
        "litellm",
        lambda right: (*right[:3], "yes", right[4]),
        RESTART,
        "differs from what systemd has loaded",
    ),
    "its unit has a drop-in": Fault(
        "gw-1",
        "unit",
        "litellm",
        lambda right: (*right[:4], DROP_IN),
        RESTART,
        "is overridden by /etc/systemd/system/",
    ),
    "its unit file was edited": Fault(
        "gw-1",
        "file",
        "/system/mirrorfleet-litellm",
        lambda right: (right[0], "0" * 64),
        RESTART,
        "/etc/systemd/system/mirrorfleet-litellm.service differs",
    ),
    "its unit file is world-writable": Fault(
        "gw-1",
        "file",
        "/system/mirrorfleet-litellm",
        lambda right: ("f 666 root:root", right[1]),
        RESTART,
        "has mode and owner 666 root:root, not 644",
    ),
    "its unit file is missing": Fault(
        "gw-1",
        "file",
        "/system/mirrorfleet-litellm",
        None,
        RESTART,
        "/etc/systemd/system/mirrorfleet-litellm.service is missing",
    ),
    "its link points elsewhere": Fault(
        "gw-1",
        "link",
        "",
        lambda _: ("generations/0123456789ab",),
        RESTART,
        "`current` links to generations/0123456789ab",
    ),
    "its link is missing": Fault("gw-1", "link", "", None, RESTART, "`current` links to nothing"),
    "a file of its generation was edited": Fault(
        "gw-1",
        "file",
        "/config.yaml",
        lambda right: (right[0], "0" * 64),
        REPLACE,
        "litellm: config.yaml differs",
    ),
    "its secrets are world-readable": Fault(
        "gw-1",
        "file",
        "/environment",
        lambda right: ("f 644 root:root", right[1]),
        REPLACE,
        "litellm: environment has mode and owner 644 root:root, not 600",
    ),
    "its generation belongs to another user": Fault(
        "gw-1",
        "file",
        "/generations/",
        lambda right: ("f 640 ada:ada", right[1]),
        REPLACE,
        "litellm: config.yaml has mode and owner 640 ada:ada",
    ),
    "its keys were edited": Fault(
        "gw-1",
        "file",
        "keys.json",
        lambda right: (right[0], "0" * 64),
        ["keys", "former keys"],
        "litellm: keys.json differs",
    ),
    "its keys are world-readable": Fault(
        "gw-1",
        "file",
        "keys.json",
        lambda right: ("f 644 root:mirrorfleet-litellm", right[1]),
        ["keys", "former keys"],
        "keys.json has mode and owner 644 root:mirrorfleet-litellm",
    ),
    "its keys are missing": Fault(
        "gw-1", "file", "keys.json", None, ["keys"], "litellm: keys.json is missing"
    ),
    "its generation is missing": Fault(
        "gw-1", "file", "/generations/", None, REPLACE, "LiteLLM: new: "
    ),
    "it does not listen (yet)": Fault("gw-1", "port", "", None, ["prove"], "is not listening"),
    "a run was interrupted before verification": Fault(
        "gw-1", "file", "/served/", None, ["prove"], "is not verified yet"
    ),
    "its software is missing": Fault(
        "gw-1", "environment", "environments", None, UPLOAD, "/environments/1.106.12-"
    ),
    "its software was changed": Fault(
        "gw-1",
        "environment",
        "environments",
        lambda _: ("/environments/1.106.12/lib/litellm_init.pth",),
        [*UPLOAD, *REPLACE],
        "litellm_init.pth was changed since it was installed",
    ),
    "a package is missing": Fault(
        "gw-1", "package", "curl", None, PACKAGES, "package curl is missing"
    ),
    "its user is missing": Fault(
        "gw-1", "user", "", None, USER, "user mirrorfleet-litellm is missing"
    ),
    "the weights are missing": Fault("gpu", "weights", "/weights/", None, UPLOAD, "/weights/tiny-"),
    "the engine's link is missing": Fault(
        "gpu", "link", "", None, RESTART, "`current` links to nothing"
    ),
    "the client is missing": Fault(
        "dev", "path", "/opt/mirrorfleet/claude", None, UPLOAD, "/2.1.331/claude is missing"
    ),
    "the command links to another version": Fault(
        "dev",
        "link",
        "",
        lambda _: ("/opt/mirrorfleet/claude/1.0.0/claude",),
        ["link"],
        "/usr/local/bin/claude links to /opt/mirrorfleet/claude/1.0.0/claude",
    ),
    "a developer's settings are missing": Fault(
        "dev",
        "home_file",
        "settings.json",
        None,
        ["home files"],
        "~ada/.claude/settings.json is missing",
    ),
    "a developer changed an owned setting": Fault(
        "dev",
        "home_file",
        ".claude.json",
        lambda right: (right[0], "e30="),
        ["home files"],
        "~ada/.claude.json differs",
    ),
    "a key is world-readable": Fault(
        "dev",
        "home_file",
        "mirrorfleet-key",
        lambda right: ("644", right[1]),
        ["home files"],
        "~ada/.claude/mirrorfleet-key has mode 644, not 600",
    ),
}


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_reported_and_repaired(
    plans: Planned, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    hosts = plans("lab").hosts
    answers = {name: converged(plan) for name, plan in hosts.items()}
    answers[fault.host] = fault.applied(answers[fault.host])
    with caplog.at_level(logging.INFO):
        done = mirror(hosts, answers)
    output = [click.unstyle(line) for line in caplog.messages]
    start = output.index("--> What will be changed:")
    assert output[start + 1] == f"@fake/{fault.host}"
    block = list(takewhile(lambda line: line.startswith("    "), output[start + 2 :]))
    assert any(fault.what in line for line in block), block
    expected: dict[str, list[str]] = {name: [] for name in hosts}
    assert {name: jobs(traffic) for name, traffic in done.items()} == expected | {
        fault.host: fault.repair
    }


@pytest.mark.usefixtures("offline_cache")
def test_other_users_and_former_generations_cause_no_change(plans: Planned) -> None:
    hosts = plans("lab").hosts
    answers = {name: converged(plan) for name, plan in hosts.items()}
    answers["gw-1"] |= {
        ("file", "/opt/mirrorfleet/litellm/generations/0123456789ab"): ("d 700 root:root", "")
    }
    answers["dev"] |= {("user", "grace"): ("/home/grace",)}
    assert all(not traffic.execs for traffic in mirror(hosts, answers).values())
