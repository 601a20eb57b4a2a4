"""The command line: python -m tests.lab up [N] | down | status | ssh HOST [COMMAND...]"""

import argparse
import os
import subprocess
import sys

from . import keys, lab, machine, releases
from .hosts import BY_NAME, FLEET, MOST_EXTRAS
from .terminal import LabError, log


def main(arguments: list[str]) -> int:
    """Run a subcommand. Return 0 on success, 1 on failure, 2 if the machine cannot run the lab."""
    chosen = _parser().parse_args(arguments)
    os.umask(0o022)
    try:
        return _run(chosen)
    except LabError as error:
        log(str(error))
        return error.code
    except subprocess.CalledProcessError as error:
        log(f"`{' '.join(map(str, error.cmd))}` failed with status {error.returncode}")
        return 1
    except OSError as error:
        log(str(error))
        return 1
    except KeyboardInterrupt:
        log("interrupted: `up` continues from here, `down` removes the lab")
        return 130


def _run(chosen: argparse.Namespace) -> int:
    if chosen.job == "ssh":
        return _ssh(chosen.host, chosen.command)
    machine.require_root()
    if chosen.job == "status":
        return 0 if lab.status() else 1
    if chosen.job == "up":
        lab.up(
            chosen.extras, chosen.purpose, releases.parse(chosen.debian) if chosen.debian else None
        )
    else:
        lab.down(chosen.keep, chosen.purpose)
    return 0


def _ssh(host: str, command: list[str]) -> int:
    if host.rpartition("@")[2] not in BY_NAME:
        raise LabError(
            f"unknown host '{host}': use one of {', '.join(host.name for host in FLEET)}"
        )
    if not keys.SSH_CONFIG.exists():
        raise LabError("no lab is running: boot one with `bin/lab up`")
    line = keys.ssh(host, command)
    os.execvp(line[0], line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="A lab of real hosts on this machine.")
    jobs = parser.add_subparsers(dest="job", required=True)
    up = jobs.add_parser("up", help="boot the stopped hosts and wait for their sshd")
    up.add_argument("extras", nargs="?", type=_extras, default=0, metavar="N")
    up.add_argument(
        "--debian",
        default=os.environ.get("MIRRORFLEET_LAB_DEBIAN", ""),
        metavar="RELEASE",
        help=f"Debian of new hosts, such as 13, or 13,gpu=12 (default: {releases.DEFAULT}; the "
        "variable MIRRORFLEET_LAB_DEBIAN has the same effect)",
    )
    down = jobs.add_parser("down", help="stop all hosts and remove them")
    down.add_argument("--keep", action="store_true", help="keep the hosts' disks for the next up")
    for job in (up, down):
        job.add_argument(
            "--for",
            dest="purpose",
            default="",
            metavar="PURPOSE",
            help="mark the lab with a purpose, and refuse a lab without that mark",
        )
    jobs.add_parser("status", help="print a line per host; fail unless all of them answer")
    ssh = jobs.add_parser("ssh", help="log in to a host, or run a command on it")
    ssh.add_argument("host", metavar="HOST", help="a name, or user@name")
    ssh.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    return parser


def _extras(text: str) -> int:
    """Parse the number of extra hosts."""
    if not text.isdecimal() or int(text) > MOST_EXTRAS:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 to {MOST_EXTRAS}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
