"""What a provider wants to know of us, by halves."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.addresses import before_v1
from fleet.problems import Problem
from fleet.spec import Fleet, ProviderModel

TOGETHER = (
    ("access_key_id", "secret_access_key"),
    ("secret_access_key", "access_key_id"),
    ("session_token", "access_key_id"),
    ("role", "role_session"),
    ("role_session", "role"),
)
"""Keys of a Bedrock model of which the first says nothing without the second."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in fleet.models.values():
        if isinstance(model, ProviderModel) and model.provider == "anthropic":
            url = model.settings["url"]
            if wanted := before_v1(url):
                yield fleet.document.problem(
                    ("models", model.name, "url"),
                    f"is '{url}', and LiteLLM adds /v1/messages by itself.",
                    f"Write {wanted}.",
                )
        if isinstance(model, ProviderModel) and model.provider == "bedrock":
            said = {*model.settings, *model.secrets}
            for one, other in TOGETHER:
                if one in said and other not in said:
                    yield fleet.document.problem(
                        ("models", model.name, one), f"needs '{other}' beside it.", "Add it."
                    )
            if {"api_key", "access_key_id"} <= said:
                yield fleet.document.problem(
                    ("models", model.name, "api_key"),
                    "stands beside an access key: only one of the two can log in.",
                    "Remove one.",
                )
