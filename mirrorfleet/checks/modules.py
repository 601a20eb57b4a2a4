"""Python modules of the user's own, and the settings that name a part of one: ``file.instance``."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from mirrorfleet.config import Fleet, Gateway
from mirrorfleet.config.modules import Module
from mirrorfleet.config.problems import Key, Problem, did_you_mean

OWN = ("mirrorfleet_", "check_config", "check_image", "probe", "running_engines", "litellm")
"""How names of files in a generation begin that Mirrorfleet or LiteLLM needs."""

LARGEST = 1024**2
"""Most bytes of a module: it travels with every generation."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    gateway = fleet.gateway
    if gateway is None:
        return
    names = [module.name for module in gateway.modules]
    for index, module in enumerate(gateway.modules):
        key: Key = ("gateway", "modules", index)
        if module.name in names[:index]:
            yield fleet.document.problem(
                key, f"is the second module '{module.name}'.", "Rename one of the two files."
            )
        yield from _module(fleet, key, module)
    for key, name in _references(fleet, gateway):
        yield from reference(fleet, key, name)


def _module(fleet: Fleet, key: Key, module: Module) -> Iterator[Problem]:
    if module.path.suffix != ".py" or not module.name.isidentifier():
        yield fleet.document.problem(
            key, f"is '{module.path.name}', which is not the name of a module.", "Write NAME.py."
        )
    elif module.name.startswith(OWN) or module.name in sys.stdlib_module_names:
        yield fleet.document.problem(
            key, f"'{module.name}' would replace a module of the gateway.", "Rename the file."
        )
    elif module.text is None:
        yield fleet.document.problem(
            key,
            f"'{fleet.document.data['gateway']['modules'][key[-1]]}' cannot be read.",
            "Write the path of a Python file in UTF-8, relative to this file.",
        )
    elif len(module.text.encode()) > LARGEST:
        yield fleet.document.problem(
            key, f"{module.path.name} is larger than {LARGEST} bytes.", "Split it."
        )
    else:
        try:
            # Compiled and not run: only the gateways have what it imports.
            compile(module.text, module.path.name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError) as error:
            line = getattr(error, "lineno", None)
            where = f"{module.path.name}, line {line}" if line else module.path.name
            yield fleet.document.problem(
                key, f"{where}: {getattr(error, 'msg', error)}.", "Correct the file."
            )


def reference(fleet: Fleet, key: Key, name: str) -> Iterator[Problem]:
    """Yield problems of a setting that names a part of a module, as ``file.instance``."""
    gateway = fleet.gateway
    known = {module.name: module for module in gateway.modules} if gateway else {}
    module, _, part = name.partition(".")
    given = (("gateway", "modules"),)
    if module not in known:
        yield fleet.document.problem(
            key,
            f"'{name}' is in the module '{module}', which the gateways do not have.",
            did_you_mean(module, known, listed=False) or f"Add modules: [{module}.py] to gateway.",
            given=given,
        )
        return
    parts = _defined(known[module].text or "")
    if parts is not None and part not in parts:
        yield fleet.document.problem(
            key,
            f"{module}.py does not define '{part}'.",
            did_you_mean(part, parts),
            given=given,
        )


def _defined(text: str) -> set[str] | None:
    """Return the names at the top of a module; ``None`` if they cannot be known."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Assign():
                names |= {each.id for each in node.targets if isinstance(each, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Expr():
                pass
            case ast.Import() | ast.ImportFrom():
                if any(each.name == "*" for each in node.names):
                    return None
                names |= {(each.asname or each.name).split(".")[0] for each in node.names}
            case _:
                return None  # a condition or a loop can define anything
    return names


def _references(fleet: Fleet, gateway: Gateway) -> Iterator[tuple[Key, str]]:
    for index, name in enumerate(gateway.callbacks):
        if "." in name:
            yield ("gateway", "callbacks", index), name
    for guardrail in gateway.guardrails:
        if "." in guardrail.guardrail:
            yield ("gateway", "guardrails", guardrail.name, "guardrail"), guardrail.guardrail
    settings: Key = ("gateway", "extra", "litellm_settings")
    extra = gateway.extra.get("litellm_settings", {})
    providers = extra.get("custom_provider_map", [])
    for index, each in enumerate(providers if isinstance(providers, list) else []):
        if isinstance(each, dict):
            key = (*settings, "custom_provider_map", index, "custom_handler")
            yield key, str(each.get("custom_handler", ""))
    if rule := extra.get("post_call_rules"):
        yield (*settings, "post_call_rules"), str(rule)
