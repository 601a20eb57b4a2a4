"""A configuration with which the gateway does not start."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import look


@contextmanager
def asked_all_the_time() -> Iterator[list[str]]:
    """Ask one gateway, and the other if it does not answer, over and over while the block runs, as
    a load balancer would. Yields who answered each time, "nobody" if none did."""
    answers: list[str] = []
    done = threading.Event()

    def ask() -> None:
        key = look.secret("developers")
        while not done.wait(0.2):
            answers.append(next((g for g in look.GATEWAYS if _answers(g, key)), "nobody"))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield answers
    finally:
        done.set()
        asking.join()


def _answers(gateway: str, key: str) -> bool:
    try:
        return look.message(gateway, key)[0] == 200
    except OSError:
        return False


def generations() -> dict[str, str]:
    current = "/opt/mirrorfleet/litellm/current"
    return {name: look.run(name, f"readlink {current}") for name in look.GATEWAYS}


def test_the_first_gateway_is_rolled_back_the_next_not_touched_and_requests_are_answered(
    tmp_path: Path,
) -> None:
    before = generations()
    # A port that only root may open: nothing sees that before the service starts.
    broken = look.variant(tmp_path, "  workers: 2\n", "  workers: 2\n  port: 80\n")
    with (
        look.journal("gw-1", "-u", "mirrorfleet-litellm.service", "-t", "systemd") as first,
        look.journal("gw-2", "-u", "mirrorfleet-litellm.service", "-t", "systemd") as second,
        asked_all_the_time() as answers,
    ):
        done = look.mirror(fleet=broken)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "rolled back to" in said
    assert not any(look.secret(name) in said for name in ("engine", "master", "developers"))
    assert set(answers) == {"gw-1", "gw-2"}
    restarted = [name for name, lines in (("gw-1", first), ("gw-2", second)) if lines]
    assert restarted == ["gw-1"]
    assert generations() == before
    assert all(look.message(name, look.secret("developers"))[0] == 200 for name in look.GATEWAYS)
    assert look.changes(look.mirror("--json")) == []
