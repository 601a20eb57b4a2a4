"""A developer who wants a run to hang, to stop or to be misled: the others never notice."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import look

HOME = "/home/grace"

FORGED = (
    '{"files": {".claude/settings.json": '
    '{"written": "", "original": null, "changes": [{"path": []}]}}}'
)

# Files that are none, or not hers.
FILES = f"""\
mkdir -p {HOME}/.claude && cd {HOME}/.claude
mkfifo ../pipe && ln -s ../pipe settings.json
ln -s /dev/zero mirrorfleet-key
ln -s /etc/shadow mirrorfleet-receipt.json
truncate -s 1T ../.claude.json
"""

# What is not what it says.
CONTENTS = f"""\
mkdir -p {HOME}/.claude && cd {HOME}/.claude
printf '{{"theme": "dark"' >settings.json
printf '%s' '{FORGED}' >mirrorfleet-receipt.json
printf '\\377\\376{{}}' >../.claude.json
"""

ELSEWHERE = f"mkdir -p /tmp/elsewhere && ln -s /tmp/elsewhere {HOME}/.claude"

# What was a file when it was looked at is none when it is opened, and who reads it is stopped.
SWAPPING = f"""\
mkdir -p {HOME}/.claude && cd {HOME}/.claude
while :; do
    echo '{{"a": 1}}' >next && mv -f next settings.json
    rm -f next && mkfifo next && mv -f next settings.json
    ln -s /etc/shadow next && mv -f next settings.json
    rm -f mirrorfleet-key && mkfifo mirrorfleet-key; rm -f mirrorfleet-key
    pkill -STOP -u grace '^(base64|sha256sum|cat|stat|mv|perl)$'
done
"""

HOSTILE = {
    "files that are none": FILES,
    "contents that are none": CONTENTS,
    "a directory elsewhere": ELSEWHERE,
    "everything changes all the time": SWAPPING,
}

USERS = "users: [ada], model: sonnet,"


def fleet(directory: Path, days: int) -> Path:
    said = f"users: [ada, grace], settings: {{cleanupPeriodDays: {days}}}, model: sonnet,"
    return look.variant(directory, USERS, said)


@pytest.fixture(scope="module", autouse=True)
def _as_before() -> Iterator[None]:
    yield
    look.run("dev", f"find {HOME} -mindepth 1 -delete; rm -rf /tmp/elsewhere")
    done = look.mirror()
    assert done.returncode == 0, done.stdout + done.stderr
    assert look.changes(look.mirror("--json")) == []


@pytest.mark.parametrize("number", range(len(HOSTILE)), ids=HOSTILE.keys())
def test_a_hostile_home_stops_nothing_and_misleads_nobody(tmp_path: Path, number: int) -> None:
    look.run("dev", f"systemctl stop hostile 2>/dev/null; find {HOME} -mindepth 1 -delete")
    shadow = look.run("dev", "cat /etc/shadow")
    script = [*HOSTILE.values()][number]
    start = "systemd-run -q --uid=grace --unit=hostile --collect sh /run/hostile.sh"
    look.run("dev", f"cat >/run/hostile.sh && {start} && sleep 1", stdin=script)
    began = time.monotonic()
    done = look.mirror(fleet=fleet(tmp_path, 10 + number))
    took = time.monotonic() - began
    said = look.plain(done.stdout + done.stderr)
    swapping = look.run("dev", "systemctl is-active hostile || true").strip() == "active"
    look.run("dev", "systemctl stop hostile 2>/dev/null; pkill -KILL -u grace; true")
    assert "Traceback" not in said, said
    assert swapping or done.returncode == 1, said
    assert swapping or "~grace" in said
    assert took < 100
    settings = look.run("dev", "cat /home/ada/.claude/settings.json")
    assert f'"cleanupPeriodDays": {10 + number}' in settings
    assert look.message("gw-1", look.secret("developers"))[0] == 200
    assert look.run("dev", "cat /etc/shadow") == shadow
    assert not any(line in said for line in shadow.splitlines())
    assert look.run("dev", "flock -n /var/lib/mirrorfleet/run/lock echo free") == "free\n"
    assert look.run("dev", "ls /var/lib/mirrorfleet/stage 2>/dev/null; true") == ""
    assert look.run("dev", "find /tmp/elsewhere -type f 2>/dev/null; true") == ""
