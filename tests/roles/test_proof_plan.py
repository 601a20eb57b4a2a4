"""What the proof of an engine must show, by the fleet file; and the remedies in its words."""

from __future__ import annotations

from pathlib import Path

from mirrorfleet import fleet
from mirrorfleet.planning.proof import ProofPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.proof.remedies import expectations
from mirrorfleet.roles.vllm.remedies import remedies

FLEET = """\
version: 1
name: one
hosts:
  gpu: {{address: 10.0.0.1, gpus: {{count: 1}}}}
  gw: {{address: 10.0.0.2}}
  dev: {{address: 10.0.0.3}}
models:
  coder: {{engine: vllm, version: 0.32.0, weights: {{path: /srv/m}}, family: {family}, hosts: [gpu],
          context: 65536, output: 8192, arguments: {arguments}}}
gateway: {{hosts: [gw], version: 1.106.12, master_key: {{env: MASTER_KEY}}}}
keys: {{root: {{env: KEYS_ROOT}}}}
developers:
  team: {{model: coder, hosts: [dev], users: [ada], version: 2.1.331, settings: {settings}}}
"""


def proof_of(
    tmp_path: Path, settings: str = "{}", arguments: str = "{}", family: str = "hermes"
) -> tuple[VllmPlan, ProofPlan]:
    path = tmp_path / "fleet.yml"
    path.write_text(FLEET.format(settings=settings, arguments=arguments, family=family))
    [engine] = fleet.plan(fleet.load(path)).hosts["gpu"].engines_of(VllmPlan)
    return engine, engine.proof


SETTINGS, GATEWAY = "by the clients' settings", "by the gateway"


def test_the_derived_settings_keep_what_only_claude_supports_from_an_engine(tmp_path: Path) -> None:
    _, plan = proof_of(tmp_path)
    assert plan.kept["tool reference"] == plan.kept["system message"] == SETTINGS
    assert not plan.sent_by


def test_own_settings_that_send_it_leave_it_to_the_gateway_or_the_engine(tmp_path: Path) -> None:
    own = '{env: {ENABLE_TOOL_SEARCH: "true", CLAUDE_CODE_MODEL_CAPABILITIES: "coder=-effort"}}'
    engine, plan = proof_of(tmp_path, own)
    assert plan.kept["tool reference"] == GATEWAY, "the gateway replaces references"
    assert "system message" not in plan.kept
    key = "developers.team.settings.env.CLAUDE_CODE_MODEL_CAPABILITIES"
    assert plan.sent_by == {"system message": key}
    found = remedies("coder", plan, engine.arguments)["system message"]
    assert found == f"Remove {key}: without it, clients send none."


def test_the_remedy_of_a_cache_that_is_off_names_the_argument(tmp_path: Path) -> None:
    engine, plan = proof_of(tmp_path, arguments="{enable-prefix-caching: false}")
    found = remedies("coder", plan, engine.arguments)
    assert found["cache off"] == "Remove enable-prefix-caching from models.coder.arguments."
    found = remedies("coder", plan, {})
    assert "no prefix cache for this architecture" in found["cache off"]


def test_a_family_that_thinks_is_asked_as_its_template_needs(tmp_path: Path) -> None:
    _, plan = proof_of(tmp_path, family="qwen3")
    turns = expectations(plan, {})["turns"]
    assert turns["off"] == {"chat_template_kwargs": {"enable_thinking": False}}
    _, plan = proof_of(tmp_path, family="gpt-oss")
    assert [*expectations(plan, {})["turns"]["efforts"]] == ["low", "medium", "high"]


def test_every_failure_of_a_session_has_a_remedy(tmp_path: Path) -> None:
    engine, plan = proof_of(tmp_path)
    kinds = {"tool result", "tool reference", "image", "system message", "thinking on"}
    kinds |= {"thinking off", "still thinks", "thoughts", "effort", "cache off", "cache block"}
    assert kinds | {"prompt cache"} <= remedies("coder", plan, engine.arguments).keys()
