"""Files for Prometheus and Grafana. tests/litellm and the lab test the metrics of real servers."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from mirrorfleet.cli.main import main

ROOT = Path(__file__).parents[2]
PROD = (ROOT / "inventories/prod.yml").read_text("utf-8")
PROMTOOL = shutil.which("promtool")


@pytest.fixture(name="fleet_file")
def measured(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.yml"
    path.write_text(PROD.replace("gateway:\n", "gateway:\n  metrics: {port: 9464}\n"), "utf-8")
    return path


def test_every_gateway_and_engine_is_a_target_with_labels(fleet_file: Path, tmp_path: Path) -> None:
    assert main(["monitoring", str(fleet_file), str(tmp_path / "out")]) == 0
    config = yaml.safe_load((tmp_path / "out/prometheus.yml").read_text())
    gateways, engines = (job["static_configs"] for job in config["scrape_configs"])
    assert gateways[0] == {
        "targets": ["10.0.2.11:9464"],
        "labels": {"fleet": "prod", "host": "gw-a"},
    }
    assert {target["labels"]["host"] for target in engines} == {"gpu-a", "gpu-b", "gpu-c"}
    assert engines[0]["labels"]["model"] == "coder"


def test_a_gateway_without_a_metrics_port_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["monitoring", str(ROOT / "inventories/prod.yml"), str(tmp_path)]) == 0
    assert (
        "gw-a: has no metrics port. Write gateway.metrics: {port: 9464}." in capsys.readouterr().err
    )


def test_panels_do_not_overlap(fleet_file: Path, tmp_path: Path) -> None:
    assert main(["monitoring", str(fleet_file), str(tmp_path)]) == 0
    panels = json.loads((tmp_path / "mirrorfleet-dashboard.json").read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_prometheus_accepts_the_files(fleet_file: Path, tmp_path: Path) -> None:
    assert main(["monitoring", str(fleet_file), str(tmp_path)]) == 0
    # The dashboard's expressions as rules: promtool does not support dashboards.
    panels = json.loads((tmp_path / "mirrorfleet-dashboard.json").read_text())["panels"]
    rules = [
        {"record": f"panel_{number}", "expr": target["expr"].replace("$__rate_interval", "5m")}
        for number, panel in enumerate(panels)
        for target in panel.get("targets", ())
    ]
    expressions = {"groups": [{"name": "panels", "rules": rules}]}
    (tmp_path / "panels.yml").write_text(yaml.safe_dump(expressions), "utf-8")
    for kind, file in (("config", "prometheus.yml"), ("rules", "panels.yml")):
        done = subprocess.run(
            [str(PROMTOOL), "check", kind, file], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
