"""Many models on one host: it is looked at once, and each costs a first run what is its own."""

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
    """A host with so many models on vLLM, and as many on Ollama."""
    text = FLEET + "".join(
        kind.format(number=10 + number) for kind in (VLLM, OLLAMA) for number in range(models)
    )
    (project / "inventories/many.yml").write_text(text)
    return planned(project, "many").hosts["box"]


@pytest.mark.usefixtures("offline_cache")
def test_a_run_with_nothing_to_change_costs_one_exec_however_many_there_are(project: Path) -> None:
    plan = many(project, 12)
    [ollama] = plan.engines_of(OllamaPlan)
    assert (len(plan.engines_of(VllmPlan)), len(ollama.models)) == (12, 12)
    assert mirror({"box": plan}, {"box": converged(plan)})["box"].round_trips == (1, 0)


@pytest.mark.usefixtures("offline_cache")
def test_of_a_first_run_weights_generation_and_start_are_each_vllms_own(project: Path) -> None:
    """All share the environment, and one exec makes all models of an Ollama."""
    plan = many(project, 3)
    done = mirror({"box": plan}, {"box": bare(plan)})["box"]
    vllm = [*USER, *UPLOAD, *UPLOAD * 3, *["generation"] * 3, *["restart"] * 3]
    ollama = [*USER, *UPLOAD, "generation", "restart", "models"]
    assert [job for job in jobs(done) if job not in ("ports", "packages")] == [*vllm, *ollama]
