"""Whose keys open a gateway: two files beside its generations, changed while it serves."""

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
from mirrorfleet.roles.litellm.files.keyring import Entry, document, stale
from mirrorfleet.roles.litellm.render import KEYS, USER
from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.commands import Commands, script, telling
from mirrorfleet.runtime.facts import Content, Fact, Tree, User
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.secrets import Guessable, reveal
from mirrorfleet.runtime.shell import call

WANTED = f"{KEYS}/keys.json"
FORMER = f"{KEYS}/former.json"

PROGRAM = (Path(__file__).parent / "files" / "keyring.py").read_text(encoding="utf-8")

HOUR = 3600

SHORTEST = 16
"""Characters of a master key at the least: it opens all of LiteLLM."""

PASSTHROUGH = ["/anthropic/v1/messages", "/anthropic/v1/messages/count_tokens"]
"""What of Anthropic's own API a developer's key opens: not its files, batches or models."""


def facts() -> list[Fact[Any]]:
    """What must be known of the keys: what keys.json is, and what former.json holds."""
    return [Tree(KEYS), Content(FORMER)]


def problems(gateway: LitellmPlan) -> Iterator[Problem]:
    """Yield which keys can be guessed, or cannot be told apart."""
    if len(reveal(gateway.master_key)) < SHORTEST:
        yield error(
            f"the master key {gateway.master_key} is shorter than {SHORTEST} characters.",
            'Make a random one, for example with: echo "sk-$(openssl rand -hex 32)".',
        )
    holders = {reveal(gateway.master_key): "master_key"}
    try:
        for each in gateway.keys:
            other = holders.setdefault(reveal(each.key), each.name)
            if other != each.name:
                yield error(f"'{each.name}' and '{other}' have the same key.", "Make another one.")
    except Guessable as exception:
        yield error(str(exception))


def wanted(gateway: LitellmPlan) -> str:
    """Return keys.json: only hashes, so that the file is worth nothing to a thief."""
    entries = [_entry(each) for each in gateway.keys if not each.revoked]
    entries.sort(key=lambda entry: str(entry["name"]))
    return document(entries, PASSTHROUGH if gateway.passthrough else [])


def _entry(key: KeyPlan) -> Entry:
    entry: Entry = {"name": key.name, "group": key.group, "role": "developer"}
    if key.models:
        entry["models"] = list(key.models)
    if key.expires:
        # The last day counts to its end.
        end = datetime.fromisoformat(key.expires).replace(tzinfo=UTC) + timedelta(days=1)
        entry["expires"] = end.isoformat()
    return entry | {"sha256": sha256(reveal(key.key).encode()).hexdigest()}


def changes(gateway: LitellmPlan, observed: Observation) -> Iterator[Change]:
    """Yield what will be changed about the keys."""
    text = wanted(gateway)
    if how := _unlike(text, observed):
        yield Change(f"litellm: keys.json {how}", old=WANTED, new=text)
    for entry in _leaving(gateway, observed):
        yield Change(f"litellm: a former key of {entry.get('name')} goes")


def admit(gateway: LitellmPlan, observed: Observation) -> Commands:
    """Let in who is to come in; the former keys of those who stay count for a while."""
    text = wanted(gateway)
    if _unlike(text, observed):
        said = json.dumps({"keys": text, "grace": _grace(gateway)})
        yield script(_command("admit"), said)


def retire(
    gateway: LitellmPlan, observed: Observation, address: str, taken: Callable[[], Collection[str]]
) -> Commands:
    """End the former keys of those whose machines this run has all reached, and prove it.

    ``address`` is where the gateway is asked on its own host; ``taken`` gives the keys that
    machines of this run had and are to have no more.
    """
    dead = {*taken(), *(reveal(each.key) for each in gateway.keys if each.revoked)}
    changed = Path(WANTED).name in observed[Tree(KEYS)] and _unlike(wanted(gateway), observed)
    if changed or taken() or any(True for _ in _leaving(gateway, observed)):
        said = {
            "dead": sorted(dead),
            "grace": _grace(gateway),
            "reached": sorted(_reached(gateway)),
        }
        url = f"{http(address, gateway.port)}/v1/models"
        yield telling(_command("retire", url), json.dumps(said))


def _grace(gateway: LitellmPlan) -> int:
    """Return for how long former keys are written down: a run, at least."""
    return max(gateway.grace, HOUR)


def _command(job: str, *more: str) -> str:
    return call("python3", "-c", PROGRAM, job, KEYS, USER, *more)


def _unlike(text: str, observed: Observation) -> str:
    """Say how the files differ from what they should be; nothing where they do not."""
    there = observed[Tree(KEYS)]
    if Path(WANTED).name not in there:
        return "is missing"
    digest = there[Path(WANTED).name].rpartition(" ")[2]
    if digest != sha256(text.encode()).hexdigest():
        return "differs"
    for path, right in ((KEYS, "750"), (WANTED, "640"), (FORMER, "640")):
        name = "" if path == KEYS else Path(path).name
        rights = there.get(name, "nothing ").rpartition(" ")[0]
        if rights != f"{right} root:{USER}":
            return f"is right, and {path} has mode and owner {rights}"
    return ""


def _former(observed: Observation) -> list[Entry]:
    try:
        found = json.loads(observed[Content(FORMER)] or b'{"keys": []}')["keys"]
        return [each for each in found if isinstance(each, dict)]
    except (ValueError, KeyError, TypeError):
        return []


def _leaving(gateway: LitellmPlan, observed: Observation) -> Iterator[Entry]:
    """Yield the former keys that were there already, and that this run ends."""
    former = _former(observed)
    reached, now = _reached(gateway) if former else set(), time.time()
    holders = {each.name for each in gateway.keys if not each.revoked}
    for each in former:
        if each.get("name") in reached or stale(each, holders, now, _grace(gateway)):
            yield each


def _reached(gateway: LitellmPlan) -> set[str]:
    """Return whose former keys end with this run: it has been on all machines of theirs.

    Those that have failed, or that it leaves out, may still have the key; that is what grace
    is for. Likewise a home that could not be written.
    """
    active = [(run.plan_of(each), run.observed_on(each)) for each in run.state().active_hosts]
    reached = {plan.name for plan, _ in active}
    missed = {
        client.key
        for plan, observed in active
        for client in (plan.clients.users if plan.clients else ())
        if skipped.skips(plan, "clients")
        or client.user in skipped.homes(plan)
        or (observed and observed[User(client.user)] is None)
    }
    return {
        each.name
        for each in gateway.keys
        if not gateway.grace or (reached.issuperset(each.hosts) and each.key not in missed)
    }
