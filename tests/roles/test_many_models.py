"""Many models on one host: one observation, and per model only its own commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.planning.vllm import VllmPlan
from tests.roles.answers import bare, converged
from tests.roles.fake import mirror
from tests.roles.fleets import planned
from tests.roles.jobs import jobs
from tests.roles.test_round_trips import UPLOAD, USER

FLEET = """\
version: 1
name: many
ssh: {user: deploy, known_hosts: known_hosts}
packages: controller
hosts: {box: {address: 10.0.0.1}}
models:
"""

VLLM = """\
  model-{number}:
    {{engine: vllm, version: 0.32.0, build: cpu, weights: {{push: ../.lab/weights/tiny}},
     family: hermes, hosts: [box], port: 80{number}, context: 131072, output: 8192}}
"""

OLLAMA = """\
  helper-{number}:
    {{engine: ollama, version: 0.32.7, weights: "qwen3:{number}b", hosts: [box], context: 65536,
     output: 8192}}
"""


def many(project: Path, models: int) -> HostPlan:
    """Return the plan of a host with this number of models on vLLM, and as many on Ollama."""
    text = FLEET + "".join(
        kind.format(number=10 + number) for kind in (VLLM, OLLAMA) for number in range(models)
    )
    (project / "inventories/many.yml").write_text(text)
    return planned(project, "many").hosts["box"]


@pytest.mark.usefixtures("offline_cache")
def test_a_run_without_changes_costs_one_exec_for_any_number_of_models(project: Path) -> None:
    plan = many(project, 12)
    [ollama] = plan.engines_of(OllamaPlan)
    assert (len(plan.engines_of(VllmPlan)), len(ollama.models)) == (12, 12)
    assert mirror({"box": plan}, {"box": converged(plan)})["box"].round_trips == (1, 0)


@pytest.mark.usefixtures("offline_cache")
def test_a_first_run_uploads_weights_and_starts_a_generation_per_vllm(project: Path) -> None:
    """The models share the environment; one exec creates all models of an Ollama."""
    plan = many(project, 3)
    done = mirror({"box": plan}, {"box": bare(plan)})["box"]
    vllm = [*USER, *UPLOAD, *UPLOAD * 3, *["generation"] * 3, *["restart"] * 3]
    ollama = [*USER, *UPLOAD, "generation", "restart", "models"]
    assert [job for job in jobs(done) if job not in ("ports", "packages")] == [*vllm, *ollama]
