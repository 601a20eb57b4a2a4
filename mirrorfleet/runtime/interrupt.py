"""Ctrl-C ends a run, whichever of its greenlets the signal meets."""

from __future__ import annotations

import signal
from collections.abc import Callable

import gevent


def at_ctrl_c(exception: Callable[[], BaseException]) -> None:
    """Raise ``exception()`` in the main greenlet at Ctrl-C, unless this process ignores it.

    Python raises KeyboardInterrupt in the greenlet that runs. In a connection of paramiko it would
    be lost: the host would count as unreachable, and the run would go on.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell started it in the background
        return
    hub = gevent.get_hub()

    def interrupted(*_: object) -> None:
        if gevent.getcurrent() is hub.parent:
            raise exception()
        hub.loop.run_callback(hub.parent.throw, exception())

    signal.signal(signal.SIGINT, interrupted)
