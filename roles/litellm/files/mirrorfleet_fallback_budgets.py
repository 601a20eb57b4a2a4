"""Refuse a fallback into a model whose budget is spent.

The budgets of the requested model were checked before LiteLLM (mirrorfleet_limits.py). LiteLLM
calls this hook for each deployment that it chooses, also for a fallback's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import litellm
from litellm.integrations.custom_logger import CustomLogger

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_budgets import TURN, Budgets, refusal
    from mirrorfleet.roles.litellm.files.mirrorfleet_key_file import Refused
else:
    from mirrorfleet_budgets import TURN, Budgets, refusal
    from mirrorfleet_key_file import Refused

Json = dict[str, Any]


class FallbackBudgets(CustomLogger):  # type: ignore[misc]
    """Refuse a fallback into a model whose budget is spent; called for each deployment."""

    def __init__(self, budgets: Budgets) -> None:
        super().__init__()
        self._budgets = budgets

    async def async_pre_call_deployment_hook(self, kwargs: Json, call_type: Any) -> Json | None:
        """Return None, which changes nothing. Raises LiteLLM's exception if a budget is spent."""
        turn = TURN.get()
        metadata = kwargs.get("litellm_metadata") or kwargs.get("metadata") or {}
        model = metadata.get("deployment_model_name")
        if turn is None or not model or model == turn.model:
            return None
        try:
            turn.refused = refusal(await self._budgets.states(turn.spender, model))
        except Refused as broken:
            turn.refused = broken
        if turn.refused:
            # Not as a 429, which would keep the deployment from everybody else for a while.
            raise litellm.BadRequestError(
                str(turn.refused), model=model, llm_provider="mirrorfleet"
            )
        return None


def install(budgets: Budgets) -> None:
    """Check the fallbacks of this worker."""
    litellm.logging_callback_manager.add_litellm_callback(FallbackBudgets(budgets))
