"""The lab's hosts and their addresses."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

BRIDGE = "mirrorfleet0"
GATEWAY = IPv4Interface("10.77.0.1/24")
NETWORK = GATEWAY.network

# The user that deploys log in as: an ordinary user with sudo, as in production.
OPERATOR = "deploy"

MOST_EXTRAS = 100


@dataclass(frozen=True)
class Host:
    """A host of the lab; `people` are its ordinary users."""

    name: str
    address: IPv4Address
    people: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """Return the users that can log in."""
        return (OPERATOR, *self.people)


FLEET = (
    Host("gpu", NETWORK[11]),
    Host("gw-1", NETWORK[21]),
    Host("gw-2", NETWORK[22]),
    Host("dev", NETWORK[31], people=("ada", "grace")),
    Host("dev-2", NETWORK[32], people=("linus",)),
)
EXTRAS = tuple(Host(f"extra-{n}", NETWORK[100 + n]) for n in range(1, MOST_EXTRAS + 1))
BY_NAME = {host.name: host for host in FLEET + EXTRAS}


def etc_hosts() -> str:
    """Return the /etc/hosts of every guest. It has the extra hosts too, booted or not, so that it
    never changes."""
    names = "".join(f"{host.address}\t{host.name}\n" for host in BY_NAME.values())
    return f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n{names}"
