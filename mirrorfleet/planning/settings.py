"""The settings of Claude Code that follow from the group, the gateway and the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mirrorfleet.config import (
    Developers,
    Fleet,
    Model,
    ProviderModel,
)
from mirrorfleet.config.client_ids import TIERS
from mirrorfleet.config.compaction import ANSWER
from mirrorfleet.config.key_holders import opened
from mirrorfleet.config.problems import checked
from mirrorfleet.data import table
from mirrorfleet.engines.abilities import is_claude
from mirrorfleet.planning import rollout
from mirrorfleet.planning.claude_files import marketplaces, placed
from mirrorfleet.planning.connection import connection, status_line
from mirrorfleet.planning.fitting import choice, fitting
from mirrorfleet.planning.provenance import Provenance, literal
from mirrorfleet.planning.setting import Path, Setting, Settings, group_key
from mirrorfleet.planning.tiers import tier_model


def settings(
    fleet: Fleet, group: Developers, allowed: Sequence[str] | None = None
) -> dict[Path, Setting]:
    """Derive the settings of a group, by path.

    ``allowed``: the models that a developer's key allows, if they differ from the group's.
    """
    gateway = fleet.external_gateway or checked(fleet.gateway, "gateway")
    model = fleet.resolve(group.model)
    return dict(
        [
            *_models(fleet, group, model),
            *connection(fleet, group, gateway),
            *_engine(group, model),
            *_privacy(group),
            *_policy(group),
            *_prices(fleet, group),
            *status_line(fleet, group),
            *fitting(choice(fleet, group, opened(fleet, group) if allowed is None else allowed)),
            *_extra(group),
            *rollout.header(fleet, group),
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
    for tier in TIERS:
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
    if not isinstance(model, ProviderModel) and not is_claude(model):
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
    if directories := group.permissions.additional_directories:
        provenance = Provenance((f"{key}.additional_directories",))
        yield ("permissions", "additionalDirectories"), Setting(list(directories), provenance)
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


def _prices(fleet: Fleet, group: Developers) -> Settings:
    """Yield the prices of the fleet's models, which the client reads in managed settings only."""
    if group.scope != "managed" or not fleet.prices:
        return
    rows: dict[str, dict[str, float]] = {}
    for model, price in fleet.prices.items():
        row = {
            "input": price.input,
            "output": price.output,
            "cacheRead": price.cache_read,
            "cacheWrite": price.cache_write,
        }
        rows |= dict.fromkeys((model, *fleet.names(fleet.models[model])), row)
    sources = tuple(f"models.{model}.price" for model in fleet.prices)
    provenance = Provenance(sources, "otherwise `/cost` invents a price for models it doesn't know")
    yield ("modelPricing",), Setting({"overrides": rows}, provenance)


def _extra(group: Developers) -> Settings:
    key = group_key(group, "settings")
    yield from marketplaces(group)
    for name, value in group.settings.items():
        if name in ("env", "extraKnownMarketplaces") and isinstance(value, dict):
            for inner, content in value.items():
                provenance = Provenance((f"{key}.{name}.{literal(inner)}",))
                yield (name, inner), Setting(placed(group, content), provenance)
        else:
            provenance = Provenance((f"{key}.{literal(name)}",))
            yield (name,), Setting(placed(group, value), provenance)
