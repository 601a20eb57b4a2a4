"""Settings that keep Claude Code to what the models of a fleet can do.

A session may switch to any model that the developer's key opens, and subagents do. What the client
can be told for each model is told for each. Of what holds for a whole session, the models that are
not Claude decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mirrorfleet.config import Developers, Fleet, Model, ProviderModel
from mirrorfleet.data import table
from mirrorfleet.engines.abilities import has_thinking, has_tools, has_web_search, is_claude
from mirrorfleet.engines.registry import engine_of
from mirrorfleet.planning.provenance import Provenance
from mirrorfleet.planning.routes import aliases
from mirrorfleet.planning.setting import Setting, Settings, group_key

SMALL = 100_000
"""Tokens. The first prompt takes 23,300 of them with all tools, and 8,900 without the rare ones."""


class Choice(NamedTuple):
    """The model of a group, and all the models that a developer of it can switch to."""

    fleet: Fleet
    group: Developers
    model: Model
    open: tuple[Model, ...]

    @property
    def others(self) -> list[str]:
        """The names of those that are not Claude."""
        return [model.name for model in self.open if not is_claude(model)]


def choice(fleet: Fleet, group: Developers, allowed: Sequence[str]) -> Choice:
    """Return what a developer can use whose key opens the ``allowed`` models; none are all."""
    models = fleet.models.values()
    opened = [model for model in models if not allowed or model.name in allowed]
    return Choice(fleet, group, fleet.resolve(group.model), tuple(filter(has_tools, opened)))


def fitting(chosen: Choice) -> Settings:
    """Derive the settings that depend on what the models behind the gateway can do."""
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
        "what the key opens: agent files and skills may name other models, which the gateway "
        "refuses; the client takes the session's model instead",
    )
    yield ("availableModels",), Setting(_names(chosen), provenance)


def _names(chosen: Choice) -> list[str]:
    """Return the names that the client may ask for.

    The tiers are not among them: the client turns them into models, and ``opus`` in this list would
    allow every Opus. The window of Claude's own ids is the vendor's, whatever stands behind them.
    """
    models = {model.name: model for model in chosen.open}
    tiers = table("claude_code")
    own = {identity for identities in tiers.values() for identity in identities}
    return [
        *models,
        *(
            name
            for name, to in aliases(chosen.fleet).items()
            if to in models and name not in tiers and (name not in own or is_claude(models[to]))
        ),
    ]


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
            "asked at once when the gateway answers 503, instead of ten retries in three minutes",
        )
        yield ("fallbackModel",), Setting(targets, provenance)


def _thinking(chosen: Choice) -> Settings:
    group, model = chosen.group, chosen.model
    said = group_key(group, "thinking")
    if group.thinking is False:
        yield ("alwaysThinkingEnabled",), Setting(False, Provenance((said,)))
        if not any(has_thinking(each) for each in chosen.open):
            provenance = Provenance(
                (said, group_key(group, "model")), "no model here has to be told to stop"
            )
            yield ("env", "CLAUDE_CODE_DISABLE_THINKING"), Setting("1", provenance)
    elif group.thinking is None and not any(_may_think(each) for each in (model, *chosen.open)):
        provenance = Provenance(
            (said, f"models.{model.name}.reasoning_parser", f"models.{model.name}.family"),
            "asked for where no parser tells it from the answer, it would be mixed in",
        )
        yield ("env", "CLAUDE_CODE_DISABLE_THINKING"), Setting("1", provenance)


def _may_think(model: Model) -> bool:
    return isinstance(model, ProviderModel) or has_thinking(model)


def _unlike_claude(chosen: Choice) -> Settings:
    group, names = chosen.group, _listed(chosen.others)
    yield (
        ("env", "CLAUDE_CODE_MODEL_CAPABILITIES"),
        Setting(
            ";".join(_capabilities(chosen)),
            Provenance(
                (group_key(group, "settings.env.CLAUDE_CODE_MODEL_CAPABILITIES"), "models"),
                "for each name that leads to a model other than Claude: no system message in "
                "mid-conversation, which its template moves or refuses; thinking that can be "
                "turned off; no level of effort that it refuses",
            ),
        ),
    )
    yield (
        ("env", "ENABLE_TOOL_SEARCH"),
        Setting(
            "false",
            Provenance(
                (group_key(group, "settings.env.ENABLE_TOOL_SEARCH"), "models"),
                "tool search leaves blocks in the conversation that only Claude understands: "
                f"with {names}, the session would end",
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
                    f"{names}, the first risky action stops the turn",
                ),
            ),
        )


def _capabilities(chosen: Choice) -> Iterator[str]:
    """Yield what each name that the client may send must not be asked for, as ``id=-ability``."""
    known, tiers = table("claude_local")["capabilities"], table("claude_code")
    names = aliases(chosen.fleet)
    for model in chosen.open:
        if is_claude(model):
            continue
        lacking = [*known["every"], *(known["thinking"] if has_thinking(model) else ())]
        if not isinstance(model, ProviderModel):
            lacking += engine_of(model).refused_effort(model)
        also = [name for name, to in names.items() if to == model.name and name not in tiers]
        for name in (model.name, *also):
            yield f"{name.lower()}=" + ",".join(f"-{each}" for each in lacking)


def _denied(chosen: Choice) -> Iterator[str]:
    """Yield tools that cannot work or take too much room, unless the group has a rule for them."""
    model, permissions = chosen.model, chosen.group.permissions
    mentioned = {rule.split("(")[0] for rule in (*permissions.allow, *permissions.ask)}
    tools = [] if has_web_search(model) else ["WebSearch"]
    if not is_claude(model) and model.context < SMALL:
        tools += table("claude_local")["rare_tools"]
    yield from (tool for tool in tools if tool not in mentioned)


def _denial(chosen: Choice, denied: list[str]) -> Setting:
    model, permissions = chosen.model, group_key(chosen.group, "permissions")
    reasons = []
    if "WebSearch" in denied:
        reasons.append(f"WebSearch is a tool of the provider, and '{model.name}' has none")
    if denied != ["WebSearch"]:
        reasons.append(f"tools that few sessions use take room in a window of {model.context}")
    rules = [*chosen.group.permissions.deny]
    value = [*rules, *(tool for tool in denied if tool not in rules)]
    keys = (f"{permissions}.deny", f"{permissions}.allow", f"models.{model.name}")
    return Setting(value, Provenance(keys, "; ".join(reasons)))


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
