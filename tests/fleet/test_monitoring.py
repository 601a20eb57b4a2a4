"""Files for Prometheus and Grafana. tests/litellm and the lab test the metrics of real servers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mirrorfleet.cli.main import main

ROOT = Path(__file__).parents[2]
PROD = (ROOT / "inventories/prod.yml").read_text("utf-8")
PROMTOOL = shutil.which("promtool") or shutil.which(Path(sys.executable).with_name("promtool"))
"""`bin/lab packages tests` downloads it into the environment."""

promtool_needed = pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool: `bin/lab packages tests` downloads it"
)


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


@promtool_needed
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
            [str(PROMTOOL), "check", kind, file],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_usage_has_panels_and_alerts_if_it_is_recorded(fleet_file: Path, tmp_path: Path) -> None:
    recorded = tmp_path / "recorded.yml"
    text = fleet_file.read_text("utf-8")
    recorded.write_text(text.replace("gateway:\n", "gateway:\n  usage: {}\n"), "utf-8")
    found = []
    for file, directory in ((fleet_file, tmp_path / "without"), (recorded, tmp_path / "with")):
        assert main(["monitoring", str(file), str(directory)]) == 0
        rules = yaml.safe_load((directory / "mirrorfleet-rules.yml").read_text())
        panels = json.loads((directory / "mirrorfleet-dashboard.json").read_text())["panels"]
        names = {group["name"] for group in rules["groups"]}
        found.append(("mirrorfleet-usage" in names, "Usage" in {each["title"] for each in panels}))
    assert found == [(False, False), (True, True)]


LIMITS = ROOT / "tests/fleet/good/limits.yml"


@pytest.fixture(name="budgeted")
def with_budgets(tmp_path: Path) -> Path:
    """Return the files of a fleet with budgets."""
    assert main(["monitoring", str(LIMITS), str(tmp_path / "budgets")]) == 0
    return tmp_path / "budgets"


def test_budgets_have_panels_and_alerts_if_there_are_some(
    budgeted: Path, fleet_file: Path, tmp_path: Path
) -> None:
    rules = yaml.safe_load((budgeted / "mirrorfleet-rules.yml").read_text())
    [group] = [each for each in rules["groups"] if each["name"] == "mirrorfleet-budgets"]
    assert {rule["alert"] for rule in group["rules"]} == {
        *("BudgetNearlySpent", "BudgetStops", "BudgetsWithoutRedis"),
    }
    panels = json.loads((budgeted / "mirrorfleet-dashboard.json").read_text())["panels"]
    assert "Budgets" in {panel["title"] for panel in panels}
    assert main(["monitoring", str(fleet_file), str(tmp_path / "without")]) == 0
    for path in (tmp_path / "without").iterdir():
        assert "budget" not in path.read_text().lower()


RATIO, RESETS = "mirrorfleet_budget_used_ratio", "mirrorfleet_budget_resets_timestamp_seconds"
REFUSED = "mirrorfleet_budget_refused_total"

# Values per minute: name, labels, values. The period of eve ended in minute 5.
SERIES = [
    *(("mirrorfleet_budget_warn_ratio", {"host": host}, "0.8x30") for host in ("gw-1", "gw-2")),
    (RATIO, {"host": "gw-1", "name": "ada"}, "0.5x30"),
    (RATIO, {"host": "gw-2", "name": "ada"}, "0.85x30"),
    (RATIO, {"host": "gw-1", "name": "bob"}, "1.1x30"),
    (RATIO, {"host": "gw-1", "name": "eve"}, "0.9x30"),
    (RATIO, {"host": "gw-1", "name": "lin"}, "0.1x30"),
    (RESETS, {"host": "gw-1", "name": "ada"}, "3600x30"),
    (RESETS, {"host": "gw-2", "name": "ada"}, "3600x30"),
    (RESETS, {"host": "gw-1", "name": "bob"}, "3600x30"),
    (RESETS, {"host": "gw-1", "name": "eve"}, "300x30"),
    (RESETS, {"host": "gw-1", "name": "lin"}, "3600x30"),
    (REFUSED, {"host": "gw-1", "name": "ada"}, "0x30"),
    (REFUSED, {"host": "gw-1", "name": "bob"}, "0x10 1x20"),
    ("mirrorfleet_redis_errors_total", {"host": "gw-2"}, "0x10 1+1x20"),
]

FOUND = {
    "BudgetNearlySpent": (20, [{"budget": "daily", "name": "ada"}]),
    "BudgetStops": (20, [{"budget": "daily", "name": "bob"}]),
    "BudgetsWithoutRedis": (20, [{"host": "gw-2"}]),
    "Used part of budgets, the ten largest": (
        *(20, [{"budget": "daily", "name": name} for name in ("ada", "bob", "lin")]),
    ),
    "Above the soft limit (warn_at), spent ones included, by budget": (20, [{"budget": "daily"}]),
    "Spent, by budget": (20, [{"budget": "daily"}]),
    "Requests in 15 minutes that a spent budget refused": (
        *(29, list[dict[str, str]]()),  # the last refusal was in minute 11
    ),
}
"""The minute, and the series that an alert or a panel has then."""


@promtool_needed
def test_alerts_and_panels_find_who_is_near_a_budget_or_stopped(budgeted: Path) -> None:
    rules = yaml.safe_load((budgeted / "mirrorfleet-rules.yml").read_text())
    panels = json.loads((budgeted / "mirrorfleet-dashboard.json").read_text())["panels"]
    asked = {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    asked |= {panel["title"]: panel["targets"][0]["expr"] for panel in panels if "targets" in panel}

    def text(labels: dict[str, str]) -> str:
        return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"

    series = [
        {"series": name + text({"fleet": "f", "budget": "daily", **labels}), "values": values}
        for name, labels, values in SERIES
    ]
    tests = [
        {
            "expr": f"group by (budget, name, host) ({asked[title].replace('$fleet', 'f')})",
            "eval_time": f"{minute}m",
            "exp_samples": [{"labels": text(labels), "value": 1} for labels in found],
        }
        for title, (minute, found) in FOUND.items()
    ]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": tests}
    (budgeted / "test.yml").write_text(
        yaml.safe_dump({"rule_files": ["mirrorfleet-rules.yml"], "tests": [test]})
    )
    command = [str(PROMTOOL), "test", "rules", "test.yml"]
    done = subprocess.run(command, cwd=budgeted, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


END = "mirrorfleet_certificate_not_after_timestamp_seconds"


@promtool_needed
def test_alerts_find_certificates_that_expire_or_cannot_be_read(
    fleet_file: Path, tmp_path: Path
) -> None:
    """Two gateways connect to each load balancer; one of them may not reach it."""
    assert main(["monitoring", str(fleet_file), str(tmp_path)]) == 0
    day = 86_400
    values = {
        f'{END}{{fleet="f", host="gw-1", server="soon"}}': f"{13 * day}x300",
        f'{END}{{fleet="f", host="gw-2", server="soon"}}': f"{12 * day}x300",
        f'{END}{{fleet="f", host="gw-1", server="late"}}': f"{13 * day}x300",
        f'{END}{{fleet="f", host="gw-2", server="late"}}': f"{20 * day}x300",
        'mirrorfleet_certificate_read{fleet="f", host="gw-1", server="soon"}': "0x300",
        'mirrorfleet_certificate_read{fleet="f", host="gw-2", server="soon"}': "1x300",
        f'{END}{{fleet="f", host="gw-1", server="hidden"}}': f"{400 * day}x300",
        'mirrorfleet_certificate_read{fleet="f", host="gw-1", server="hidden"}': "0x300",
        'mirrorfleet_certificate_read{fleet="f", host="gw-1", server="foreign"}': "0x300",
    }
    rules = yaml.safe_load((tmp_path / "mirrorfleet-rules.yml").read_text())
    asked = {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    tests = [
        {
            "expr": f"group by (fleet, server) ({asked[alert]})",
            "eval_time": "200m",
            "exp_samples": [{"labels": f'{{fleet="f", server="{server}"}}', "value": 1}],
        }
        for alert, server in {"CertificateExpires": "soon", "CertificateUnknown": "hidden"}.items()
    ]
    series = [{"series": name, "values": each} for name, each in values.items()]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": tests}
    content = {"rule_files": ["mirrorfleet-rules.yml"], "tests": [test]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(content))
    command = [str(PROMTOOL), "test", "rules", "test.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
