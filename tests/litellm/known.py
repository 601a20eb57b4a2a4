"""What a locked LiteLLM knows by name, as a file of fleet/data/litellm_known/ has it.

Run by the Python of the environment of a gateway (tests/litellm/environment.py), it prints the
file; test_known.py compares. For a new lock file:

    export MIRRORFLEET_LITELLM=1.109.1
    .venv/bin/python -m tests.litellm.environment
    .venv/bin/python -m tests.litellm.environment known >fleet/data/litellm_known/1.109.1.yml
"""

from __future__ import annotations

import importlib.metadata
import inspect
import logging
import os
import re
from pathlib import Path
from typing import Any, get_args

os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "CRITICAL"}

import litellm
from litellm._logging import verbose_logger
from litellm.litellm_core_utils import litellm_logging
from litellm.proxy import proxy_server
from litellm.proxy._types import ConfigGeneralSettings
from litellm.types.guardrails import (
    GuardrailEventHooks,
    LitellmParams,
    SupportedGuardrailIntegrations,
)
from litellm.types.litellm_params import RoutingStrategyName
from litellm.types.router import GenericLiteLLMParams

PLAIN = (bool, int, float, str, list, dict, type(None))
INTERNAL = re.compile("^_|_models$|_models_list$|_list$|_instance$|^initialized_")


def litellm_settings() -> set[str]:
    """Attributes of the module, which is what the section sets, and the keys with a way of their
    own."""
    attributes = {
        name
        for name in litellm.__annotations__
        if isinstance(getattr(litellm, name, None), PLAIN) and not INTERNAL.search(name)
    }
    special = re.findall(r'key == "(\w+)"', inspect.getsource(proxy_server.ProxyConfig.load_config))
    return attributes | set(special) | {"drop_params", "json_logs", "modify_params"}


def general_settings() -> set[str]:
    """Fields of its model, and what the proxy reads of the section beside them."""
    read = re.compile(r'general_settings(?:\.get\(\s*|\[)"(\w+)"')
    package = Path(proxy_server.__file__).parent
    sources = [path.read_text("utf-8") for path in package.rglob("*.py")]
    return {
        *ConfigGeneralSettings.model_fields,
        *(name for source in sources for name in read.findall(source)),
    }


def router_settings() -> set[str]:
    elsewhere = proxy_server.ROUTER_SETTINGS_MANAGED_OUTSIDE_CONFIG
    return {name for name in litellm.Router.get_valid_args() if name not in elsewhere}


def model_parameters() -> set[str]:
    """Parameters of a deployment: LiteLLM's own, and those that go on to a provider."""
    return {
        *(name for name in GenericLiteLLMParams.model_fields if name != "model_info"),
        *litellm.OPENAI_CHAT_COMPLETION_PARAMS,
        *("model", "extra_headers", "extra_body", "weight", "order", "max_parallel_requests"),
    }


def guardrail_parameters() -> set[str]:
    ours = ("guardrail", "mode", "default_on")
    return {name for name in LitellmParams.model_fields if name not in ours}


NO_DESTINATION = re.compile("rate_limiter|hook|agent$|interception|prompt|bitbucket|gitlab")
"""Callbacks that change requests or fetch prompts, and send nothing anywhere."""

LACKING = re.compile("install|No module|No package|Enterprise|enterprise|not available")


def callbacks() -> set[str]:
    """Callbacks that log, trace or measure somewhere, and need no package that is not locked."""
    names = set(litellm._known_custom_logger_compatible_callbacks) - {"prometheus"}
    return {name for name in names if not NO_DESTINATION.search(name) and _can_start(name)}


def _can_start(name: str) -> bool:
    """Does it start, or lack nothing but an address or a key?

    LiteLLM itself tells the reason to its log, and goes on without the callback.
    """
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    verbose_logger.handlers, verbose_logger.propagate = [handler], False
    try:
        litellm_logging._init_custom_logger_compatible_class(name, None, None)
    except Exception as error:
        said.append(str(error))
    return not LACKING.search(" ".join(said))


def known() -> dict[str, Any]:
    return {
        "litellm_settings": litellm_settings(),
        "router_settings": router_settings(),
        "general_settings": general_settings(),
        "models": model_parameters(),
        "callbacks": callbacks(),
        "guardrails": {each.value for each in SupportedGuardrailIntegrations},
        "guardrail_modes": {each.value for each in GuardrailEventHooks},
        "guardrail_parameters": guardrail_parameters(),
        "routing_strategies": set(get_args(RoutingStrategyName)),
    }


if __name__ == "__main__":
    print(f"# Names that LiteLLM {importlib.metadata.version('litellm')} knows.", end=" ")
    print("Made by tests/litellm/known.py; not for editing.")
    for section, names in known().items():
        print(f"\n{section}:")
        for name in sorted(names):
            print(f"  - {name}")
