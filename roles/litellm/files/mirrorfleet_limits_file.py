"""The limits and budgets of a gateway, as it reads them from limits.json beside the key files.

The file belongs to no generation: a changed amount applies to the next turn of every worker,
without a restart.

    {"version": 1, "names": {"coder": "coder", "sonnet": "coder"}, "passthrough": "cloud",
     "limits": {"fleet": {"parallel": 60}, "per_person": {"requests_per_minute": 60},
                "people": {"ada": {"requests_per_minute": 90}}, "per_group": {}, "groups": {},
                "models": {"coder": {"parallel": 32}}},
     "budgets": [{"name": "daily", "per": "person", "unit": "tokens", "amount": 5000000,
                  "exceptions": {"ada": 8000000, "ci": null}, "models": [], "period": "day",
                  "time_zone": "UTC", "cache_read_weight": 0.1, "warn_at": 80}]}

`names` are the names that the gateway serves, and the model of each. `passthrough` is the model
whose key the passthrough uses. A missing limit is no limit, and an exception of null is no budget.
Amounts are in tokens or in US dollars, `warn_at` in percent.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_key_file import Refused
else:
    from mirrorfleet_key_file import Refused

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own: the same level and JSON format

PASSTHROUGH = "/anthropic/"


class Limit(NamedTuple):
    """What of a subject's turns may start per minute, and run at the same time; None: any."""

    subject: str
    requests_per_minute: int | None
    parallel: int | None


@dataclass(frozen=True)
class Budget:
    """An amount of tokens or dollars that each person, group or model may use in a period."""

    name: str
    per: str
    unit: str
    amount: float
    exceptions: Mapping[str, float | None] = field(hash=False)
    models: frozenset[str]
    period: str
    time_zone: str
    cache_read_weight: float
    warn_at: float

    def amount_of(self, name: str) -> float | None:
        """Return the amount of a person, a group or a model; None for no budget."""
        return self.exceptions.get(name, self.amount)


class Spender(NamedTuple):
    """Whose turn it is: the holder of the key, the holder's name in the ledger, and the group."""

    person: str
    recorded: str
    group: str


class Share(NamedTuple):
    """The amount of a budget for a person, a group or a model, whose name in the ledger is
    ``recorded``."""

    budget: Budget
    name: str
    recorded: str
    amount: float


class Rules(NamedTuple):
    """The content of limits.json."""

    names: Mapping[str, str]
    passthrough: str
    limits: Mapping[str, Any]
    budgets: tuple[Budget, ...]

    def model(self, path: str, requested: str) -> str:
        """Return the model of the fleet that a request is for, which may be a wildcard."""
        if path.startswith(PASSTHROUGH):
            return self.passthrough
        if requested in self.names:
            return self.names[requested]
        patterns = sorted((name for name in self.names if "*" in name), key=len, reverse=True)
        found = (self.names[name] for name in patterns if fnmatchcase(requested, name))
        return next(found, requested)

    def limits_of(self, person: str, group: str, model: str) -> Iterator[Limit]:
        """Yield the limits of a turn."""
        for kind, name, each, own in (
            ("fleet", "", "fleet", ""),
            ("person", person, "per_person", "people"),
            ("group", group, "per_group", "groups"),
            ("model", model, "", "models"),
        ):
            value = {**self.limits.get(each, {}), **self.limits.get(own, {}).get(name, {})}
            if value:
                subject = f"{kind}:{name}" if name else kind
                yield Limit(subject, value.get("requests_per_minute"), value.get("parallel"))

    def budgets_of(self, spender: Spender, model: str | None) -> Iterator[Share]:
        """Yield the budgets that a turn with a model uses; without one, all of a person's."""
        for budget in self.budgets:
            if budget.per == "model":
                models = budget.models or frozenset(self.names.values())
                names = sorted(models) if model is None else [model] if model in models else []
                yield from _shares(budget, names)
            elif model is None or not budget.models or model in budget.models:
                if budget.per == "person":
                    yield from _shares(budget, [spender.person], spender.recorded)
                else:
                    yield from _shares(budget, [spender.group])


def _shares(budget: Budget, names: list[str], recorded: str = "") -> Iterator[Share]:
    for name in names:
        amount = budget.amount_of(name)
        if name and amount is not None:
            yield Share(budget, name, recorded or name, amount)


NONE = Rules({}, "", {}, ())


def parse(text: str) -> Rules:
    """Parse limits.json. Raises ``ValueError`` if it is of another version or incomplete."""
    data = json.loads(text)
    if not isinstance(data, dict) or data.get("version") != 1:
        raise ValueError("expected an object with version 1")
    try:
        budgets = tuple(
            Budget(**{**budget, "models": frozenset(budget["models"])})
            for budget in data["budgets"]
        )
        return Rules(data["names"], data["passthrough"], data["limits"], budgets)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


class LimitsFile:
    """limits.json, read again after each change; a missing file has no limits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version: object = None
        self._rules: Rules | None = NONE

    def rules(self) -> Rules:
        """Return the rules that apply now.

        Raises ``Refused`` for a broken file: it is the gateway's fault, and a client tries again.
        """
        try:
            stat = self.path.stat()
            version = (stat.st_mtime_ns, stat.st_ino, stat.st_dev, stat.st_size)
            if version != self._version:
                self._rules = None
                text = self.path.read_text(encoding="utf-8")
                self._version = version  # a broken file is parsed once, an unreadable one retried
                self._rules = parse(text)
        except FileNotFoundError:
            self._version, self._rules = None, NONE
        except (OSError, ValueError, RecursionError) as error:
            log.error("mirrorfleet: no turn is served: %s: %s", self.path, error)
        if self._rules is None:
            raise Refused(503, "This gateway can't read its limits; its log says why.")
        return self._rules
