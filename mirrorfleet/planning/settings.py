"""The settings of Claude Code that follow from the group, the gateway and the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from mirrorfleet.config import Developers, Fleet, Gateway, Model, ProviderModel
from mirrorfleet.config.addresses import is_any
from mirrorfleet.config.compaction import ANSWER
from mirrorfleet.config.key_holders import opened
from mirrorfleet.config.problems import checked
from mirrorfleet.data import table
from mirrorfleet.planning.fitting import choice, fitting
from mirrorfleet.planning.provenance import Provenance, literal
from mirrorfleet.planning.routes import http
from mirrorfleet.planning.setting import Path, Setting, Settings, group_key
from mirrorfleet.planning.tiers import tier_model

KEY_FILE = "mirrorfleet-key"
"""File with the developer's gateway key, in the settings directory, readable by the owner only."""

CERTIFICATES = "/opt/mirrorfleet/claude/certificates"
"""Directory for uploaded certificates on a host, with one file per group."""


def settings(
    fleet: Fleet, group: Developers, allowed: Sequence[str] | None = None
) -> dict[Path, Setting]:
    """Derive the settings of a group, by path.

    ``allowed``: the models that a developer's key allows, if they differ from the group's.
    """
    gateway = checked(fleet.gateway, "gateway")
    model = fleet.resolve(group.model)
    return dict(
        [
            *_models(fleet, group, model),
            *_connection(fleet, group, gateway),
            *_engine(group, model),
            *_privacy(group),
            *_network(fleet, group, gateway),
            *_policy(group),
            *fitting(choice(fleet, group, opened(fleet, group) if allowed is None else allowed)),
            *_extra(group),
        ]
    )


def nested(derived: Mapping[Path, Setting]) -> dict[str, Any]:
    """Return the values of settings as the nested mappings of settings.json."""
    content: dict[str, Any] = {}
    for (*above, name), setting in derived.items():
        inner = content
        for part in above:
            inner = inner.setdefault(part, {})
        inner[name] = setting.value
    return content


def window(model: Model) -> int:
    """Return the context window to configure in the client, in tokens.

    It is the engine's window, without the part of ``output`` above ``ANSWER``: the client reserves
    at most ``ANSWER`` tokens for an answer (and ``compaction.MARGIN``) before it compacts, and
    without room for the whole answer, the engine refuses the prompt or cuts the answer.
    """
    return model.context - max(0, model.output - ANSWER)


def gateway_url(fleet: Fleet, gateway: Gateway) -> str:
    """Return the URL that clients connect to: gateway.url, or that of the one server."""
    if gateway.url:
        return gateway.url.rstrip("/")
    server = fleet.load_balancer or gateway
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


def _connection(fleet: Fleet, group: Developers, gateway: Gateway) -> Settings:
    yield (
        ("apiKeyHelper",),
        Setting(
            # The same command in every scope: the client sets CLAUDE_CONFIG_DIR.
            f'cat "${{CLAUDE_CONFIG_DIR:-$HOME/.claude}}/{KEY_FILE}"',
            Provenance(
                (group_key(group, "key"), "keys.root"), "from a file in the user's home directory"
            ),
        ),
    )
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


def _models(fleet: Fleet, group: Developers, model: Model) -> Settings:
    key = group_key(group, "model")
    yield (
        ("model",),
        Setting(
            model.name,
            Provenance(
                (key,), "set, because otherwise the client uses a context window of its own"
            ),
        ),
    )
    yield (
        ("env", "ANTHROPIC_DEFAULT_MODEL"),
        Setting(
            model.name,
            Provenance(
                (key,), "otherwise `/model default` assumes a context window of 1,000,000 tokens"
            ),
        ),
    )
    for tier in table("claude_code"):
        serving, provenance = tier_model(fleet, group, tier)
        yield ("env", f"ANTHROPIC_DEFAULT_{tier.upper()}_MODEL"), Setting(serving.name, provenance)
    if group.subagent_model:
        yield (
            ("env", "CLAUDE_CODE_SUBAGENT_MODEL"),
            Setting(
                fleet.resolve(group.subagent_model).name,
                Provenance((group_key(group, "subagent_model"),)),
            ),
        )


def _engine(group: Developers, model: Model) -> Settings:
    key, served = group_key(group, "model"), f"models.{model.name}"
    yield (
        ("env", "CLAUDE_CODE_MAX_CONTEXT_TOKENS"),
        Setting(
            str(window(model)),
            Provenance(
                (f"{served}.context", f"{served}.output", key),
                "the model's context window, without the part of its output above "
                f"{ANSWER} tokens, which the client does not reserve",
            ),
        ),
    )
    yield (
        ("env", "CLAUDE_CODE_MAX_OUTPUT_TOKENS"),
        Setting(
            str(model.output),
            Provenance(
                (f"{served}.output", key), "so that prompt and answer fit the context window"
            ),
        ),
    )
    if not isinstance(model, ProviderModel):
        for name, value, cause in (
            ("CLAUDE_CODE_ATTRIBUTION_HEADER", "0", "a header that changes with every request"),
            ("CLAUDE_CODE_TOTAL_TOKENS_REMINDER", "off", "a figure that changes with every turn"),
        ):
            reason = f"{cause} would invalidate the engine's prefix cache"
            yield ("env", name), Setting(value, Provenance((key,), reason))


def _privacy(group: Developers) -> Settings:
    level = table("claude_privacy")[group.privacy]
    key = group_key(group, "privacy")
    for name, reason in level.get("settings", {}).items():
        yield (name,), Setting(True, Provenance((key,), reason))
    for name, reason in level.get("env", {}).items():
        yield ("env", name), Setting("1", Provenance((key,), reason))


def _network(fleet: Fleet, group: Developers, gateway: Gateway) -> Settings:
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


def _policy(group: Developers) -> Settings:
    if group.scope == "managed":
        reason = "so that no client bypasses the gateway"
        provenance = Provenance(
            (group_key(group, "scope"), group_key(group, "settings.allowedProviders")), reason
        )
        yield ("allowedProviders",), Setting(["customEndpoint"], provenance)
    key = group_key(group, "permissions")
    for name in ("allow", "ask", "deny"):
        if rules := getattr(group.permissions, name):
            yield ("permissions", name), Setting(list(rules), Provenance((f"{key}.{name}",)))
    if group.permissions.default_mode:
        provenance = Provenance((f"{key}.default_mode",))
        yield ("permissions", "defaultMode"), Setting(group.permissions.default_mode, provenance)
    if group.permissions.disable_bypass:
        provenance = Provenance((f"{key}.disable_bypass",))
        yield ("permissions", "disableBypassPermissionsMode"), Setting("disable", provenance)
    for name, version in (
        ("requiredMinimumVersion", group.minimum_version),
        ("requiredMaximumVersion", group.maximum_version),
    ):
        if version:
            key = "minimum_version" if "Minimum" in name else "maximum_version"
            yield (name,), Setting(version, Provenance((group_key(group, key),)))


def _extra(group: Developers) -> Settings:
    key = group_key(group, "settings")
    for name, value in group.settings.items():
        if name == "env":
            for variable, content in value.items():
                yield (
                    ("env", variable),
                    Setting(content, Provenance((f"{key}.env.{literal(variable)}",))),
                )
        else:
            yield (name,), Setting(value, Provenance((f"{key}.{literal(name)}",)))
