"""Ctrl-C reaches a run from every greenlet."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import gevent
import pytest

from mirrorfleet.runtime.interrupt import at_ctrl_c


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_in_a_connection_interrupts_the_run() -> None:
    at_ctrl_c(KeyboardInterrupt)
    connection = gevent.spawn(signal.raise_signal, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        gevent.sleep(30)
    assert connection.successful()


def test_a_signal_in_the_run_itself_interrupts_it() -> None:
    at_ctrl_c(lambda: SystemExit(130))
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGINT)


def test_a_run_in_the_background_ignores_the_signal() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    at_ctrl_c(KeyboardInterrupt)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
