"""The keys of a gateway: two files beside its generations, changed while it serves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import KeyPlan, LitellmPlan, http
from mirrorfleet.roles.litellm import limits
from mirrorfleet.roles.litellm.files.keyring import Entry, document, is_stale
from mirrorfleet.roles.litellm.paths import KEYS, USER
from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.commands import Commands, script, visible_script
from mirrorfleet.runtime.facts import Content, Fact, Tree, User
from mirrorfleet.runtime.intermittent import is_offline
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.secrets import Guessable, reveal
from mirrorfleet.runtime.shell import call

DESIRED = f"{KEYS}/keys.json"
FORMER = f"{KEYS}/former.json"
LIMITS = f"{KEYS}/limits.json"

PROGRAM = (Path(__file__).parent / "files" / "keyring.py").read_text(encoding="utf-8")

HOUR = 3600

SHORTEST = 16
"""Minimum number of characters of a master key: it gives access to all of LiteLLM."""

PASSTHROUGH = ["/anthropic/v1/messages", "/anthropic/v1/messages/count_tokens"]
"""The paths of Anthropic's own API for a developer's key: not its files, batches or models."""


def facts() -> list[Fact[Any]]:
    """Return the facts about the keys: the state of keys.json, the content of former.json."""
    return [Tree(KEYS), Content(FORMER)]


def problems(gateway: LitellmPlan) -> Iterator[Problem]:
    """Yield which keys are too short, guessable or duplicates."""
    if len(reveal(gateway.master_key)) < SHORTEST:
        yield error(
            f"the master key {gateway.master_key} is shorter than {SHORTEST} characters.",
            'Make a random one, for example with: echo "sk-$(openssl rand -hex 32)".',
        )
    holders = {reveal(gateway.master_key): "master_key"}
    try:
        for key in gateway.keys:
            other = holders.setdefault(reveal(key.key), key.name)
            if other != key.name:
                yield error(
                    f"'{key.name}' and '{other}' have the same key.",
                    "Generate another key for one of them.",
                )
    except Guessable as exception:
        yield error(str(exception))


def desired(gateway: LitellmPlan) -> str:
    """Return keys.json. It holds hashes only, so that a copy of the file gives no access."""
    entries = [_entry(key) for key in gateway.keys if not key.revoked]
    entries.sort(key=lambda entry: str(entry["name"]))
    return document(entries, PASSTHROUGH if gateway.passthrough else [])


def _entry(key: KeyPlan) -> Entry:
    entry: Entry = {"name": key.name, "group": key.group, "role": "developer"}
    if key.models:
        entry["models"] = list(key.models)
    if key.expires:
        # A key is valid until the end of its last day.
        end = datetime.fromisoformat(key.expires).replace(tzinfo=UTC) + timedelta(days=1)
        entry["expires"] = end.isoformat()
    return entry | {"sha256": sha256(reveal(key.key).encode()).hexdigest()}


def changes(gateway: LitellmPlan, observed: Observation) -> Iterator[Change]:
    """Yield the changes of the keys."""
    text = desired(gateway)
    if how := _difference(text, observed):
        yield Change(f"litellm: keys.json {how}", old=DESIRED, new=text)
    text = limits.desired(gateway)
    if how := _limits_difference(text, observed):
        yield Change(f"litellm: limits.json {how}", old=LIMITS, new=text)
    for entry in _ending(gateway, observed):
        yield Change(f"litellm: a former key of {entry.get('name')} is revoked")


def admit(gateway: LitellmPlan, observed: Observation) -> Commands:
    """Yield the command that writes the desired keys and limits.

    Replaced keys stay valid for a while.
    """
    text, limited = desired(gateway), limits.desired(gateway)
    if _difference(text, observed) or _limits_difference(limited, observed):
        request = json.dumps({"keys": text, "limits": limited, "grace": _grace(gateway)})
        yield script(_command("admit"), request)


def retire(
    gateway: LitellmPlan,
    observed: Observation,
    address: str,
    removed: Callable[[], Collection[str]],
) -> Commands:
    """Yield the command that revokes former keys, and checks that the gateway rejects them.

    A former key is revoked once this run has reached all machines of its holder. ``address`` is the
    gateway's on its own host; ``removed`` returns the keys that this run removed from machines.
    """
    dead = {*removed(), *(reveal(key.key) for key in gateway.keys if key.revoked)}
    is_present = Path(DESIRED).name in observed[Tree(KEYS)]
    changed = is_present and _difference(desired(gateway), observed)
    if changed or removed() or any(True for _ in _ending(gateway, observed)):
        request = {
            "dead": sorted(dead),
            "grace": _grace(gateway),
            "reached": sorted(_reached(gateway)),
        }
        url = f"{http(address, gateway.port)}/v1/models"
        yield visible_script(_command("retire", url), json.dumps(request))


def _grace(gateway: LitellmPlan) -> int:
    """Return how many seconds former keys stay valid: at least as long as a run may take."""
    return max(gateway.grace, HOUR)


def _command(job: str, *more: str) -> str:
    return call("python3", "-c", PROGRAM, job, KEYS, USER, *more)


def _difference(text: str, observed: Observation) -> str:
    """Return how the files differ from the desired state; "" if they do not."""
    files = observed[Tree(KEYS)]
    if Path(DESIRED).name not in files:
        return "is missing"
    digest = files[Path(DESIRED).name].rpartition(" ")[2]
    if digest != sha256(text.encode()).hexdigest():
        return "differs"
    for path, right in ((KEYS, "750"), (DESIRED, "640"), (FORMER, "640")):
        name = "" if path == KEYS else Path(path).name
        rights = files.get(name, "nothing ").rpartition(" ")[0]
        if rights != f"{right} root:{USER}":
            return f"is current, but {path} has mode and owner {rights}"
    return ""


def _limits_difference(text: str, observed: Observation) -> str:
    """Return how limits.json differs from the desired state; "" if it does not."""
    found = observed[Tree(KEYS)].get(Path(LIMITS).name)
    if not text or found is None:
        return "is missing" if text else "is removed" if found else ""
    right = f"640 root:{USER} {sha256(text.encode()).hexdigest()}"
    return "" if found == right else "differs"


def _former(observed: Observation) -> list[Entry]:
    try:
        found = json.loads(observed[Content(FORMER)] or b'{"keys": []}')["keys"]
        return [entry for entry in found if isinstance(entry, dict)]
    except (ValueError, KeyError, TypeError):
        return []


def _ending(gateway: LitellmPlan, observed: Observation) -> Iterator[Entry]:
    """Yield the former keys from before this run that it revokes."""
    former = _former(observed)
    reached, now = _reached(gateway) if former else set(), time.time()
    holders = {key.name for key in gateway.keys if not key.revoked}
    for entry in former:
        if entry.get("name") in reached or is_stale(entry, holders, now, _grace(gateway)):
            yield entry


def notices(gateway: LitellmPlan, observed: Observation) -> Iterator[str]:
    """Yield how long machines that are offline can use the former keys that they may have."""
    away = [run.plan_of(host).name for host in run.hosts() if is_offline(host)]
    if not away:
        return
    machines = {key.name: [host for host in key.hosts if host in away] for key in gateway.keys}
    reported: set[str] = run.current().once(notices, set)  # by the first gateway, for all
    ending = list(_ending(gateway, observed))
    for entry in _former(observed):
        name = str(entry.get("name"))
        if entry not in ending and machines.get(name) and name not in reported:
            reported.add(name)
            yield (
                f"the former key of {name} ends at {entry.get('expires')}, and "
                f"{', '.join(machines[name])} may still use it: run again before, while it is on"
            )


def _reached(gateway: LitellmPlan) -> set[str]:
    """Return the holders whose former keys this run revokes: it has reached all their machines.

    A machine that failed or was skipped may still use the former key, until the grace period ends;
    so may a home that could not be written.
    """
    active = [(run.plan_of(host), run.observed_on(host)) for host in run.state().active_hosts]
    reached = {plan.name for plan, _ in active}
    missed = {
        client.key
        for plan, observed in active
        for client in (plan.clients.users if plan.clients else ())
        if skipped.is_skipped(plan, "clients")
        or client.user in skipped.homes(plan)
        or (observed and observed[User(client.user)] is None)
    }
    return {
        key.name
        for key in gateway.keys
        if not gateway.grace or (reached.issuperset(key.hosts) and key.key not in missed)
    }
