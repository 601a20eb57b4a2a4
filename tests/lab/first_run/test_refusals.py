"""A run that cannot work stops with all problems before the first change on any host."""

from collections.abc import Iterator

import pytest

from tests.lab import look


@pytest.fixture
def other_service() -> Iterator[None]:
    """Run another service on the gateway's port."""
    listen = "systemd-socket-activate --listen=0.0.0.0:4000 cat"
    look.run("gw-2", f"systemd-run --quiet --unit=other {listen}")
    look.run("gw-2", "until ss -Hltn | grep -q :4000; do sleep 0.1; done")
    yield
    look.run("gw-2", "systemctl stop other")


@pytest.fixture
def broken_settings() -> Iterator[None]:
    """Write a developer's settings file with a syntax error."""
    look.run("dev", "install -d -o ada -g ada -m 700 /home/ada/.claude")
    look.run("dev", 'printf "{\\"theme\\": \\"dark\\"" >/home/ada/.claude/settings.json')
    yield
    look.run("dev", "rm -r /home/ada/.claude")


@pytest.mark.usefixtures("other_service", "broken_settings")
def test_a_run_reports_all_problems_and_changes_nothing() -> None:
    before = {name: look.state(name) for name in look.HOSTS}
    done = look.mirror()
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert "gw-2: port 4000 is in use by other.service" in output
    # On its own, this would only skip the developer's settings.
    assert "skipped: ~ada/.claude/settings.json is not valid JSON" in output
    assert "Traceback" not in output
    assert {name: look.state(name) for name in look.HOSTS} == before
