"""What Claude Code must be told so that it agrees with the gateway and with the engine behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from mirrorfleet.config import Developers, Fleet, Gateway, Model, ProviderModel
from mirrorfleet.config.addresses import is_any
from mirrorfleet.config.compaction import ANSWER
from mirrorfleet.config.key_holders import opened, opens
from mirrorfleet.config.problems import checked
from mirrorfleet.data import table
from mirrorfleet.planning.fitting import choice, fitting
from mirrorfleet.planning.provenance import Provenance, literal
from mirrorfleet.planning.routes import http
from mirrorfleet.planning.setting import Path, Setting, Settings, group_key

KEY_FILE = "mirrorfleet-key"
"""The developer's gateway key, in the client's own directory, for the owner's eyes only."""

CERTIFICATES = "/opt/mirrorfleet/claude/certificates"
"""Where pushed certificates stand on a host, a file per group."""


def settings(
    fleet: Fleet, group: Developers, allowed: Sequence[str] | None = None
) -> dict[Path, Setting]:
    """Derive the settings of a group from what it says and the engine behind its model.

    ``allowed`` are the models that a developer's key opens, if not those of the group.
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


def nested(said: Mapping[Path, Setting]) -> dict[str, Any]:
    """Return the settings as settings.json holds them."""
    content: dict[str, Any] = {}
    for (*above, name), setting in said.items():
        inner = content
        for part in above:
            inner = inner.setdefault(part, {})
        inner[name] = setting.value
    return content


def window(model: Model) -> int:
    """Return the window that a client is told of: that of the engine, but for long answers.

    A prompt that leaves no room for the whole answer is refused, or its answer cut. The client
    compacts earlier by ``compaction.MARGIN`` and by the answer, ``ANSWER`` at most.
    """
    return model.context - max(0, model.output - ANSWER)


def gateway_url(fleet: Fleet, gateway: Gateway) -> str:
    """Return where developers reach the gateways, said or derived from the only door there is."""
    if gateway.url:
        return gateway.url.rstrip("/")
    door = fleet.load_balancer or gateway
    listen = door.listen
    if listen is None or is_any(listen):
        listen = fleet.hosts[door.hosts[0]].address
    url = http(listen, door.port)
    if fleet.load_balancer is None:
        return url
    url = url if fleet.load_balancer.plain else url.replace("http:", "https:")
    return url.removesuffix(":80" if fleet.load_balancer.plain else ":443")


def certificates(group: Developers) -> str | None:
    """Return where the certificates of a group stand on its hosts."""
    if group.ca_certificates is None:
        return None
    if group.ca_certificates.kind == "path":
        return group.ca_certificates.source
    return f"{CERTIFICATES}/{group.name}.pem"


def _connection(fleet: Fleet, group: Developers, gateway: Gateway) -> Settings:
    yield (
        ("apiKeyHelper",),
        Setting(
            # The same words in every scope: the client tells them which directory is its own.
            f'cat "${{CLAUDE_CONFIG_DIR:-$HOME/.claude}}/{KEY_FILE}"',
            Provenance(
                (group_key(group, "key"), "keys.root"), "read from a file of the developer's own"
            ),
        ),
    )
    yield (
        ("env", "ANTHROPIC_BASE_URL"),
        Setting(
            gateway_url(fleet, gateway),
            Provenance(
                ("gateway.url", "load_balancer", "gateway.hosts", "gateway.port"),
                "of one load balancer, or one gateway, it is derived",
            ),
        ),
    )
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        reason = "empty: one of the user's own shell would go to the gateway instead of the key"
        yield ("env", name), Setting("", Provenance((group_key(group, "key"), "keys.root"), reason))
    yield (
        ("env", "API_TIMEOUT_MS"),
        Setting(
            str((gateway.timeout + 30) * 1000),
            Provenance(
                ("gateway.timeout",),
                "30 s more than the gateway waits: the error that is seen is nearest to its cause",
            ),
        ),
    )
    yield (
        ("env", "DISABLE_AUTOUPDATER"),
        Setting("1", Provenance((), "the fleet decides the release")),
    )


def _models(fleet: Fleet, group: Developers, model: Model) -> Settings:
    wanted = group_key(group, "model")
    yield (
        ("model",),
        Setting(
            model.name,
            Provenance(
                (wanted,), "pinned, because without it the client takes a window of its own"
            ),
        ),
    )
    yield (
        ("env", "ANTHROPIC_DEFAULT_MODEL"),
        Setting(
            model.name,
            Provenance(
                (wanted,), "else `/model default` takes it for one with a window of 1,000,000"
            ),
        ),
    )
    for tier in table("claude_code"):
        provenance = Provenance((f"aliases.{tier}",))
        serving = fleet.find(tier)
        if not serving:
            provenance = Provenance(
                (wanted,), f"nothing is called {tier}, and its calls must be answered"
            )
            serving = model
        elif not opens(fleet, group, serving):
            said = group_key(group, "models")
            provenance = Provenance(
                (said, wanted), f"{tier} is not among them, and its calls must be answered"
            )
            serving = model
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
    wanted, served = group_key(group, "model"), f"models.{model.name}"
    yield (
        ("env", "CLAUDE_CODE_MAX_CONTEXT_TOKENS"),
        Setting(
            str(window(model)),
            Provenance(
                (f"{served}.context", f"{served}.output", wanted),
                "the window of the engine behind the model, less what an answer may take beyond "
                f"{ANSWER} tokens, for which the client keeps no room",
            ),
        ),
    )
    yield (
        ("env", "CLAUDE_CODE_MAX_OUTPUT_TOKENS"),
        Setting(
            str(model.output),
            Provenance((f"{served}.output", wanted), "so that prompt and answer fit the window"),
        ),
    )
    if not isinstance(model, ProviderModel):
        for name, value, what in (
            ("CLAUDE_CODE_ATTRIBUTION_HEADER", "0", "a header that changes with every request"),
            ("CLAUDE_CODE_TOTAL_TOKENS_REMINDER", "off", "a figure that changes with every turn"),
        ):
            reason = f"{what} would spoil the engine's prefix cache"
            yield ("env", name), Setting(value, Provenance((wanted,), reason))


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
        straight = group.proxy.no_proxy
        if straight is None:
            server = urlsplit(gateway_url(fleet, gateway)).hostname or ""
            straight = (server, "localhost", "127.0.0.1", "::1")
        yield (
            ("env", "NO_PROXY"),
            Setting(
                ",".join(straight),
                Provenance((f"{key}.no_proxy", "gateway.url"), "the gateway is reached straight"),
            ),
        )


def _policy(group: Developers) -> Settings:
    if group.scope == "managed":
        reason = "a policy for a gateway lets no client around it"
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
            said = "minimum_version" if "Minimum" in name else "maximum_version"
            yield (name,), Setting(version, Provenance((group_key(group, said),)))


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
