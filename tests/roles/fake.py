"""The real mirror.py on pyinfra's @fake connector, with given answers of the hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.connectors.fake import FakeConnector
from pyinfra.context import ctx_config, ctx_inventory, ctx_state
from pyinfra_cli.util import load_deploy_file

from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import pyinfra_speed
from tests.roles.answers import Answers, lines

MIRROR = Path(__file__).parents[2] / "deploys" / "mirror.py"


@dataclass(frozen=True)
class Exec:
    """One command on a host, and its standard input.

    ``number`` and ``ended`` give the order in which the commands of a run begin and end.
    """

    number: int
    command: str
    stdin: str
    ended: int = -1


@dataclass
class Traffic:
    """The traffic to one host: the number of ``observations``, and all other commands as ``execs``.

    ``sent`` counts the characters of all commands and their standard input, without uploads.
    """

    failed: bool = False
    observations: int = 0
    sent: int = 0
    execs: list[Exec] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)

    @property
    def round_trips(self) -> tuple[int, int]:
        """Return the numbers of execs and uploads."""
        return self.observations + len(self.execs), len(self.uploads)


def mirror(
    plans: Mapping[str, HostPlan],
    answers: Mapping[str, Answers],
    fail: Mapping[str, Sequence[str]] | None = None,
    *,
    deploy: Path = MIRROR,
    diff: bool = False,
    takes: float = 0,
    at_once: int | None = None,
    limit: Sequence[str] | None = None,
    data: Mapping[str, str] | None = None,
    lost: Sequence[str] = (),
) -> dict[str, Traffic]:
    """Run deploys/mirror.py, as `pyinfra -y [--diff] [--limit]` does; return each host's traffic.

    ``answers`` are the answers of each host to its observation. Every command succeeds, except
    those that contain one of the host's texts in ``fail``.

    ``takes`` is the duration of a command in seconds. ``at_once`` limits how many hosts are changed
    in parallel. ``data`` holds the values of ``--data``. The connections to the ``lost`` hosts end
    before they answer. Raises what mirror.py raises.
    """
    failing = {
        name: {text: {"success": False} for text in texts} for name, texts in (fail or {}).items()
    }
    hosts = [
        (
            f"@fake/{name}",
            {
                "plan": plan,
                "_sudo": True,
                "fake_responses": {
                    "sh -s": lines(answers[name]),
                    **failing.get(name, {}),
                },
                "fake_delay": takes,
                "is_lost": name in lost,
                "fake_delay_jitter": 0,
            },
        )
        for name, plan in plans.items()
    ]
    # pyinfra identifies operations by their lines in the deploy only when it runs as the CLI.
    pyinfra_speed.apply()
    with patch("pyinfra.is_cli", True), recorded() as traffic:
        inventory = Inventory((hosts, {}), override_data=data)  # type: ignore[no-untyped-call]
        state = State(
            inventory,
            Config(DIFF=diff, PARALLEL=at_once or 0),  # type: ignore[no-untyped-call]
            initial_limit=limit and [inventory.get_host(f"@fake/{name}") for name in limit],
            check_for_changes=False,
        )
        state.set_stage(StateStage.Connect)
        with ctx_state.use(state), ctx_inventory.use(state.inventory), ctx_config.use(state.config):
            connect_all(state)
            state.set_stage(StateStage.Prepare)
            load_deploy_file(state, str(deploy))
            state.set_stage(StateStage.Execute)
            run_ops(state)
        for host in state.failed_hosts:
            traffic[host.name].failed = True
    return {name: traffic.get(f"@fake/{name}", Traffic()) for name in plans}


@contextmanager
def recorded() -> Iterator[dict[str, Traffic]]:
    """Record the calls of the connector, which does not keep uploads and inputs itself."""
    traffic: dict[str, Traffic] = {}
    numbers = count()

    def run(self: Any, command: Any, *args: Any, **kwargs: Any) -> Any:
        found = traffic.setdefault(self.host.name, Traffic())
        stdin_text = "\n".join(kwargs.get("_stdin") or ())
        found.sent += len(str(command)) + len(stdin_text)
        if self.host.data.get("is_lost"):
            raise EOFError
        if str(command) == "sh -s":
            found.observations += 1
            return real_run(self, command, *args, **kwargs)
        execs, began = found.execs, Exec(next(numbers), str(command), stdin_text)
        execs.append(began)
        done = real_run(self, command, *args, **kwargs)
        execs[execs.index(began)] = replace(began, ended=next(numbers))
        return done

    def put(self: Any, source: Any, destination: str, *args: Any, **kwargs: Any) -> Any:
        traffic.setdefault(self.host.name, Traffic()).uploads.append(destination)
        return real_put(self, source, destination, *args, **kwargs)

    real_run, real_put = FakeConnector.run_shell_command, FakeConnector.put_file
    with (
        patch.object(FakeConnector, "run_shell_command", run),
        patch.object(FakeConnector, "put_file", put),
    ):
        yield traffic
