"""Keys of developers: derivation, holders, models and expiry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mirrorfleet import fleet
from mirrorfleet.config.key_derivation import DerivedKey, weakness
from mirrorfleet.config.reader import Secret
from mirrorfleet.planning import KeyPlan

ROOT = "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26"
GOOD = Path(__file__).parent / "good" / "keys.yml"


def derived(**other: object) -> DerivedKey:
    key = DerivedKey(Secret("env", "ROOT", Path("/")), "prod", "ada", (1, 1, 1))
    return replace(key, **other)  # type: ignore[arg-type]


def planned() -> dict[str, KeyPlan]:
    gateway = fleet.plan(fleet.load(GOOD)).hosts["gw"].gateway
    assert gateway
    return {key.name: key for key in gateway.keys}


def test_a_derived_key_never_changes() -> None:
    """A change of this value would change the keys of all developers, and must not happen."""
    assert derived().value(ROOT) == "sk-mf-uKzuQGZbt3smCYwRGb1Pyf6plBZ3ToecHkKHHpZC6bM"


def test_fleet_person_rotation_and_root_change_the_key() -> None:
    others = [
        derived(fleet="lab"),
        derived(person="adb"),
        derived(rotation=(2, 1, 1)),
        derived(rotation=(1, 2, 1)),
        derived(rotation=(1, 1, 2)),
        derived(fleet='prod", "ada'),
    ]
    values = {key.value(ROOT) for key in [derived(), *others]} | {derived().value(ROOT + "0")}
    assert len(values) == len(others) + 2
    assert all(len(value) == len("sk-mf-") + 43 for value in values)


@pytest.mark.parametrize(
    "root",
    [
        "short",
        "a" * 64,
        "0123456789abcdef" * 4,
        "correct-horse-battery-change-me-please",
        "MirrorFleet-root-of-all-our-keys-2026",
    ],
)
def test_a_guessable_root_is_weak(root: str) -> None:
    assert weakness(root)
    assert root not in weakness(root)


def test_a_random_root_is_not_weak() -> None:
    assert not weakness(ROOT)
    assert not weakness("q3hF0v5m/8Jz1kXwT9bYpLr2sNcGdEuA")


def test_a_person_has_one_key_on_all_hosts() -> None:
    hosts, keys = fleet.plan(fleet.load(GOOD)).hosts, planned()
    clients_keys = {
        (host, client.user, client.group): client.key
        for host, plan in hosts.items()
        for client in (plan.clients.users if plan.clients else ())
    }
    assert (
        clients_keys["desk", "ada", "team"]
        == clients_keys["laptop-7", "ada", "laptops"]
        == keys["ada"].key
    )
    assert clients_keys["laptop-7", "dev", "laptops"] == keys["kim"].key
    assert clients_keys["laptop-7", "guest", "guests"] == keys["eve"].key
    assert (
        str(clients_keys["laptop-7", "lin", "guests"]) == str(keys["lin"].key) == "{env: LIN_KEY}"
    )
    assert keys["ada"].hosts == ("desk", "laptop-7")
    assert len({str(key.key) for key in keys.values()}) == len(keys)


def test_values_of_a_person_win_over_the_group() -> None:
    keys = planned()
    assert (keys["kim"].expires, keys["eve"].expires) == ("2027-03-31", "2026-12-31")
    assert (keys["eve"].models, keys["ada"].models) == (("coder",), ())
    assert isinstance(keys["eve"].key, DerivedKey)
    assert keys["eve"].key.rotation == (3, 2, 1)
    assert [name for name, key in keys.items() if key.revoked] == ["linus"]


def test_a_tier_that_the_key_does_not_allow_is_the_groups_model() -> None:
    clients = fleet.plan(fleet.load(GOOD)).hosts["laptop-7"].clients
    assert clients
    opus = {
        client.group: client.settings["env"]["ANTHROPIC_DEFAULT_OPUS_MODEL"]
        for client in clients.users
    }
    assert opus == {"laptops": "cloud", "guests": "coder"}
