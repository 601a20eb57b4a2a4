"""A second run reads each host once and changes nothing."""

from contextlib import ExitStack

from tests.lab import look


def test_a_second_run_changes_nothing_and_needs_one_exec_per_host() -> None:
    with ExitStack() as stack:
        logs = {name: stack.enter_context(look.journal(name, *look.SSHD)) for name in look.HOSTS}
        done = look.mirror("--json")
    assert look.changes(done) == []
    for name, lines in logs.items():
        # Commands and transfers that sshd logged; the last one is the test's own, to read the
        # journal.
        sessions = [line for line in lines if line.startswith("Starting session")][:-1]
        assert len(sessions) == 1, f"{name}: {sessions}"
