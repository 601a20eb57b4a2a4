"""The keys of a gateway, changed while it serves: run on the gateway, as root, by its python3.

    keyring.py admit DIRECTORY GROUP          what is wanted comes on standard input
    keyring.py retire DIRECTORY GROUP URL     whose former keys go, and which keys must be dead

`admit` writes keys.json as it is wanted. Of a key that was there and is not wanted any more, when
its holder has another one now, the machines of its holder may still have the old one: it goes to
former.json, where it counts for a while. Everybody else's counts no longer from that moment.
`retire` takes keys out of former.json, and asks the gateway with each key that must be dead.

Both files are read by every worker at every request. Each is replaced at once, and former.json
first: there is no moment in which a key that is only on its way out is in neither.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Entry = dict[str, Any]

SLACK = 3600
"""Seconds by which the clocks of hosts may differ."""


def entries(path: Path) -> dict[str, Entry]:
    """Return the keys of a file by hash; none where it is missing or unreadable as such."""
    try:
        return {each["sha256"]: each for each in json.loads(path.read_text("utf-8"))["keys"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def document(keys: list[Entry], routes: list[str]) -> str:
    """Return a file of keys: a line for each, its hash last, so that a diff can hide it."""
    lines = ",\n".join(json.dumps(each) for each in keys)
    return f'{{"version": 2, "routes": {json.dumps(routes)}, "keys": [\n{lines}\n]}}\n'


def former(
    wanted: dict[str, Entry],
    there: dict[str, Entry],
    leaving: dict[str, Entry],
    now: float,
    grace: int,
) -> list[Entry]:
    """Return the keys that count for a while: those of `there` and `leaving` whose holders stay.

    They open what the holder's present key opens, and no more.
    """
    holders = {each["name"]: each for each in wanted.values()}
    kept = []
    for digest, entry in {**there, **leaving}.items():
        holder = holders.get(entry.get("name"))
        if digest in wanted or holder is None:
            continue
        ends = [
            now + grace,
            *(instant(each["expires"]) for each in (entry, holder) if "expires" in each),
        ]
        if min(ends) > now:
            expires = datetime.fromtimestamp(min(ends), UTC).isoformat(timespec="seconds")
            kept.append({**holder, "expires": expires, "sha256": digest})
    return kept


def stale(entry: Entry, holders: set[str], now: float, grace: int) -> bool:
    """Is a former key one that nobody's machine is to have any more?"""
    try:
        ends = instant(entry["expires"])
    except (KeyError, TypeError, ValueError):
        return True
    return entry.get("name") not in holders or not now < ends <= now + grace + SLACK


def instant(said: str) -> float:
    """Return a time of these files in seconds since 1970."""
    return datetime.fromisoformat(said).timestamp()


def admit(directory: Path, group: str, said: dict[str, Any]) -> None:
    """Write both files for what is wanted."""
    text = said["keys"]
    wanted = {each["sha256"]: each for each in json.loads(text)["keys"]}
    files = directory / "keys.json", directory / "former.json"
    there, leaving = map(entries, files)
    kept = former(wanted, there, leaving, time.time(), said["grace"])
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    shutil.chown(directory, "root", group)
    directory.chmod(0o750)
    replace(files[1], document(kept, []), group)
    replace(files[0], text, group)


def retire(directory: Path, group: str, said: dict[str, Any], url: str) -> list[str]:
    """Take keys out of former.json; return what the gateway lets in that must be dead."""
    path, now = directory / "former.json", time.time()
    holders = {each["name"] for each in entries(directory / "keys.json").values()}
    there = entries(path)
    kept = [
        each
        for each in there.values()
        if each["name"] not in said["reached"] and not stale(each, holders, now, said["grace"])
    ]
    if len(kept) < len(there):
        replace(path, document(kept, []), group)
    for each in kept:
        print(f"the former key of {each['name']} still counts until {each['expires']}")
    alive = {*entries(directory / "keys.json"), *entries(path)}
    dead = [key for key in said["dead"] if sha256(key.encode()).hexdigest() not in alive]
    user = pwd.getpwnam(group).pw_uid
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda key: asked(url, key, user), dead))
    if dead:
        print(f"asked with {len(dead)} keys that are revoked: {answers.count('401')} are refused")
    return sorted({answer for answer in answers if answer != "401"})


def listeners(port: int) -> set[int]:
    """Return the user IDs that listen on a TCP port of this host."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(FileNotFoundError):  # a host without IPv6
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                _, local, _, state, _, _, _, user, *_ = line.split()
                if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                    found.add(int(user))
    return found


def asked(url: str, key: str, user: int) -> str:
    """Return the status with which the gateway answers a key, or why it does not.

    The gateway runs as ``user``: nothing else gets the key.
    """
    owners = listeners(urlsplit(url).port or 80)
    if owners != {user}:
        return "by another process" if owners else "by nobody"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    try:
        with opener.open(request, timeout=20) as response:
            return str(response.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except (OSError, ValueError) as error:
        return type(error).__name__


def replace(path: Path, text: str, group: str) -> None:
    """Write a file in the place of another, at once, for the service to read."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with new.open("x", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o640)
        file.flush()
        os.fsync(file.fileno())
    shutil.chown(new, "root", group)
    new.replace(path)


def main(job: str, directory: str, group: str, *url: str) -> int:
    said = json.load(sys.stdin)
    if job == "admit":
        admit(Path(directory), group, said)
        return 0
    wrong = retire(Path(directory), group, said, *url)
    for answer in wrong:
        print(f"a key that is revoked was answered {answer}, not 401", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
