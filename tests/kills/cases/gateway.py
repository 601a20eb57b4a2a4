"""The keys of a gateway: new ones are written and former ones revoked while it serves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from mirrorfleet.planning import HostPlan, KeyPlan, LitellmPlan
from mirrorfleet.roles.litellm import keys
from mirrorfleet.roles.litellm.paths import KEYS, USER
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.observe import Observation
from tests.kills.case import Case
from tests.kills.world import Host


def cases(plan: HostPlan) -> Iterator[Case]:
    assert plan.gateway
    before = plan.gateway
    after = replace(before, keys=_rotated(before))
    yield Case(
        "keyring: new keys, former ones stay valid",
        keys.facts(),
        lambda observed: keys.admit(after, observed),
        lambda host: _with_keys(host, before),
        state=_valid,
    )

    def rotated(host: Host) -> None:
        _with_keys(host, before)
        for command in keys.admit(after, host.observe(keys.facts())):
            host.complete(command)

    yield Case(
        "keyring: former keys are revoked",
        keys.facts(),
        lambda observed: _retire(after, observed),
        rotated,
        state=_valid,
    )


def _rotated(gateway: LitellmPlan) -> tuple[KeyPlan, ...]:
    """Return the keys, each with the secret of another one."""
    secrets = [key.key for key in gateway.keys]
    moved = [gateway.master_key, *secrets]
    return tuple(replace(key, key=secret) for key, secret in zip(gateway.keys, moved, strict=False))


def _with_keys(host: Host, gateway: LitellmPlan) -> None:
    host.call("useradd", "--system", USER)
    for command in keys.admit(gateway, host.observe(keys.facts())):
        host.complete(command)


def _retire(gateway: LitellmPlan, observed: Observation) -> Commands:
    """Yield the command for a run that has reached all machines. No gateway runs to be asked."""
    if keys._former(observed):
        holders = sorted(key.name for key in gateway.keys)
        request = {"dead": [], "grace": 3600, "reached": holders}
        url = "http://127.0.0.1:4000/v1/models"
        yield script(keys._command("retire", url), json.dumps(request))


def _valid(host: Host) -> str:
    """Return which keys are valid, without the times at which former ones end."""
    found = []
    for name in ("keys", "former"):
        content = json.loads((host.root / KEYS[1:] / f"{name}.json").read_text())
        found += [f"{name} {key['name']} {key['sha256']}" for key in content["keys"]]
    return "\n".join(sorted(found))
