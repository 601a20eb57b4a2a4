"""What Claude Code must be told so that it agrees with the gateway and with the engine behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from fleet.addresses import is_any
from fleet.data import table
from fleet.parsers import reasoning_parser
from fleet.plan.keys import opens
from fleet.plan.routes import http
from fleet.plan.why import Why
from fleet.spec import Developers, Fleet, Gateway, Model, ProviderModel, VllmModel

Path = tuple[str, ...]
"""A place in settings.json: ``("env", "API_TIMEOUT_MS")``."""

KEY_FILE = "mirrorfleet-key"
"""The developer's gateway key, in the client's own directory, for the owner's eyes only."""

ANSWER = 20_000
"""Tokens at most that the client keeps free for an answer, however long an answer may be."""

MARGIN = 13_000
"""Tokens before that from which on it compacts, so that the newest results still fit."""

CERTIFICATES = "/opt/mirrorfleet/claude/certificates"
"""Where pushed certificates stand on a host, a file per group."""


class Setting(NamedTuple):
    """A value of a client's settings, and where it comes from."""

    value: Any
    why: Why


Settings = Iterator[tuple[Path, Setting]]


def settings(fleet: Fleet, group: Developers) -> dict[Path, Setting]:
    """Derive the settings of a group from what it wants and the engine behind its model."""
    gateway = fleet.gateway
    assert gateway is not None, "check refuses developers without a gateway"
    model = fleet.resolve(group.model)
    return dict(
        [
            *_models(fleet, group, model),
            *_connection(fleet, group, gateway),
            *_engine(group, model),
            *_privacy(group),
            *_network(fleet, group, gateway),
            *_policy(group),
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
    compacts earlier by ``MARGIN`` and by the answer, of which it counts no more than ``ANSWER``.
    """
    return model.context - max(0, model.output - ANSWER)


def gateway_url(fleet: Fleet, gateway: Gateway) -> str:
    """Return where developers reach the gateways, said or derived from the only door there is."""
    if gateway.url:
        return gateway.url.rstrip("/")
    door = fleet.front or gateway
    listen = door.listen
    if listen is None or is_any(listen):
        listen = fleet.hosts[door.hosts[0]].address
    url = http(listen, door.port)
    if fleet.front is None:
        return url
    url = url if fleet.front.plain else url.replace("http:", "https:")
    return url.removesuffix(":80" if fleet.front.plain else ":443")


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
            Why((_said(group, "key"), "keys.root"), "read from a file of the developer's own"),
        ),
    )
    yield (
        ("env", "ANTHROPIC_BASE_URL"),
        Setting(
            gateway_url(fleet, gateway),
            Why(
                ("gateway.url", "front", "gateway.hosts", "gateway.port"),
                "of one front door, or one gateway, it is derived",
            ),
        ),
    )
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        reason = "empty: one of the user's own shell would go to the gateway instead of the key"
        yield ("env", name), Setting("", Why((_said(group, "key"), "keys.root"), reason))
    yield (
        ("env", "API_TIMEOUT_MS"),
        Setting(
            str((gateway.timeout + 30) * 1000),
            Why(
                ("gateway.timeout",),
                "30 s more than the gateway waits: the error that is seen is nearest to its cause",
            ),
        ),
    )
    yield ("env", "DISABLE_AUTOUPDATER"), Setting("1", Why((), "the fleet decides the release"))


def _models(fleet: Fleet, group: Developers, model: Model) -> Settings:
    wanted = _said(group, "model")
    yield (
        ("model",),
        Setting(
            model.name,
            Why((wanted,), "pinned, because without it the client takes a window of its own"),
        ),
    )
    for tier in table("claude_code"):
        why = Why((f"aliases.{tier}",))
        serving = fleet.find(tier)
        if not serving:
            why = Why((wanted,), f"nothing is called {tier}, and its calls must be answered")
            serving = model
        elif not opens(fleet, group, serving):
            said = _said(group, "models")
            why = Why((said, wanted), f"{tier} is not among them, and its calls must be answered")
            serving = model
        yield ("env", f"ANTHROPIC_DEFAULT_{tier.upper()}_MODEL"), Setting(serving.name, why)
    if group.subagent_model:
        yield (
            ("env", "CLAUDE_CODE_SUBAGENT_MODEL"),
            Setting(
                fleet.resolve(group.subagent_model).name, Why((_said(group, "subagent_model"),))
            ),
        )


def _engine(group: Developers, model: Model) -> Settings:
    wanted, served = _said(group, "model"), f"models.{model.name}"
    yield (
        ("env", "CLAUDE_CODE_MAX_CONTEXT_TOKENS"),
        Setting(
            str(window(model)),
            Why(
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
            Why((f"{served}.output", wanted), "so that prompt and answer fit the window"),
        ),
    )
    if not _thinks(group, model):
        yield (
            ("env", "CLAUDE_CODE_DISABLE_THINKING"),
            Setting(
                "1",
                Why(
                    (_said(group, "thinking"), f"{served}.reasoning_parser", f"{served}.family"),
                    "asked for where no parser tells it from the answer, it would be mixed in",
                ),
            ),
        )
    if not isinstance(model, ProviderModel):
        for name, value, what in (
            ("CLAUDE_CODE_ATTRIBUTION_HEADER", "0", "a header that changes with every request"),
            ("CLAUDE_CODE_TOTAL_TOKENS_REMINDER", "off", "a figure that changes with every turn"),
        ):
            reason = f"{what} would spoil the engine's prefix cache"
            yield ("env", name), Setting(value, Why((wanted,), reason))


def _thinks(group: Developers, model: Model) -> bool:
    if group.thinking is not None or not isinstance(model, VllmModel):
        return group.thinking is not False
    return reasoning_parser(model) is not None


def _privacy(group: Developers) -> Settings:
    level = table("claude_privacy")[group.privacy]
    key = _said(group, "privacy")
    for name, reason in level.get("settings", {}).items():
        yield (name,), Setting(True, Why((key,), reason))
    for name, reason in level.get("env", {}).items():
        yield ("env", name), Setting("1", Why((key,), reason))


def _network(fleet: Fleet, group: Developers, gateway: Gateway) -> Settings:
    if path := certificates(group):
        why = Why((_said(group, "ca_certificates"),))
        yield ("env", "NODE_EXTRA_CA_CERTS"), Setting(path, why)
    if group.proxy:
        key = _said(group, "proxy")
        for name in ("HTTPS_PROXY", "HTTP_PROXY"):
            yield ("env", name), Setting(group.proxy.url, Why((f"{key}.url",)))
        straight = group.proxy.no_proxy
        if straight is None:
            server = urlsplit(gateway_url(fleet, gateway)).hostname or ""
            straight = (server, "localhost", "127.0.0.1", "::1")
        yield (
            ("env", "NO_PROXY"),
            Setting(
                ",".join(straight),
                Why((f"{key}.no_proxy", "gateway.url"), "the gateway is reached straight"),
            ),
        )


def _policy(group: Developers) -> Settings:
    if group.scope == "managed":
        reason = "a policy for a gateway lets no client around it"
        why = Why((_said(group, "scope"), _said(group, "settings.allowedProviders")), reason)
        yield ("allowedProviders",), Setting(["customEndpoint"], why)
    key = _said(group, "permissions")
    for name in ("allow", "ask", "deny"):
        if rules := getattr(group.permissions, name):
            yield ("permissions", name), Setting(list(rules), Why((f"{key}.{name}",)))
    if group.permissions.default_mode:
        why = Why((f"{key}.default_mode",))
        yield ("permissions", "defaultMode"), Setting(group.permissions.default_mode, why)
    if group.permissions.disable_bypass:
        why = Why((f"{key}.disable_bypass",))
        yield ("permissions", "disableBypassPermissionsMode"), Setting("disable", why)
    for name, version in (
        ("requiredMinimumVersion", group.minimum_version),
        ("requiredMaximumVersion", group.maximum_version),
    ):
        if version:
            said = "minimum_version" if "Minimum" in name else "maximum_version"
            yield (name,), Setting(version, Why((_said(group, said),)))


def _extra(group: Developers) -> Settings:
    key = _said(group, "settings")
    for name, value in group.settings.items():
        if name == "env":
            for variable, content in value.items():
                yield ("env", variable), Setting(content, Why((f"{key}.env.{variable}",)))
        else:
            yield (name,), Setting(value, Why((f"{key}.{name}",)))


def _said(group: Developers, key: str) -> str:
    return f"developers.{group.name}.{key}"
