"""Hostile files in one developer's home must not block, stop or mislead a run for the others."""

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

# Files that are not regular files, or another user's.
FILES = f"""\
mkdir -p {HOME}/.claude && cd {HOME}/.claude
mkfifo ../pipe && ln -s ../pipe settings.json
ln -s /dev/zero mirrorfleet-key
ln -s /etc/shadow mirrorfleet-receipt.json
truncate -s 1T ../.claude.json
"""

# Files with wrong contents.
CONTENTS = f"""\
mkdir -p {HOME}/.claude && cd {HOME}/.claude
printf '{{"theme": "dark"' >settings.json
printf '%s' '{FORGED}' >mirrorfleet-receipt.json
printf '\\377\\376{{}}' >../.claude.json
"""

ELSEWHERE = f"mkdir -p /tmp/elsewhere && ln -s /tmp/elsewhere {HOME}/.claude"

# A regular file is replaced before it is opened, and its readers are stopped.
RACES = f"""\
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
    "irregular files": FILES,
    "wrong contents": CONTENTS,
    "a directory elsewhere": ELSEWHERE,
    "files change all the time": RACES,
}

USERS = "users: [ada], model: sonnet,"


def fleet(directory: Path, days: int) -> Path:
    users = f"users: [ada, grace], settings: {{cleanupPeriodDays: {days}}}, model: sonnet,"
    return look.variant(directory, USERS, users)


@pytest.fixture(scope="module", autouse=True)
def _as_before() -> Iterator[None]:
    yield
    look.run("dev", f"find {HOME} -mindepth 1 -delete; rm -rf /tmp/elsewhere")
    done = look.mirror()
    assert done.returncode == 0, done.stdout + done.stderr
    assert look.changes(look.mirror("--json")) == []


@pytest.mark.parametrize("number", range(len(HOSTILE)), ids=HOSTILE.keys())
def test_a_hostile_home_concerns_one_developer_only(tmp_path: Path, number: int) -> None:
    look.run("dev", f"systemctl stop hostile 2>/dev/null; find {HOME} -mindepth 1 -delete")
    shadow = look.run("dev", "cat /etc/shadow")
    script = [*HOSTILE.values()][number]
    start = "systemd-run -q --uid=grace --unit=hostile --collect sh /run/hostile.sh"
    look.run("dev", f"cat >/run/hostile.sh && {start} && sleep 1", stdin=script)
    began = time.monotonic()
    done = look.mirror(fleet=fleet(tmp_path, 10 + number))
    seconds = time.monotonic() - began
    output = look.plain(done.stdout + done.stderr)
    races = look.run("dev", "systemctl is-active hostile || true").strip() == "active"
    look.run("dev", "systemctl stop hostile 2>/dev/null; pkill -KILL -u grace; true")
    assert "Traceback" not in output, output
    assert races or done.returncode == 1, output
    assert races or "~grace" in output
    assert seconds < 100
    settings = look.run("dev", "cat /home/ada/.claude/settings.json")
    assert f'"cleanupPeriodDays": {10 + number}' in settings
    assert look.message("gw-1", look.secret("developers"))[0] == 200
    assert look.run("dev", "cat /etc/shadow") == shadow
    assert not any(line in output for line in shadow.splitlines())
    assert look.run("dev", "flock -n /var/lib/mirrorfleet/run/lock echo free") == "free\n"
    assert look.run("dev", "ls /var/lib/mirrorfleet/stage 2>/dev/null; true") == ""
    assert look.run("dev", "find /tmp/elsewhere -type f 2>/dev/null; true") == ""
