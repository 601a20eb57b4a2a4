"""The command line: python -m tests.lab up [N] | down | status | ssh HOST [COMMAND...]"""

import argparse
import os
import subprocess
import sys

from . import keys, lab, machine
from .hosts import BY_NAME, FLEET, MOST_EXTRAS
from .terminal import LabError, log


def main(arguments: list[str]) -> int:
    """Do what the arguments say. 0: done; 1: it failed; 2: this machine cannot, or was misused."""
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
        log("interrupted; `up` goes on from here, `down` removes what there is")
        return 130


def _run(chosen: argparse.Namespace) -> int:
    if chosen.job == "ssh":
        return _ssh(chosen.host, chosen.command)
    machine.require_root()
    if chosen.job == "status":
        return 0 if lab.status() else 1
    if chosen.job == "up":
        lab.up(chosen.extras, chosen.purpose)
    else:
        lab.down(chosen.keep, chosen.purpose)
    return 0


def _ssh(host: str, command: list[str]) -> int:
    if host.rpartition("@")[2] not in BY_NAME:
        raise LabError(f"there is no host {host}; the fleet is {', '.join(h.name for h in FLEET)}")
    if not keys.SSH_CONFIG.exists():
        raise LabError("there is no lab to log in to; boot one with `up`")
    line = keys.ssh(host, command)
    os.execvp(line[0], line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="A lab of real hosts on this machine.")
    jobs = parser.add_subparsers(dest="job", required=True)
    up = jobs.add_parser("up", help="boot the hosts that do not run, and wait for their sshd")
    up.add_argument("extras", nargs="?", type=_extras, default=0, metavar="N")
    down = jobs.add_parser("down", help="stop all hosts and remove them")
    down.add_argument("--keep", action="store_true", help="keep the hosts' disks for the next up")
    for job in (up, down):
        job.add_argument(
            "--for",
            dest="purpose",
            default="",
            metavar="PURPOSE",
            help="only a lab of this purpose: never touch one that somebody else has booted",
        )
    jobs.add_parser("status", help="a line per host; fails unless all of them answer")
    ssh = jobs.add_parser("ssh", help="log in to a host, or run a command there")
    ssh.add_argument("host", metavar="HOST", help="a name, or user@name")
    ssh.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    return parser


def _extras(text: str) -> int:
    """The number of extra hosts, from the command line."""
    if not text.isdecimal() or int(text) > MOST_EXTRAS:
        raise argparse.ArgumentTypeError(f"{text}: a number from 0 to {MOST_EXTRAS} extra hosts")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
