"""The lab as a whole: up, down, status."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime
from pathlib import Path

from . import cgroups, disk, image, keys, lock, login, machine, network, nspawn, paths, removal
from .hosts import BY_NAME, EXTRAS, FLEET, Host
from .terminal import LabError, Step, log, step

# Hosts handled at a time: more only makes each of them slower.
_AT_ONCE = 8


def up(extras: int, purpose: str) -> None:
    """Make the fleet's hosts, and so many extra ones, run and answer. Those that do are left
    alone; those that are dead boot again from their own disks.

    With a purpose the lab is marked by it; one that is there already and is not is refused.
    """
    wanted = (*FLEET, *EXTRAS[:extras])
    machine.require_programs()
    lock.take()
    if purpose:
        _claim(purpose)
    machine.require_rights()
    cgroups.enter()
    authorized = keys.identity()
    base = image.base(disk.in_use())
    with step("network"):
        network.up(len(wanted))
    dead = [host for host in wanted if not nspawn.running(host)]
    if dead:
        with step(f"disks for {_count(dead)}"):
            _each(dead, lambda host: _prepare(host, base, authorized))
    keys.write_access({h: disk.public_key(h) for h in BY_NAME.values() if disk.exists(h)})
    with step(f"{_count(wanted)} up") as current:
        for host in dead:
            nspawn.boot(host, disk.directory(host))
        _each(wanted, login.wait, current)


def down(keep: bool, purpose: str) -> None:
    """End every process of the lab and remove all that it made but keys and base images; with
    `keep`, leave the hosts' disks, from which the next `up` boots. With a purpose, only a lab that
    was booted for it."""
    lock.take()
    if purpose and _is_of_others(purpose):
        log(f"this lab was not booted for {purpose}, so it stays")
        return
    with step("down"):
        _each([host for host in BY_NAME.values() if nspawn.running(host)], nspawn.kill)
        cgroups.leave_nothing()
        network.down()
        if not keep:
            disk.remove_all()
            keys.KNOWN_HOSTS.unlink(missing_ok=True)
        image.sweep()
        # The lock's file goes too; lock.take() knows how to deal with that.
        removal.remove(paths.RUN)


def status() -> bool:
    """Print a line for every host that there should be, and say whether all of them answer."""
    hosts = [host for host in BY_NAME.values() if host in FLEET or disk.exists(host)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(login.answers, hosts))
    for host, answer in zip(hosts, answers, strict=True):
        reach = "ssh answers" if answer else "ssh does not answer"
        print(f"{host.name:<10} {host.address!s:<13} {_state(host):<28} {reach}")
    return all(answers)


def _claim(purpose: str) -> None:
    if _is_of_others(purpose):
        raise LabError(
            f"there is a lab already, and not one for {purpose}: somebody may be at work in it. "
            "Take it down first: bin/lab down"
        )
    paths.PURPOSE.write_text(purpose)


def _is_of_others(purpose: str) -> bool:
    """Whether there is a lab, if only its disks, that was not booted for this purpose. The mark
    goes with the lab, so it cannot be that of an earlier one."""
    marked = paths.PURPOSE.read_text() if paths.PURPOSE.exists() else ""
    return marked != purpose and any(map(disk.exists, BY_NAME.values()))


def _prepare(host: Host, base: Path, authorized: str) -> None:
    if not disk.exists(host):
        disk.clone(host, base)
    disk.refresh(host, authorized)


def _state(host: Host) -> str:
    if not nspawn.running(host):
        return "stopped"
    started = nspawn.since(host)
    if started is None:
        return "booting"
    return f"running since {datetime.fromtimestamp(started):%Y-%m-%d %H:%M:%S}"


def _each(
    hosts: Collection[Host], work: Callable[[Host], None], current: Step | None = None
) -> None:
    """Do some work on every host, several at a time; tell of each when it is done."""
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
