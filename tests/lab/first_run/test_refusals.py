"""What cannot work is said before the first change on any host."""

from collections.abc import Iterator

import pytest

from tests.lab import look


@pytest.fixture
def stranger() -> Iterator[None]:
    """Somebody else's service on the gateway's port."""
    listen = "systemd-socket-activate --listen=0.0.0.0:4000 cat"
    look.run("gw-2", f"systemd-run --quiet --unit=stranger {listen}")
    look.run("gw-2", "until ss -Hltn | grep -q :4000; do sleep 0.1; done")
    yield
    look.run("gw-2", "systemctl stop stranger")


@pytest.fixture
def broken_settings() -> Iterator[None]:
    """A developer's own settings file with a slip of the pen."""
    look.run("dev", "install -d -o ada -g ada -m 700 /home/ada/.claude")
    look.run("dev", 'printf "{\\"theme\\": \\"dark\\"" >/home/ada/.claude/settings.json')
    yield
    look.run("dev", "rm -r /home/ada/.claude")


@pytest.mark.usefixtures("stranger", "broken_settings")
def test_all_that_speaks_against_a_run_is_said_at_once_and_nothing_is_changed() -> None:
    before = {name: look.state(name) for name in look.HOSTS}
    done = look.mirror()
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "gw-2: port 4000 is in use by stranger.service" in said
    # That alone would stop nobody.
    assert "skipped: ~ada/.claude/settings.json is not valid JSON" in said
    assert "Traceback" not in said
    assert {name: look.state(name) for name in look.HOSTS} == before
