"""Secrets do not leak into arguments, environments, logs or readable files.

A run changes all keys of the lab while a thread watches the processes. Then the hosts are searched
for the old and the new keys, and for a canary, which proves that the search works.
"""

import base64
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.lab import look, paths

NAMES = ("engine", "master", "developers")
CANARY = f"sk-canary-{secrets.token_hex(24)}"

# The patterns arrive on standard input, and go to a file that is not searched. The search covers
# all files that other users can read, and every file in directories where many users can write.
SEARCH = r"""
umask 077
export LC_ALL=C
patterns=$(mktemp /root/.patterns.XXXXXX)
trap 'rm -f "$patterns"' EXIT
cat >"$patterns"
find_in() { where=$1; shift; "$@" 2>/dev/null | grep -aoF -f "$patterns" | sed "s|^|$where\t|"; }

for process in /proc/[0-9]*; do
    name=$(cat "$process/comm" 2>/dev/null) || continue
    find_in "arguments of $name" cat "$process/cmdline"
    case $(stat -c %U "$process") in
        root | mirrorfleet-*) ;;
        *) find_in "environment of $name" cat "$process/environ" ;;
    esac
done
find_in journal journalctl -q --all -o export
{
    find / /run -xdev -type f -perm -o=r -print0
    find /tmp /var/tmp /dev/shm /var/lib/mirrorfleet -type f -print0
} | xargs -0 grep -aoHF -f "$patterns" 2>/dev/null | sed 's|:\([^:]*\)$|\t\1|'
exit 0
"""

# One canary of each kind. A shell reads this script from standard input, so that it leaves no other
# trace. The processes end on their own.
PLANT = """
for place in /opt/mirrorfleet/canary /usr/local/bin/canary; do echo {0} >$place; done
chmod 644 /opt/mirrorfleet/canary /usr/local/bin/canary
umask 077
for place in /tmp/canary /var/tmp/canary /var/lib/mirrorfleet/canary; do echo {0} >$place; done
echo {0} | systemd-cat
CANARY={0} runuser -u daemon -- sh -c 'exec sleep 60' &
sh -c 'sleep 60; :' {0} &
"""
CANARIES = {
    "arguments of sh",
    "environment of sleep",
    "journal",
    "/opt/mirrorfleet/canary",
    "/usr/local/bin/canary",
    "/tmp/canary",
    "/var/tmp/canary",
    "/var/lib/mirrorfleet/canary",
}
FILES = sorted(place for place in CANARIES if place.startswith("/"))


def known() -> dict[str, str]:
    return {name: look.secret(name) for name in NAMES}


def found_in(text: str, values: dict[str, str]) -> set[str]:
    """Return the names of the secrets in a text, in plain or base64."""
    return {name for name, value in values.items() if any(f in text for f in _forms(value))}


def _forms(value: str) -> list[str]:
    """Return a text, and its base64 at each of the three offsets."""
    inside = (base64.b64encode(b"x" * shift + value.encode()).decode() for shift in range(3))
    return [value, *(text[4:-4] for text in inside)]


@contextmanager
def watched(values: dict[str, str]) -> Iterator[set[str]]:
    """Yield a set that collects secrets in the arguments of processes while the block runs."""
    found: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for arguments in look.processes():
                found.update(name for name, value in values.items() if value in arguments)
            time.sleep(0.005)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


@pytest.fixture(scope="module")
def changed() -> dict[str, str]:
    """Change all keys while processes are watched; return the old and the new keys."""
    old = known()
    for name in NAMES:
        (paths.ACCESS / "secrets" / name).write_text(f"sk-{secrets.token_hex(24)}\n")
    everything = {f"old {name}": value for name, value in old.items()} | known()

    dry = look.mirror("--dry", "--diff", "-vvv", "--debug")
    with watched(everything | {"canary": CANARY}) as leaked:
        look.run("gw-1", "sh -s", f"sh -c 'sleep 0.2; :' {CANARY}\n")
        run = look.mirror("--diff", "-vvv", "--debug")
    assert run.returncode == 0, run.stdout + run.stderr
    assert leaked == {"canary"}
    for done in (dry, run):
        assert found_in(done.stdout + done.stderr, everything) == set()
        assert "H4sI" not in done.stdout + done.stderr  # the first bytes of an archive with secrets
    return everything


def test_new_keys_reach_every_layer(changed: dict[str, str]) -> None:
    for gateway in look.GATEWAYS:
        assert look.message(gateway, changed["old developers"])[0] == 401
        assert look.message(gateway, changed["old master"])[0] == 401
        assert look.message(gateway, changed["developers"])[0] == 200
    assert look.http_status("gpu", 8000, "/v1/models", key=changed["old engine"])[0] == 401


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_debug_inventory(changed: dict[str, str], options: list[str]) -> None:
    done = look.pyinfra(*options, str(look.FLEET.with_suffix(".py")), "debug-inventory")
    assert done.returncode == 0
    assert "gw-1" in done.stdout + done.stderr
    assert found_in(done.stdout + done.stderr, changed) == set()


def test_no_secret_leaks_on_any_host(changed: dict[str, str]) -> None:
    searched = changed | {"canary": CANARY}
    with ThreadPoolExecutor() as pool:
        found = dict(zip(look.HOSTS, pool.map(_search, look.HOSTS, [searched] * 4), strict=True))
    expected = {(place, "canary") for place in CANARIES}
    assert found == dict.fromkeys(look.HOSTS, expected)


def _search(host: str, values: dict[str, str]) -> set[tuple[str, str]]:
    """Plant canaries, search, and return each place with the name of its secret."""
    names = {value: name for name, value in values.items()}
    look.run(host, "sh -s >/dev/null 2>&1", PLANT.format(CANARY))
    try:
        lines = look.run(host, SEARCH, "\n".join(names)).splitlines()
    finally:
        look.run(host, f"rm {' '.join(FILES)}")
    return {(place, names[value]) for place, _, value in (line.partition("\t") for line in lines)}
