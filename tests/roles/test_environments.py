"""Test that a changed Python environment is rebuilt in another directory, as it may be in use."""

from __future__ import annotations

from mirrorfleet.roles.litellm import software
from mirrorfleet.roles.litellm.role import Litellm
from mirrorfleet.runtime import python
from mirrorfleet.runtime.facts.python import Environments
from tests.roles.answers import converged, observation_of, with_values
from tests.roles.conftest import Planned


def test_a_changed_environment_is_reported_and_rebuilt_in_another_directory(plans: Planned) -> None:
    host = plans("lab").hosts["gw-1"]
    assert host.gateway
    found = observation_of(converged(host))
    desired = software.environment(host.gateway)
    evil = f"{desired.directory}/lib/python3.11/site-packages/litellm_init.pth"
    changed = with_values(found, {Environments(desired.directory): {desired.directory: evil}})
    changes = [change.what for change in Litellm().changes(host, changed)]
    assert (
        f"{evil} was changed since it was installed: the environment will be built again" in changes
    )
    assert "mirrorfleet-litellm.service will be restarted" in changes
    rebuilt = f"{desired.directory}-2"
    assert python.located(desired, changed).directory == rebuilt
    assert f"ExecStart={rebuilt}/bin/litellm" in Litellm().render(host.gateway, changed).unit
    # It stays there after the changed one is removed.
    removed = with_values(found, {Environments(desired.directory): {rebuilt: ""}})
    assert python.located(desired, removed).directory == rebuilt
    assert not list(python.changes(desired, removed))
