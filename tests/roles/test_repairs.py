"""One thing is wrong on one host: it is repaired, by as little as that takes, and there only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.roles.answers import Answers, converged
from tests.roles.conftest import Planned
from tests.roles.fake import mirror
from tests.roles.jobs import jobs

Fields = tuple[str, ...]


@dataclass(frozen=True)
class Wrong:
    """On ``host``, the question of this ``kind`` that holds ``about`` has another answer.

    ``found`` makes it of the right one; None is no answer at all. ``repair`` must follow.
    """

    host: str
    kind: str
    about: str
    found: Callable[[Fields], Fields] | None
    repair: list[str]

    def applied(self, answers: Answers) -> Answers:
        """Return the answers of the host with this one wrong."""
        [question] = [each for each in answers if each[0] == self.kind and self.about in str(each)]
        rest = {each: fields for each, fields in answers.items() if each != question}
        return rest | ({question: self.found(answers[question])} if self.found else {})


DROP_IN = "/etc/systemd/system/mirrorfleet-litellm.service.d/override.conf"
RESTART, REPLACE, UPLOAD = ["restart"], ["generation", "restart"], ["inbox", "take"]
PACKAGES, USER = ["packages"], ["user"] * 6

WRONG = {
    "its unit is stopped": Wrong(
        "gw-1", "unit", "", lambda right: ("inactive", right[1], "", *right[3:]), RESTART
    ),
    "its unit failed": Wrong("gw-1", "unit", "", lambda right: ("failed", *right[1:]), RESTART),
    "its unit is not enabled": Wrong(
        "gw-1", "unit", "", lambda right: (right[0], "disabled", *right[2:]), RESTART
    ),
    "another generation runs": Wrong(
        "gw-1", "unit", "", lambda right: (*right[:2], "0123456789ab", *right[3:]), RESTART
    ),
    "something runs that is no generation": Wrong(
        "gw-1", "unit", "", lambda right: (*right[:2], "", *right[3:]), RESTART
    ),
    "systemd has not read the unit": Wrong(
        "gw-1", "unit", "", lambda right: (*right[:3], "yes", right[4]), RESTART
    ),
    "its unit has a drop-in": Wrong(
        "gw-1", "unit", "", lambda right: (*right[:4], DROP_IN), RESTART
    ),
    "its unit file was edited": Wrong(
        "gw-1", "file", "", lambda _: (f"644 root:root {'0' * 64}",), RESTART
    ),
    "its unit file can be written by all": Wrong(
        "gw-1", "file", "", lambda right: (right[0].replace("644", "666"),), RESTART
    ),
    "its unit file is gone": Wrong("gw-1", "file", "", None, RESTART),
    "its link points elsewhere": Wrong(
        "gw-1", "link", "", lambda _: ("generations/0123456789ab",), RESTART
    ),
    "its link is gone": Wrong("gw-1", "link", "", None, RESTART),
    "a file of its generation was edited": Wrong("gw-1", "tree", "", lambda _: ("0",), REPLACE),
    "its generation is gone": Wrong("gw-1", "tree", "", None, REPLACE),
    "it does not listen (yet)": Wrong("gw-1", "port", "", None, ["wait"]),
    "its software is gone": Wrong("gw-1", "path", "environments", None, UPLOAD),
    "a package is gone": Wrong("gw-1", "package", "curl", None, PACKAGES),
    "its user is gone": Wrong("gw-1", "user", "", None, USER),
    "the weights are gone": Wrong("gpu", "path", "weights", None, UPLOAD),
    "the engine's link is gone": Wrong("gpu", "link", "", None, RESTART),
    "the client is gone": Wrong("dev", "path", "/opt/mirrorfleet/claude", None, UPLOAD),
    "the command leads to another version": Wrong(
        "dev", "link", "", lambda _: ("/opt/mirrorfleet/claude/1.0.0/claude",), ["link"]
    ),
    "a developer's settings are gone": Wrong(
        "dev", "home_file", "settings.json", None, ["home files"]
    ),
    "a developer changed an owned setting": Wrong(
        "dev", "home_file", ".claude.json", lambda right: (right[0], "e30="), ["home files"]
    ),
    "a key can be read by all": Wrong(
        "dev", "home_file", "mirrorfleet-key", lambda right: ("644", right[1]), ["home files"]
    ),
}


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_it_is_repaired(plans: Planned, wrong: Wrong) -> None:
    hosts = plans("lab").hosts
    answers = {name: converged(plan) for name, plan in hosts.items()}
    answers[wrong.host] = wrong.applied(answers[wrong.host])
    done = mirror(hosts, answers)
    expected: dict[str, list[str]] = {name: [] for name in hosts}
    assert {name: jobs(traffic) for name, traffic in done.items()} == expected | {
        wrong.host: wrong.repair
    }


@pytest.mark.usefixtures("stocked")
def test_what_is_not_ours_on_a_host_is_no_reason_to_change_it(plans: Planned) -> None:
    hosts = plans("lab").hosts
    answers = {name: converged(plan) for name, plan in hosts.items()}
    answers["gw-1"] |= {("tree", "/opt/mirrorfleet/litellm/generations/0123456789ab"): ("1",)}
    answers["dev"] |= {("user", "grace"): ("/home/grace",)}
    assert all(not traffic.execs for traffic in mirror(hosts, answers).values())
