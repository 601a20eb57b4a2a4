"""One run of pyinfra in this process, with the output and the exit codes of this program.

`start` must come before any other import of pyinfra: it patches the standard library for gevent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyinfra.api import State

    from mirrorfleet.cli.live.screen import Screen
    from mirrorfleet.planning import HostPlan

DEPLOYS = Path(__file__).parents[2] / "deploys"


@dataclass(frozen=True)
class Request:
    """What a live command was asked for.

    ``deploy`` is the name of a file in deploys/, ``data`` its options. ``confirm`` returns whether
    the changes may be made, after they were printed; ``None`` makes none, and ``only_shows``
    neither. ``choose`` gets the plans of all hosts, and returns the names of those that the command
    concerns; ``None``: all.
    """

    file: Path
    deploy: str
    limit: Sequence[str] = ()
    data: Mapping[str, Any] | None = None
    diff: bool = False
    only_shows: bool = False
    confirm: Callable[[State], bool] | None = None
    choose: Callable[[Mapping[str, HostPlan]], Sequence[str] | None] | None = None


def start() -> None:
    """Prepare this process for pyinfra."""
    os.environ["PYINFRA_PROGRESS"] = "off"  # the screen shows the progress
    from gevent import events, monkey

    # gevent looks for its plugins in all installed packages, 25 times: a tenth of a second.
    events.notify_and_call_entry_points = events.notify
    monkey.patch_all()  # before all other modules that use sockets or threads

    from mirrorfleet.runtime import late_invoke
    from mirrorfleet.runtime.interrupt import at_ctrl_c

    late_invoke.defer()
    import pyinfra

    at_ctrl_c(KeyboardInterrupt)

    # The operations of a deploy are ordered by its lines, as in pyinfra's own command. pyinfra
    # reads this when operations are defined, so it comes before roles are imported.
    pyinfra.is_cli = True


def run(state: State, request: Request, screen: Screen) -> int:
    """Run a deploy on the hosts of a state, and return the exit code.

    0: success; 1: a host failed, or the deploy found problems, which are printed. Raises
    ``SystemExit`` if a read-only deploy ends the run.
    """
    from pyinfra.api.connect import connect_all
    from pyinfra.api.exceptions import PyinfraError
    from pyinfra.api.operations import run_ops
    from pyinfra.api.state import StateStage
    from pyinfra_cli.util import load_deploy_file

    from mirrorfleet.runtime import exclusive
    from mirrorfleet.runtime import run as runs

    runs.current().only_shows = request.only_shows or not request.confirm
    try:
        state.set_stage(StateStage.Connect)
        connect_all(state)
        screen.now("reading the hosts")
        state.set_stage(StateStage.Prepare)
        load_deploy_file(state, str(DEPLOYS / f"{request.deploy}.py"))
        if request.confirm and request.confirm(state):
            exclusive.assert_held()
            state.set_stage(StateStage.Execute)
            run_ops(state)
    except PyinfraError as error:
        if str(error) != "No hosts remaining!":  # each failure is on the screen already
            screen.problem(str(error))
        return 1
    return 1 if state.failed_hosts else 0


@contextmanager
def opened(request: Request, screen: Screen) -> Iterator[State]:
    """Yield pyinfra's state of a run; disconnect at the end.

    Raises ``UsageError`` if ``limit`` matches no host or an option names nothing of the fleet,
    ``SystemExit`` with all mistakes of a fleet file. Asks for the password of sudo on this machine.
    """
    from pyinfra.api import Config, State
    from pyinfra.api.connect import disconnect_all
    from pyinfra.api.exceptions import ConnectError
    from pyinfra.context import ctx_config, ctx_inventory, ctx_state

    from mirrorfleet.cli.live.inventory import chosen, inventory
    from mirrorfleet.runtime.local import authorize

    state = State(check_for_changes=False)
    state.cwd = str(Path.cwd())
    config = Config(DIFF=request.diff)  # type: ignore[no-untyped-call]
    ctx_state.set(state)  # type: ignore[no-untyped-call]
    ctx_config.set(config)  # type: ignore[no-untyped-call]
    config.lock_current_state()
    try:
        hosts = inventory(request.file, dict(request.data or {}))
        ctx_inventory.set(hosts)  # type: ignore[no-untyped-call]
        state.init(hosts, config, initial_limit=chosen(hosts, request.limit, request.choose))
    except BaseException:
        ctx_state.reset()  # a state without hosts is no run
        raise
    for host in hosts:
        if state.is_host_in_limit(host):
            with suppress(ConnectError):  # the connection reports it
                authorize(host)
    state.add_callback_handler(screen.callbacks)  # type: ignore[no-untyped-call]
    screen.begin(state)
    try:
        yield state
    finally:
        screen.end()
        disconnect_all(state)
