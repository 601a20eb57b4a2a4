"""Which release of Debian each host of the lab gets."""

from dataclasses import dataclass, field

from .hosts import BY_NAME, FLEET, Host
from .image import SUITES
from .terminal import LabError

DEFAULT = "12"


@dataclass(frozen=True)
class Releases:
    """A release for all hosts, and the releases of hosts that have another one, by name."""

    release: str = DEFAULT
    others: dict[str, str] = field(default_factory=dict)

    def of(self, host: Host) -> str:
        """Return the release of a host."""
        return self.others.get(host.name, self.release)


def parse(text: str) -> Releases:
    """Read the option `--debian`: "13", "13,gpu=12" or "gw-2=13".

    Raise ``LabError`` for an unknown release or host.
    """
    words = [word.rpartition("=") for word in text.split(",")]
    for host, _, release in words:
        if release not in SUITES:
            known = ", ".join(SUITES)
            raise LabError(f"--debian: unknown release '{release}': use one of {known}")
        if host and host not in BY_NAME:
            known = ", ".join(host.name for host in FLEET)
            raise LabError(f"--debian: unknown host '{host}': use one of {known}")
    release = next((release for host, _, release in words if not host), DEFAULT)
    return Releases(release, {host: release for host, _, release in words if host})
