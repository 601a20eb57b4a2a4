"""The known settings of a release of Claude Code, and the tool that extracts them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrorfleet import fleet
from mirrorfleet.config.claude_settings import read, release, releases
from mirrorfleet.config.client_ids import TIERS
from mirrorfleet.data import table
from mirrorfleet.locking import report
from mirrorfleet.locking.claude_settings import schema, written

# Code like that of a bundler: short names, and strings with brackets. Two modules with exports at
# their ends; both use some local names for different things.
BUNDLE = rb"""
var Ev=["Stop","PreToolUse"],Co=p(()=>c({type:E("command"),command:n(),timeout:v().optional()}));
function Hk(){return c({matcher:n().optional(),hooks:A(Co())})}export{Ev,Hk as Hk};
var x=1;var q={};Wr(q,{ANTHROPIC_BASE_URL:()=>a,API_TIMEOUT_MS:()=>b});var o={};Wr(o,{Up:()=>c});
var Co=n(),Me=["low","high"];var parts={auto:{buildGate:()=>!0,shape:()=>({autoYes:P().optional(),
autoRules:c({allow:A(n()).optional()}).optional()})},gone:{buildGate:()=>!1,shape:()=>({no:P()})}};
function s(){return{$schema:()=>n().optional().describe("A {[( \" schema"),
verbose:()=>P().optional(),cleanupPeriodDays:()=>v().int(),deniedModels:()=>A(n()).optional(),
autoUpdatesChannel:()=>F(["latest","stable"]).optional(),env:()=>ye(()=>Ou()),
theme:()=>n().or(P()),onlyHere:()=>P().describe("Only enforced from managed settings."),
statusLine:()=>c({type:E("command"),command:n(),padding:v().optional()}).optional(),
modelOverrides:()=>he(n(),n()).optional(),forceLoginOrgUUID:()=>je([n(),A(n())]).optional(),
hooks:()=>ye(()=>nE(F(Ev),A(Hk()))).describe("Commands"),level:()=>F(Me),
voice:()=>c({start:n().regex(/^[)"]$/).optional(),...later}).optional(),
minimumVersion:()=>n().optional()}}
var t=process.env.CLAUDE_CODE_LATE,y=["BASH_TIMEOUT","CLAUDE_A","CLAUDE_B","CLAUDE_C"],z=NOT_ONE;
var catalog={models:[{id:"x",capabilities:["effort","adaptive_thinking","mid_conv_system"]}],
aliases:{opus:{default:"claude-opus-9",per_provider:{bedrock:"y"}},haiku:{default:"claude-haiku-9",
per_provider:{}}}};export{s};""".replace(b"\n", b"")


def package(path: Path, bundle: bytes, version: str = "9.9.9") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        about = json.dumps({"version": version}).encode()
        for name, content in (("claude", bundle), ("package.json", about)):
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_settings_types_and_variables_are_extracted_from_the_client(tmp_path: Path) -> None:
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
        "statusLine": {
            "type": "object",
            "properties": {
                "type": {"enum": ["command"]},
                "command": {"type": "string"},
                "padding": {"type": "number"},
            },
            "required": ["type", "command"],
            "additionalProperties": False,
        },
        "modelOverrides": {"type": "object", "additionalProperties": {"type": "string"}},
        "forceLoginOrgUUID": {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
        },
        "hooks": HOOKS,
        "level": {"enum": ["low", "high"]},
        # Additional keys are allowed: the tool cannot see `...later`.
        "voice": {"type": "object", "properties": {"start": {"type": "string"}}},
        "autoYes": {"type": "boolean"},
        "autoRules": {
            "type": "object",
            "properties": {"allow": {"type": "array", "items": {"type": "string"}}},
            "additionalProperties": False,
        },
    }


HOOKS = {
    "type": "object",
    "propertyNames": {"enum": ["Stop", "PreToolUse"]},
    "additionalProperties": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "matcher": {"type": "string"},
                "hooks": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "type": {"enum": ["command"]},
                            "command": {"type": "string"},
                            "timeout": {"type": "number"},
                        },
                        "required": ["type", "command"],
                        "additionalProperties": False,
                    },
                },
            },
            "required": ["hooks"],
            "additionalProperties": False,
        },
    },
}


# The same matcher beside the list of hooks, with a name of one letter, as in 2.1.331.
BESIDE = BUNDLE.replace(b"A(Hk())", b"A(G())").replace(
    b"var x=1;", b"var G=p(()=>c({matcher:n().optional(),hooks:A(n())}));function f(G){G=1}"
)


def test_a_name_of_one_letter_is_read_if_its_module_defines_it_once(tmp_path: Path) -> None:
    found = schema(package(tmp_path / "1.tgz", BESIDE))["properties"]["hooks"]
    assert set(found["additionalProperties"]["items"]["properties"]) == {"matcher", "hooks"}
    twice = BESIDE.replace(b"function f(G){G=1}", b"function f(){let G=q(()=>c({other:n()}))}")
    found = schema(package(tmp_path / "2.tgz", twice))["properties"]["hooks"]
    assert found["additionalProperties"] == {"type": "array"}


def test_a_part_that_cannot_be_read_any_more_is_not_called_gone(tmp_path: Path) -> None:
    bundles = (BUNDLE, BUNDLE.replace(b"A(Hk())", b"A(G())"))
    known = []
    for number, bundle in enumerate(bundles):
        path = tmp_path / f"{number}.json"
        path.write_text(written(schema(package(tmp_path / f"{number}.tgz", bundle))))
        known.append(read(path))
    before, after = known
    assert before and after
    assert list(report.client(before, after)) == [
        "setting hooks: a part of it cannot be read in this release, nor checked"
    ]


def test_models_and_capabilities_are_extracted_from_the_client(tmp_path: Path) -> None:
    found = schema(package(tmp_path / "client.tgz", BUNDLE))
    assert found["ids"] == {"opus": "claude-opus-9", "haiku": "claude-haiku-9"}
    assert found["capabilities"] == ["adaptive_thinking", "effort", "mid_conv_system"]


@pytest.mark.parametrize("part", [b"],aliases:", b'"adaptive_thinking"'])
def test_a_client_of_another_layout_is_reported(tmp_path: Path, part: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be found"):
        schema(package(tmp_path / "client.tgz", BUNDLE.replace(part, b"")))


def test_changes_between_two_releases(tmp_path: Path) -> None:
    later = BUNDLE.replace(b"theme:", b"colours:").replace(b"CLAUDE_A", b"CLAUDE_D")
    later = later.replace(b'"stable"]', b'"stable","rc"]').replace(b"opus-9", b"opus-10")
    later = later.replace(b"minimumVersion:()=>n()", b"minimumVersion:()=>P()")
    later = later.replace(b'"mid_conv_system"', b'"mid_conv_text"')
    releases = []
    for number, bundle in enumerate((BUNDLE, later)):
        path = tmp_path / f"{number}.json"
        path.write_text(written(schema(package(tmp_path / f"{number}.tgz", bundle))))
        known = read(path)
        assert known is not None
        releases.append(known)
    old, new = releases
    assert list(report.client(old, new)) == [
        "settings: new colours; gone theme",
        "setting autoUpdatesChannel: new rc",
        "setting minimumVersion: accepts values of another type",
        "variables: new CLAUDE_D; gone CLAUDE_A",
        "capabilities: new mid_conv_text; gone mid_conv_system",
        "model of the tier opus: claude-opus-9 -> claude-opus-10; gateways route it once a group "
        "has this release",
    ]
    assert list(report.client(old, old)) == []
    assert any(
        "capabilities that Mirrorfleet writes" in line and "mid_conv_system" in line
        for line in report.gone_from_client(new)
    )


@pytest.mark.parametrize("version", releases())
def test_every_release_knows_the_derived_settings(version: str) -> None:
    known = release(version)
    assert known is not None
    derived = table("claude_derived")
    assert set(derived["settings"]) <= known.settings.keys()
    in_capitals = {name for name in derived["env"] if name.isupper()}
    assert in_capitals <= known.environment
    assert list(report.gone_from_client(known)) == []
    assert list(known.ids) == list(TIERS)
    for level in table("claude_privacy").values():
        assert set(level.get("settings", {})) <= derived["settings"].keys()
        assert set(level.get("env", {})) <= derived["env"].keys()


def test_every_locked_client_has_known_settings() -> None:
    locks = Path(__file__).parents[2] / "roles/claude/locks"
    assert {path.stem for path in locks.glob("*.json")} <= set(releases())


# Rewritten from settings.json and managed-settings.json of public repositories.
ACCEPTED = {
    "hooks of every kind": """
hooks:
  SessionStart: [{matcher: startup|resume, hooks: [{type: command, command: ./start.sh}]}]
  PreToolUse: [{matcher: Bash, hooks: [{type: command, command: ./guard.js, if: "Bash(rm *)"}]}]
  Stop: [{hooks: [{type: command, command: ./stop.sh, timeout: 15}]}]
  PostToolUse:
    - hooks:
        - type: http
          url: http://localhost:4000/tool
          headers: {Authorization: Bearer $TOOL_TOKEN}
          allowedEnvVars: [TOOL_TOKEN]
""",
    "a sandbox": """
sandbox:
  enabled: true
  failIfUnavailable: true
  excludedCommands: [docker]
  network: {allowedDomains: ["*.npmjs.org"], allowLocalBinding: false, allowUnixSockets: []}
  filesystem: {denyRead: [~/.aws/**]}
  credentials: {files: [{path: ~/.ssh, mode: deny}], envVars: [{name: GITHUB_TOKEN, mode: deny}]}
""",
    "plugins": """
enabledPlugins: {formatter@acme: true}
extraKnownMarketplaces: {acme: {source: {source: github, repo: acme/plugins}}}
strictKnownMarketplaces:
  - {source: github, repo: acme/plugins}
  - {source: npm, package: "@acme/plugins"}
  - {source: hostPattern, hostPattern: ^git\\.example\\.com$}
""",
    "telemetry": """
env:
  CLAUDE_CODE_ENABLE_TELEMETRY: "1"
  OTEL_METRICS_EXPORTER: otlp
  OTEL_EXPORTER_OTLP_PROTOCOL: http/protobuf
  OTEL_EXPORTER_OTLP_ENDPOINT: http://localhost:4318
  OTEL_EXPORTER_OTLP_HEADERS: tenant=7
  ANTHROPIC_CUSTOM_HEADERS: "X-Team: platform"
""",
    "appearance": """
attribution: {commit: "", pr: ""}
statusLine: {type: command, command: ./line.sh, padding: 0}
theme: dark
skipAutoPermissionPrompt: true
companyAnnouncements: [Read the README.]
spinnerVerbs: {mode: replace, verbs: [Working]}
""",
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_common_settings_are_accepted(text: str, tmp_path: Path) -> None:
    group: dict[str, Any] = {"settings": yaml.safe_load(text), "permissions": {}}
    aliases = dict.fromkeys(("opus", "sonnet", "haiku"), "coder")
    content = {
        "include": str(Path(__file__).parent / "good/smallest.yml"),
        "aliases": aliases,
        "developers": {"team": group},
    }
    path = tmp_path / "fleet.yml"
    path.write_text(yaml.safe_dump(content))
    assert fleet.load(path).warnings == ()
