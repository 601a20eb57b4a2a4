"""The lab as a whole: up, down, status."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime
from pathlib import Path

from . import cgroups, disk, image, keys, lock, login, machine, network, nspawn, paths, removal
from .hosts import BY_NAME, EXTRAS, FLEET, Host
from .releases import Releases
from .terminal import LabError, Step, log, step

# Hosts handled at a time: more only makes each of them slower.
_AT_ONCE = 8


def up(extras: int, purpose: str, debian: Releases | None) -> None:
    """Boot the fleet's hosts and a number of extra ones, and wait until all of them answer.
    Running hosts are left alone; stopped ones boot from their own disks.

    With `debian`, raise ``LabError`` for a host whose disk has another release. Without it, such
    hosts keep theirs, and new ones get the default.

    With a purpose, mark the lab with it. Raise ``LabError`` for a lab without that mark.
    """
    hosts = (*FLEET, *EXTRAS[:extras])
    machine.require_programs()
    lock.take()
    if purpose:
        _claim(purpose)
    machine.require_rights()
    cgroups.enter()
    authorized = keys.identity()
    releases = _releases(hosts, debian)
    images = {each: image.base(each, disk.in_use()) for each in sorted({*releases.values()})}
    bases = {host: images[release] for host, release in releases.items()}
    with step("network"):
        network.up(len(hosts))
    stopped = [host for host in hosts if not nspawn.running(host)]
    if stopped:
        with step(f"disks for {_count(stopped)}"):
            _on_each(stopped, lambda host: _prepare(host, bases.get(host), authorized))
    keys.write_access({h: disk.public_key(h) for h in BY_NAME.values() if disk.exists(h)})
    with step(f"{_count(hosts)} up") as current:
        for host in stopped:
            nspawn.boot(host, disk.directory(host))
        _on_each(hosts, login.wait, current)


def down(keep: bool, purpose: str) -> None:
    """Kill every process of the lab and remove everything but keys and base images. With `keep`,
    keep the hosts' disks: the next `up` boots from them. With a purpose, leave a lab without
    that mark alone."""
    lock.take()
    if purpose and _has_other_purpose(purpose):
        log(f"this lab was not booted for {purpose}, so it stays")
        return
    with step("down"):
        _on_each([host for host in BY_NAME.values() if nspawn.running(host)], nspawn.kill)
        cgroups.remove_all()
        network.down()
        if not keep:
            disk.remove_all()
            keys.KNOWN_HOSTS.unlink(missing_ok=True)
        image.sweep()
        # This removes the lock file as well: see lock.take().
        removal.remove(paths.RUN)


def status() -> bool:
    """Print a line for every host of the fleet and every disk; return whether all hosts answer."""
    hosts = [host for host in BY_NAME.values() if host in FLEET or disk.exists(host)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(login.answers, hosts))
    for host, answer in zip(hosts, answers, strict=True):
        reach = "ssh answers" if answer else "ssh does not answer"
        print(f"{host.name:<10} {host.address!s:<13} {_state(host):<28} {reach}")
    return all(answers)


def _claim(purpose: str) -> None:
    if _has_other_purpose(purpose):
        raise LabError(
            f"a lab is running already, and it was not booted for {purpose}: is it in use?. "
            "Stop it first: bin/lab down"
        )
    paths.PURPOSE.write_text(purpose)


def _has_other_purpose(purpose: str) -> bool:
    """Return whether a lab exists, or only its disks, that was not booted for this purpose.
    `down` removes the mark with the lab, so it is never the mark of an earlier lab."""
    marked = paths.PURPOSE.read_text() if paths.PURPOSE.exists() else ""
    return marked != purpose and any(map(disk.exists, BY_NAME.values()))


def _releases(hosts: Collection[Host], debian: Releases | None) -> dict[Host, str]:
    """Return the release of each host that needs a new disk."""
    if debian:
        for host in filter(disk.exists, hosts):
            if disk.release(host) != debian.of(host):
                raise LabError(
                    f"{host.name} has Debian {disk.release(host)}, not {debian.of(host)}: remove "
                    "the lab first: bin/lab down"
                )
    chosen = debian or Releases()
    return {host: chosen.of(host) for host in hosts if not disk.exists(host)}


def _prepare(host: Host, base: Path | None, authorized: str) -> None:
    if base:
        disk.clone(host, base)
    disk.refresh(host, authorized)


def _state(host: Host) -> str:
    if not nspawn.running(host):
        return "stopped"
    started = nspawn.since(host)
    if started is None:
        return "booting"
    return f"running since {datetime.fromtimestamp(started):%Y-%m-%d %H:%M:%S}"


def _on_each(
    hosts: Collection[Host], work: Callable[[Host], None], current: Step | None = None
) -> None:
    """Call a function for every host, several at a time, and print each host when it is done."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        jobs = {pool.submit(work, host): host for host in hosts}
        try:
            for job in as_completed(jobs):
                job.result()
                if current:
                    current.progress(jobs[job].name)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _count(hosts: Collection[Host]) -> str:
    return f"{len(hosts)} host{'s' * (len(hosts) != 1)}"
