"""Download the weights of models from a hub, verify them, and pass them on to other hosts.

Runs on the host as the engine's user, with the engine's own environment:

    hub_download.py <request.json

A request has the ``hub`` (url, token, proxy), and a job for each model: its ``model``,
``repository``, ``revision`` and the ``directory`` of its files. A download continues at the byte
where an earlier run stopped. A file is complete once its digest matches the hub's. The digests are
written to .mirrorfleet/sha256, in the format of sha256sum.

With ``share``, hosts of a model take files from each other, and each file comes from the hub once.
Then a job has the ``key`` of its weights, the names of hosts that ``fetch`` them, and its
``peers``. A host that has all files already only passes them on: its job is ``complete``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from mirrorfleet.roles.vllm.files.hub_files import (
    FULL,
    Failure,
    Hub,
    Job,
    download,
    local_size,
    matching,
    reason,
    set_environment,
)
from mirrorfleet.roles.vllm.files.neighbour_server import Offer, Server, complete, context
from mirrorfleet.roles.vllm.files.neighbours import Neighbours, Peer, remove

AT_ONCE = 8
"""Simultaneous downloads: one connection does not use all of a fast link."""

INTERVAL = 5
"""Seconds between two lines of progress."""

STEP = 0.2
"""Seconds between two looks at what other hosts have."""

WAITING = 30
"""Seconds between two lines about hosts that still fetch."""

RESERVE = 64 * 1024**2
"""Bytes of the disk that must stay free."""


class Transfer:
    """The files of one model in transit, by their position in ``order``.

    ``neighbours`` are the other hosts of the model, ``None`` if this host fetches alone.
    """

    def __init__(
        self, hub: Hub, files: Iterable[Any], neighbours: Neighbours | None, offer: Offer | None
    ) -> None:
        self.hub, self.neighbours, self.offer = hub, neighbours, offer
        # The largest file first, so that it does not download alone at the end.
        self.order = sorted(files, key=lambda file: (-file.size, file.path))
        self.waiting = list(range(len(self.order)))
        self.running: dict[Future[str], tuple[int, Peer | None]] = {}
        self.found: dict[str, str] = {}

    def begin(self, hub_pool: ThreadPoolExecutor, host_pool: ThreadPoolExecutor) -> None:
        """Begin the files whose turn it is, as far as there are connections."""
        for number in list(self.waiting):
            file = self.order[number]
            source: Peer | str | None = "hub"
            if self.neighbours and local_size(file.path) != file.size:
                source = self.neighbours.source(number, file.path)
            peer = source if isinstance(source, Peer) else None
            busy = sum((other is None) == (peer is None) for _, other in self.running.values())
            if source is None or busy >= AT_ONCE:
                continue
            self.waiting.remove(number)
            if peer and self.neighbours:
                job = host_pool.submit(copy, self.neighbours, peer, file)
            else:
                job = hub_pool.submit(download, self.hub, file)
            self.running[job] = number, peer

    def take_results(self, seconds: float) -> None:
        """Wait for results. A file that another host could not send waits for its turn again."""
        if not self.running:
            time.sleep(seconds)
        for job in wait(self.running, seconds, FIRST_COMPLETED).done:
            number, _ = self.running.pop(job)
            name = self.order[number].path
            if digest := job.result():
                self.found[name] = digest
                if self.offer:
                    self.offer.add(name)
            else:
                self.waiting.append(number)

    @property
    def arrived(self) -> int:
        return sum(local_size(file.path) for file in self.order)


def copy(neighbours: Neighbours, peer: Peer, file: Any) -> str:
    """Copy a file from another host, and return its SHA-256; "" if that fails."""
    try:
        neighbours.copy(peer, file.path, file.size)
    except OSError as error:
        if error.errno in FULL:
            raise
        neighbours.reject(peer, file.path)
        return ""
    if digest := matching(file):
        return digest
    remove(file.path)
    neighbours.reject(peer, file.path)
    return ""


def fetch(
    hub: Hub,
    model: str,
    files: list[Any],
    neighbours: Neighbours | None = None,
    offer: Offer | None = None,
) -> dict[str, str]:
    """Download all files, print the progress, and return their SHA-256 by name."""
    total = sum(file.size for file in files)
    missing = total - sum(min(local_size(file.path), file.size) for file in files)
    free = shutil.disk_usage(".").free
    if missing + RESERVE > free:
        raise Failure(
            f"the download needs another {missing / 1e9:.2f} GB, but the disk of "
            f"{Path.cwd().parent} has {free / 1e9:.2f} GB free. Make room there: "
            "deploys/remove_weights.py removes unused weights."
        )
    transfer, printed = Transfer(hub, files, neighbours, offer), 0.0
    with ThreadPoolExecutor(AT_ONCE) as hub_pool, ThreadPoolExecutor(AT_ONCE) as host_pool:
        try:
            while transfer.waiting or transfer.running:
                transfer.begin(hub_pool, host_pool)
                transfer.take_results(STEP)
                if offer:
                    offer.arrived = transfer.arrived
                if time.monotonic() - printed >= INTERVAL:
                    printed = time.monotonic()
                    print_progress(model, transfer.arrived, total)
        except BaseException:
            for pool in (hub_pool, host_pool):
                pool.shutdown(wait=False, cancel_futures=True)
            raise
    print_progress(model, transfer.arrived, total)
    if neighbours:
        print(
            f"weights {model}: {neighbours.copied / 1e9:.2f} GB came from other hosts", flush=True
        )
        for peer in neighbours.silent():
            print(f"weights {model}: {peer.name} does not answer at {peer.place}", flush=True)
    return transfer.found


def print_progress(model: str, done: int, total: int) -> None:
    """Print how much of all files is local."""
    progress = f"{done / 1e9:.2f} of {total / 1e9:.2f} GB ({100 * done // max(total, 1)}%)"
    print(f"weights {model}: {progress}", flush=True)


def bring(job: Job, neighbours: Neighbours | None = None, offer: Offer | None = None) -> None:
    """Download the files to the working directory, remove all others, and write their digests."""
    hub = Hub(job)
    files = hub.files()
    names = {file.path for file in files}
    shutil.rmtree(".cache", ignore_errors=True)
    for path in sorted(Path().rglob("*"), reverse=True):
        if path.is_file() and str(path) not in names:
            path.unlink()
    found = fetch(hub, job["model"], files, neighbours, offer)
    shutil.rmtree(".cache", ignore_errors=True)
    Path(".mirrorfleet").mkdir(exist_ok=True)
    lines = (f"{found[name]}  {name}\n" for name in sorted(found))
    Path(".mirrorfleet/sha256").write_text("".join(lines), "utf-8")


def neighbours_of(job: Job, share: dict[str, Any], tls: Any) -> Neighbours:
    """Return the other hosts of a job's model."""
    peers = [
        Peer(each["name"], each["address"], share["port"], fetches=each["name"] in job["fetch"])
        for each in job["peers"]
    ]
    return Neighbours(job["key"], share["name"], job["fetch"], peers, tls)


def shared(jobs: list[Job], share: dict[str, Any]) -> dict[str, tuple[Neighbours, Offer]]:
    """Begin to pass on the files of all jobs, and to ask the other hosts; return both by key."""
    tls = context(share, server=False)
    found = {}
    for job in jobs:
        offer = Offer(job["key"], job["directory"], (peer["name"] for peer in job["peers"]))
        found[job["key"]] = neighbours_of(job, share, tls), offer
        if job["complete"]:
            offer.add(*complete(job["directory"]))
            offer.is_done = True
    try:
        Server(share, (offer for _, offer in found.values())).begin()
    except OSError as error:
        place = f"{share['address']}:{share['port']}"
        print(f"weights: nothing is passed on: {place} cannot be used: {error}", flush=True)
    for neighbours, _ in found.values():
        neighbours.begin()
    return found


def wait_for_others(found: Iterable[tuple[Neighbours, Offer]]) -> None:
    """Pass on files until no other host needs them, and all know that this one is complete."""
    printed, pairs = time.monotonic(), list(found)
    while True:
        names = {name for neighbours, _ in pairs for name in neighbours.waiting()}
        if not names and all(offer.aware >= {*each.running()} for each, offer in pairs):
            return
        if names and time.monotonic() - printed >= WAITING:
            printed = time.monotonic()
            print(f"weights: complete here; still fetching: {', '.join(sorted(names))}", flush=True)
        time.sleep(STEP)


def main(request: dict[str, Any]) -> None:
    """Do all jobs of a request. Raises ``Failed`` with the job that fails."""
    jobs = [{**request["hub"], **job} for job in request["jobs"]]
    share = request.get("share")
    found = shared(jobs, share) if share else {}
    for job in jobs:
        if job.get("complete"):
            continue
        os.chdir(job["directory"])
        set_environment(job)
        neighbours, offer = found[job["key"]] if share else (None, None)
        try:
            bring(job, neighbours, offer)
        except Exception as error:
            raise Failed(f"{job['model']}: {reason(error, job)}") from error
        if offer:
            offer.is_done = True
    wait_for_others(list(found.values()))


class Failed(Exception):
    """A job that failed, with the model's name and the remedy."""


if __name__ == "__main__":
    try:
        main(json.load(sys.stdin))
    except Exception as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)  # without waiting for threads that wait for a silent hub
    os._exit(0)  # nor for other hosts' connections
