"""One thing is wrong on one host: it is repaired, by as little as that takes, and there only."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import click
import pytest

from tests.roles.answers import Answers, converged
from tests.roles.conftest import Planned
from tests.roles.fake import mirror
from tests.roles.jobs import jobs

Fields = tuple[str, ...]


@dataclass(frozen=True)
class Wrong:
    """On ``host``, the lines of this ``kind`` that name ``about`` are others.

    ``found`` makes it of the right one; None is no answer at all. ``repair`` must follow, and the
    report say before it ``what`` is wrong.
    """

    host: str
    kind: str
    about: str
    found: Callable[[Fields], Fields] | None
    repair: list[str]
    what: str

    def applied(self, answers: Answers) -> Answers:
        """Return the answers of the host with this one wrong."""
        them = [
            answer
            for answer in answers
            if answer[0] == self.kind and any(self.about in word for word in answer[1:])
        ]
        assert them
        rest = {value: fields for value, fields in answers.items() if value not in them}
        return rest | (
            {question: self.found(answers[question]) for question in them} if self.found else {}
        )


DROP_IN = "/etc/systemd/system/mirrorfleet-litellm.service.d/override.conf"
RESTART, REPLACE, UPLOAD = ["restart"], ["generation", "restart"], ["inbox", "take"]
PACKAGES, USER = ["packages"], ["user"]

WRONG = {
    "its unit is stopped": Wrong(
        "gw-1",
        "unit",
        "litellm",
        lambda right: ("inactive", right[1], "", *right[3:]),
        RESTART,
        "is inactive",
    ),
    "its unit failed": Wrong(
        "gw-1", "unit", "litellm", lambda right: ("failed", *right[1:]), RESTART, "is failed"
    ),
    "its unit is not enabled": Wrong(
        "gw-1",
        "unit",
        "litellm",
        lambda right: (right[0], "disabled", *right[2:]),
        RESTART,
        "is not enabled",
    ),
    "another generation runs": Wrong(
        "gw-1",
        "unit",
        "litellm",
        lambda right: (*right[:2], "0123456789ab", *right[3:]),
        RESTART,
        "runs 0123456789ab",
    ),
    "something runs that is no generation": Wrong(
        "gw-1",
        "unit",
        "litellm",
        lambda right: (*right[:2], "", *right[3:]),
        RESTART,
        "runs no generation",
    ),
    "systemd has not read the unit": Wrong(
        "gw-1",
        "unit",
        "litellm",
        lambda right: (*right[:3], "yes", right[4]),
        RESTART,
        "differs from what systemd has loaded",
    ),
    "its unit has a drop-in": Wrong(
        "gw-1",
        "unit",
        "litellm",
        lambda right: (*right[:4], DROP_IN),
        RESTART,
        "is overridden by /etc/systemd/system/",
    ),
    "its unit file was edited": Wrong(
        "gw-1",
        "file",
        "/system/mirrorfleet-litellm",
        lambda right: (right[0], "0" * 64),
        RESTART,
        "/etc/systemd/system/mirrorfleet-litellm.service differs",
    ),
    "its unit file can be written by all": Wrong(
        "gw-1",
        "file",
        "/system/mirrorfleet-litellm",
        lambda right: ("f 666 root:root", right[1]),
        RESTART,
        "has mode and owner 666 root:root, not 644",
    ),
    "its unit file is gone": Wrong(
        "gw-1",
        "file",
        "/system/mirrorfleet-litellm",
        None,
        RESTART,
        "/etc/systemd/system/mirrorfleet-litellm.service is missing",
    ),
    "its link points elsewhere": Wrong(
        "gw-1",
        "link",
        "",
        lambda _: ("generations/0123456789ab",),
        RESTART,
        "`current` links to generations/0123456789ab",
    ),
    "its link is gone": Wrong("gw-1", "link", "", None, RESTART, "`current` links to nothing"),
    "a file of its generation was edited": Wrong(
        "gw-1",
        "file",
        "/config.yaml",
        lambda right: (right[0], "0" * 64),
        REPLACE,
        "litellm: config.yaml differs",
    ),
    "its secrets can be read by all": Wrong(
        "gw-1",
        "file",
        "/environment",
        lambda right: ("f 644 root:root", right[1]),
        REPLACE,
        "litellm: environment has mode and owner 644 root:root, not 600",
    ),
    "its generation belongs to another user": Wrong(
        "gw-1",
        "file",
        "/generations/",
        lambda right: ("f 640 ada:ada", right[1]),
        REPLACE,
        "litellm: config.yaml has mode and owner 640 ada:ada",
    ),
    "its keys were edited": Wrong(
        "gw-1",
        "file",
        "keys.json",
        lambda right: (right[0], "0" * 64),
        ["keys", "former keys"],
        "litellm: keys.json differs",
    ),
    "its keys can be read by all": Wrong(
        "gw-1",
        "file",
        "keys.json",
        lambda right: ("f 644 root:mirrorfleet-litellm", right[1]),
        ["keys", "former keys"],
        "keys.json has mode and owner 644 root:mirrorfleet-litellm",
    ),
    "its keys are gone": Wrong(
        "gw-1", "file", "keys.json", None, ["keys"], "litellm: keys.json is missing"
    ),
    "its generation is gone": Wrong(
        "gw-1", "file", "/generations/", None, REPLACE, "litellm: config.yaml is missing"
    ),
    "it does not listen (yet)": Wrong("gw-1", "port", "", None, ["prove"], "is not listening"),
    "a run was cut before it had proved itself": Wrong(
        "gw-1", "file", "/served/", None, ["prove"], "is not verified yet"
    ),
    "its software is gone": Wrong(
        "gw-1", "environment", "environments", None, UPLOAD, "/environments/1.106.2-"
    ),
    "its software was changed": Wrong(
        "gw-1",
        "environment",
        "environments",
        lambda _: ("/environments/1.106.2/lib/litellm_init.pth",),
        [*UPLOAD, *REPLACE],
        "litellm_init.pth was changed since it was installed",
    ),
    "a package is gone": Wrong(
        "gw-1", "package", "curl", None, PACKAGES, "package curl is missing"
    ),
    "its user is gone": Wrong(
        "gw-1", "user", "", None, USER, "user mirrorfleet-litellm is missing"
    ),
    "the weights are gone": Wrong("gpu", "weights", "/weights/", None, UPLOAD, "/weights/tiny-"),
    "the engine's link is gone": Wrong(
        "gpu", "link", "", None, RESTART, "`current` links to nothing"
    ),
    "the client is gone": Wrong(
        "dev", "path", "/opt/mirrorfleet/claude", None, UPLOAD, "/2.1.330/claude is missing"
    ),
    "the command links to another version": Wrong(
        "dev",
        "link",
        "",
        lambda _: ("/opt/mirrorfleet/claude/1.0.0/claude",),
        ["link"],
        "/usr/local/bin/claude links to /opt/mirrorfleet/claude/1.0.0/claude",
    ),
    "a developer's settings are gone": Wrong(
        "dev",
        "home_file",
        "settings.json",
        None,
        ["home files"],
        "~ada/.claude/settings.json is missing",
    ),
    "a developer changed an owned setting": Wrong(
        "dev",
        "home_file",
        ".claude.json",
        lambda right: (right[0], "e30="),
        ["home files"],
        "~ada/.claude.json differs",
    ),
    "a key can be read by all": Wrong(
        "dev",
        "home_file",
        "mirrorfleet-key",
        lambda right: ("644", right[1]),
        ["home files"],
        "~ada/.claude/mirrorfleet-key has mode 644, not 600",
    ),
}


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_it_is_said_and_repaired(
    plans: Planned, wrong: Wrong, caplog: pytest.LogCaptureFixture
) -> None:
    hosts = plans("lab").hosts
    answers = {name: converged(plan) for name, plan in hosts.items()}
    answers[wrong.host] = wrong.applied(answers[wrong.host])
    with caplog.at_level(logging.INFO):
        done = mirror(hosts, answers)
    said = [click.unstyle(line) for line in caplog.messages]
    assert any(line.startswith(f"[@fake/{wrong.host}]") and wrong.what in line for line in said)
    expected: dict[str, list[str]] = {name: [] for name in hosts}
    assert {name: jobs(traffic) for name, traffic in done.items()} == expected | {
        wrong.host: wrong.repair
    }


@pytest.mark.usefixtures("offline_cache")
def test_what_is_not_ours_on_a_host_is_no_reason_to_change_it(plans: Planned) -> None:
    hosts = plans("lab").hosts
    answers = {name: converged(plan) for name, plan in hosts.items()}
    answers["gw-1"] |= {
        ("file", "/opt/mirrorfleet/litellm/generations/0123456789ab"): ("d 700 root:root", "")
    }
    answers["dev"] |= {("user", "grace"): ("/home/grace",)}
    assert all(not traffic.execs for traffic in mirror(hosts, answers).values())
