"""The real vLLM exports every metric of the alerts and the dashboard."""

import re

from mirrorfleet import monitoring
from tests.lab import look
from tests.lab.hosts import BY_NAME


def test_the_engine_exports_the_used_metrics() -> None:
    metrics = look.run(
        "gw-1", f"curl -fsS --noproxy '*' http://{BY_NAME['gpu'].address}:8000/metrics"
    )
    used = {
        name
        for file in ("vllm_rules.yml", "vllm_dashboard.yml")
        for name in re.findall(r"\bvllm:\w+", (monitoring.HERE / file).read_text("utf-8"))
    }
    assert len(used) > 5
    assert used <= set(re.findall(r"^vllm:\w+", metrics, re.M))
