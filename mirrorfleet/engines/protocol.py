"""The engine protocol, through which checks, plans and jobs use every engine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

from mirrorfleet.config import EngineModel, Fleet, Host
from mirrorfleet.config.abilities import ThinkingKeys, thinking_keys
from mirrorfleet.config.advisories import Package
from mirrorfleet.config.problems import Key
from mirrorfleet.config.reader import Section
from mirrorfleet.engines.known import KnownAbilities, ThinkingArguments, assumed

M = TypeVar("M", bound=EngineModel, contravariant=True)


class Listener(NamedTuple):
    """A port that an engine listens on, its hosts, and the key of the fleet file for it.

    ``owner``: its name in messages, for example "coder" or "the nodes of coder".
    """

    key: Key
    owner: str
    hosts: tuple[str, ...]
    port: int


class Installed(NamedTuple):
    """A release that a fleet installs, the key that chooses it, and its lock file ("": none)."""

    version: str
    key: str
    lock: str = ""


class Engine(Protocol[M]):
    """An engine. Derive from this class: most members have a default.

    The defaults describe a server that supports /v1/messages, lists its models like OpenAI,
    requires no key, supports tools and thinking, and refuses prompts that do not fit.
    """

    name: ClassVar[str]
    """Its name in the fleet file: ``engine: NAME``."""

    title: ClassVar[str]
    """Its name in messages."""

    litellm_provider: ClassVar[str] = "anthropic"
    """LiteLLM's provider for its models. ``anthropic`` passes /v1/messages through untranslated,
    with 1.5 times the throughput of a translated stream."""

    api_path: ClassVar[str] = ""
    """The path between port and request in that provider's URL: "/v1" for ``hosted_vllm``."""

    pooling_provider: ClassVar[str] = "hosted_vllm"
    """LiteLLM's provider for models with a ``task``: OpenAI's /embeddings, and /rerank."""

    pooling_path: ClassVar[str] = "/v1"
    """The path between port and request in that provider's URL."""

    alive_path: ClassVar[str] = "/version"
    """A path that it serves without a key, to test the connection."""

    models_path: ClassVar[str] = "/v1/models"
    """The path of the list of its models."""

    key_variable: ClassVar[str] = ""
    """The variable of its service with the key for ``models_path``; empty: no key."""

    guards_all_paths: ClassVar[bool] = False
    """Whether it requires its key on every path."""

    gateway_mends: ClassVar[tuple[str, ...]] = ()
    """What the gateway changes because the engine cannot take it, by the names of
    mirrorfleet_mends.py: ``tool_schemas``, ``tool_calls``, ``image_urls``."""

    tools_keys: ClassVar[str] = "'tools'"
    """The keys of a model that say whether it has tools, for a fix."""

    tools_fix: ClassVar[str] = ""
    """How to give the models of a running engine tools, as the beginning of a fix."""

    window_fix: ClassVar[str] = "Start it with a larger window"
    """How to enlarge the window of a running engine, as the beginning of a fix."""

    has_template_arguments: ClassVar[bool] = False
    """Whether arguments of the chat template enable and disable thinking."""

    metrics_path: ClassVar[str] = ""
    """The path of its metrics for Prometheus; empty: none."""

    has_locks: ClassVar[bool] = False
    """Whether it is a Python package that its role installs from lock files."""

    package: ClassVar[Package | None] = None
    """What advisories call it; ``None``: nothing is installed, or it has no advisories."""

    @abstractmethod
    def read(self, section: Section, hosts: Mapping[str, Host]) -> EngineModel:
        """Return one of its models from the fleet file."""

    @abstractmethod
    def ports(self, fleet: Fleet) -> Mapping[tuple[str, str], int]:
        """Return the API ports of its models, by model and host."""

    @abstractmethod
    def listeners(self, fleet: Fleet) -> Iterator[Listener]:
        """Yield every port that it uses on hosts, also those between nodes."""

    def installed(self, fleet: Fleet) -> Iterator[Installed]:
        """Yield the releases that its role installs."""
        return iter(())

    def is_known(self, model: M) -> bool:
        """Return whether the capabilities of a model are known; a check reports unknown ones."""
        return True

    def abilities(self, model: M) -> KnownAbilities:
        """Return what the engine derives of a model; keys of the fleet file replace it."""
        return KnownAbilities(
            tools=assumed(True),
            vision=assumed(False),
            documents=assumed(False),
            thinking=assumed(thinking_keys(True)),
        )

    def missing_tools(self, model: M) -> str:
        """Return why a model without tools has none, as a relative clause."""
        return "which has 'tools: false'"

    def thinking_arguments(self, model: M, thinking: ThinkingKeys) -> ThinkingArguments | None:
        """Return what the gateway writes into requests; ``None`` if the engine needs nothing."""
        return None

    def cut_weights(self, model: M) -> str | None:
        """Return an id of the weights, if the engine cuts prompts that do not fit; else ``None``.

        The gateway then counts the tokens of prompts, remembers the ratio of tokens to characters
        under this id, and refuses prompts that do not fit.
        """
        return None

    def derived_parameters(self, model: M) -> Mapping[str, str]:
        """Return LiteLLM's parameters that the engine determines, with the fix or the reason."""
        return {"api_key": f"{self.title} has no keys."}

    def served_windows(self, answer: Mapping[str, Any]) -> dict[str, int | None]:
        """Return the context window of each model in an answer of ``models_path``.

        In tokens; ``None`` if the engine does not report it.
        """
        return {str(model["id"]): None for model in answer.get("data", ())}
