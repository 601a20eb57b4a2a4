"""The recording: Mirrorfleet applied to one real machine, and what that machine then answers.

The machine is this one, seen through an overlay in memory: a system with all its programs, a home,
and real scripts as root, of which nothing stays. It needs root and Linux with overlayfs.

    python -m benchmarks.simulated.recording DIRECTORY    (`record` runs it inside of the overlay)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import REPOSITORY, VENV, as_root
from benchmarks.simulated import fleet_file
from benchmarks.simulated.answer import MARK
from mirrorfleet import fleet
from mirrorfleet.roles.claude import client
from mirrorfleet.roles.registry import roles
from mirrorfleet.runtime.observe import script

# A tmpfs inside of the overlay's own mounts: the repository may be on it, or on any other mount.
OVERLAY = """\
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755 overlay /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
for path in /proc /dev "$1" "$2"; do
    mkdir -p "/mnt/root$path"
    mount --rbind "$path" "/mnt/root$path"
done
shift 2
exec chroot /mnt/root "$@"
"""

# Files that a developer has before the first run. The mark differs on each simulated host.
OWN_FILES = {
    ".claude.json": {
        "numStartups": 212,
        "userID": MARK.decode(),
        "theme": "dark",
        "hasCompletedOnboarding": True,
        "tipsHistory": {f"tip-{number}": number for number in range(30)},
        "projects": {
            f"/home/{fleet_file.USER}/src/{name}": {
                "allowedTools": [],
                "mcpServers": {},
                "lastSessionId": f"{MARK.decode()}-{name}",
                "lastTotalInputTokens": 182_331,
                "lastTotalOutputTokens": 9_120,
                "hasTrustDialogAccepted": True,
            }
            for name in ("api", "billing", "docs", "infra", "web")
        },
    },
    ".claude/settings.json": {
        "theme": "dark",
        "env": {"TEAM": MARK.decode(), "EDITOR": "vim"},
        "permissions": {"allow": ["Bash(git status)", "Bash(make test:*)"], "deny": []},
    },
}


def record(directory: Path) -> None:
    """Write the answer of a machine without a change to make into the directory, as ``answer``.

    Raises ``CalledProcessError`` if this machine cannot be the host.
    """
    inside = [sys.executable, "-B", "-m", "benchmarks.simulated.recording", str(directory)]
    command = ["unshare", "--mount", "sh", "-c", OVERLAY, "sh", str(REPOSITORY), str(directory)]
    subprocess.run(as_root(*command, *inside), cwd=REPOSITORY, check=True)


def main(directory: Path) -> None:
    """Apply the fleet file to this machine, and record its answer."""
    home = Path("/home") / fleet_file.USER
    run("useradd", "--create-home", fleet_file.USER)
    for path, content in OWN_FILES.items():
        (home / path).parent.mkdir(exist_ok=True)
        (home / path).write_text(json.dumps(content), "utf-8")
    run("chown", "--recursive", f"{fleet_file.USER}:", str(home))
    file = fleet_file.write_local(directory)
    plan = fleet.plan(fleet.load(file)).hosts["dev-00000"]
    for version in plan.clients.versions if plan.clients else ():
        # A stand-in for the client, in place of a download of 70 MB.
        program = Path(client.binary(version))
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    run(f"{VENV}/mirrorfleet", "apply", str(file), "--yes")
    facts = [fact for role in roles() for fact in role.facts(plan)]
    answer = subprocess.run(["sh", "-s"], input=script(facts), capture_output=True, text=True)
    answer.check_returncode()
    (directory / "answer").write_text(answer.stdout, "utf-8")


def run(*command: str) -> None:
    """Run a command in the repository, with the secrets of the fleet file."""
    os.chdir(REPOSITORY)
    subprocess.run(
        command, env=os.environ | fleet_file.SECRETS, check=True, stdout=subprocess.DEVNULL
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
