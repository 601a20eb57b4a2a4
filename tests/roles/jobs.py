"""What an exec is for, told by what stands in it."""

from __future__ import annotations

import re

from tests.roles.fake import Exec, Traffic

# The first pattern that is found counts.
PATTERNS = {
    "generation": r'mkdir -m 750 "\$new"',
    "restart": r"\nactivates=yes\n",
    "prove": r"\nactivates=no\n",
    "stand by": r"\nactivate \w+\s*$",
    "skipped": r"skipped because",
    "download": r'bin/python" -I -c|curl .* -o upload',
    "keys": r"' admit /opt",
    "former keys": r"' retire /opt",
    "inbox": r'install -d -m 700 .*/inbox"',
    "take": r"sha256sum --check",
    "directory": r"install -d -m 750 -o",
    "models": r"model_manager\.py make\|prove",
    "firewall rules": r"nft -c -f new/rules\.nft",
    "ports": r"mv -f new/reserve_ports",
    "no ports": r"\nrelease_ports\n",
    "no firewall rules": r"\\ndelete table inet",
    "service removal": r'find "\$root/\$name" -mindepth 1',
    "clear": r'rm -rf "\$root/claude"',
    "home files": r"runuser -u .* -- sh -c",
    "machine files": r"install -D -m \S+ -o root -g root",
    "link": r"\nrelink \S+ /usr/local/bin/claude",
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
