"""A fleet file as frozen values: the shape is checked, defaults are filled in, nothing derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mirrorfleet.config.developers import Developers, developers
from mirrorfleet.config.document import Document
from mirrorfleet.config.firewall import Firewall, firewall
from mirrorfleet.config.front import Front, front
from mirrorfleet.config.gateway import Gateway, gateway
from mirrorfleet.config.hosts import Host, Login, Ssh, host, ssh
from mirrorfleet.config.hub import Hub, hub
from mirrorfleet.config.image import Image
from mirrorfleet.config.keys import Keys, keys
from mirrorfleet.config.lock_files import Locks
from mirrorfleet.config.ollama import OllamaModel, OllamaServer, Release, ollama
from mirrorfleet.config.problems import Problem
from mirrorfleet.config.providers import PROVIDERS, ProviderModel, provider_model
from mirrorfleet.config.reader import Secret, Section
from mirrorfleet.config.vllm import VllmModel, Weights, vllm

__all__ = [
    "FALLBACKS",
    "PROVIDERS",
    "Developers",
    "Firewall",
    "Fleet",
    "Front",
    "Gateway",
    "Host",
    "Hub",
    "Image",
    "Keys",
    "Login",
    "Model",
    "OllamaModel",
    "OllamaServer",
    "ProviderModel",
    "Release",
    "Secret",
    "Ssh",
    "VllmModel",
    "Weights",
    "fleet",
]

Model = VllmModel | OllamaModel | ProviderModel

FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
"""The kinds of fallbacks, as the fleet file and LiteLLM call them."""


@dataclass(frozen=True)
class Fleet:
    """Everything a fleet file says. ``document`` still knows the line of each key.

    ``fallback_lists`` holds, for each of ``FALLBACKS``, the names as the file writes them.
    """

    document: Document
    locks: Locks
    name: str
    ssh: Ssh
    packages: Literal["controller", "registry"]
    hub: Hub
    hosts: Mapping[str, Host]
    models: Mapping[str, Model]
    gateway: Gateway | None
    firewall: Firewall
    front: Front | None
    aliases: Mapping[str, str]
    fallback_lists: Mapping[str, Mapping[str, tuple[str, ...]]]
    keys: Keys
    developers: Mapping[str, Developers]
    warnings: tuple[Problem, ...] = ()

    def find(self, name: str) -> Model | None:
        """Follow aliases from ``name`` to the model that answers to it, if they lead to one."""
        passed = set()
        while name in self.aliases and name not in passed:
            passed.add(name)
            name = self.aliases[name]
        return self.models.get(name)

    def resolve(self, name: str) -> Model:
        """Return the model that answers to ``name`` in a fleet that has been checked."""
        model = self.find(name)
        assert model, f"the check refuses '{name}', which leads to no model"
        return model

    def names(self, model: Model) -> list[str]:
        """Return the aliases that lead to a model."""
        return [name for name in self.aliases if self.find(name) is model]

    @property
    def fallbacks(self) -> dict[str, tuple[str, ...]]:
        """By model, the models that answer when it does not."""
        return self._followed("fallbacks")

    @property
    def context_window_fallbacks(self) -> dict[str, tuple[str, ...]]:
        """By model, the models that answer when a prompt is too long for it."""
        return self._followed("context_window_fallbacks")

    @property
    def content_policy_fallbacks(self) -> dict[str, tuple[str, ...]]:
        """By model, the models that answer when its provider's content filter refuses."""
        return self._followed("content_policy_fallbacks")

    def _followed(self, kind: str) -> dict[str, tuple[str, ...]]:
        """Follow every alias in a kind of fallbacks to its model. Names that lead nowhere go."""
        found: dict[str, tuple[str, ...]] = {}
        for name, targets in self.fallback_lists[kind].items():
            if model := self.find(name):
                others = [other.name for each in targets if (other := self.find(each))]
                found[model.name] = tuple(dict.fromkeys(others))
        return found


def fleet(document: Document, locks: Locks) -> Fleet:
    """Build the values from a document whose shape has been checked.

    ``locks`` are the lock files that are there for the fleet.
    """
    said = Section(document)
    hosts = {each.name: host(each) for each in said.section("hosts").sections()}
    return Fleet(
        document=document,
        locks=locks,
        name=said.get("name", ""),
        ssh=ssh(said.section("ssh")),
        packages=said.get("packages", "registry"),
        hub=hub(said.section("hub")),
        hosts=hosts,
        models={
            each.name: _model(each, hosts, said.section("gateway").get("version", ""))
            for each in said.section("models").sections()
        },
        gateway=gateway(said.section("gateway"), hosts) if "gateway" in said else None,
        firewall=firewall(said),
        front=front(said.section("front"), hosts) if "front" in said else None,
        aliases=said.get("aliases", {}),
        fallback_lists={kind: _targets(said.section(kind)) for kind in FALLBACKS},
        keys=keys(said.section("keys")),
        developers={
            each.name: developers(each, hosts) for each in said.section("developers").sections()
        },
    )


def _model(said: Section, hosts: Mapping[str, Host], release: str) -> Model:
    if "provider" in said:
        return provider_model(said, release)
    return ollama(said, hosts) if said["engine"] == "ollama" else vllm(said, hosts)


def _targets(said: Section) -> Mapping[str, tuple[str, ...]]:
    return {name: said.words(name) for name in said.said}
