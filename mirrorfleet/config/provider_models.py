"""Models of providers: one name for one deployment, or for several that share its load."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mirrorfleet.config.deployments import Deployment, deployment
from mirrorfleet.config.litellm import Values, values
from mirrorfleet.config.problems import Key
from mirrorfleet.config.reader import Section
from mirrorfleet.config.wildcards import filled

WITHOUT_WINDOW = (
    *("embedding", "rerank", "image_generation", "image_edit", "audio_transcription"),
    *("audio_speech", "moderation", "video_generation", "realtime", "ocr"),
)
"""Modes of models that no conversation can use."""


@dataclass(frozen=True)
class ProviderModel:
    """``information`` is the file's ``model_info``, by LiteLLM's names."""

    name: str
    deployments: tuple[Deployment, ...]
    information: Values

    @property
    def context(self) -> int:
        """Return the context window that every deployment has, in tokens."""
        return min(each.context for each in self.deployments)

    @property
    def output(self) -> int:
        """Return the length of an answer that every deployment allows, in tokens."""
        return min(each.output for each in self.deployments)

    @property
    def assumed(self) -> tuple[str, ...]:
        """Return the keys among ``context`` and ``output`` with an assumed value."""
        return tuple(dict.fromkeys(key for each in self.deployments for key in each.assumed))

    @property
    def mode(self) -> str:
        """Return what the model is for, by LiteLLM's names: the file's, else the price list's."""
        return str(self.information.get("mode") or self.deployments[0].listed_mode)

    @property
    def has_window(self) -> bool:
        """Return whether a conversation can use the model: it answers prompts with text."""
        return self.mode not in WITHOUT_WINDOW

    def named(self, name: str) -> ProviderModel:
        """Return what a model with a wildcard is for one name."""
        ids = (filled(self.name, name, each.id) for each in self.deployments)
        return replace(
            self,
            name=name,
            deployments=tuple(
                replace(each, id=identity)
                for each, identity in zip(self.deployments, ids, strict=True)
            ),
        )

    def limit(self, name: str) -> Key:
        """Return the place of ``context`` or ``output``: that of the smallest deployment."""
        return (*min(self.deployments, key=lambda each: int(getattr(each, name))).key, name)


def provider_model(section: Section, release: str) -> ProviderModel:
    """Read one of ``models`` with ``provider`` or ``deployments``. ``release`` is LiteLLM's."""
    return ProviderModel(
        name=section.name,
        deployments=tuple(deployment(each, release) for each in section.items("deployments"))
        if "deployments" in section
        else (deployment(section, release),),
        information=values(section.mapping("model_info")),
    )
