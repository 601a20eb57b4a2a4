"""What an exec is for, told by what stands in it."""

from __future__ import annotations

import re

from tests.roles.fake import Exec, Traffic

# The first pattern that is found counts.
PATTERNS = {
    "generation": r"mkdir -m 750 generations/\w+\.new",
    "restart": r'activate "\$generation" && begun=',
    "prove": r'activate "\$generation"; } && begun=',
    "stand by": r"\nactivate \w+\s*$",
    "skipped": r"skipped because",
    "download": r"bin/python -I -c|curl .* -o upload",
    "keys": r"' admit /opt",
    "former keys": r"' retire /opt",
    "inbox": r"install -d -m 700 .*/inbox",
    "take": r"sha256sum --check",
    "directory": r"install -d -m 750 -o",
    "models": r"keeper\.py make\|prove",
    "doors": r"nft -c -f new/rules\.nft",
    "ports": r"reserve_ports\.py /opt/mirrorfleet|mv -f new/reserve_ports",
    "no ports": r"reserve_ports\.py release",
    "no doors": r"disable --now mirrorfleet-firewall",
    "departure": r"find /opt/mirrorfleet/\$name -mindepth 1",
    "clear": r"rm -rf /opt/mirrorfleet/claude",
    "home files": r"runuser -u .* -- sh -c",
    "machine files": r"install -D -m \S+ -o root -g root",
    "link": r"ln -sfn \S+ /usr/local/bin/claude",
    "packages": r"apt-get",
    "user": r"\buseradd ",
}


def jobs(traffic: Traffic) -> list[str]:
    """Name each exec after the look."""
    return [_job(each) for each in traffic.execs]


def _job(each: Exec) -> str:
    for job, pattern in PATTERNS.items():
        if re.search(pattern, each.command):
            return job
    return each.command
