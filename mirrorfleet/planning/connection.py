"""How Claude Code connects to the gateway: its URL, the developer's key, certificates and proxy."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

from mirrorfleet.config import Developers, ExternalGateway, Fleet, Gateway
from mirrorfleet.config.addresses import is_any
from mirrorfleet.config.problems import checked
from mirrorfleet.planning.claude_files import placed
from mirrorfleet.planning.provenance import Provenance
from mirrorfleet.planning.routes import http
from mirrorfleet.planning.setting import Setting, Settings, group_key

KEY_FILE = "mirrorfleet-key"
"""File with the developer's gateway key, in the settings directory, readable by the owner only."""

STATUS_LINE = "/opt/mirrorfleet/claude/status_line.py"
"""The program that prints the status line, on a host whose developers have one."""

CERTIFICATES = "/opt/mirrorfleet/claude/certificates"
"""Directory for uploaded certificates on a host, with one file per group."""


def gateway_url(fleet: Fleet, gateway: Gateway | ExternalGateway) -> str:
    """Return the URL that clients connect to: gateway.url, or that of the one server."""
    if gateway.url:
        return gateway.url.rstrip("/")
    server = fleet.load_balancer or checked(fleet.gateway, "gateway")
    listen = server.listen
    if listen is None or is_any(listen):
        listen = fleet.hosts[server.hosts[0]].address
    url = http(listen, server.port)
    if fleet.load_balancer is None:
        return url
    url = url if fleet.load_balancer.plain else url.replace("http:", "https:")
    return url.removesuffix(":80" if fleet.load_balancer.plain else ":443")


def certificates(group: Developers) -> str | None:
    """Return the path of the group's certificates on its hosts; ``None`` without certificates."""
    if group.ca_certificates is None:
        return None
    if group.ca_certificates.kind == "path":
        return group.ca_certificates.source
    return f"{CERTIFICATES}/{group.name}.pem"


def connection(fleet: Fleet, group: Developers, gateway: Gateway | ExternalGateway) -> Settings:
    """Yield the gateway's URL, the developer's key, certificates and proxy, by path."""
    yield from _gateway(fleet, group, gateway)
    yield from _network(fleet, group, gateway)


def _gateway(fleet: Fleet, group: Developers, gateway: Gateway | ExternalGateway) -> Settings:
    yield ("apiKeyHelper",), _key_helper(group)
    yield (
        ("env", "ANTHROPIC_BASE_URL"),
        Setting(
            gateway_url(fleet, gateway),
            Provenance(
                ("gateway.url", "load_balancer", "gateway.hosts", "gateway.port"),
                "if unset, derived from the one load balancer or gateway",
            ),
        ),
    )
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        reason = "empty, so that the client does not send a value from the user's shell"
        yield ("env", name), Setting("", Provenance((group_key(group, "key"), "keys.root"), reason))
    yield (
        ("env", "API_TIMEOUT_MS"),
        Setting(
            str((gateway.timeout + 30) * 1000),
            Provenance(
                ("gateway.timeout",),
                "30 s more than the gateway's timeout, so that the user gets the gateway's error",
            ),
        ),
    )
    yield (
        ("env", "DISABLE_AUTOUPDATER"),
        Setting("1", Provenance((), "the group's version decides the release")),
    )


def key_helper(group: Developers) -> str:
    """Return the command that prints the developer's gateway key."""
    if group.key_helper:
        return str(placed(group, group.key_helper))
    # The same command in every scope: the client sets CLAUDE_CONFIG_DIR.
    return f'cat "${{CLAUDE_CONFIG_DIR:-$HOME/.claude}}/{KEY_FILE}"'


def _key_helper(group: Developers) -> Setting:
    if group.key_helper:
        return Setting(key_helper(group), Provenance((group_key(group, "key_helper"),)))
    keys = (group_key(group, "key"), "keys.root")
    return Setting(key_helper(group), Provenance(keys, "from a file in the user's home directory"))


def _network(fleet: Fleet, group: Developers, gateway: Gateway | ExternalGateway) -> Settings:
    if path := certificates(group):
        provenance = Provenance((group_key(group, "ca_certificates"),))
        yield ("env", "NODE_EXTRA_CA_CERTS"), Setting(path, provenance)
    if group.proxy:
        key = group_key(group, "proxy")
        for name in ("HTTPS_PROXY", "HTTP_PROXY"):
            yield ("env", name), Setting(group.proxy.url, Provenance((f"{key}.url",)))
        direct = group.proxy.no_proxy
        if direct is None:
            server = urlsplit(gateway_url(fleet, gateway)).hostname or ""
            direct = (server, "localhost", "127.0.0.1", "::1")
        yield (
            ("env", "NO_PROXY"),
            Setting(
                ",".join(direct),
                Provenance(
                    (f"{key}.no_proxy", "gateway.url"), "connections to the gateway are direct"
                ),
            ),
        )


def status_line(fleet: Fleet, group: Developers) -> Settings:
    """Yield the status line, which asks the gateway what is left of a developer's budget."""
    if not group.status_line or fleet.gateway is None:
        return
    arguments = [gateway_url(fleet, fleet.gateway), *filter(None, [certificates(group)])]
    # Isolated from the user's Python: no module of a home or of a variable is imported.
    command = shlex.join(["python3", "-ISB", STATUS_LINE, *arguments])
    keys = (group_key(group, "status_line"), "gateway.url")
    yield (
        ("statusLine",),
        Setting({"type": "command", "command": command}, Provenance(keys, "asks the gateway")),
    )
