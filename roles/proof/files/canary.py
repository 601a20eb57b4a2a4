"""The canary: measure a session of two turns, and compare it with the generation before.

Runs on the host, as root, with its python3 and the standard library only, in the directory of a
service, with the environment of its current generation, which holds the key:

    canary.py measure URL GENERATION <spec      record what the running GENERATION measures
    canary.py compare URL GENERATION [BEFORE [yes]] <spec     the same, compared with BEFORE
    canary.py report URL <spec                  print the figures now and before as JSON

figures/GENERATION.json has the figures of a generation. ``compare`` ends with NEVER if a model has
lost more than LOSS of the hits of its prefix cache, unless ``yes`` accepts it. Slower turns and
what cannot be measured are printed only.

The spec is a JSON object: the ``user`` of the service, the variable of its ``key``, the ``seconds``
for all, and ``targets``: model, words, tools, replicas, and engines, whose metrics count the cache.

The shell passes this program and those of roles/proof to Python as one text.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import secrets
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mirrorfleet.roles.proof.files import figures
from mirrorfleet.roles.proof.files.api import Api, NotReady
from mirrorfleet.roles.proof.files.listeners import listeners
from mirrorfleet.roles.proof.files.two_turns import PATIENCE, TwoTurns, listed

NEVER = 78

TRIES = 3
"""Sessions, if a figure is worse than before; the best of each counts."""

METRICS = 10
"""Maximum seconds for an engine's metrics."""

ACCEPT = (
    "To accept it once, run mirrorfleet apply --accept-cache-loss, or deploys/mirror.py with "
    "--data cache_loss=accepted."
)

RELEASE = re.compile(r"/(?:environments|releases)/(\d[^/\s]*?)(?:-[0-9a-f]{8}(?:-\d+)?)?/")
"""The release in the unit of a generation: that of its environment."""

Json = dict[str, Any]
Figures = dict[str, Json]


class Own(Api):
    """The service on this host, which runs as the user ID ``user``: no other gets the key."""

    def __init__(self, url: str, model: str, key: str, user: int) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        super().__init__(url, model, headers, PATIENCE)
        self.user = user

    def check(self) -> None:
        """Raise ``NotReady`` unless the service itself listens on its port."""
        if listeners(urlsplit(self.url).port or 80) != {self.user}:
            raise NotReady("nothing listens, or another process")


def measured(spec: Json, url: str, before: Figures) -> Figures:
    """Return the figures of all models that the service has; repeat what is worse than before."""
    key = os.environ.get(spec["key"], "")
    user = user_id(spec["user"])
    end = time.monotonic() + spec["seconds"]
    names = listed(Own(url, "", key, user))
    found = {}
    for target in spec["targets"]:
        model = target["model"]
        if names is not None and not names & {model, f"{model}:latest"}:
            continue
        engines = [Api(each, "", {}, METRICS) for each in target["engines"]]
        own = Own(url, model, key, user)
        session = TwoTurns(own, engines or [own], target["words"], end, tools=target["tools"])
        now = session.figures(secrets.token_hex(8))
        if now["fault"].startswith("404:"):
            continue  # Ollama before its models are made, if it has no list
        replicas = max(target["replicas"], session.replicas)
        for _ in range(TRIES - 1):
            if not figures.is_worse(figures.compared(now, before.get(model))):
                break
            now = figures.best(now, session.figures(secrets.token_hex(8)))
        found[model] = {**now, "replicas": replicas}
    return found


def user_id(name: str) -> int:
    """Return the ID of a user; -1, which no process has, if there is none."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return -1


def path_of(generation: str) -> Path:
    """Return the file with the figures of a generation."""
    return Path("figures") / f"{generation}.json"


def read(generation: str) -> Json:
    """Return the record of a generation: its release and ``models``; empty without one."""
    with suppress(OSError, ValueError):
        found = json.loads(path_of(generation).read_text("utf-8"))
        if isinstance(found, dict) and isinstance(found.get("models"), dict):
            return found
    return {}


def models(record: Json) -> Figures:
    """Return the figures in a record, without what is none."""
    return {name: each for name, each in record.get("models", {}).items() if isinstance(each, dict)}


def write(generation: str, found: Figures) -> None:
    """Replace the record of a generation atomically."""
    path = path_of(generation)
    path.parent.mkdir(mode=0o755, exist_ok=True)
    new = path.with_suffix(".new")
    record = {"release": release(generation), "time": int(time.time()), "models": found}
    new.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", "utf-8")
    new.replace(path)


def release(generation: str) -> str:
    """Return the release of a generation, from its unit; "" if the unit has none."""
    with suppress(OSError):
        for unit in Path("generations", generation).glob("*.service"):
            if found := RELEASE.search(unit.read_text("utf-8")):
                return found[1]
    return ""


def measure(spec: Json, url: str, generation: str) -> int:
    """Record the figures of the running generation, before a switch to another."""
    write(generation, figures.merged(models(read(generation)), measured(spec, url, {})))
    return 0


def compare(spec: Json, url: str, generation: str, before: str = "", accept: str = "") -> int:
    """Measure and record a new generation; return NEVER if it has lost its cache."""
    then = models(read(before)) if before else {}
    now = measured(spec, url, then)
    write(generation, now)
    lost = []
    for model, each in now.items():
        found = figures.compared(each, then.get(model))
        print(*figures.lines(model, each, found), sep="\n")
        lost += [finding for finding in found if finding.state == "failed"]
    if not lost:
        return 0
    if accept:
        print("the loss is accepted: later generations are compared with these figures")
        return 0
    print(f"The prefix cache has lost more than {figures.LOSS:.0%} of its hits. {ACCEPT}")
    return NEVER


def report(spec: Json, url: str) -> int:
    """Print the figures now, and those of the last other verified generation.

    Without that, they are compared with those that the current one had when it was new.
    """
    current = Path("current").resolve().name
    served = sorted(Path("served").glob("*"), key=lambda each: each.stat().st_mtime, reverse=True)
    others = [each.name for each in served if each.name != current and read(each.name)]
    before = next(iter(others), current)
    then = read(before)
    found = {
        "release": release(current),
        "generation": current,
        "now": measured(spec, url, models(then)),
        "before": {**then, "generation": before} if then else None,
    }
    print(json.dumps(found))
    return 0


def main(job: str, url: str, *more: str) -> int:
    spec = json.load(sys.stdin)
    if job == "measure":
        return measure(spec, url, *more)
    return compare(spec, url, *more) if job == "compare" else report(spec, url)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
