"""`verify` through the real LiteLLM: the requests of a day, and all calls of the real client."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.jobs.verify import day, turns
from mirrorfleet.jobs.verify.checks import Row, rows
from mirrorfleet.jobs.verify.day_outcomes import Outcome
from mirrorfleet.jobs.verify.day_outcomes import outcomes as evaluated
from mirrorfleet.jobs.verify.targets import Target, targets
from mirrorfleet.jobs.verify.turns import HostReport
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.roles.claude.user_settings import assignment_of
from tests.litellm.gateway import Gateway, planned, serving
from tests.litellm.upstream import Upstream
from tests.roles.real_client import needed, unpacked
from tests.roles.recorder import ANSWER, calls
from tests.standins.searxng import SearXNG, searxng

FLEET = """\
version: 1
name: day
hosts: {gw: {address: 10.0.0.1}, dev: {address: 10.0.0.3}}
models:
  coder: &vllm
    {engine: vllm, url: "http://10.0.9.1:8000", family: hermes, context: 131072, output: 8192}
  draft: {<<: *vllm, url: "http://10.0.9.2:8000"}
  seer:
    <<: *vllm
    url: "http://10.0.9.3:8000"
    vision: true
    reasoning_parser: qwen3
    thinking:
      mode: switchable
      enabled: {thinking: true}
      disabled: {thinking: false}
      efforts: [low, high]
aliases: {sonnet: draft, haiku: coder, opus: coder}
fallbacks: {draft: [seer]}
gateway:
  hosts: [gw]
  version: "1.106.12"
  master_key: {env: MASTER_KEY}
  web_search: {service: searxng, url: "http://10.0.9.9:8080"}
developers:
  team: {hosts: [dev], users: [ada], model: sonnet, version: 2.1.331, key: {env: TEAM_KEY}}
"""

MEMBER = ("team", "ada")


@pytest.fixture(scope="module", name="service")
def searching() -> Iterator[SearXNG]:
    with searxng() as found:
        yield found


@pytest.fixture(scope="module", name="gateway")
def running(
    service: SearXNG, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    upstream.search, place = service.url, tmp_path_factory.mktemp("day")
    (place / "fleet.yml").write_text(FLEET)
    with serving(planned(place / "fleet.yml"), upstream, place) as found:
        yield found


def asked(gateway: Gateway, **changed: str) -> Mapping[str, Mapping[str, Outcome]]:
    """Send the requests of a day as a developer; return the outcomes by model and part."""
    names = ("coder", "draft", "seer")
    found = (day.day(gateway.plan, "team", name, with_fallbacks=True) for name in names)
    target = Target(
        host="dev",
        group="team",
        user="ada",
        scope="user",
        command="true",
        directory=".claude",
        version="",
        url=changed.get("url", gateway.url),
        window=0,
        models=(),
        days=tuple(each for each in found if each),
    )
    home = gateway.directory / "home"
    (home / ".claude").mkdir(parents=True, exist_ok=True)
    (home / ".claude/mirrorfleet-key").write_text(gateway.key)
    report = run(target, {"HOME": str(home), "PATH": "/usr/bin:/bin"})
    answers = turns.answers(report.turns[MEMBER])
    return {
        each.model: {outcome.item: outcome for outcome in evaluated(each, answers)}
        for each in target.days
    }


def run(target: Target, environment: Mapping[str, str]) -> HostReport:
    """Run the script of a developer; return its report."""
    done = subprocess.run(
        ["sh", "-s"],
        input="\n".join([turns.shared(), turns.developer_script(target)]),
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.stderr == ""
    lines = ["machine\tdebian\t12\tx86_64\t4\t8388608", "\t".join(["developer", *MEMBER])]
    return turns.parse_report([], [*lines, *done.stdout.splitlines()])


def states(parts: Mapping[str, Outcome]) -> dict[str, str]:
    return {item: f"{part.state}, {part.note}".removesuffix(", ") for item, part in parts.items()}


def counting(body: Any) -> tuple[Any, ...]:
    """Answer with the tokens of the prompt and its cache, and with thinking if it is enabled."""
    size = len(json.dumps([body.get(key) for key in ("system", "messages", "tools")])) // 4
    cached = size - 20 if "Go on." in json.dumps(body) else 0
    usage = {"input_tokens": size - cached, "cache_read_input_tokens": cached, "output_tokens": 1}
    start, *middle, delta, stop = ANSWER
    thinks = (body.get("chat_template_kwargs") or {}).get("thinking")
    thought = {"type": "thinking", "thinking": "", "signature": ""}
    block = {"type": "content_block_start", "index": 0, "content_block": thought}
    return (
        start,
        *([block, middle[2]] if thinks else []),
        *middle,
        {**delta, "usage": usage},
        stop,
    )


@pytest.fixture(scope="module")
def outcomes(gateway: Gateway, upstream: Upstream) -> Iterator[Mapping[str, Mapping[str, Outcome]]]:
    upstream.taken()
    with upstream.changed(events=counting):
        yield asked(gateway)


SAME = {
    "tool reference": "mended, as text",
    "PDF": "mended, the client takes it out and goes on",
    "web search": "mended, the gateway searches",
    "second turn": "ok, 99% of 3423 tokens from the cache",
    "fallbacks": "not asked, the model has none",
}


def test_a_text_only_model(outcomes: Mapping[str, Mapping[str, Outcome]]) -> None:
    assert states(outcomes["coder"]) == SAME | {
        "image": "mended, the client takes it out and goes on",
        "thinking on": "not asked, the model does not think",
        "thinking off": "not asked, the model does not think",
        "effort": "not asked, the model has no levels of effort",
        "foreign id": "mended, claude-haiku-4-5-20251001 is coder",
    }


def test_a_model_with_a_fallback_that_reads_images(
    outcomes: Mapping[str, Mapping[str, Outcome]],
) -> None:
    found = states(outcomes["draft"])
    # A gateway on a busy machine sends its headers before the fallback answers.
    assert found["image"] in ("mended, the fallback seer reads it", "mended, a fallback reads it")
    assert found["PDF"] == SAME["PDF"], "no fallback reads it"
    assert found["foreign id"] == "mended, claude-sonnet-4-5-20250929 is draft"
    assert found["fallbacks"] == "ok, seer"


def test_a_model_that_thinks_and_reads_images(
    outcomes: Mapping[str, Mapping[str, Outcome]],
) -> None:
    assert states(outcomes["seer"]) == SAME | {
        "image": "ok",
        "thinking on": "ok",
        "thinking off": "ok",
        "effort": "ok, low, high",
        "foreign id": "not asked, no tier has this model",
    }


def test_faults_behind_the_gateway_are_found(
    gateway: Gateway, upstream: Upstream, service: SearXNG
) -> None:
    """An engine that is down, a search service that refuses, a model that always thinks."""

    def thinking(body: Any) -> Any:
        return counting({**body, "chat_template_kwargs": {"thinking": True}})

    service.status = 403
    try:
        with upstream.changed(events=thinking, down="10.0.9.1:8000"):
            found = asked(gateway)
    finally:
        service.status = 200
    engine = found["coder"]["second turn"]
    assert (engine.state, engine.status) == ("failed", 503)
    assert found["coder"]["image"].state == "mended", "no engine is asked"
    search = found["draft"]["web search"]
    assert (search.state, search.cause) == (
        "failed",
        "the web search of 'draft' fails: unavailable",
    )
    assert found["seer"]["thinking off"].state == "failed"
    assert "thinks although" in found["seer"]["thinking off"].cause


def test_a_gateway_that_curl_cannot_reach_is_not_asked(gateway: Gateway) -> None:
    found = asked(gateway, url="http://127.0.0.1:9")
    assert {part.state for part in found["seer"].values()} == {"not asked"}
    assert "no connection" in found["seer"]["image"].note


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Path]:
    with unpacked(tmp_path) as found:
        yield found


def calling(body: Any) -> Any:
    """Answer in two pieces; call Bash if a message asks for a note."""
    if "leave a note" in json.dumps(body["messages"][0]):
        return calls("Bash", command="echo hello | tee mirrorfleet-note.txt")(body)
    start, block, delta, *end = ANSWER
    return (start, block, delta, delta, *end)


def verified(gateway: Gateway, client: Path, place: Path) -> tuple[list[Row], list[str]]:
    """Run the script of a developer in a home as a run leaves it; return rows and left files."""
    path = place / "reached.yml"
    url = f"  hosts: [gw]\n  url: '{gateway.url}'\n"
    path.write_text(FLEET.replace("  hosts: [gw]\n", url))
    plans = fleet.plan(fleet.load(path)).hosts
    assert plans["dev"].clients
    [ada] = plans["dev"].clients.users
    where, home, programs = assignment_of(ada), place / "home", place / "bin"
    (home / where.directory).mkdir(parents=True)
    (home / where.key).write_text(gateway.key)
    (home / where.state).write_bytes(written(ada.state))
    (home / where.settings).write_bytes(written(ada.settings))
    before = sorted(map(str, home.rglob("*")))
    programs.mkdir()
    (programs / "claude").symlink_to(client)
    (place / "tmp").mkdir()
    [target] = targets(plans, models=["coder"])
    report = run(
        target,
        {
            "HOME": str(home),
            "PATH": f"{programs}:/usr/bin:/bin",
            "IS_SANDBOX": "1",
            "TMPDIR": str(place / "tmp"),
        },
    )
    assert sorted(map(str, home.rglob("*"))) == before
    return rows(target, report, []), [str(each) for each in (place / "tmp").iterdir()]


@needed
@pytest.mark.client
def test_a_developers_turns_and_requests(
    client: Path, gateway: Gateway, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.taken()
    with upstream.changed(events=calling):
        [row], left = verified(gateway, client, tmp_path)
    states = {part.item: part.state for part in row.day}
    checks = ("client", "answer", "stream", "tool", "subagent")
    expected = dict.fromkeys(checks, "ok") | {"pasted": "mended", "window": "131072"}
    assert row.checks == expected, row.faults
    assert states["web search"] == "mended"
    assert states["image"] == states["foreign id"] == "mended"
    assert left == []
    requests = [each.body for each in upstream.taken() if each.path == "/v1/messages"]
    pasted = [json.dumps(body["messages"]) for body in requests if "Image removed" in str(body)]
    assert pasted, "the client has taken the screenshot out of its own history"
    assert any("You answer with one word." in json.dumps(body["system"]) for body in requests)
