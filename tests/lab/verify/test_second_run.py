"""A second run reads the fleet and changes nothing."""

from contextlib import ExitStack

from tests.lab import look


def test_a_second_run_changes_nothing_and_costs_one_connection_and_one_exec() -> None:
    with ExitStack() as stack:
        logs = {name: stack.enter_context(look.journal(name, "-t", "sshd")) for name in look.HOSTS}
        done = look.mirror("--json")
    assert look.changes(done) == []
    for name, lines in logs.items():
        # What sshd counted, commands and transfers; the last one is ours, for reading the journal.
        sessions = [line for line in lines if line.startswith("Starting session")][:-1]
        assert len(sessions) == 1, f"{name}: {sessions}"
