"""The search service with which gateways run WebSearch for models that cannot search themselves."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config.reader import Secret, Section
from mirrorfleet.data import table


@dataclass(frozen=True)
class WebSearch:
    """A search service, by LiteLLM's name. ``url`` replaces the service's own address."""

    service: str
    url: str | None
    key: Secret | None

    @property
    def address(self) -> str:
        """Return the URL that gateways connect to; "" if it is missing."""
        url: str = self.url or table("web_search")[self.service]["url"]
        return "" if url == "required" else url


def web_search(section: Section) -> WebSearch:
    """Read ``gateway.web_search``."""
    return WebSearch(section["service"], section.get("url"), section.secret("key"))
