"""System packages and system users, where the host does not have them yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.report import Change

# Not pyinfra's own operation: after a run that was cut it finds apt locked by what that run left at
# work, or dpkg interrupted. `check` waits for the one and fails for the other.
INSTALL = """\
export DEBIAN_FRONTEND=noninteractive
wait='-o DPkg::Lock::Timeout=300'
apt-get -qq $wait check || dpkg --configure -a
apt-get -qq update
apt-get -qq -y $wait --no-install-recommends install {names} >/dev/null
"""

# A package may have brought the user meanwhile, or its group alone.
CREATE_USER = """\
getent passwd {user} >/dev/null || {{
    ! getent group {user} >/dev/null || set -- -g {user}
    useradd -r -M -d /nonexistent -s /usr/sbin/nologin "$@" {user}
}}
"""


def install(names: Iterable[str], observed: Observation) -> Commands:
    """Install those of the packages that the host does not have."""
    if missing := [name for name in names if name not in observed.packages]:
        yield script(INSTALL.format(names=" ".join(missing)))


def create_user(user: str, observed: Observation) -> Commands:
    """Create the system user of a service: without a home, a shell or a password."""
    if user not in observed.users:
        yield script(CREATE_USER.format(user=user))


def missing(observed: Observation, packages: Iterable[str], user: str = "") -> Iterator[Change]:
    """Yield the packages and the user that a run will add to the host."""
    for name in packages:
        if name not in observed.packages:
            yield Change(f"package {name} is missing")
    if user and user not in observed.users:
        yield Change(f"user {user} is missing")
