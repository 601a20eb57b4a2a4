"""Install NVIDIA's driver on the hosts whose `driver` names its package.

pyinfra --dry inventories/prod.py deploys/drivers.py    # shows what would be installed and removed
pyinfra inventories/prod.py deploys/drivers.py

Where another driver is loaded, the new one runs after a reboot. The run reports that, and reboots
nothing.
"""

from mirrorfleet.jobs.drivers import Drivers
from mirrorfleet.runtime.preflight import preflight
from mirrorfleet.runtime.steps import in_order, take_steps


def drivers() -> None:
    """Install the drivers on the hosts of this run."""
    role = Drivers()

    # Read every host once. Report all problems and stop, before the first change on any host.
    preflight(role)

    for each in in_order([role]):
        take_steps(each, each.apply)


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    drivers()
