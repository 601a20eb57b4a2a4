"""Install NVIDIA's driver on the hosts whose `driver` names its package.

pyinfra --dry inventories/prod.py deploys/drivers.py    # tells what would be installed, and removed
pyinfra inventories/prod.py deploys/drivers.py

Where another driver is loaded, the new one runs after a reboot: the run says so, and
reboots nothing.
"""

from mirrorfleet import runtime
from mirrorfleet.jobs import drivers as job


def drivers() -> None:
    """Install the drivers on the hosts of this run."""
    # One look at every host; what cannot work is refused here, before the first change on any.
    runtime.survey(job)

    job.install()


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    drivers()
