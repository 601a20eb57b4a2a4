"""Engines that already run: what Prometheus and the topology have of them, and included files."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mirrorfleet import fleet, monitoring
from mirrorfleet.planning.topology import mermaid

GOOD = Path(__file__).parent / "good"
RUNNING = GOOD / "engines-that-already-run.yml"


def test_prometheus_reads_the_metrics_of_a_vllm_at_its_url() -> None:
    files = monitoring.files(fleet.plan(fleet.load(RUNNING)))
    _, engines = yaml.safe_load(files["prometheus.yml"])["scrape_configs"]
    own, *running = engines["static_configs"]
    assert own["labels"]["host"] == "gpu"
    assert running == [
        {
            "targets": ["10.0.9.7:8000"],
            "labels": {"fleet": "running", "host": "10.0.9.7", "model": "coder"},
        },
        {
            "targets": ["llm.example.com"],
            "labels": {
                "fleet": "running",
                "host": "llm.example.com",
                "model": "thinker",
                "__scheme__": "https",
                "__metrics_path__": "/vllm/metrics",
            },
        },
    ]


def test_an_engine_on_the_gateways_own_host_has_metrics_there_only(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(f'include: {RUNNING}\nmodels: {{coder: {{url: "http://127.0.0.1:8000"}}}}\n')
    assert [*monitoring.unmonitored(fleet.plan(fleet.load(path)))] == [
        "coder: only the engine's own host reads metrics at http://127.0.0.1:8000. "
        "Run Prometheus there."
    ]


def test_the_topology_has_the_url_in_place_of_hosts() -> None:
    chart = mermaid(fleet.load(RUNNING))
    assert 'model_helper["helper<br>Ollama at http://10.0.9.8:11434<br>64K window"]' in chart


def test_a_model_of_an_included_file_moves_to_a_url(tmp_path: Path) -> None:
    """The keys of the installed engine are removed with null, and the refusal names each."""
    (tmp_path / "base.yml").write_text(
        "version: 1\nname: moved\nhosts: {gw: {address: 10.0.0.1}}\nmodels:\n"
        "  coder: {engine: vllm, version: 0.32.0, weights: {path: /srv/m}, hosts: [gw],\n"
        "    family: hermes, context: 131072, output: 8192}\n"
        "gateway: {hosts: [gw], version: 1.106.12, master_key: {env: KEY}}\n"
    )
    path = tmp_path / "fleet.yml"
    url = 'url: "http://10.0.9.7:8000"'
    path.write_text(f"include: base.yml\nmodels: {{coder: {{{url}}}}}\n")
    with pytest.raises(fleet.FleetError) as refused:
        fleet.load(path)
    fixes = [each.remedy for each in refused.value.problems]
    assert fixes == [
        "Write 'hosts: null' in fleet.yml; or remove 'url', and Mirrorfleet installs vLLM on these "
        "hosts.",
        "Write 'version: null' in fleet.yml.",
        "Write 'weights: null' in fleet.yml.",
    ]
    nothing = "hosts: null, version: null, weights: null"
    path.write_text(f"include: base.yml\nmodels: {{coder: {{{url}, {nothing}}}}}\n")
    assert fleet.load(path).models["coder"].context == 131072
