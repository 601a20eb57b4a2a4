"""Apply the fleet file to the fleet: engines, gateways, load balancers, developers' clients.

pyinfra inventories/prod.py deploys/mirror.py
"""

from mirrorfleet.jobs.rings import in_rings
from mirrorfleet.jobs.rings.outcome import Rings
from mirrorfleet.roles.registry import KnownEngines, roles
from mirrorfleet.runtime.preflight import preflight
from mirrorfleet.runtime.skipped import finish
from mirrorfleet.runtime.steps import in_order, take_steps


def mirror() -> None:
    """Change the hosts of this run."""
    all_roles = roles()

    # Read every host once. Report all problems and stop, before the first change on any host.
    preflight(KnownEngines(), *all_roles, Rings())

    # A role takes steps only on the hosts that it concerns. Keys first: a revoked key stops
    # working even if a later step fails.
    for role in in_order(all_roles):
        take_steps(role, role.authorize)

    # Firewall and ports, then engines, gateways, load balancers, clients, and your own roles. With
    # `rollout`: gateways, load balancers and clients ring by ring, each proved before the next.
    for role in in_order(in_rings(all_roles)):
        take_steps(role, role.apply)

    # Now nothing needs the former keys and passwords.
    for role in in_order(all_roles):
        take_steps(role, role.retire)

    # Remove what is no longer in the fleet file, in reverse: clients, load balancers, gateways,
    # engines, and the firewall's former rules last.
    for role in in_order(reversed(all_roles)):
        take_steps(role, role.remove)

    # Exit code 1 if something was skipped on a host.
    finish()


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    mirror()
