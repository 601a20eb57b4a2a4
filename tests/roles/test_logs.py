"""`mirrorfleet logs` on the @fake connector, with lines as journalctl prints them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import pytest

from mirrorfleet.cli.live import logs as command
from mirrorfleet.cli.main import main
from mirrorfleet.jobs import logs as jobs
from mirrorfleet.jobs.logs.lines import cursors, parse
from mirrorfleet.runtime import observe
from mirrorfleet.runtime.shell import shell
from tests.roles.fleets import ROOT
from tests.roles.test_usage_report import gateways

FLEET = str(ROOT / "tests/fleet/good/usage.yml")
START = 1_796_015_145_000_000


def journal(second: int, message: Any, unit: str = "litellm", **fields: str) -> str:
    return json.dumps(
        {
            "__REALTIME_TIMESTAMP": str(START + second * 1_000_000),
            "__CURSOR": f"s=9254;i={second}",
            "_SYSTEMD_UNIT": f"mirrorfleet-{unit}.service",
            "PRIORITY": "6",
            "MESSAGE": message,
            **fields,
        }
    )


ANSWERS = {
    "gw-1": [
        "Welcome to gw-1",
        journal(0, json.dumps({"message": "no engine\nof coder", "level": "ERROR"})),
        journal(3, "Started LiteLLM", _SYSTEMD_UNIT="init.scope", UNIT="mirrorfleet-front.service"),
    ],
    "gw-2": [
        journal(1, "\x1b[31mred\x1b[0m \x1b]0;title\x07 and \x08 rest"),
        journal(2, list(b"WARNING: \xff"), unit="vllm-coder"),
    ],
}


def logs(*options: str) -> int:
    try:
        return int(main(["logs", FLEET, *options]))
    except SystemExit as end:
        return int(end.code or 0)


def test_lines_of_all_hosts_are_in_the_order_of_time(capsys: pytest.CaptureFixture[str]) -> None:
    with gateways(ANSWERS) as traffic:
        assert logs() == 0
    assert capsys.readouterr().out.splitlines() == [
        "11-30 05:05:45 gw-1 litellm: no engine",
        "    of coder",
        "11-30 05:05:46 gw-2 litellm: red ]0;title and  rest",
        "11-30 05:05:47 gw-2 vllm-coder: WARNING: \N{REPLACEMENT CHARACTER}",
        "11-30 05:05:48 gw-1 front: Started LiteLLM",
    ]
    execs = {name: len(each.execs) + each.observations for name, each in traffic.items()}
    assert set(execs) >= {"gw-1", "gw-2"} and set(execs.values()) == {1}


def test_json_has_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    with gateways(ANSWERS):
        assert logs("--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == {
        "time": "2026-11-30T05:05:45.000Z",
        "host": "gw-1",
        "service": "litellm",
        "level": "error",
        "message": "no engine\nof coder",
    }
    assert [row["level"] for row in rows] == ["error", "info", "warning", "info"]


def test_a_host_that_is_not_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with gateways({**ANSWERS, "gw-2": ["failed\tNo journal files were found."]}):
        assert logs() == 1
    printed = capsys.readouterr()
    assert printed.out.count("gw-1") == 2
    assert "gw-2: the host's answer is invalid: No journal files were found." in printed.err


def test_following_goes_on_behind_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    answers = {name: list(lines) for name, lines in ANSWERS.items()}
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise KeyboardInterrupt
        answers["gw-1"][:] = [journal(9, "later")]
        answers["gw-2"].clear()

    with (
        gateways(answers),
        patch("mirrorfleet.cli.live.logs.time.sleep", pause),
        patch.object(jobs, "read_host", Mock(wraps=observe.read_host)) as read_host,
    ):
        assert logs("--follow") == 130
    assert pauses == [command.PAUSE] * 2
    scripts = [call.args[1] for call in read_host.mock_calls if call.args[0].name == "gw-1"]
    assert "after=''" in scripts[0] and "after='s=9254;i=3'" in scripts[1]
    assert capsys.readouterr().out.count("gw-1") == 3


@pytest.mark.parametrize(
    ("options", "reported"),
    [
        (("--since", "yesterday"), "`--since yesterday` is no age, such as 10m, and no time"),
        (("--service", "a b"), "`--service a b` is no name of a service"),
        (("--grep", "("), "`--grep (` is no regular expression"),
        (("--grep", "a", "--errors"), "--errors and --grep exclude each other"),
        (("--lines", "0"), "0 is not in the range 1<=x<=10000"),
    ],
)
def test_mistakes(
    options: tuple[str, ...], reported: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert logs(*options) == 2
    assert reported in " ".join(capsys.readouterr().err.split())


def test_the_last_cursor_of_each_host() -> None:
    entries = [entry for host, lines in ANSWERS.items() for entry in parse(host, lines)]
    assert cursors(entries) == {"gw-1": "s=9254;i=3", "gw-2": "s=9254;i=2"}


def run(directory: Path, body: str, **values: str) -> tuple[list[str], str]:
    """Run the script with a stand-in for journalctl; return its lines, and the arguments."""
    program = directory / "journalctl"
    program.write_text(f'#!/bin/sh\necho "$*" >>{directory}/arguments\n{body}\n')
    program.chmod(0o755)
    given = dict.fromkeys(("after", "priority", "text"), "") | {
        "units": "mirrorfleet-*.service",
        "since": "-1h",
        "lines": "5",
        **values,
    }
    done = subprocess.run(
        [shutil.which("sh") or "sh", "-s"],
        input=shell(jobs.SCRIPT, **given),
        env={"PATH": f"{directory}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert not done.stderr
    return done.stdout.splitlines(), (directory / "arguments").read_text()


def test_the_script_asks_journalctl_for_the_latest_lines(tmp_path: Path) -> None:
    lines, arguments = run(tmp_path, "echo '{}'")
    assert lines == ["{}"]
    assert "--unit=mirrorfleet-*.service --lines=5 --reverse --since=-1h" in arguments


def test_the_script_asks_twice_for_errors(tmp_path: Path) -> None:
    _, arguments = run(tmp_path, "exit 1", priority="err", text="a | b", after="s=1;i=2")
    by_level, by_word = arguments.splitlines()
    assert by_level.endswith("--after-cursor=s=1;i=2 --priority=err")
    assert by_word.endswith("--after-cursor=s=1;i=2 --grep=a | b")


def test_the_script_reports_what_journalctl_refuses(tmp_path: Path) -> None:
    lines, _ = run(tmp_path, "echo 'Failed to parse timestamp: x' >&2; exit 1")
    assert lines == ["failed\tFailed to parse timestamp: x"]
