"""Unusual input: devices, pipes, huge or many files, and names with control characters."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mirrorfleet import fleet
from mirrorfleet.cli.main import main
from mirrorfleet.config import claude_files, reading
from mirrorfleet.config.document import Document
from mirrorfleet.config.yaml_nodes import Parsed, parse

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WHOLE = HERE / "bad" / "base" / "whole.yml"

TIMEOUT = 120
"""Seconds after which a command counts as hanging, on the slowest machine."""

MEMORY = 1024**3
"""Most bytes of memory for a check; a small fleet takes a tenth."""


def check(*paths: Path) -> subprocess.CompletedProcess[str]:
    """Run the check in its own process, with limits of time and memory."""
    return subprocess.run(
        [sys.executable, "-m", "mirrorfleet", "check", *map(str, paths)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )


def errors(path: Path) -> list[str]:
    with pytest.raises(fleet.FleetError) as refused:
        fleet.load(path)
    return str(refused.value).splitlines()


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_a_pipe_or_a_device_as_fleet_file(pipe: Path) -> None:
    kinds = {pipe: "pipe", Path("/dev/zero"): "device", Path("/dev/full"): "device"}
    done = check(*kinds)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{path}: Not a regular file but a {kind}. Use a regular file."
        for path, kind in kinds.items()
    ]


def test_a_pipe_or_a_device_as_include(tmp_path: Path, pipe: Path) -> None:
    kinds = {str(pipe): "pipe", "/dev/zero": "device"}
    paths = [tmp_path / f"fleet-{number}.yml" for number in range(len(kinds))]
    for path, other in zip(paths, kinds, strict=True):
        path.write_text(f"include: {other}\n")
    done = check(*paths)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{other}: Not a regular file but a {kind}. Use a regular file."
        for other, kind in kinds.items()
    ]


def test_a_pipe_or_a_device_as_modelfile(tmp_path: Path, pipe: Path) -> None:
    config = yaml.safe_load((HERE / "good" / "one-host-ollama.yml").read_text("utf-8"))
    [name] = [name for name, model in config["models"].items() if model.get("engine") == "ollama"][
        :1
    ]
    config["models"][name].pop("digest", None)
    weights = tmp_path / "of-a-pipe.modelfile"
    weights.write_text(f"FROM {pipe}\n".replace(str(pipe), "./pipe"))
    paths: list[Path] = []
    for other in (str(pipe), "/dev/zero", str(weights)):
        config["models"][name]["weights"] = {"modelfile": other}
        paths.append(tmp_path / f"fleet-{len(paths)}.yml")
        paths[-1].write_text(yaml.safe_dump(config))
    done = check(*paths)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for path in paths:
        lines = [line for line in done.stderr.splitlines() if line.startswith(f"{path}:")]
        assert any("Not a regular file but a" in line for line in lines), path


def test_a_huge_fleet_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    with path.open("wb") as file:
        file.truncate(50 * 1024**3)
    assert check(path).stderr == f"{path}: Larger than 16 MiB. Use a smaller file.\n"


@pytest.mark.slow
def test_a_file_with_too_many_values(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text("- \n" * (reading.LARGEST // 3 - 1))
    done = check(path)
    assert done.stderr == f"{path}:1: has more than 1000000 values. Split the fleet.\n"


def test_nested_merge_keys_do_not_exhaust_memory(tmp_path: Path) -> None:
    lines = ["a0: &a0 {x: 1}"]
    lines += [
        f"a{number}: &a{number} {{<<: [*a{number - 1}, *a{number - 1}]}}" for number in range(1, 60)
    ]
    inner = "&b0 {x: 1}"
    for number in range(1, 40):
        inner = f"&b{number} {{<<: [{inner}, *b{number - 1}]}}"
    lines += [f"b: {{<<: {inner}}}"]
    path = tmp_path / "fleet.yml"
    path.write_text("\n".join(lines))
    done = check(path)
    assert f"{path}:1: a0: unknown key." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mapping_that_is_merged_twice(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(
        "version: 1\nname: x\nhosts:\n"
        "  a: &a {user: me, port: 2222, address: 10.0.0.1}\n"
        "  b: &b {<<: *a, port: 22, address: 10.0.0.2}\n"
        "  c: {<<: [*b, *a], address: 10.0.0.3}\n"
    )
    hosts = fleet.load(path).hosts
    assert [(host.user, host.port) for host in hosts.values()] == [
        ("me", 2222),
        ("me", 22),
        ("me", 22),
    ]


def test_a_file_that_is_included_twice_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of 22 files includes the next one twice: there are four million paths to the last."""
    for number in range(22):
        (tmp_path / f"{number}.yml").write_text(f"include: [{number + 1}.yml, {number + 1}.yml]\n")
    (tmp_path / "22.yml").write_text(f"include: {WHOLE}\n")
    read: list[Path] = []

    def counted(path: Path, room: int) -> Parsed:
        read.append(path)
        return parse(path, room)

    monkeypatch.setattr("mirrorfleet.config.document.parse", counted)
    assert fleet.load(tmp_path / "0.yml").name == "whole"
    assert len(read) == 24


def test_a_long_chain_of_includes(tmp_path: Path) -> None:
    for number in range(1500):
        (tmp_path / f"{number}.yml").write_text(f"include: {number + 1}.yml\n")
    (tmp_path / "1500.yml").write_text(f"include: {WHOLE}\n")
    assert errors(tmp_path / "0.yml") == [
        f"{tmp_path}/49.yml:1: include: nests 50 includes; the maximum is 49. "
        "List the files in one include."
    ]
    assert fleet.load(tmp_path / "1470.yml").name == "whole"


def test_a_symbolic_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "a.yml").symlink_to("b.yml")
    (tmp_path / "b.yml").symlink_to("a.yml")
    path = tmp_path / "fleet.yml"
    path.write_text("include: a.yml\n")
    assert errors(path) == [
        f"{path}:1: include: names 'a.yml', which does not exist. "
        "A relative path starts at the directory of the file with the include."
    ]
    assert errors(tmp_path / "a.yml") == [f"{tmp_path}/a.yml: Too many levels of symbolic links."]


def test_symbolic_links_among_the_files_of_the_client(tmp_path: Path) -> None:
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "link").symlink_to("/etc/shadow")
    (tmp_path / "skills").mkdir()
    (tmp_path / "skills" / "here").symlink_to(tmp_path)
    read = claude_files.read([tmp_path])
    assert not read.members
    assert [(each.path, each.text, each.fix) for each in read.mistakes] == [
        (tmp_path / "hooks" / "link", "is a link.", "Copy the file here."),
        (tmp_path / "skills" / "here", "is a link.", "Copy the directory here."),
    ]


NO_FILE = " Correct the name, or write a first fleet file: mirrorfleet init."


def test_a_missing_file_has_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "prod.yml").write_text("")
    for name, fix in (("pord.yml", " Did you mean 'prod.yml'?"), ("x/nope.yml", NO_FILE)):
        path = tmp_path / name
        assert main(["check", str(path)]) == 1
        printed = capsys.readouterr()
        assert (printed.out, printed.err) == ("", f"{path}: No such file or directory.{fix}\n")
    main(["check", "--github", str(path)])
    assert capsys.readouterr().err == f"::error file={path}::No such file or directory.{NO_FILE}\n"
    main(["check", "--json", str(path)])
    [result] = json.loads(capsys.readouterr().out)
    assert result["problems"][0]["line"] is None


FORGED = "x\n::error file=forged.yml,line=1::forged\x1b[2J\u202e"


@pytest.mark.parametrize("options", [[], ["--github"]], ids=["text", "GitHub"])
def test_a_line_break_in_a_name_is_escaped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    config = {
        "include": str(WHOLE),
        FORGED: 1,
        "hosts": {"gw": {FORGED: 1}, FORGED: {"address": FORGED}},
        "aliases": {"haiku": FORGED},
        "models": {"coder": {"family": FORGED, "arguments": {FORGED: 1}}},
        "developers": {"team": {"settings": {FORGED: 1, "env": {FORGED: "x"}}, "model": FORGED}},
    }
    path = tmp_path / "fleet.yml"
    path.write_text(yaml.safe_dump(config, allow_unicode=False))
    assert main(["check", *options, str(path)]) == 1
    printed = capsys.readouterr()
    begin = f"::error file={path}" if options else f"{path}:"
    lines = printed.err.splitlines()
    assert len(lines) >= 7
    assert all(line.startswith((begin, begin.replace("error", "warning"))) for line in lines)
    assert all(line.isprintable() for line in (*lines, *printed.out.splitlines()))


def test_a_plan_shows_names_with_braces_and_line_breaks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = yaml.safe_load((HERE / "good" / "smallest.yml").read_text("utf-8"))
    env = {"{user}": "1", "{x}": "2", "A\nB": "3\n4", "{": "5", "}": "6"}
    group = next(iter(config["developers"].values()))
    group["settings"] = {"env": env}
    path = tmp_path / "fleet.yml"
    path.write_text(yaml.safe_dump(config))
    assert main(["show", str(path), "--values"]) == 0
    printed = capsys.readouterr().out
    assert all(line.isprintable() for line in printed.splitlines())
    for name in ("{user}", "{x}", "A\\nB", "{", "}"):
        assert f"settings.env.{name} " in printed
    assert main(["why", "env.{x}", str(path)]) == 0
    assert "settings.env.{x}: 2" in capsys.readouterr().out


def test_the_number_of_lookups_does_not_grow_with_the_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise, the time grows with the square of the number of hosts."""
    calls: list[str] = []
    real = Document.names

    def names(self: Document, section: str) -> frozenset[str]:
        calls.append(section)
        return real(self, section)

    monkeypatch.setattr(Document, "names", names)
    counts = []
    for hosts in (10, 100):
        lines = [
            f"  h{number}: {{address: 10.0.0.{number}, labels: [all-of-us]}}"
            for number in range(hosts)
        ]
        path = tmp_path / f"of-{hosts}.yml"
        path.write_text("\n".join(["version: 1", "name: x", "hosts:", *lines]))
        calls.clear()
        fleet.load(path)
        counts.append(len(calls))
    assert counts[0] == counts[1]
