"""The purpose of an exec, recognized by its text."""

from __future__ import annotations

import re

from tests.roles.fake import Exec, Traffic

# The first match decides.
PATTERNS = {
    "ask": r"^as_developer",
    "keep": r"homes\.json",
    "put back": r"mv -fT \"\$path\.mirrorfleet",
    "record": r"mv -f \"\$record\.new",
    "unverify": r"\nrm -f \S+/served/",
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
    "models": r" make http\S+ \S+/models\.json\n",
    "firewall rules": r"nft -c -f new/rules\.nft",
    "ports": r"mv -f new/reserve_ports",
    "no ports": r"\nrelease_ports\n",
    "no firewall rules": r"\\ndelete table inet",
    "removal": r'find "\$root/\$name" -mindepth 1',
    "decommission": r'rm -rf "\$root/claude"',
    "home files": r"runuser -u .* -- sh -c",
    "machine files": r"install -D -m \S+ -o root -g root",
    "link": r"\nrelink \S+ /usr/local/bin/claude",
    "packages": r"apt-get",
    "user": r"\buseradd ",
}


def jobs(traffic: Traffic) -> list[str]:
    """Return the name of execution exec after the observation."""
    return [_job(command) for command in traffic.execs]


def _job(execution: Exec) -> str:
    for job, pattern in PATTERNS.items():
        if re.search(pattern, execution.command):
            return job
    return execution.command
