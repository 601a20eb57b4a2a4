"""Change the keys of a gateway while it serves: runs on the gateway, as root, by its python3.

    keyring.py admit DIRECTORY GROUP          write the keys and limits of standard input
    keyring.py retire DIRECTORY GROUP URL     revoke former keys, and check that URL rejects them

`admit` writes the desired keys.json, and limits.json if the gateway has limits or budgets. A key
that was in keys.json and whose holder now has another one moves to former.json, and stays valid for
a while: the holder's machines may still use it. Every other removed key is invalid at once.
`retire` removes keys from former.json, and sends a request to the gateway with each revoked key.

Every worker checks the files at every request. Each file is replaced atomically, former.json first:
a key that is being rotated is in one of them at any moment.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Entry = dict[str, Any]

SLACK = 3600
"""Seconds that the clocks of hosts may differ by."""


def entries(path: Path) -> dict[str, Entry]:
    """Return the keys of a file by hash; none if it is missing or not readable."""
    try:
        return {entry["sha256"]: entry for entry in json.loads(path.read_text("utf-8"))["keys"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def document(keys: list[Entry], routes: list[str]) -> str:
    """Return the text of a key file: one line per key, the hash last: a diff hides it."""
    lines = ",\n".join(json.dumps(key) for key in keys)
    return f'{{"version": 2, "routes": {json.dumps(routes)}, "keys": [\n{lines}\n]}}\n'


def former(
    desired: dict[str, Entry],
    present: dict[str, Entry],
    rotated: dict[str, Entry],
    now: float,
    grace: int,
) -> list[Entry]:
    """Return the entries of former.json.

    These are the keys of keys.json (``present``) and former.json (``rotated``) that are no longer
    desired, and whose holders have another key. Each gives the access of the holder's new key, for
    ``grace`` seconds from ``now`` at most.
    """
    holders = {entry["name"]: entry for entry in desired.values()}
    kept = []
    for digest, entry in {**present, **rotated}.items():
        holder = holders.get(entry.get("name"))
        if digest in desired or holder is None:
            continue
        ends = [
            now + grace,
            *(timestamp(key["expires"]) for key in (entry, holder) if "expires" in key),
        ]
        if min(ends) > now:
            ends_at = datetime.fromtimestamp(min(ends), timezone.utc)  # noqa: UP017
            expires = ends_at.isoformat(timespec="seconds")
            kept.append({**holder, "expires": expires, "sha256": digest})
    return kept


def is_stale(entry: Entry, holders: set[str], now: float, grace: int) -> bool:
    """Return whether a former key must be revoked: expired, without a holder, or not valid."""
    try:
        ends = timestamp(entry["expires"])
    except (KeyError, TypeError, ValueError):
        return True
    return entry.get("name") not in holders or not now < ends <= now + grace + SLACK


def timestamp(text: str) -> float:
    """Return a time of these files in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def admit(directory: Path, group: str, request: dict[str, Any]) -> None:
    """Write the files for the desired keys and limits."""
    text = request["keys"]
    desired = {entry["sha256"]: entry for entry in json.loads(text)["keys"]}
    files = directory / "keys.json", directory / "former.json"
    present, rotated = map(entries, files)
    kept = former(desired, present, rotated, time.time(), request["grace"])
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    shutil.chown(directory, "root", group)
    directory.chmod(0o750)
    if limits := request.get("limits"):
        replace(directory / "limits.json", limits, group)
    else:
        (directory / "limits.json").unlink(missing_ok=True)
    replace(files[1], document(kept, []), group)
    replace(files[0], text, group)


def retire(directory: Path, group: str, request: dict[str, Any], url: str) -> list[str]:
    """Remove keys from former.json; return the responses to revoked keys other than 401."""
    path, now = directory / "former.json", time.time()
    holders = {entry["name"] for entry in entries(directory / "keys.json").values()}
    present = entries(path)
    kept = [
        entry
        for entry in present.values()
        if entry["name"] not in request["reached"]
        and not is_stale(entry, holders, now, request["grace"])
    ]
    if len(kept) < len(present):
        replace(path, document(kept, []), group)
    for entry in kept:
        print(f"the former key of {entry['name']} stays valid until {entry['expires']}")
    valid = {*entries(directory / "keys.json"), *entries(path)}
    revoked = [key for key in request["dead"] if sha256(key.encode()).hexdigest() not in valid]
    user = pwd.getpwnam(group).pw_uid
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda key: response_to(url, key, user), revoked))
    if revoked:
        print(f"tried {len(revoked)} revoked keys: {responses.count('401')} are rejected")
    return sorted({response for response in responses if response != "401"})


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


def response_to(url: str, key: str, user: int) -> str:
    """Return the HTTP status that the gateway answers to a key, or why there is none.

    The gateway runs as ``user``. The key is sent to no other user's process.
    """
    # Not at the top: the controller imports this file in every run, for the format of the files.
    import urllib.error
    import urllib.request

    owners = listeners(urlsplit(url).port or 80)
    if owners != {user}:
        return "by another process" if owners else "by no process"
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
    """Replace a file atomically, readable by the service's group."""
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
    request = json.load(sys.stdin)
    if job == "admit":
        admit(Path(directory), group, request)
        return 0
    wrong = retire(Path(directory), group, request, *url)
    for response in wrong:
        print(f"a revoked key was answered {response}, not 401", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
