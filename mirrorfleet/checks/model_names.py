"""Names of models that an engine on a host cannot have: they become units, directories and tags."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirrorfleet.config import Fleet, ProviderModel
from mirrorfleet.config.problems import Problem
from mirrorfleet.config.wildcards import has_wildcard

PLAIN = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


def problems(fleet: Fleet) -> Iterator[Problem]:
    for name, model in fleet.models.items():
        installed = not isinstance(model, ProviderModel) and not model.url
        if installed and not PLAIN.fullmatch(name) and not has_wildcard(name):
            plain = re.sub("[^a-z0-9.]+", "-", name.lower()).strip(".-")[:63]
            yield fleet.document.problem(
                ("models", name),
                "is the name of a unit and of directories on hosts: lower-case letters, digits, "
                "dots and dashes, at most 63.",
                f'Name the model {plain}, and add aliases: {{"{name}": {plain}}}.',
            )
