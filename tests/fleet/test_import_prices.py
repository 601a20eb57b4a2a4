# ruff: noqa: E501  (configurations as people write them)
"""Prices of LiteLLM's models become `price`, and every number of a fleet file is one to YAML."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorfleet import fleet, importing
from tests.fleet.importing import fates, imported

CONFIG = """\
model_list:
  - model_name: text
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/KEY, input_cost_per_token: 5e-07, output_cost_per_token: "2.5e-06"}
    model_info: {cache_read_input_token_cost: 5e-08}
  - model_name: numbers
    litellm_params: {model: openai/gpt-5, api_key: os.environ/KEY}
    model_info: {input_cost_per_token: 0.0000005, output_cost_per_token: 2.5e-06, cache_read_input_token_cost: 5.0e-08, cache_creation_input_token_cost: 5.0e-07}
  - model_name: half
    litellm_params: {model: openai/gpt-4.1, api_key: os.environ/KEY, input_cost_per_token: 6.6e-07, input_cost_per_second: 1e-9}
  - model_name: free
    litellm_params: {model: hosted_vllm/free, api_base: "http://10.0.0.9/v1", input_cost_per_token: 0, output_cost_per_token: 0.0}
  - model_name: dear
    litellm_params: {model: openai/o3, api_key: os.environ/KEY, input_cost_per_token: 1, output_cost_per_token: 2e-06}
"""


def test_prices_are_numbers_per_million_tokens(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG, "utf-8")
    result = imported(tmp_path, "config.yaml")
    models = yaml.safe_load(result.text)["models"]
    assert models["text"]["price"] == {"input": 0.5, "output": 2.5}
    assert models["numbers"]["price"] == {"input": 0.5, "output": 2.5, "cache_read": 0.05}
    assert models["free"]["price"] == {"input": 0, "output": 0}
    # The fleet file needs two prices of at most 1000 dollars: these stay LiteLLM's parameters.
    assert models["half"]["parameters"] == {
        "input_cost_per_token": 0.00000066,
        "input_cost_per_second": 0.000000001,
    }
    assert models["dear"]["parameters"]["output_cost_per_token"] == 0.000002
    assert not re.search(r"\de-\d", result.text)
    left = fates(result, "folded")
    assert left["model_list[0].model_info.cache_read_input_token_cost"].startswith("the price")
    target = tmp_path / "fleet.yml"
    target.write_text(result.text, "utf-8")
    assert fleet.load(target).prices["text"].cache_read == 0.5


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-9, 9e-4), st.sampled_from(["{!r}", "'{!r}'", "{:.3e}", "{:.12f}"]))
def test_every_price_is_the_same_per_token(price: float, form: str) -> None:
    written = form.format(price)
    config = (
        "model_list: [{model_name: a, litellm_params: {model: openai/gpt-4o, api_key: os.environ/K, "
        f"input_cost_per_token: {written}, output_cost_per_token: {written}}}}}]\n"
    )
    with tempfile.TemporaryDirectory() as directory:
        path, target = Path(directory) / "config.yaml", Path(directory) / "fleet.yml"
        path.write_text(config, "utf-8")
        result = importing.run([str(path)], name="x", target=target)
        target.write_text(result.text, "utf-8")
        read = fleet.load(target).prices["a"]
    expected = float(written.strip("'")) * 1_000_000
    assert read.input == read.output == pytest.approx(expected, rel=1e-9, abs=1e-12)
