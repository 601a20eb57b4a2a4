"""Claude Code's settings.json and managed settings: a group of developers, and its models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from mirrorfleet.checks.claude import LOGIN
from mirrorfleet.config.addresses import before_v1
from mirrorfleet.config.claude_settings import release
from mirrorfleet.config.problems import Key
from mirrorfleet.data import table
from mirrorfleet.importing import claude_own as own
from mirrorfleet.importing import claude_permissions as permissions
from mirrorfleet.importing.claude_routes import KEY_VARIABLE, Routes
from mirrorfleet.importing.claude_values import once, valid
from mirrorfleet.importing.draft import Draft, boolean, whole
from mirrorfleet.importing.engine import HERE
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.hidden import Hidden, referred
from mirrorfleet.importing.litellm_names import resolved
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.releases import CLAUDE, CLIENT_IDS
from mirrorfleet.importing.sources import Source
from mirrorfleet.planning.rollout import CUSTOM_HEADERS, HEADER

DIRECT = "api.anthropic.com"
RING = f"{HEADER}:"
"""The start of a header that Mirrorfleet writes."""


class Group:
    """A group of developers on its way into the fleet file.

    ``available``: the models that Mirrorfleet has opened to a group.
    ``has_aliases``: a gateway of Mirrorfleet's is in the input, and has the aliases of the fleet.
    """

    def __init__(self, draft: Draft, name: str, *, has_gateway: bool, has_aliases: bool) -> None:
        self.draft, self.name, self.has_gateway = draft, name, has_gateway
        self.has_aliases = has_aliases
        self.routes = Routes(draft, has_gateway=has_gateway)
        self.key: Key = ("developers", name)
        self.address = self.url = ""
        self.seats: dict[str, list[str]] = {}
        self.hosts: list[str] = []
        self.available: set[str] = set()

    def read(self, source: Source, *, managed: bool) -> None:
        """Take the settings of a file."""
        draft, tree = self.draft, source.tree
        login, isolated = own.login(source), own.directory(source)
        if source.host and login and login not in self.seats.setdefault(source.host, []):
            self.seats[source.host].append(login)
        if managed:
            draft.put((*self.key, "scope"), "managed")
            self.hosts += [source.host] if source.host and source.host not in self.hosts else []
        elif isolated:
            draft.put((*self.key, "scope"), "isolated")
            if isolated != self.name:
                draft.put((*self.key, "command"), f"claude-{isolated}")
        is_own = own.is_own(source)
        if is_own:
            available = tree.get("availableModels")
            self.available |= {node.text for node in (available.list if available else ())}
            own.derived(draft, tree)
        env = tree.get("env")
        environment = dict(env.items) if env else {}
        if base := environment.pop("ANTHROPIC_BASE_URL", None):
            self._base(base)
        for variable in ("ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_MODEL"):
            self._model("model", environment.pop(variable, None))
        # In files of Mirrorfleet, a tier without an alias has the model of the session.
        if is_own:
            self._model("model", tree.get("model"))
        for tier in CLIENT_IDS:
            node = environment.pop(f"ANTHROPIC_DEFAULT_{tier.upper()}_MODEL", None)
            is_derived = self.has_aliases or (
                node and node.text == self.draft.get(*self.key, "model")
            )
            if is_own and node and is_derived:
                reason = "the model of the alias, or of the group for a tier without an alias"
                self.draft.leave(node, reason, Fate.DERIVED)
            else:
                self._tier(tier, node)
        self._tier("haiku", environment.pop("ANTHROPIC_SMALL_FAST_MODEL", None))
        self._model("model", None if is_own else tree.get("model"))
        self._model("subagent_model", environment.pop("CLAUDE_CODE_SUBAGENT_MODEL", None))
        self._privacy(environment)
        for name, node in environment.items():
            if not draft.ledger.has(node):
                self._variable(name, node)
        if listed := tree.get("permissions"):
            permissions.permissions(draft, self.key, listed)
        for name, node in tree.items.items():
            if name not in ("env", "permissions", "model") and not all(
                map(draft.ledger.has, node.leaves())
            ):
                self._setting(name, node, managed)
        draft.leave(tree, "has no value")

    def _base(self, node: Node) -> None:
        url = urlsplit(node.text)
        if not node.text or url.scheme not in ("http", "https") or not url.hostname:
            if referred(node.value) or isinstance(node.value, Hidden):
                self.draft.leave(node, "the address of the gateway must be written itself")
            else:
                self.draft.leave(node, "is not a URL")
        elif self.has_gateway:
            if url.scheme == "https" or self.draft.get("gateway", "external"):
                self.draft.take(
                    node, ("gateway", "url"), before_v1(node.text) or node.text.rstrip("/")
                )
            else:
                self.address = "" if url.hostname in HERE else url.hostname
                self.url = node.text.rstrip("/")
                self.draft.leave(node, "the address of the gateway", Fate.DERIVED)
        elif url.hostname == DIRECT:
            self.draft.leave(node, "the provider's own address", Fate.DERIVED)
        else:
            self.routes.base = before_v1(node.text) or node.text.rstrip("/")
            self.draft.settle(node, ("models",), "the URL of each model")

    def _tier(self, tier: str, node: Node | None) -> None:
        if node is None:
            return
        name = self.routes.find(node.text) if node.text else None
        before = self.draft.get("aliases", tier)
        if name is None:
            self.draft.leave(
                node, "the gateway has no model of this name" if node.text else "is empty"
            )
        elif name == tier or before is not None:
            reported = (
                f"aliases.{tier}"
                if before in (None, name) or name == tier
                else f"aliases.{tier} is set already"
            )
            self.draft.leave(node, reported, Fate.FOLDED)
        else:
            self.draft.take(node, ("aliases", tier), name)

    def _model(self, key: str, node: Node | None) -> None:
        if node is None:
            return
        name = self.routes.find(node.text) if node.text else None
        before = self.draft.get(*self.key, key)
        if name is None:
            self.draft.leave(
                node, "the gateway has no model of this name" if node.text else "is empty"
            )
        elif before is None:
            self.draft.take(node, (*self.key, key), name)
        elif before == name:
            self.draft.leave(node, f"the same as the group's {key}", Fate.FOLDED)
        else:
            self.draft.leave(node, f"the group's {key} is set already")

    def _privacy(self, environment: dict[str, Node]) -> None:
        levels = table("claude_privacy")
        names = {
            name: node
            for name, node in environment.items()
            if name in levels["strict"]["env"] or name == "DO_NOT_TRACK"
        }
        strict = "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC" in names
        for name, node in names.items():
            del environment[name]
            if strict or self.draft.get(*self.key, "privacy") is not None:
                self.draft.leave(node, "privacy sets it", Fate.DERIVED)
            else:
                self.draft.take(node, (*self.key, "privacy"), "no_telemetry")

    def _variable(self, name: str, node: Node) -> None:
        draft, derived = self.draft, table("claude_derived")["env"]
        text = node.text
        known = release(CLAUDE)
        if name in ("ANTHROPIC_AUTH_TOKEN", KEY_VARIABLE, "CLAUDE_CODE_OAUTH_TOKEN"):
            self._key(node)
        elif isinstance(node.value, Hidden):
            draft.secret(node, reason="not written: Claude Code has helper commands for secrets")
        elif node.value is None or isinstance(node.value, dict | list):
            draft.leave(node, "is not a text")
        elif name.lower() in ("https_proxy", "http_proxy") and text:
            self._once(("proxy", "url"), text, node)
        elif name.lower() == "no_proxy" and text:
            self._once(
                ("proxy", "no_proxy"),
                [each.strip() for each in text.split(",") if each.strip()],
                node,
            )
        elif name == "NODE_EXTRA_CA_CERTS" and text.startswith("/"):
            self._once(("ca_certificates", "path"), text, node)
        elif name == "API_TIMEOUT_MS" and (number := whole(node, 60_000)):
            self._timeout(number // 1000 - 30, node)
        elif name in ("CLAUDE_CODE_DISABLE_THINKING",) and boolean(node):
            self._once(("thinking",), False, node)
        elif name in derived:
            draft.leave(node, derived[name], Fate.DERIVED)
        elif name == CUSTOM_HEADERS and RING in text:
            others = "\n".join(line for line in text.splitlines() if not line.startswith(RING))
            if others:
                self._once(("settings", "env", name), others, node)
            else:
                draft.leave(node, "write the ring of the group, and rollout.rings")
        elif known and (known.foreign(name) or known.close_variable(name)):
            draft.leave(node, f"Claude Code {CLAUDE} has no variable of this name")
        else:
            self._once(("settings", "env", name), text, node)

    def _timeout(self, seconds: int, node: Node) -> None:
        if seconds > 600 and self.draft.get("gateway", "timeout") is None:
            self.draft.take(
                node, ("gateway", "timeout"), seconds, "30 s less than the client waits"
            )
        else:
            self.draft.leave(node, "gateway.timeout, and 30 s more", Fate.DERIVED)

    def _key(self, node: Node) -> None:
        if not isinstance(node.value, Hidden):
            self.draft.leave(node, "developers get keys of their own", Fate.DERIVED)
        elif self.has_gateway:
            self.draft.secret(
                node, reason="not written: developers get keys of their own, from keys.root"
            )
        else:
            self.draft.variables.setdefault(node.value.number, KEY_VARIABLE)
            self.draft.secret(node, ("models",), f"set the variable {KEY_VARIABLE}")

    def _once(self, suffix: Key, value: Any, node: Node) -> None:
        once(self.draft, (*self.key, *suffix), value, node)

    def _setting(self, name: str, node: Node, managed: bool) -> None:
        draft, derived, known = self.draft, table("claude_derived")["settings"], release(CLAUDE)
        if known is None:
            draft.leave(node, f"Claude Code {CLAUDE} is not known")
        elif name == "$schema":
            draft.leave(node, "names the schema of the file", Fate.DERIVED)
        elif name in ("requiredMinimumVersion", "requiredMaximumVersion") and managed and node.text:
            self._once((f"{name[8:11].lower()}imum_version",), node.text, node)
        elif name == "alwaysThinkingEnabled" and boolean(node) is False:
            self._once(("thinking",), False, node)
        elif name in derived:
            draft.leave(node, derived[name], Fate.DERIVED)
        elif name not in known.settings:
            draft.leave(node, f"not a setting of Claude Code {CLAUDE}")
        elif name in LOGIN:
            draft.leave(node, "requires a login at the vendor, which gateways replace")
        elif known.managed_only(name) and not managed:
            draft.leave(node, "has an effect only in managed settings")
        elif any(isinstance(leaf.value, Hidden) for leaf in node.leaves()):
            draft.leave(node, "a part of it is secret: use a reference or a helper command")
        else:
            value = draft.value(node, name, gateway=False)
            value = valid(draft, name, node, value)
            if value is not None:
                self._once(("settings", name), value, node)


def groups(
    draft: Draft,
    sources: list[Source],
    members: Mapping[str, str],
    *,
    has_gateway: bool,
    has_aliases: bool,
) -> Iterator[Group]:
    """Read the files of Claude Code: one group for managed settings, one for all others.

    Files of Mirrorfleet's have the groups of its fleet; ``members`` are those of known people.
    """
    found: dict[str, Group] = {}
    known = own.Names(members)
    for source in sources:
        managed = source.name.startswith("managed-settings") or "/etc/claude-code" in str(
            source.path
        )
        name = "managed" if managed else "developers"
        if own.is_own(source) and not managed:
            name = known.of(source)
        group = found.setdefault(
            name, Group(draft, name, has_gateway=has_gateway, has_aliases=has_aliases)
        )
        group.read(source, managed=managed)
    opened = {name for group in found.values() for name in group.available}
    for group in found.values():
        models = draft.data.get("models", {})
        names = [name for name in models if name in group.available]
        model = draft.get(*group.key, "model")
        if model and resolved(draft, model) not in names:
            names.append(model)  # a wildcard routes it
        if names and group.available != opened:
            draft.put((*group.key, "models"), names)
    yield from found.values()
