"""Names of models as Ollama reads them: HOST/NAMESPACE/MODEL:TAG, all but MODEL optional."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"

_PART = r"[A-Za-z0-9_][A-Za-z0-9_{more}-]{{0,{length}}}"
_NAMESPACE = re.compile(_PART.format(more="", length=79))
_MODEL = re.compile(_PART.format(more=".", length=79))
_HOST = re.compile(_PART.format(more=".:", length=349))


class NotAName(ValueError):
    """A name with a mistake; ``mistake`` is a predicate, ``remedy`` the fix."""

    def __init__(self, mistake: str, remedy: str) -> None:
        super().__init__(f"{mistake} {remedy}")
        self.mistake, self.remedy = mistake, remedy


@dataclass(frozen=True)
class Name:
    """A full name. Its path below ``manifests/`` of a store is ``path``."""

    host: str
    namespace: str
    model: str
    tag: str

    @property
    def path(self) -> str:
        """Return the relative path of its manifest."""
        return f"{self.host}/{self.namespace}/{self.model}/{self.tag}"

    @property
    def is_of_another_registry(self) -> bool:
        """Return whether a registry other than Ollama's own has it."""
        return self.host != DEFAULT_HOST


def parse(text: str) -> Name:
    """Return the full name for a name as a person writes it. Raises ``NotAName``."""
    if "://" in text:
        fix = f"Write it without the scheme: {text.partition('://')[2]}"
        more = ", and plain_http: true" if text.startswith("http://") else ""
        raise NotAName("has a scheme, which Ollama ignores in a tag.", f"{fix}{more}.")
    name, tag = text, "latest"
    if text.rfind(":") > text.rfind("/"):
        name, _, tag = text.rpartition(":")
    rest, _, model = name.rpartition("/")
    host, _, namespace = rest.rpartition("/")
    if rest and not host and not _NAMESPACE.fullmatch(namespace) and _HOST.fullmatch(namespace):
        raise NotAName(
            f"has the registry {namespace} but no namespace, which Ollama requires.",
            f"Write {namespace}/NAMESPACE/{model}:{tag}, as the registry has it.",
        )
    found = Name(host or DEFAULT_HOST, namespace or DEFAULT_NAMESPACE, model, tag)
    for pattern, part in (
        (_HOST, found.host),
        (_NAMESPACE, found.namespace),
        (_MODEL, found.model),
        (_MODEL, found.tag),
    ):
        if not pattern.fullmatch(part):
            raise NotAName(
                f"is not a tag of Ollama: '{part}' is not valid there.",
                "Write NAME:TAG, NAMESPACE/NAME:TAG or REGISTRY/NAMESPACE/NAME:TAG.",
            )
    return found
