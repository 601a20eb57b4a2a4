"""Settings of this machine that guests need: DNS servers, package mirrors, proxies, certificates.

A machine behind a proxy, a private mirror or a company's certificate authority has such settings,
and its guests need them to reach the package archives. Settings with a password are left out,
because all users of a guest can read its files. So are settings that point at this machine itself:
a guest cannot reach them.
"""

import configparser
import os
import re
import subprocess
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from . import paths
from .terminal import CannotRun

_LOCAL_CERTIFICATES = Path("/usr/local/share/ca-certificates")
_TRUSTED = Path("/etc/ssl/certs")

_APT = ("Acquire::Check-Valid-Until", "Acquire::Check-Date")
_APT_PROXIES = ("Acquire::http::Proxy", "Acquire::https::Proxy")
_PIP = ("index-url", "extra-index-url", "trusted-host", "proxy")
_NPM = ("registry", "proxy", "https-proxy", "noproxy")
_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")

_USELESS_IN_A_GUEST = re.compile(r"@|^file:|//(localhost|127\.|\[::1\])| file:")


def resolvers() -> tuple[str, ...]:
    """Return the addresses of DNS servers that a guest can use.

    A guest cannot use a stub on the loopback address (systemd-resolved), so return that resolver's
    own servers. Raises ``CannotRun`` if there are none.
    """
    for path in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        named = re.findall(r"^nameserver\s+([\d.]+)\s*$", _text(path), re.MULTILINE)
        if reachable := tuple(a for a in named if not ip_address(a).is_loopback):
            return reachable
    raise CannotRun(
        "guests would have no DNS: /etc/resolv.conf has no IPv4 server except this machine itself. "
        "Add a line `nameserver ADDRESS` with your network's DNS server"
    )


def apt_sources(suite: str) -> tuple[str, ...]:
    """Return lines of sources.list for a suite of Debian with this machine's mirror, whatever its
    own suite; empty without a mirror: then mmdebstrap uses its default."""
    release = _os_release()
    name = release.get("VERSION_CODENAME", "")
    mirrors = _archives() if release.get("ID") == "debian" else {}
    if name not in mirrors:
        return ()
    suites = {end: mirrors.get(name + end) for end in ("", "-updates", "-security")}
    return tuple(f"deb {mirror} {suite}{end} main" for end, mirror in suites.items() if mirror)


def apt_options() -> dict[str, str]:
    """Return options of this machine's apt that guests need: date checks, proxies."""
    dump = _output("apt-config", "dump", "--format", "%f %v%n", *_APT, *_APT_PROXIES)
    return _useful(dict(line.split(" ", 1) for line in dump.splitlines()), _APT + _APT_PROXIES)


def certificates() -> dict[str, str]:
    """Return the certificate authorities that were added to this machine: file name to PEM."""
    added = sorted(_LOCAL_CERTIFICATES.rglob("*.crt"))
    trusted = [path for path in added if (_TRUSTED / f"{path.stem}.pem").exists()]
    return {path.name: path.read_text() for path in trusted}


def pip_options() -> dict[str, str]:
    """Return the options of this machine's pip for indexes and proxies."""
    home = paths.invoker_home()
    parser = configparser.RawConfigParser(strict=False)
    parser.read(["/etc/pip.conf", home / ".pip/pip.conf", home / ".config/pip/pip.conf"])
    return _useful(parser["global"] if parser.has_section("global") else {}, _PIP)


def npm_options() -> dict[str, str]:
    """Return the options of this machine's npm for registries and proxies."""
    files = _text(Path("/etc/npmrc")) + "\n" + _text(paths.invoker_home() / ".npmrc")
    pairs = re.findall(r"^\s*([\w-]+)\s*=\s*(.*?)\s*$", files, re.MULTILINE)
    return _useful(dict(pairs), _NPM)


def environment() -> dict[str, str]:
    """Return this process's proxy variables, by their lower-case names."""
    given = {name: os.environ.get(name) or os.environ.get(name.upper(), "") for name in _VARIABLES}
    return _useful(given, _VARIABLES)


def proxy_ports() -> tuple[int, ...]:
    """Return the ports of the proxies in the guests' settings."""
    settings = [pip_options(), npm_options(), environment(), apt_options()]
    proxies = [v for options in settings for n, v in options.items() if n.lower().endswith("proxy")]
    return tuple(sorted({port for proxy in proxies if (port := _port(proxy))}))


def _port(proxy: str) -> int | None:
    return urlsplit(proxy).port if "//" in proxy else None


def _useful(options: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """Select the options with these names whose values work in a guest."""
    given = {name: options.get(name, "") for name in names}
    return {name: v for name, v in given.items() if v and not _USELESS_IN_A_GUEST.search(v)}


def _archives() -> dict[str, str]:
    """Return the mirror of each suite's main component in this machine's apt sources."""
    form = "$(RELEASE) $(COMPONENT) $(SITE)"
    targets = _output("apt-get", "indextargets", "--format", form, "Created-By: Packages")
    lines = (line.split(" ", 2) for line in targets.splitlines())
    return {suite: site for suite, component, site in lines if component == "main"}


def _os_release() -> dict[str, str]:
    pairs = (line.partition("=") for line in _text(Path("/etc/os-release")).splitlines())
    return {name: value.strip('"') for name, _, value in pairs}


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
