"""Rollback to the former generation: after a failed start, and by deploys/rollback.py."""

from pathlib import Path

from tests.lab import look


def generations() -> dict[str, str]:
    current = "/opt/mirrorfleet/litellm/current"
    return {name: look.run(name, f"readlink {current}") for name in look.GATEWAYS}


def test_the_first_gateway_rolls_back_and_the_next_one_does_not_change(
    tmp_path: Path,
) -> None:
    before = generations()
    # Only root can open this port. No check detects that before the start.
    broken = look.variant(tmp_path, "  workers: 2\n", "  workers: 2\n  port: 80\n")
    with (
        look.journal("gw-1", "-u", "mirrorfleet-litellm.service", "-t", "systemd") as first,
        look.journal("gw-2", "-u", "mirrorfleet-litellm.service", "-t", "systemd") as second,
        look.polling(look.answering_gateway, 0.2) as answers,
    ):
        done = look.mirror(fleet=broken)
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert "rolled back to" in output
    assert not any(look.secret(name) in output for name in ("engine", "master", "developers"))
    assert set(answers) == {"gw-1", "gw-2"}
    restarted = [name for name, lines in (("gw-1", first), ("gw-2", second)) if lines]
    assert restarted == ["gw-1"]
    assert generations() == before
    assert all(look.message(name, look.secret("developers"))[0] == 200 for name in look.GATEWAYS)
    assert look.changes(look.mirror("--json")) == []


def test_deploys_rollback_needs_no_secret(tmp_path: Path) -> None:
    before = generations()
    changed = look.variant(tmp_path, "  workers: 2\n", "  workers: 3\n")
    try:
        look.changes(look.mirror("--json", fleet=changed))
        assert all(now != before[name] for name, now in generations().items())
        secretless = changed.read_text("utf-8").replace("{file: ../.lab/secrets/", "{env: NOT_SET_")
        assert secretless.count("NOT_SET_") >= 3
        changed.write_text(secretless, "utf-8")
        done = look.pyinfra("-y", str(changed.with_suffix(".py")), "deploys/rollback.py")
        assert done.returncode == 0, done.stdout + done.stderr
        assert generations() == before
        assert all(
            look.message(name, look.secret("developers"))[0] == 200 for name in look.GATEWAYS
        )
    finally:
        look.mirror()
    assert generations() == before
