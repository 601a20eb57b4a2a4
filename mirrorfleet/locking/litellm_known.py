"""The names that a locked LiteLLM knows, in the format of mirrorfleet/data/litellm_known/.

Prints the file when run by the Python of a gateway's environment: `mirrorfleet lock litellm` does
so, and tests/litellm/test_known.py compares it.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import logging
import os
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, get_args

os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "CRITICAL"}

import litellm
from litellm._logging import verbose_logger
from litellm.litellm_core_utils import litellm_logging
from litellm.proxy import proxy_server
from litellm.proxy._experimental.mcp_server import mcp_server_manager
from litellm.proxy._types import ConfigGeneralSettings
from litellm.proxy.common_utils import callback_utils
from litellm.types.guardrails import (
    GuardrailEventHooks,
    LitellmParams,
    SupportedGuardrailIntegrations,
)
from litellm.types.litellm_params import RoutingStrategyName
from litellm.types.llms.anthropic import AnthropicMessagesRequestOptionalParams
from litellm.types.router import GenericLiteLLMParams, LiteLLMParamsTypedDict
from litellm.types.utils import all_litellm_params

PLAIN = (bool, int, float, str, list, dict, type(None))
INTERNAL = re.compile("^_|_models$|_models_list$|_list$|_instance$|^initialized_")


def litellm_settings() -> set[str]:
    """Return the attributes of the module, which the section sets, and the special keys."""
    attributes = {
        name
        for name in litellm.__annotations__
        if isinstance(getattr(litellm, name, None), PLAIN) and not INTERNAL.search(name)
    }
    special = re.findall(r'key == "(\w+)"', inspect.getsource(proxy_server.ProxyConfig.load_config))
    return {
        *attributes,
        *special,
        # Undeclared names: the section sets them, and other files read them.
        *_read(r'getattr\(litellm, "([a-z]\w+)"', lambda name: not hasattr(litellm, name)),
        # Switches without a type.
        *_read(r"\blitellm\.([a-z]\w+)\b", _is_switch),
        *_read(r'litellm_settings(?:\.get\(\s*|\[)"([a-z]\w+)"'),
        *("drop_params", "json_logs", "modify_params"),
    }


def _is_switch(name: str) -> bool:
    return isinstance(getattr(litellm, name, ""), bool | None) and not INTERNAL.search(name)


def _read(pattern: str, counts: Callable[[str], bool] = bool, folders: str = "") -> set[str]:
    """Return the names that a pattern finds in LiteLLM's source, if ``counts`` accepts them."""
    package, read = Path(litellm.__file__).parent, re.compile(pattern)
    roots = [package / folder for folder in folders.split()] or [package]
    files = [path for root in roots for path in (root.rglob("*.py") if root.is_dir() else [root])]
    found = {name for path in files for name in read.findall(path.read_text("utf-8"))}
    return {name for name in found if counts(name)}


def general_settings() -> set[str]:
    """Return the fields of the section's model, and the other names that the proxy reads."""
    return {
        *ConfigGeneralSettings.model_fields,
        *_read(r'general_settings(?:\.get\(\s*|\[)"(\w+)"', folders="proxy"),
    }


def router_settings() -> set[str]:
    """Return the router's arguments that the configuration file can set."""
    elsewhere = proxy_server.ROUTER_SETTINGS_MANAGED_OUTSIDE_CONFIG
    return {name for name in litellm.Router.get_valid_args() if name not in elsewhere}


def model_parameters() -> set[str]:
    """Return the parameters of a deployment: LiteLLM's own, and those for providers.

    These are the declared ones, and those that the code of the providers reads.
    """
    names = {
        *GenericLiteLLMParams.model_fields,
        *LiteLLMParamsTypedDict.__annotations__,
        *all_litellm_params,
        *litellm.OPENAI_CHAT_COMPLETION_PARAMS,
        *AnthropicMessagesRequestOptionalParams.__annotations__,
        *inspect.signature(litellm.utils.get_optional_params).parameters,
        *("model", "extra_headers", "extra_body", "weight", "order", "max_parallel_requests"),
        *_read(READ, folders="integrations/anthropic_cache_control_hook.py"),
        *_read(READ, folders="llms"),
        *_options("llms/*/chat/transformation.py"),
        *_options("llms/*/completion/transformation.py"),
    }
    return {name for name in names if not REQUEST.search(name)}


def _options(files: str) -> set[str]:
    """Return the options of the classes in some files that configure requests to a provider."""
    texts = (path.read_text("utf-8") for path in Path(litellm.__file__).parent.glob(files))
    return {name for text in texts for name in OPTION.findall(text)}


OPTION = re.compile(r"^    ([a-z]\w+): .+ \| None = None", re.MULTILINE)

READ = r'(?:optional_params|non_default_params|litellm_params)\.(?:get|pop)\(\s*"([a-z]\w+)"'

REQUEST = re.compile(
    "^_|^a(completion|embedding|img_generation|text_completion|llm_passthrough_route)$|^async_call$"
    "|^litellm_(logging_obj|call_id|metadata|session_id)$|^(self|kwargs|client|messages)$"
    "|^model_(info|list)$|^complete_response$|^(final|initial)_prompt_value$|^proxy_server_request$"
    "|^secret_fields$|^attempted_targets$|^fallback_depth$|^shared_session$"
    "|^additional_args$|^original_|^completion_call_id$|^logger_fn$"
)
"""Names that LiteLLM itself passes with each request."""


def providers() -> set[str]:
    """Return the prefixes of models that LiteLLM routes: `groq` of `groq/llama-3.3-70b`."""
    return {str(getattr(provider, "value", provider)) for provider in litellm.provider_list}


def mcp_server() -> set[str]:
    """Return the settings of one of `mcp_servers` that the proxy reads."""
    source = inspect.getsource(mcp_server_manager)
    return set(re.findall(r'server_config(?:\.get\(\s*|\[)"(\w+)"', source))


def guardrail_parameters() -> set[str]:
    """Return the parameters of a guardrail."""
    return set(LitellmParams.model_fields)


INTERNAL_CALLBACK = re.compile("rate_limiter|hook|agent$|prompt|bitbucket|gitlab")
"""Callbacks that LiteLLM adds itself, or that fetch prompts from a section of their own."""

MISSING = re.compile("install|No module|No package|Enterprise|enterprise|not available")


def callbacks() -> set[str]:
    """Return the callbacks for logs, traces, metrics and hooks whose packages are locked."""
    logging = set(litellm._known_custom_logger_compatible_callbacks) - {"prometheus"}
    source = inspect.getsource(callback_utils.initialize_callbacks_on_proxy)
    return {
        *(name for name in logging if not INTERNAL_CALLBACK.search(name) and _can_start(name)),
        *(name for name in re.findall(r'callback == "(\w+)"', source) if _proxy_has(name)),
    }


def _proxy_has(name: str) -> bool:
    """Return whether the proxy can create the callback without a license."""
    try:
        with redirect_stdout(StringIO()):
            callback_utils.initialize_callbacks_on_proxy([name], False, "", {}, {})
    except Exception as error:
        return not MISSING.search(str(error))
    return True


def _can_start(name: str) -> bool:
    """Return whether a callback starts, or only an address or a key is missing.

    LiteLLM logs the reason, and continues without the callback.
    """
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    verbose_logger.handlers, verbose_logger.propagate = [handler], False
    try:
        litellm_logging._init_custom_logger_compatible_class(name, None, None)
    except Exception as error:
        messages.append(str(error))
    return not MISSING.search(" ".join(messages))


def known() -> dict[str, Any]:
    """Return the names by section of the file."""
    return {
        "litellm_settings": litellm_settings(),
        "router_settings": router_settings(),
        "general_settings": general_settings(),
        "models": model_parameters(),
        "providers": providers(),
        "mcp_servers": mcp_server(),
        "callbacks": callbacks(),
        "guardrails": {integration.value for integration in SupportedGuardrailIntegrations},
        "guardrail_modes": {hook.value for hook in GuardrailEventHooks},
        "guardrail_parameters": guardrail_parameters(),
        "routing_strategies": set(get_args(RoutingStrategyName)),
    }


if __name__ == "__main__":
    print(f"# Names that LiteLLM {importlib.metadata.version('litellm')} knows.", end=" ")
    print("Written by `mirrorfleet lock`; not for editing.")
    for section, names in known().items():
        print(f"\n{section}:")
        for name in sorted(names):
            print(f"  - {name}")
