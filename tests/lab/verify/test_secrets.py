"""Secrets are where they must be, and nowhere else.

All keys of the lab are changed by a run that is watched while it works; then everything is
searched for the old and the new ones, and for a canary, to know that the search finds.
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

# The patterns come through standard input into a file that is not searched. Files that others can
# read are searched wherever they are; where many may write, all of them.
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

# One canary in each kind of place. Fed to a shell, so that the planting itself leaves none. The
# processes end by themselves.
PLANT = """
for place in /opt/mirrorfleet/canary /usr/local/bin/canary; do echo {0} >$place; done
chmod 644 /opt/mirrorfleet/canary /usr/local/bin/canary
umask 077
for place in /tmp/canary /var/tmp/canary /var/lib/mirrorfleet/canary; do echo {0} >$place; done
echo {0} | systemd-cat
CANARY={0} runuser -u nobody -- sh -c 'exec sleep 60' &
sh -c 'sleep 60; :' {0} &
"""
PLANTED = {
    "arguments of sh",
    "environment of sleep",
    "journal",
    "/opt/mirrorfleet/canary",
    "/usr/local/bin/canary",
    "/tmp/canary",
    "/var/tmp/canary",
    "/var/lib/mirrorfleet/canary",
}
FILES = sorted(place for place in PLANTED if place.startswith("/"))


def known() -> dict[str, str]:
    return {name: look.secret(name) for name in NAMES}


def found_in(text: str, wanted: dict[str, str]) -> set[str]:
    """Which secrets a text holds, as they are or inside something in base64."""
    return {name for name, value in wanted.items() if any(f in text for f in _forms(value))}


def _forms(value: str) -> list[str]:
    """A text, and what it looks like in base64 at each of the three places it can start at."""
    inside = (base64.b64encode(b"x" * shift + value.encode()).decode() for shift in range(3))
    return [value, *(text[4:-4] for text in inside)]


@contextmanager
def watched(wanted: dict[str, str]) -> Iterator[set[str]]:
    """The secrets that are seen in the arguments of any process while the block runs."""
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for arguments in look.processes():
                seen.update(name for name, value in wanted.items() if value in arguments)
            time.sleep(0.005)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        done.set()
        watching.join()


@pytest.fixture(scope="module")
def changed() -> dict[str, str]:
    """Change all keys, watched; return the old and the new ones."""
    old = known()
    for name in NAMES:
        (paths.ACCESS / "secrets" / name).write_text(f"sk-{secrets.token_hex(24)}\n")
    everything = {f"old {name}": value for name, value in old.items()} | known()

    dry = look.mirror("--dry", "--diff", "-vvv", "--debug")
    with watched(everything | {"canary": CANARY}) as seen:
        look.run("gw-1", "sh -s", f"sh -c 'sleep 0.2; :' {CANARY}\n")
        run = look.mirror("--diff", "-vvv", "--debug")
    assert run.returncode == 0, run.stdout + run.stderr
    assert seen == {"canary"}
    for done in (dry, run):
        assert found_in(done.stdout + done.stderr, everything) == set()
        assert "H4sI" not in done.stdout + done.stderr  # the head of an archive with secrets in it
    return everything


def test_a_change_of_all_keys_reaches_every_layer(changed: dict[str, str]) -> None:
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


def test_no_secret_lies_about_on_any_host(changed: dict[str, str]) -> None:
    wanted = changed | {"canary": CANARY}
    with ThreadPoolExecutor() as pool:
        found = dict(zip(look.HOSTS, pool.map(_search, look.HOSTS, [wanted] * 4), strict=True))
    expected = {(place, "canary") for place in PLANTED}
    assert found == dict.fromkeys(look.HOSTS, expected)


def _search(host: str, wanted: dict[str, str]) -> set[tuple[str, str]]:
    """Plant canaries, search, and return each place with the name of the secret found there."""
    names = {value: name for name, value in wanted.items()}
    look.run(host, "sh -s >/dev/null 2>&1", PLANT.format(CANARY))
    try:
        lines = look.run(host, SEARCH, "\n".join(names)).splitlines()
    finally:
        look.run(host, f"rm {' '.join(FILES)}")
    return {(place, names[value]) for place, _, value in (line.partition("\t") for line in lines)}
