"""What checks, plans and jobs ask of an engine: the only way in which they tell engines apart."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

from mirrorfleet.config import EngineModel, Fleet, Host
from mirrorfleet.config.problems import Key
from mirrorfleet.config.reader import Section

M = TypeVar("M", bound=EngineModel, contravariant=True)


class Listener(NamedTuple):
    """A port on which an engine listens, on which hosts, and the key that decides it.

    ``owner`` names it in messages: "coder", "the nodes of coder".
    """

    key: Key
    owner: str
    hosts: tuple[str, ...]
    port: int


class Engine(Protocol[M]):
    """An engine by its word in the fleet file. Derive from it: most answers have a default.

    The defaults are those of a server that speaks /v1/messages, lists its models as OpenAI does,
    asks for no key, has tools and thinking, and refuses prompts that do not fit.
    """

    name: ClassVar[str]
    """Its word in the fleet file: ``engine: NAME``."""

    title: ClassVar[str]
    """Its name for people."""

    litellm_provider: ClassVar[str] = "anthropic"
    """LiteLLM's provider for its models: ``anthropic`` passes /v1/messages through untranslated,
    at 1.5 times the throughput of a translated stream."""

    api_path: ClassVar[str] = ""
    """What that provider expects between port and request: "/v1" for ``hosted_vllm``."""

    alive_path: ClassVar[str] = "/version"
    """What it answers without a key, if it is reached at all."""

    models_path: ClassVar[str] = "/v1/models"
    """Where it lists the models that it serves."""

    key_variable: ClassVar[str] = ""
    """The variable of its service that holds the key for ``models_path``; empty: no key."""

    guards_all_paths: ClassVar[bool] = False
    """Does it ask for its key on every path?"""

    tools_keys: ClassVar[str] = "'tools'"
    """The keys of a model that say whether it has tools, for a fix."""

    tools_fix: ClassVar[str] = ""
    """How to give the models of a running engine tools, as the beginning of a fix."""

    window_fix: ClassVar[str] = "Start it with a larger window"
    """How to enlarge the window of a running engine, as the beginning of a fix."""

    metrics_path: ClassVar[str] = ""
    """Where its port has metrics for Prometheus; empty: nowhere."""

    has_locks: ClassVar[bool] = False
    """Is it a Python package, which its role installs from lock files?"""

    @abstractmethod
    def read(self, section: Section, hosts: Mapping[str, Host]) -> EngineModel:
        """Read one of its models from the fleet file."""

    @abstractmethod
    def ports(self, fleet: Fleet) -> Mapping[tuple[str, str], int]:
        """Return where its models answer: the port by model and host."""

    @abstractmethod
    def listeners(self, fleet: Fleet) -> Iterator[Listener]:
        """Yield every port that it takes on hosts, also those between its own parts."""

    def is_known(self, model: M) -> bool:
        """Is it known what the model can do? If not, a check of the engine reports why."""
        return True

    def missing_tools(self, model: M) -> str:
        """Return why the model cannot call tools, as a relative clause; empty if it can."""
        return ""

    def thinks(self, model: M) -> bool:
        """May the gateway pass ``thinking`` and ``effort`` on?"""
        return True

    def refused_effort(self, model: M) -> Sequence[str]:
        """Return the abilities of effort, by Claude Code's names, that the model refuses."""
        return ()

    def cut_weights(self, model: M) -> str | None:
        """Return a name of the weights by which the gateway counts prompts.

        ``None`` if the engine refuses a prompt that does not fit. Otherwise it cuts the prompt, and
        the gateway refuses it first: roles/litellm/files/mirrorfleet_ollama.py asks the engine.
        """
        return None

    def derived_parameters(self, model: M) -> Mapping[str, str]:
        """Return LiteLLM's parameters that follow from the engine, with what to write instead."""
        return {"api_key": f"{self.title} asks for no key."}

    def served_windows(self, answer: Mapping[str, Any]) -> dict[str, int | None]:
        """Return the window of each model that ``models_path`` lists; ``None``: not reported."""
        return {str(each["id"]): None for each in answer.get("data", ())}
