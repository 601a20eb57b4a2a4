"""The canary through the real LiteLLM: a gateway that rewrites prompts breaks the prefix cache."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mirrorfleet.planning import LitellmPlan
from mirrorfleet.roles.litellm.canary_targets import canary_of
from mirrorfleet.roles.proof.canary import PROGRAM
from mirrorfleet.runtime.service import NEVER
from tests.litellm.gateway import Gateway, planned, serving
from tests.litellm.upstream import Upstream
from tests.roles import programs
from tests.standins.vllm import Engine, served

FLEET = """\
version: 1
name: canary
hosts: {gpu: {address: 10.0.0.1, gpus: {count: 1}}, gw: {address: 10.0.0.2}}
models:
  tiny:
    {engine: vllm, version: 0.32.0, weights: {path: /srv/m}, family: hermes, hosts: [gpu],
      context: 65536, output: 8192}
gateway:
  hosts: [gw]
  version: "1.106.12"
  master_key: {env: KEY}
  modules: [clock.py]
  callbacks: [clock.clock]
"""

MODULE = '''\
"""A hook that adds the time, as a house may want it, while the file `ticks` exists."""
from itertools import count
from pathlib import Path
from litellm.integrations.custom_logger import CustomLogger

NUMBERS = count()

class Clock(CustomLogger):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        if not Path(__file__).with_name("ticks").exists():
            return data
        own = {"type": "text", "text": f"It is tick {next(NUMBERS)}."}
        return {**data, "system": [own, *(data.get("system") or [])]}

clock = Clock()
'''

Json = dict[str, Any]


@dataclass
class Straight(Upstream):
    """The one engine of the fleet, without its address in the path."""

    def instead_of(self, url: str) -> str:
        return self.url + urlsplit(url).path


@contextmanager
def gateway(directory: Path, engine: str) -> Iterator[tuple[Json, Gateway]]:
    """Yield the spec of the canary of a running gateway, and the gateway."""
    (directory / "fleet.yml").write_text(FLEET)
    (directory / "clock.py").write_text(MODULE)
    plan: LitellmPlan = planned(directory / "fleet.yml")
    canary = canary_of(plan)
    assert canary
    place = directory / "gateway"
    place.mkdir()
    me = pwd.getpwuid(os.getuid()).pw_name
    [target] = canary.targets
    moved = replace(canary, user=me, targets=({**target, "engines": [engine]},))
    with serving(plan, Straight(engine), place) as found:
        yield moved.spec, found


def run(directory: Path, spec: Json, gateway: Gateway, *job: str) -> tuple[int, str]:
    command = ["env", "-C", str(directory), sys.executable, "-I", "-c", PROGRAM]
    key = {"LITELLM_MASTER_KEY": gateway.master}
    done = programs.run([*command, job[0], gateway.url, *job[1:]], json.dumps(spec), key)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_gateway_that_changes_each_prompt_is_refused(tmp_path: Path) -> None:
    # As vLLM by default: it reports no cached tokens in its answers, only in its metrics.
    engine = Engine(written=64)
    with served(engine) as url, gateway(tmp_path, url) as (spec, found):
        assert run(tmp_path, spec, found, "compare", "one")[0] == 0
        [usual] = json.loads((tmp_path / "figures/one.json").read_text())["models"].values()
        assert usual["fault"] == ""
        assert usual["rate"] > 0.97
        assert usual["throughput"] > 0
        (found.directory / "ticks").touch()
        code, output = run(tmp_path, spec, found, "compare", "two", "one")
    assert code == NEVER
    assert "tiny: prefix cache failed" in output
    assert "--accept-cache-loss" in output
