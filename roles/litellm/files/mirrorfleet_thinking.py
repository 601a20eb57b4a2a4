"""Translate thinking and effort into what the chat template of a model on vLLM needs.

Clients send `thinking` (adaptive, enabled, disabled, or none at all) and `output_config.effort`.
vLLM translates them into `reasoning_effort` and `enable_thinking` of the chat template. Many
templates have other names for them, and reject levels that they do not know. So for a deployment
with `mirrorfleet_thinking` in its model_info, this module writes the arguments of its template:

- for a request with thinking: the arguments that enable it, at the level nearest to its effort;
- for any other request: those that disable it. A model that always thinks gets its lowest level.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]

INFO, ARGUMENTS = "mirrorfleet_thinking", "chat_template_kwargs"

LEVELS = ("minimal", "low", "medium", "high", "xhigh", "max")
"""Levels of effort, the lowest first."""

EFFORT = "high"
"""The effort that enables thinking, for a request without one: the default of Anthropic's API."""


def translated(info: Json, request: Json) -> Json:
    """Return the parameters of a request that change; None removes one.

    A budget of tokens is removed too: LiteLLM would make an effort of it.

    `info`: `mode` (always or switchable), `efforts` (the levels that the template knows), and
    `enabled` and `disabled`, the arguments of the template. With `by_effort`, vLLM's own
    translation of the effort is right, and the only one that the model accepts.
    """
    thinking = request.get("thinking") or {}
    config = dict(request.get("output_config") or {})
    effort = config.pop("effort", None)
    is_on = thinking.get("type") in ("adaptive", "enabled")
    is_switch = info["mode"] == "switchable"
    if is_on and not effort and info["by_effort"] and is_switch:
        effort = EFFORT
    kept, level, arguments = None, None, None
    if is_on:
        # Without an effort, the template's own default.
        level = nearest(effort, info["efforts"]) if effort else None
    elif not is_switch:
        level = min(info["efforts"], key=LEVELS.index, default=None)
    elif info["by_effort"]:
        kept = {"type": "disabled"}
    if not info["by_effort"]:
        arguments = {
            **info["enabled" if is_on else "disabled"],
            **({"reasoning_effort": level} if level else {}),
        }
    elif level:
        config["effort"] = level
    return {"thinking": kept, "output_config": config or None, ARGUMENTS: arguments}


def nearest(effort: str, levels: Sequence[str]) -> str | None:
    """Return the level that is nearest to an effort, the higher of two; None without levels."""
    at = LEVELS.index(effort if effort in LEVELS else EFFORT)
    distances = {level: abs(LEVELS.index(level) - at) for level in levels}
    return min(levels, key=lambda level: (distances[level], -LEVELS.index(level)), default=None)


def install() -> None:
    """Translate every turn of this worker."""
    import litellm
    from litellm.integrations.custom_logger import CustomLogger
    from litellm.llms.anthropic.pass_through.messages import utils
    from litellm.types.utils import CallTypes

    # Without it, LiteLLM removes the parameter: it is vLLM's, not Anthropic's.
    utils.AnthropicMessagesRequestOptionalParams.__annotations__[ARGUMENTS] = Json
    utils.anthropic_messages_optional_param_keys.cache_clear()

    class Translation(CustomLogger):  # type: ignore[misc]
        """The hook of LiteLLM for each chosen deployment, also of a fallback."""

        async def async_pre_call_deployment_hook(
            self, kwargs: Json, call_type: CallTypes | None
        ) -> Json | None:
            """Return the parameters of the call if they change."""
            info = (kwargs.get("model_info") or {}).get(INFO)
            if info is None or call_type != CallTypes.anthropic_messages:
                return None
            return {**kwargs, **translated(info, kwargs)}

    litellm.logging_callback_manager.add_litellm_callback(Translation())
