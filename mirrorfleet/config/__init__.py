"""A fleet file as frozen dataclasses, with defaults and without derived values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from mirrorfleet.config.advisories import Advisories
from mirrorfleet.config.calls import Calls, calls
from mirrorfleet.config.client_ids import client_ids
from mirrorfleet.config.deployments import Deployment
from mirrorfleet.config.developers import Developers, developers
from mirrorfleet.config.document import Document
from mirrorfleet.config.engine_model import EngineModel
from mirrorfleet.config.external_gateway import (
    ExternalGateway,
    GatewayModel,
    external_gateway,
    gateway_model,
    is_gateway_model,
)
from mirrorfleet.config.firewall import Firewall, firewall
from mirrorfleet.config.gateway import Gateway, gateway
from mirrorfleet.config.hosts import Host, Login, Ssh, host, ssh
from mirrorfleet.config.hub import Hub, hub
from mirrorfleet.config.image import Image
from mirrorfleet.config.keys import Keys, keys
from mirrorfleet.config.litellm import Values, values
from mirrorfleet.config.load_balancer import LoadBalancer, load_balancer
from mirrorfleet.config.lock_files import Locks
from mirrorfleet.config.price import Price, price
from mirrorfleet.config.problems import Problem, Unchecked
from mirrorfleet.config.provider_models import ProviderModel, provider_model
from mirrorfleet.config.providers import PROVIDERS
from mirrorfleet.config.reader import Secret, Section
from mirrorfleet.config.rollout import Rollout, rollout
from mirrorfleet.config.weights import WeightsSharing, weights
from mirrorfleet.config.wildcards import matching

__all__ = [
    "FALLBACKS",
    "PROVIDERS",
    "Calls",
    "Deployment",
    "Developers",
    "EngineModel",
    "ExternalGateway",
    "Firewall",
    "Fleet",
    "Gateway",
    "GatewayModel",
    "Host",
    "Hub",
    "Image",
    "Keys",
    "LoadBalancer",
    "Login",
    "Model",
    "ModelReader",
    "Price",
    "ProviderModel",
    "Rollout",
    "Secret",
    "Ssh",
    "fleet",
]

Model = EngineModel | ProviderModel

ModelReader = Callable[[Section, Mapping[str, Host]], EngineModel]
"""What reads the models of an engine, where the hosts are known."""

UNKNOWN = "https://unknown.invalid"
"""The address of a model's gateway if the file has no external one, which a check reports."""

FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
"""The kinds of fallbacks, by their key in the fleet file and in LiteLLM."""


@dataclass(frozen=True)
class Fleet:
    """The content of a fleet file. ``document`` has the line of each key.

    ``fallback_lists`` has, for each of ``FALLBACKS``, the names as they are in the file.
    ``calls``, ``information`` and ``prices`` have, by model, its time limits, its ``model_info``,
    and its price if the file has one.
    ``gateway`` is the one that Mirrorfleet installs, ``external_gateway`` one that already runs.
    ``accepted`` has the reasons for which advisories are accepted, by their id. With
    ``any_release``, releases are neither compared with advisories, nor do they need lock files.
    """

    document: Document
    locks: Locks
    advisories: Advisories
    accepted: Mapping[str, str]
    name: str
    ssh: Ssh
    packages: Literal["controller", "registry"]
    hub: Hub
    weights: WeightsSharing
    hosts: Mapping[str, Host]
    models: Mapping[str, Model]
    calls: Mapping[str, Calls]
    information: Mapping[str, Values]
    prices: Mapping[str, Price]
    gateway: Gateway | None
    external_gateway: ExternalGateway | None
    firewall: Firewall
    load_balancer: LoadBalancer | None
    rollout: Rollout | None
    aliases: Mapping[str, str]
    fallback_lists: Mapping[str, Mapping[str, tuple[str, ...]]]
    keys: Keys
    developers: Mapping[str, Developers]
    warnings: tuple[Problem, ...] = ()
    any_release: bool = False

    @property
    def client_ids(self) -> dict[str, list[str]]:
        """Return the model ids by tier that the clients of this fleet request by themselves."""
        return client_ids((group.version for group in self.developers.values()), self.locks)

    @property
    def entry(self) -> Gateway | ExternalGateway | None:
        """Return the gateway that clients connect to, installed or external."""
        return self.gateway or self.external_gateway

    def find(self, name: str) -> Model | None:
        """Follow aliases from ``name`` to a model. Return ``None`` if they do not lead to one.

        A name that a wildcard routes is a model of that name.
        """
        passed = set()
        while name in self.aliases and name not in passed:
            passed.add(name)
            name = self.aliases[name]
        pattern = None if name in self.models else matching(self.models, name)
        model = self.models.get(pattern or name)
        return model.named(name) if pattern and isinstance(model, ProviderModel) else model

    def resolve(self, name: str) -> Model:
        """Return the model of a name or alias. Raises ``Unchecked`` for other names."""
        model = self.find(name)
        if model is None:
            raise Unchecked(f"models.{name} is missing, and the checks let the fleet file pass")
        return model

    def names(self, model: Model) -> list[str]:
        """Return the aliases that lead to a model."""
        return [name for name in self.aliases if self.find(name) is model]

    @property
    def fallbacks(self) -> dict[str, tuple[str, ...]]:
        """Return, by model, the models that replace it when it fails."""
        return self._followed("fallbacks")

    @property
    def context_window_fallbacks(self) -> dict[str, tuple[str, ...]]:
        """Return, by model, the models for prompts that exceed its context window."""
        return self._followed("context_window_fallbacks")

    @property
    def content_policy_fallbacks(self) -> dict[str, tuple[str, ...]]:
        """Return, by model, the models for prompts that its provider's content filter refuses."""
        return self._followed("content_policy_fallbacks")

    def _followed(self, kind: str) -> dict[str, tuple[str, ...]]:
        """Return one kind of fallbacks by model. Names that lead to no model are left out."""
        found: dict[str, tuple[str, ...]] = {}
        for name, targets in self.fallback_lists[kind].items():
            if model := self.find(name):
                others = [other.name for each in targets if (other := self.find(each))]
                found[model.name] = tuple(dict.fromkeys(others))
        return found


def fleet(
    document: Document,
    readers: Mapping[str, ModelReader],
    locks: Locks,
    advisories: Advisories,
) -> Fleet:
    """Build the fleet from a document that passed the schema.

    ``readers`` read the models of each engine, by its word in the fleet file; ``locks`` are the
    lock files that the fleet can use, ``advisories`` those it is checked against.
    """
    root = Section(document)
    hosts = {each.name: host(each) for each in root.mapping("hosts").mappings()}
    entry = root.mapping("gateway")
    is_external = bool(entry.get("external"))
    release = entry.get("version") or ""
    return Fleet(
        document=document,
        locks=locks,
        advisories=advisories,
        accepted=root["accepted_advisories"],
        name=root.get("name") or "",
        ssh=ssh(root.mapping("ssh")),
        packages=root["packages"],
        hub=hub(root.mapping("hub")),
        weights=weights(root.mapping("weights")),
        hosts=hosts,
        models={
            each.name: gateway_model(each, entry.get("url") or UNKNOWN)
            if is_gateway_model(each)
            else _model(each, hosts, release, readers)
            for each in root.mapping("models").mappings()
        },
        calls={each.name: calls(each) for each in root.mapping("models").mappings()},
        information={
            each.name: values(each.mapping("model_info"))
            for each in root.mapping("models").mappings()
        },
        prices={
            each.name: price(each.mapping("price"))
            for each in root.mapping("models").mappings()
            if "price" in each
        },
        gateway=gateway(entry, hosts) if "gateway" in root and not is_external else None,
        external_gateway=external_gateway(entry) if is_external else None,
        firewall=firewall(root),
        load_balancer=load_balancer(root.mapping("load_balancer"), hosts)
        if "load_balancer" in root
        else None,
        rollout=rollout(root.mapping("rollout")) if "rollout" in root else None,
        aliases=root["aliases"],
        fallback_lists={kind: _targets(root.mapping(kind)) for kind in FALLBACKS},
        keys=keys(root.mapping("keys")),
        developers={
            each.name: developers(each, hosts) for each in root.mapping("developers").mappings()
        },
    )


def _model(
    section: Section,
    hosts: Mapping[str, Host],
    release: str,
    readers: Mapping[str, ModelReader],
) -> Model:
    """Read one of ``models``. ``release`` is LiteLLM's, for its price list."""
    if "provider" in section or "deployments" in section:
        return provider_model(section, release)
    return readers[section["engine"]](section, hosts)


def _targets(section: Section) -> Mapping[str, tuple[str, ...]]:
    return {name: section.strings(name) for name in section.data}
