"""An environment that another hand has changed is built anew, beside the one that may run."""

from __future__ import annotations

from mirrorfleet.roles.litellm import software
from mirrorfleet.roles.litellm.role import Litellm
from mirrorfleet.runtime import python
from mirrorfleet.runtime.facts.python import Environments
from tests.roles.answers import converged, observation_of, with_values
from tests.roles.conftest import Planned


def test_a_changed_environment_is_told_and_built_in_another_place(plans: Planned) -> None:
    host = plans("lab").hosts["gw-1"]
    assert host.gateway
    found = observation_of(converged(host))
    wanted = software.environment(host.gateway)
    evil = f"{wanted.directory}/lib/python3.11/site-packages/litellm_init.pth"
    changed = with_values(found, {Environments(wanted.directory): {wanted.directory: evil}})
    said = [change.what for change in Litellm().changes(host, changed)]
    assert f"{evil} was changed since it was installed: the environment will be built again" in said
    assert "mirrorfleet-litellm.service will be restarted" in said
    anew = f"{wanted.directory}-2"
    assert python.located(wanted, changed).directory == anew
    assert f"ExecStart={anew}/bin/litellm" in Litellm().render(host.gateway, changed).unit
    # It stays there, also when the changed one is gone.
    there = with_values(found, {Environments(wanted.directory): {anew: ""}})
    assert python.located(wanted, there).directory == anew
    assert not list(python.changes(wanted, there))
