"""The metrics that alerts and dashboard ask of an engine are told by the real vLLM."""

import re

from mirrorfleet import monitoring
from tests.lab import look
from tests.lab.hosts import BY_NAME


def test_the_engine_tells_what_is_asked_of_it() -> None:
    told = look.run("gw-1", f"curl -fsS --noproxy '*' http://{BY_NAME['gpu'].address}:8000/metrics")
    asked = {
        name
        for file in ("vllm_rules.yml", "vllm_dashboard.yml")
        for name in re.findall(r"\bvllm:\w+", (monitoring.HERE / file).read_text("utf-8"))
    }
    assert len(asked) > 5
    assert asked <= set(re.findall(r"^vllm:\w+", told, re.M))
