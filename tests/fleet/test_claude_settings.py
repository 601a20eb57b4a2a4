"""The list of what a release of Claude Code knows, and the program that draws it up."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from fleet.claude_settings import SCHEMAS, release, releases
from fleet.data import table
from tools.claude_settings import changes, main, schema

# As a bundler writes it: short names, strings with brackets, and much around it.
BUNDLE = rb"""
var x=1;var q={};Wr(q,{ANTHROPIC_BASE_URL:()=>a,API_TIMEOUT_MS:()=>b});var o={};Wr(o,{Up:()=>c});
function s(){return{$schema:()=>n().optional().describe("A {[( \" schema"),
verbose:()=>P().optional(),cleanupPeriodDays:()=>v().int(),deniedModels:()=>A(n()).optional(),
autoUpdatesChannel:()=>F(["latest","stable"]).optional(),env:()=>ye(()=>Ou()),
theme:()=>je([F($u),n()]),onlyHere:()=>P().describe("Only enforced from managed settings."),
minimumVersion:()=>n().optional()}}
var t=process.env.CLAUDE_CODE_LATE,y=["BASH_TIMEOUT","CLAUDE_A","CLAUDE_B","CLAUDE_C"],z=NOT_ONE;
""".replace(b"\n", b"")


def package(path: Path, bundle: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        about = json.dumps({"version": "9.9.9"}).encode()
        for name, content in (("claude", bundle), ("package.json", about)):
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_settings_types_and_variables_come_from_the_clients_own_source(tmp_path: Path) -> None:
    found = schema(package(tmp_path / "client.tgz", BUNDLE))
    properties = dict(found["properties"])
    assert properties.pop("env")["known"] == [
        *("ANTHROPIC_BASE_URL", "API_TIMEOUT_MS", "BASH_TIMEOUT"),
        *("CLAUDE_A", "CLAUDE_B", "CLAUDE_C", "CLAUDE_CODE_LATE"),
    ]
    assert properties == {
        "$schema": {"type": "string"},
        "verbose": {"type": "boolean"},
        "cleanupPeriodDays": {"type": "number"},
        "deniedModels": {"type": "array", "items": {"type": "string"}},
        "autoUpdatesChannel": {"enum": ["latest", "stable"]},
        "theme": {},
        "onlyHere": {"type": "boolean", "managedOnly": True},
        "minimumVersion": {"type": "string"},
    }


def test_what_changed_between_two_releases(tmp_path: Path) -> None:
    later = BUNDLE.replace(b"theme:", b"colours:").replace(b"CLAUDE_A", b"CLAUDE_D")
    later = later.replace(b'"stable"]', b'"stable","rc"]')
    old, new = (
        schema(package(tmp_path / f"{at}.tgz", each)) for at, each in enumerate((BUNDLE, later))
    )
    assert list(changes(old, new)) == [
        '~ autoUpdatesChannel {"enum": ["latest", "stable"]} -> '
        '{"enum": ["latest", "stable", "rc"]}',
        "+ colours {}",
        "- theme",
        "- env.CLAUDE_A",
        "+ env.CLAUDE_D",
    ]
    assert list(changes(old, old)) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["9.9.9"], "9.9.9: there is no lock file: `bin/lock claude 9.9.9` writes it."),
        (["no.tgz"], "no.tgz: is no client's package that can be read"),
    ],
)
def test_what_cannot_be_looked_at_is_told(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("version", releases())
def test_what_we_derive_is_known_to_every_release(version: str) -> None:
    known = release(version)
    assert known is not None
    derived = table("claude_derived")
    assert set(derived["settings"]) <= known.settings.keys()
    in_capitals = {name for name in derived["env"] if name.isupper()}
    assert in_capitals <= known.environment
    for level in table("claude_privacy").values():
        assert set(level.get("settings", {})) <= derived["settings"].keys()
        assert set(level.get("env", {})) <= derived["env"].keys()


def test_every_pinned_client_has_its_list() -> None:
    locks = SCHEMAS.parent / "roles/claude/locks"
    assert {path.stem for path in locks.glob("*.json")} <= set(releases())
