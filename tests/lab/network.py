"""The hosts' network: one bridge, and one nftables table that filters traffic from it."""

import json
import shutil
import subprocess
import time
from ipaddress import ip_interface
from pathlib import Path

from . import kernel, machine_settings
from .hosts import BRIDGE, GATEWAY, NETWORK
from .terminal import CannotRun

TABLE = "mirrorfleet_lab"

# Hosts reach the machine's DNS servers, HTTP and HTTPS anywhere, and each other without limits. The
# first rule is for uplinks with a smaller MTU than the bridge.
_RULES = """
table inet {table}
delete table inet {table}
table inet {table} {{
    chain forward {{
        type filter hook forward priority filter; policy accept;
        iifname "{bridge}" tcp flags syn tcp option maxseg size set rt mtu
        iifname "{bridge}" oifname "{bridge}" accept
        oifname "{bridge}" ct state established,related accept
        oifname "{bridge}" reject
        iifname "{bridge}" ip daddr {{ {resolvers} }} meta l4proto {{ tcp, udp }} th dport 53 accept
        iifname "{bridge}" tcp dport {{ {ports} }} accept
        iifname "{bridge}" reject with icmpx type admin-prohibited
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat;
        ip saddr {network} oifname != "{bridge}" masquerade
    }}
}}
"""


def up(hosts: int) -> None:
    """Create or update the bridge and the table for a number of hosts."""
    if not _exists():
        _refuse_taken_addresses()
        kernel.forget()
        _run("ip", "link", "add", "name", BRIDGE, "type", "bridge")
    kernel.raise_for(hosts)
    _run("ip", "address", "replace", str(GATEWAY), "dev", BRIDGE)
    _run("ip", "link", "set", "dev", BRIDGE, "up")
    _run("nft", "-f", "-", text=_rules())
    _allow_in_iptables()


def down() -> None:
    """Restore the kernel's settings, then remove the bridge and the table. The order matters:
    without a bridge, `up` takes a record of settings for one of an earlier boot."""
    kernel.restore()
    if _exists():
        _wait_for_ports()
        _run("ip", "link", "delete", "dev", BRIDGE)
    for rule in _iptables_forward():
        if BRIDGE in rule:
            _run("iptables", "--wait", "--delete", *rule[1:])
    if shutil.which("nft"):
        # Declared first, so that deleting a missing table is no error.
        _run("nft", "-f", "-", text=f"table inet {TABLE}\ndelete table inet {TABLE}\n")


def _rules() -> str:
    ports = sorted({80, 443, *machine_settings.proxy_ports()})
    return _RULES.format(
        table=TABLE,
        bridge=BRIDGE,
        network=NETWORK,
        resolvers=", ".join(machine_settings.resolvers()),
        ports=", ".join(map(str, ports)),
    )


def _refuse_taken_addresses() -> None:
    for link in json.loads(_run("ip", "-json", "-4", "address", "show")):
        for address in link["addr_info"]:
            taken = ip_interface(f"{address['local']}/{address['prefixlen']}").network
            if taken.overlaps(NETWORK):
                raise CannotRun(
                    f"the lab's network {NETWORK} overlaps with {taken} on {link['ifname']}: "
                    "set that interface down, or change GATEWAY in tests/lab/hosts.py"
                )


def _allow_in_iptables() -> None:
    """Accept traffic of the bridge where Docker or ufw set the policy of FORWARD to drop. The lab's
    own table still rejects packets: a packet must pass both."""
    present = _iptables_forward()
    if ["-P", "FORWARD", "DROP"] not in present:
        return
    for side in ("-i", "-o"):
        rule = ["FORWARD", side, BRIDGE, "-j", "ACCEPT"]
        if ["-A", *rule] not in present:
            _run("iptables", "--wait", "--insert", *rule)


def _iptables_forward() -> list[list[str]]:
    """Return the rules of the FORWARD chain as arguments of iptables; [] without iptables."""
    if not shutil.which("iptables"):
        return []
    listing = _run("iptables", "--wait", "--list-rules", "FORWARD")
    return [line.split() for line in listing.splitlines()]


def _wait_for_ports() -> None:
    """Wait until the kernel has removed the network interfaces of dead hosts."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _run("ip", "-o", "link", "show", "master", BRIDGE):
        time.sleep(0.05)


def _exists() -> bool:
    return Path("/sys/class/net", BRIDGE).exists()


def _run(*command: str, text: str = "") -> str:
    done = subprocess.run(command, check=False, input=text, capture_output=True, text=True)
    if done.returncode:
        raise CannotRun(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout
