"""Compose files, units and scripts as people write them: GPUs, variables, arrays, own images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrorfleet.importing import Import, NotReadable
from tests.fleet.importing import fates, imported, leaves

UUID = "GPU-5da6e67e-fd5a-88fb-7a0e-109c3284f7bf"
MODEL = "--model org/coder --max-model-len 32768"


def compose(tmp_path: Path, **services: dict[str, Any]) -> Import:
    path = tmp_path / "docker-compose.yml"
    path.write_text(yaml.safe_dump({"services": services}, sort_keys=False))
    result = imported(tmp_path, path.name)
    assert len(result.entries) == leaves(path)
    return result


def vllm(command: str = MODEL, **keys: Any) -> dict[str, Any]:
    return {"image": "vllm/vllm-openai:v0.11.0", "command": command, **keys}


def devices(*ids: str) -> dict[str, Any]:
    one = {"driver": "nvidia", "device_ids": list(ids), "capabilities": ["gpu"]}
    return {"resources": {"reservations": {"devices": [one]}}}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"environment": {"CUDA_VISIBLE_DEVICES": "1"}}, [1]),
        ({"environment": {"CUDA_VISIBLE_DEVICES": "${GPUS:-1}"}}, [1]),
        ({"environment": {"CUDA_VISIBLE_DEVICES": "3, 1"}}, [3]),
        ({"environment": {"NVIDIA_VISIBLE_DEVICES": "2"}}, [2]),
        ({"environment": {"NVIDIA_VISIBLE_DEVICES": "all"}}, None),
        ({"environment": {"NVIDIA_VISIBLE_DEVICES": "1"}, "deploy": devices("2")}, [2]),
        ({"deploy": devices("2")}, [2]),
        ({"deploy": devices("${GPU_ID:-3}")}, [3]),
        ({"gpus": "all"}, None),
        ({"gpus": [{"device_ids": ["1"]}]}, [1]),
        # Inside the container, 0 is the first of its GPUs.
        ({"environment": {"CUDA_VISIBLE_DEVICES": "0"}, "deploy": devices("2", "3")}, [2]),
        ({"environment": {"CUDA_VISIBLE_DEVICES": "1"}, "deploy": devices("2", "3")}, [3]),
    ],
)
def test_gpus_are_those_of_the_host(
    tmp_path: Path, keys: dict[str, Any], expected: list[int] | None
) -> None:
    result = compose(tmp_path, engine=vllm(**keys))
    assert result.data["models"]["coder"].get("devices") == expected
    assert not fates(result, "open")


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"environment": {"CUDA_VISIBLE_DEVICES": UUID}}, "a GPU by its UUID"),
        ({"environment": {"NVIDIA_VISIBLE_DEVICES": UUID}}, "a GPU by its UUID"),
        ({"deploy": devices(UUID)}, "a GPU by its UUID"),
        ({"gpus": [{"device_ids": [UUID]}]}, "a GPU by its UUID"),
        ({"deploy": devices("${GPU_ID:?say which}")}, "depends on a variable: write devices"),
        ({"environment": {"CUDA_VISIBLE_DEVICES": "-1"}}, "not a list of GPUs by number"),
        (
            {"environment": {"CUDA_VISIBLE_DEVICES": "2"}, "deploy": devices("0", "1")},
            "the container sees 2 GPUs, without number 2",
        ),
        (
            {"command": f"{MODEL} --tensor-parallel-size 2", "deploy": devices("0")},
            "the engine uses 2 GPUs, and these are 1",
        ),
    ],
)
def test_gpus_without_a_number_are_open(tmp_path: Path, keys: dict[str, Any], reason: str) -> None:
    result = compose(tmp_path, engine=vllm(**keys))
    assert "devices" not in result.data["models"]["coder"]
    assert all(reason in each for each in fates(result, "open").values())
    assert fates(result, "open")


def test_ollama_without_a_gpu_uses_the_processor(tmp_path: Path) -> None:
    keys = {"image": "ollama/ollama", "environment": {"CUDA_VISIBLE_DEVICES": "-1"}}
    result = compose(tmp_path, ollama=keys)
    assert result.data["models"]["ollama"]["devices"] == []


def test_defaults_of_variables_are_taken_and_others_are_open(tmp_path: Path) -> None:
    variables = {
        "OLLAMA_NUM_PARALLEL": "${PARALLEL:-4}",
        "OLLAMA_HOST": "0.0.0.0:${PORT:-11500}",
        "OLLAMA_CONTEXT_LENGTH": "${CONTEXT}",
    }
    gateway = {
        "image": "ghcr.io/berriai/litellm:main",
        "ports": ["${PORT}:4000"],
        "environment": {
            "LITELLM_LOG": "${LOG:-INFO}",
            "NUM_WORKERS": "${WORKERS}",
            "TEAM": "${TEAM:-${GROUP:-platform}}",
            "CALLBACK": "http://${HOST}:9000",
        },
    }
    ollama = {"image": "ollama/ollama:${TAG:-latest}", "environment": variables}
    result = compose(tmp_path, ollama=ollama, litellm=gateway)
    model = result.data["models"]["ollama"]
    assert (model["parallel"], model["port"]) == (4, 11500)
    assert result.data["gateway"]["logging"] == {"level": "INFO"}
    assert result.data["gateway"]["environment"] == {"TEAM": "platform"}
    prefix = "depends on a variable: write "
    assert fates(result, "open") == {
        "services.ollama.environment.OLLAMA_CONTEXT_LENGTH": f"{prefix}context",
        "services.litellm.ports[0]": f"{prefix}gateway.port",
        "services.litellm.environment.NUM_WORKERS": f"{prefix}gateway.workers",
        "services.litellm.environment.CALLBACK": f"{prefix}gateway.environment.CALLBACK",
    }


def test_gateway_with_an_image_of_ones_own_is_a_gateway(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "model_list: [{model_name: a, litellm_params: {model: anthropic/claude-sonnet-5-5}}]\n"
    )
    mount = {"type": "bind", "source": "./config.yaml", "target": "/app/config.yaml"}
    service = {"build": {"dockerfile": "Dockerfile.litellm"}, "volumes": [mount]}
    (tmp_path / "compose.yml").write_text(yaml.safe_dump({"services": {"litellm": service}}))
    result = imported(tmp_path, "compose.yml")
    assert list(result.data["models"]) == ["a"]


def test_a_part_of_a_service_says_what_to_import(tmp_path: Path) -> None:
    result = compose(tmp_path, engine=vllm(), **{"vllm-fast": {"ports": ["8001:8000"]}})
    reason = "changes the service vllm-fast of another file: import `docker compose config`"
    assert fates(result, "open") == {"services.vllm-fast.ports[0]": reason}


def script(tmp_path: Path, text: str) -> Import:
    (tmp_path / "start.sh").write_text(text)
    result = imported(tmp_path, "start.sh")
    assert len(result.entries) == leaves(tmp_path / "start.sh")
    return result


def test_arguments_in_an_array_and_variables_of_the_script(tmp_path: Path) -> None:
    result = script(
        tmp_path,
        """#!/bin/bash
ROOT="$(cd "$(dirname "$0")" && pwd)"
NAME=org/coder
PORT="${PORT:-8010}"
export VLLM_LOGGING_LEVEL=WARNING
ARGS=(
  "$NAME"                       # the model
  --port "$PORT" --max-model-len 32768
)
if [ "$MTP" = 1 ]; then
  ARGS+=(--speculative-config.method mtp --speculative-config.num-speculative-tokens 2)
fi
echo "> vllm serve ${ARGS[*]}"
exec vllm serve "${ARGS[@]}" 2>&1 | tee log
""",
    )
    model = result.data["models"]["coder"]
    assert len(result.data["models"]) == 1
    assert (model["weights"], model["port"], model["context"]) == ("org/coder", 8010, 32768)
    assert model["environment"] == {"VLLM_LOGGING_LEVEL": "WARNING"}
    speculative = {"method": "mtp", "num_speculative_tokens": 2}
    assert model["arguments"] == {"speculative-config": speculative}


def test_docker_run_with_gpus_and_a_port_in_a_variable(tmp_path: Path) -> None:
    result = script(
        tmp_path,
        """PORT=8020
docker run -d --gpus '"device=2,3"' -p ${PORT}:8000 -e HF_TOKEN="${HF_TOKEN:-}" \\
  -e VLLM_LOGGING_LEVEL=WARNING vllm/vllm-openai:latest \\
  --model org/coder --max-model-len 32768 --tensor-parallel-size 2
""",
    )
    model = result.data["models"]["coder"]
    assert (model["devices"], model["port"]) == ([2, 3], 8020)
    assert model["environment"] == {"VLLM_LOGGING_LEVEL": "WARNING"}
    assert result.data["hub"] == {"token": {"env": "HF_TOKEN"}}


def test_a_script_for_clients_of_ollama_starts_no_engine(tmp_path: Path) -> None:
    text = 'export OLLAMA_HOST="${1:-http://ollama:11434}"\ncurl "$OLLAMA_HOST/api/tags"\n'
    with pytest.raises(NotReadable, match="nothing in these files"):
        script(tmp_path, text)


def test_texts_of_several_lines_stay_texts(tmp_path: Path) -> None:
    policy = "Confine each session to one matter.\n\nNever " + "work on " * 20 + "two.\n"
    (tmp_path / "managed-settings.json").write_text(
        json.dumps({"claudeMd": policy, "sandbox": {"enabled": True}})
    )
    result = imported(tmp_path, "managed-settings.json")
    assert yaml.safe_load(result.text) == result.data
    assert result.data["developers"]["managed"]["settings"]["claudeMd"] == policy
    assert "claudeMd: |\n" in result.text


def test_a_refused_setting_of_the_gateway_is_open(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "model_list: [{model_name: a, litellm_params: {model: anthropic/claude-sonnet-5-5}}]\n"
        "router_settings: {timeout: 45, stream_timeout: 90}\n"
    )
    result = imported(tmp_path, "config.yaml")
    (reason,) = fates(result, "open").values()
    assert "is 90 s, longer than gateway.timeout (45 s)" in reason
    assert "stream_timeout" not in result.data["gateway"]
