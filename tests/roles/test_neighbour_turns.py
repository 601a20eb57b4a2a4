"""Whose turn it is to fetch a file of weights from the hub, as each host sees the others."""

from __future__ import annotations

import ssl
import threading
import time

import pytest

from mirrorfleet.roles.vllm.files import neighbours as program
from mirrorfleet.roles.vllm.files.neighbours import Neighbours, Peer
from tests.roles.test_neighbours import KEY

NAMES = ("a", "b", "c")


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> dict[str, Neighbours]:
    """Return each host's view of the others, without connections."""
    tls = ssl.create_default_context()
    monkeypatch.setattr(threading.Thread, "start", lambda _: None)
    return {
        me: Neighbours(
            KEY,
            me,
            NAMES,
            [Peer(name, "127.0.0.1", 1, fetches=True) for name in NAMES if name != me],
            tls,
        )
        for me in NAMES
    }


def test_each_file_is_fetched_by_one_host(others: dict[str, Neighbours]) -> None:
    for number in range(7):
        sources = {me: each.source(number, "file") for me, each in others.items()}
        assert [me for me, source in sources.items() if source == "hub"] == [NAMES[number % 3]]
        assert list(sources.values()).count(None) == 2


def test_a_host_that_has_the_file_is_asked(others: dict[str, Neighbours]) -> None:
    view = others["c"]
    view.peers["b"].take({"files": ["file"], "arrived": 1, "done": False})
    assert view.source(0, "file") is view.peers["b"]
    view.reject(view.peers["b"], "file")
    assert view.source(0, "file") is None, "it is the turn of a"
    assert view.source(2, "file") == "hub"


def test_a_host_whose_program_has_ended_is_not_waited_for(others: dict[str, Neighbours]) -> None:
    view = others["b"]
    a, c = view.peers["a"], view.peers["c"]
    a.end()
    assert view.waiting() == ["a", "c"], "it may still begin"
    for peer in (a, c):
        peer.take({"files": [], "arrived": 1, "done": False})
    a.end()
    assert view.waiting() == ["c"]
    assert view.source(0, "file") == "hub"


@pytest.mark.parametrize("why", ["silent", "lost", "stalled", "done"])
def test_the_turn_passes_from_a_host_that_cannot_take_it(
    others: dict[str, Neighbours], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = others["b"]
    assert view.source(0, "file") is None
    a = view.peers["a"]
    if why != "silent":
        a.take({"files": [], "arrived": 1, "done": why == "done"})
    later = {"silent": program.START, "lost": program.LOST, "stalled": program.STALLED, "done": 0}
    now = time.monotonic() + later[why] + 1
    monkeypatch.setattr(time, "monotonic", lambda: now)
    if why == "stalled":
        a.seen = now
    assert view.source(0, "file") == "hub"
    # It is the turn of a again once it answers, unless it has ended.
    if why != "done":
        a.take({"files": [], "arrived": 2, "done": False})
        assert view.source(0, "file") is None
