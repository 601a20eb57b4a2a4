"""mirror.py on pyinfra's @fake connector: the real deploy, the hosts' answers given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
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

from fleet import HostPlan

ROOT = Path(__file__).parents[2]


@dataclass
class Traffic:
    """What travelled to one host."""

    execs: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)


def mirror(plans: Mapping[str, HostPlan], answers: Mapping[str, list[str]]) -> dict[str, Traffic]:
    """Run deploys/mirror.py, as `pyinfra -y` does, and return the traffic of each host.

    ``answers`` are the lines that a host's observation prints; every command succeeds.
    """
    hosts = [
        (
            f"@fake/{name}",
            {
                "plan": plan,
                "_sudo": True,
                "fake_responses": {"sh -s": answers[name], "uname -s": "Linux", "command -v useradd": "/usr/sbin/useradd"},
                "fake_delay": 0,
                "fake_delay_jitter": 0,
            },
        )
        for name, plan in plans.items()
    ]
    with _recorded() as traffic:
        state = State(Inventory((hosts, {})), Config())  # type: ignore[no-untyped-call]
        state.set_stage(StateStage.Connect)
        with ctx_state.use(state), ctx_inventory.use(state.inventory), ctx_config.use(state.config):
            connect_all(state)
            state.set_stage(StateStage.Prepare)
            load_deploy_file(state, str(ROOT / "deploys" / "mirror.py"))
            state.set_stage(StateStage.Execute)
            run_ops(state)
        assert not state.failed_hosts
    return {name: traffic[f"@fake/{name}"] for name in plans}


@contextmanager
def _recorded() -> Iterator[dict[str, Traffic]]:
    """Write down what the connector is asked to do; it records commands, but no uploads."""
    traffic: dict[str, Traffic] = {}

    def run(self: Any, command: Any, *args: Any, **kwargs: Any) -> Any:
        traffic.setdefault(self.host.name, Traffic()).execs.append(str(command))
        return real_run(self, command, *args, **kwargs)

    def put(self: Any, source: Any, destination: str, *args: Any, **kwargs: Any) -> Any:
        traffic.setdefault(self.host.name, Traffic()).uploads.append(destination)
        return real_put(self, source, destination, *args, **kwargs)

    real_run, real_put = FakeConnector.run_shell_command, FakeConnector.put_file
    with (
        patch.object(FakeConnector, "run_shell_command", run),
        patch.object(FakeConnector, "put_file", put),
    ):
        yield traffic
