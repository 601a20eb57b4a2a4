"""Settings that adapt Claude Code to the capabilities of a fleet's models.

A session can switch to any model that the developer's key allows, and subagents do. Settings per
model follow from each model. Settings per session follow from the models that are not Claude.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from mirrorfleet.config import Developers, Fleet, Model, ProviderModel
from mirrorfleet.config.client_ids import TIERS
from mirrorfleet.data import table
from mirrorfleet.engines.abilities import Thinking, abilities, is_claude
from mirrorfleet.planning.provenance import Provenance
from mirrorfleet.planning.routes import aliases, web_search_by
from mirrorfleet.planning.setting import Setting, Settings, group_key

SMALL = 100_000
"""Context window, in tokens, that counts as small.

The first prompt takes 23,300 tokens with all tools, and 8,900 without the rarely used ones.
"""


class Choice(NamedTuple):
    """The model of a group, and all models that its developers can switch to (``open``)."""

    fleet: Fleet
    group: Developers
    model: Model
    open: tuple[Model, ...]

    @property
    def others(self) -> list[str]:
        """Return the names of the open models that are not Claude."""
        return [model.name for model in self.open if not is_claude(model)]


def choice(fleet: Fleet, group: Developers, allowed: Sequence[str]) -> Choice:
    """Return the choice of a developer whose key allows the models ``allowed``; empty: all."""
    models = fleet.models.values()
    opened = [model for model in models if not allowed or model.name in allowed]
    with_tools = tuple(model for model in opened if abilities(model).tools)
    return Choice(fleet, group, fleet.resolve(group.model), with_tools)


def fitting(chosen: Choice) -> Settings:
    """Derive the settings that depend on the capabilities of the models behind the gateway."""
    yield from _available(chosen)
    yield from _fallback(chosen)
    yield from _thinking(chosen)
    if chosen.others:
        yield from _unlike_claude(chosen)
    if denied := list(_denied(chosen)):
        yield ("permissions", "deny"), _denial(chosen, denied)


def _available(chosen: Choice) -> Settings:
    models = group_key(chosen.group, "models")
    provenance = Provenance(
        (group_key(chosen.group, "settings.availableModels"), models, "models", "aliases"),
        "the models that the key allows: if an agent file or a skill requests another one, the "
        "client uses the session's model instead",
    )
    yield ("availableModels",), Setting(_names(chosen), provenance)


def _names(chosen: Choice) -> list[str]:
    """Return the names that the client may request.

    Without tiers: the client resolves them to models, and ``opus`` in this list would allow every
    Opus. Without Claude's own ids for other models: the client uses the vendor's context window
    for these ids.
    """
    models = {model.name: model for model in chosen.open}
    own = {identity for identities in chosen.fleet.client_ids.values() for identity in identities}
    return [
        *models,
        *(
            name
            for name, to in _gateway_names(chosen.fleet).items()
            if to in models and name not in TIERS and (name not in own or is_claude(models[to]))
        ),
    ]


def _gateway_names(fleet: Fleet) -> Mapping[str, str]:
    """Return the aliases that the gateway knows. An external one knows none of this file."""
    return {} if fleet.external_gateway else aliases(fleet)


def _fallback(chosen: Choice) -> Settings:
    opened = {model.name for model in chosen.open}
    own = chosen.group.settings.get("availableModels")
    targets = [
        name
        for name in chosen.fleet.fallbacks.get(chosen.model.name, ())
        if name in opened and (not isinstance(own, list) or name in own)
    ]
    if targets:
        key = group_key(chosen.group, "settings.fallbackModel")
        provenance = Provenance(
            (key, f"fallbacks.{chosen.model.name}"),
            "used at once if the gateway answers 503, instead of ten retries in three minutes",
        )
        yield ("fallbackModel",), Setting(targets, provenance)


def _thinking(chosen: Choice) -> Settings:
    group, model = chosen.group, chosen.model
    key = group_key(group, "thinking")
    if group.thinking is False:
        yield ("alwaysThinkingEnabled",), Setting(False, Provenance((key,)))
        if not any(_engine_thinks(model) for model in chosen.open):
            provenance = Provenance(
                (key, group_key(group, "model")),
                "no model of the group needs a request to disable it",
            )
            yield ("env", "CLAUDE_CODE_DISABLE_THINKING"), Setting("1", provenance)
    elif group.thinking is None and not any(_may_think(other) for other in (model, *chosen.open)):
        provenance = Provenance(
            (key, f"models.{model.name}.thinking", f"models.{model.name}.family"),
            "no model of the group thinks",
        )
        yield ("env", "CLAUDE_CODE_DISABLE_THINKING"), Setting("1", provenance)


def _may_think(model: Model) -> bool:
    return abilities(model).thinking.mode != "none"


def _engine_thinks(model: Model) -> bool:
    """Return whether a model of an engine thinks, so that a request must disable it."""
    return not isinstance(model, ProviderModel) and not is_claude(model) and _may_think(model)


def _unlike_claude(chosen: Choice) -> Settings:
    group, names = chosen.group, _listed(chosen.others)
    yield (
        ("env", "CLAUDE_CODE_MODEL_CAPABILITIES"),
        Setting(
            ";".join(_capabilities(chosen)),
            Provenance(
                (group_key(group, "settings.env.CLAUDE_CODE_MODEL_CAPABILITIES"), "models"),
                "for each name of a model other than Claude: no system messages inside the "
                "conversation, which its chat template moves or rejects; thinking can be disabled; "
                "no effort levels that it does not have",
            ),
        ),
    )
    yield (
        ("env", "ENABLE_TOOL_SEARCH"),
        Setting(
            "false",
            Provenance(
                (group_key(group, "settings.env.ENABLE_TOOL_SEARCH"), "models"),
                "tool search adds blocks to the conversation that only Claude supports: with "
                f"{names}, the session would fail",
            ),
        ),
    )
    if group.permissions.default_mode != "auto":
        yield (
            ("disableAutoMode",),
            Setting(
                "disable",
                Provenance(
                    (group_key(group, "permissions.default_mode"), "models"),
                    "the safety check of auto mode, the client's default, runs at the vendor: with "
                    f"{names}, the first risky action would stop the turn",
                ),
            ),
        )


def _capabilities(chosen: Choice) -> Iterator[str]:
    """Yield the capabilities to disable for each model id, as ``ID=-CAPABILITY,-CAPABILITY``."""
    known = table("claude_local")["capabilities"]
    names = _gateway_names(chosen.fleet)
    for model in chosen.open:
        if is_claude(model):
            continue
        missing = [*known["every"]]
        if _engine_thinks(model):
            missing += [*known["thinking"], *_efforts(abilities(model).thinking)]
        others = [name for name, to in names.items() if to == model.name and name not in TIERS]
        for name in (model.name, *others):
            yield f"{name.lower()}=" + ",".join(f"-{capability}" for capability in missing)


def _efforts(thinking: Thinking) -> list[str]:
    """Return the effort capabilities to disable.

    A gateway replaces a level that the model does not have by the nearest one.
    """
    if not thinking.efforts:
        return ["effort"]
    return [f"{level}_effort" for level in ("max", "xhigh") if level not in thinking.efforts]


def _denied(chosen: Choice) -> Iterator[str]:
    """Yield tools that take too much of a small window, if the group has no rule for them."""
    model, permissions = chosen.model, chosen.group.permissions
    mentioned = {rule.split("(")[0] for rule in (*permissions.allow, *permissions.ask)}
    if is_claude(model) or model.context >= SMALL:
        # A gateway without a search service answers WebSearch with the reason, which the model can
        # report to the developer: the client shows nothing for a denied tool.
        return
    tools = table("claude_local")["rare_tools"]
    if web_search_by(chosen.fleet, model) is None:
        tools = ["WebSearch", *tools]
    yield from (tool for tool in tools if tool not in mentioned)


def _denial(chosen: Choice, denied: list[str]) -> Setting:
    model, permissions = chosen.model, group_key(chosen.group, "permissions")
    reasons = [f"rarely used tools take too much of a context window of {model.context} tokens"]
    if "WebSearch" in denied:
        reasons.insert(0, f"'{model.name}' and the gateway cannot search")
    rules = [*chosen.group.permissions.deny]
    value = [*rules, *(tool for tool in denied if tool not in rules)]
    keys = (
        f"{permissions}.deny",
        f"{permissions}.allow",
        f"models.{model.name}",
        "gateway.web_search",
    )
    return Setting(value, Provenance(keys, "; ".join(reasons)))


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
