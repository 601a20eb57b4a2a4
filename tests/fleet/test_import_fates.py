# ruff: noqa: E501  (configurations as people write them)
"""Every value of any input has exactly one fate, and no secret is anywhere in what an import says."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorfleet import importing
from mirrorfleet.importing import Fate, NotReadable, report
from mirrorfleet.importing.hidden import is_secret
from mirrorfleet.importing.sources import Sources

NAMES = st.sampled_from(
    [
        "model_list",
        "litellm_settings",
        "router_settings",
        "general_settings",
        "model_name",
        "litellm_params",
        "model",
        "api_base",
        "api_key",
        "rpm",
        "weight",
        "timeout",
        "num_retries",
        "model_info",
        "mode",
        "max_input_tokens",
        "base_model",
        "fallbacks",
        "callbacks",
        "success_callback",
        "master_key",
        "database_url",
        "cache",
        "cache_params",
        "type",
        "model_group_alias",
        "redis_host",
        "redis_password",
        "routing_strategy",
        "guardrails",
        "guardrail_name",
        "guardrail",
        "services",
        "image",
        "command",
        "environment",
        "env_file",
        "ports",
        "volumes",
        "deploy",
        "vllm",
        "ollama",
        "litellm",
        "env",
        "permissions",
        "allow",
        "deny",
        "hooks",
        "statusLine",
        "ANTHROPIC_MODEL",
        "ANTHROPIC_AUTH_TOKEN",
        "x-base",
        "<<",
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.dates(),
    st.sampled_from(
        [
            "openai/gpt-4o",
            "anthropic/claude-opus-5-5",
            "hosted_vllm/coder",
            "ollama_chat/qwen3:4b",
            "os.environ/KEY",
            "http://vllm:8000/v1",
            "vllm/vllm-openai:v1",
            "ollama/ollama",
            "ghcr.io/berriai/litellm",
            "coder",
            "redis",
            "simple-shuffle",
            "prometheus",
            "langfuse",
            "${X:-y}",
            "${X}",
            "4000:4000",
            "./config.yaml:/app/config.yaml",
            "claude-*",
            "*",
            "a.b",
            "sonnet",
        ]
    ),
    st.just("--model Qwen/Qwen3 --api-key sk-a1b2c3d4 --max-model-len 32k -tp 2 --no-such"),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(NAMES, st.text(max_size=5)), inner, max_size=5),
    ),
    max_leaves=14,
)
ENTRY = st.fixed_dictionaries(
    {"model_name": SCALARS, "litellm_params": st.dictionaries(NAMES, VALUES, max_size=6)},
    optional={"model_info": VALUES},
)
LITELLM = st.fixed_dictionaries(
    {"model_list": st.one_of(VALUES, st.lists(ENTRY, max_size=4))},
    optional=dict.fromkeys(("litellm_settings", "router_settings", "general_settings"), VALUES),
)
SERVICE = st.dictionaries(NAMES, VALUES, max_size=5)
COMPOSE = st.fixed_dictionaries(
    {
        "services": st.one_of(
            VALUES, st.dictionaries(st.sampled_from(["vllm", "ollama", "litellm", "db"]), SERVICE)
        )
    }
)
CLAUDE = st.dictionaries(NAMES, VALUES, max_size=6)


def judge(name: str, text: str) -> None:
    """Import a text, and compare its fates with its values, counted apart from the import."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        try:
            result = importing.run([str(path)], name="x", target=Path(directory) / "fleet.yml")
        except NotReadable:
            return
        sources = Sources()
        sources.add(str(path))
        values = [leaf for source in sources.found for leaf in source.tree.leaves()]
        assert all(each.fate in Fate for each in result.entries)
        fated = Counter((each.line, each.key) for each in result.entries)
        assert fated == Counter((leaf.line, leaf.key) for leaf in values)
        assert "\n".join(report.lines(result))
        yaml.safe_load(result.text)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(LITELLM)
def test_every_value_of_a_litellm_configuration_has_one_fate(config: Any) -> None:
    judge("config.yaml", yaml.safe_dump(config, sort_keys=False))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(COMPOSE)
def test_every_value_of_a_compose_file_has_one_fate(config: Any) -> None:
    judge("compose.yml", yaml.safe_dump(config, sort_keys=False))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(CLAUDE)
def test_every_value_of_settings_has_one_fate(config: Any) -> None:
    judge("settings.json", json.dumps(config, default=str))


BUDGET = st.fixed_dictionaries(
    {"name": SCALARS, "unit": st.sampled_from(["tokens", "cost", "x"]), "amount": SCALARS},
    optional=dict.fromkeys(("per", "period", "models", "exceptions", "warn_at"), VALUES),
)
OWN = st.fixed_dictionaries(
    {},
    optional={
        "limits": st.dictionaries(st.sampled_from(["fleet", "people", "models", "x"]), VALUES),
        "budgets": st.one_of(VALUES, st.lists(BUDGET, max_size=3)),
        "passthrough": SCALARS,
        "rows": SCALARS,
        "days": SCALARS,
        "keys": st.one_of(
            VALUES,
            st.lists(
                st.dictionaries(
                    st.sampled_from(["name", "group", "models", "expires", "sha256"]), VALUES
                ),
                max_size=3,
            ),
        ),
    },
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(OWN)
def test_every_value_of_files_of_mirrorfleet_has_one_fate(content: Any) -> None:
    judge("litellm/limits.json", json.dumps(content, default=str))


OPTIONS = st.lists(
    st.sampled_from(
        [
            "--model",
            "/srv/m",
            "--api-key",
            "secret-1",
            "--port",
            "8001",
            "--tensor-parallel-size",
            "2",
            "-tp",
            "--max-model-len",
            "32k",
            "131072",
            "--served-model-name",
            "a",
            "b",
            "--enable-prefix-caching",
            "--kv-cache-dtype=fp8",
            "--no-such=1",
            "Qwen/Qwen3",
            "$MODEL",
            "${PORT:-8000}",
            "--hf-overrides",
            "{}",
            "--trust-remote-code",
            "true",
        ]
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    OPTIONS,
    st.dictionaries(
        st.sampled_from(["CUDA_VISIBLE_DEVICES", "HF_TOKEN", "A"]), st.text("01,x", max_size=5)
    ),
)
def test_every_word_of_a_unit_has_one_fate(options: list[str], variables: dict[str, str]) -> None:
    lines = [f'Environment="{name}={value}"' for name, value in variables.items()]
    command = " ".join(["/opt/bin/vllm serve", *options])
    judge(
        "vllm.service", "\n".join(["[Service]", *lines, f"ExecStart={command}", "Restart=always"])
    )


CANARIES = [
    ("api_key", "sk-CANARY-a1"),
    ("extra_headers", {"Authorization": "Bearer CANARY-b2", "X-Api-Key": "CANARY-c3"}),
    ("api_base", "https://user:CANARY-d4@models.example.com/v1"),
    ("aws_secret_access_key", "CANARY-e5"),
    ("vertex_credentials", '{"private_key": "CANARY-f6"}'),
    ("metadata", {"password": "CANARY-g7"}),
    ("unknown_token", "CANARY-h8"),
    ("tags", ["sk-CANARY-i9-1"]),
    ("model", "openai/sk-CANARY-j10"),
    ("client_secret", 123456789),
]


def whole_output(directory: Path, name: str, text: str) -> str:
    """Return everything that an import says and writes of a file."""
    path = directory / name
    path.write_text(text, "utf-8")
    try:
        result = importing.run([str(path)], name="x", target=directory / "fleet.yml")
    except NotReadable as error:
        return str(error)
    reported = "\n".join(report.lines(result))
    return f"{result!r}{result.text}{reported}{json.dumps(report.plain(result))}"


@pytest.mark.parametrize(("name", "value"), CANARIES, ids=lambda each: str(each)[:20])
def test_secrets_of_a_model_are_nowhere(tmp_path: Path, name: str, value: Any) -> None:
    parameters = {"model": "openai/gpt-4o", name: value}
    config = {
        "model_list": [
            {"model_name": "gpt", "litellm_params": parameters, "model_info": {name: value}}
        ]
    }
    text = whole_output(tmp_path, "config.yaml", yaml.safe_dump(config))
    assert "CANARY" not in text
    assert "123456789" not in text


def test_secrets_in_names_are_nowhere(tmp_path: Path) -> None:
    config = {
        "model_list": [
            {
                "model_name": "gpt",
                "litellm_params": {"model": "openai/gpt-4o", "metadata": {"sk-CANARY-a1": 1}},
            }
        ],
        "litellm_settings": {"fallbacks": [{"sk-CANARY-b2": ["gpt"]}]},
        "router_settings": {
            "model_group_alias": {"sk-CANARY-c3": "gpt", "Bearer CANARY-d4": "gpt"}
        },
    }
    assert "CANARY" not in whole_output(tmp_path, "config.yaml", yaml.safe_dump(config))


def test_secrets_of_other_files_are_nowhere(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PLAIN=CANARY-1\nOPENAI_API_KEY=sk-CANARY-2\n", "utf-8")
    compose = """\
services:
  litellm:
    image: litellm
    env_file: [.env]
    environment: [MASTER_KEY=CANARY-3, "DATABASE_URL=postgresql://u:CANARY-4@db/x", SMTP_PASSWORD=CANARY-5]
    command: litellm --master_key CANARY-6
  vllm:
    image: vllm/vllm-openai
    command: ["--model", "a/b", "--api-key", "CANARY-7", "--hf-token=CANARY-8"]
    environment: {VLLM_API_KEY: CANARY-9, HF_TOKEN: "${HF_TOKEN:-hf_CANARY10}"}
"""
    unit = (
        "[Service]\nEnvironment=VLLM_API_KEY=CANARY-1 OTHER_SECRET=CANARY-2\n"
        'ExecStart=/bin/bash -lc "vllm serve a/b --api-key CANARY-3"\n'
    )
    claude = {
        "apiKeyHelper": "echo sk-CANARY-1a",
        "env": {"ANTHROPIC_AUTH_TOKEN": "CANARY-2", "ANTHROPIC_CUSTOM_HEADERS": "X-Key: CANARY-3"},
        "permissions": {"allow": ["Bash(curl -H 'Authorization: Bearer CANARY-4')"]},
        "hooks": {
            "Stop": [{"hooks": [{"type": "command", "command": "curl https://u:CANARY-5@x"}]}]
        },
        "sk-CANARY-6": 1,
    }
    for name, text in (
        ("compose.yml", compose),
        ("vllm.service", unit),
        ("run.sh", "export OPENAI_API_KEY=CANARY-1\nvllm serve a/b --api-key=CANARY-2\n"),
        ("settings.json", json.dumps(claude)),
    ):
        assert "CANARY" not in whole_output(tmp_path, name, text), name


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["api_key", "OPENAI_API_KEY", "x-api-key", "db_password", "hf_token"]),
    st.text("abcXYZ019-_", min_size=8),
)
def test_text_under_the_name_of_a_secret_is_hidden(name: str, text: str) -> None:
    placeholder = text.lower() in ("placeholder", "anything") or text.isdecimal()
    assert is_secret(name, f"v{text}") or placeholder
