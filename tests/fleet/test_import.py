# ruff: noqa: E501  (configurations as people write them)
"""`mirrorfleet import`: what people run becomes a fleet that `check` accepts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from mirrorfleet import fleet, importing
from mirrorfleet.cli.main import main
from mirrorfleet.importing import NotReadable, litellm_models
from mirrorfleet.importing.releases import LITELLM
from tests.fleet.importing import fates, imported

SEED = """\
model_list:
  - model_name: claude-3-5-sonnet-20241022
    litellm_params: {model: anthropic/claude-3-5-sonnet-20241022, api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: claude-bedrock
    litellm_params:
      model: bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0
      aws_access_key_id: os.environ/AWS_ACCESS_KEY_ID
      aws_secret_access_key: os.environ/AWS_SECRET_ACCESS_KEY
      aws_region_name: us-east-1
  - model_name: llama3.1-local
    litellm_params: {model: ollama_chat/llama3.1, api_base: "http://localhost:11434", keep_alive: 8m}
    model_info: {supports_function_calling: true}
  - model_name: codellama-vllm
    litellm_params: {model: hosted_vllm/codellama-34b, api_base: "http://localhost:8000"}
  - model_name: vllm-model-alt
    litellm_params: {model: openai/your-model-name, api_base: "http://0.0.0.0:3000/v1", api_key: none}
router_settings: {model_group_alias: {claude: claude-3-5-sonnet-20241022}}
litellm_settings: {master_key: os.environ/LITELLM_MASTER_KEY}
"""
"""The configurations of LiteLLM's documentation for Claude Code, together."""


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_configurations_of_the_documentation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, target = put(tmp_path / "config.yaml", SEED), tmp_path / "fleet.yml"
    arguments = ["import", str(config), "-o", str(target)]
    assert main(arguments) == 1
    printed = capsys.readouterr().out
    assert "hosts.gateway.address  the address of this host" in printed
    assert "ANTHROPIC_API_KEY, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY" in printed
    assert max(map(len, printed.replace(str(tmp_path), "").splitlines())) <= 80
    loaded = fleet.load(target)
    assert set(loaded.models) == {
        *("claude-3-5-sonnet-20241022", "claude-bedrock", "llama3.1-local"),
        *("codellama-vllm", "vllm-model-alt"),
    }
    assert loaded.aliases == {"claude": "claude-3-5-sonnet-20241022"}
    assert "# OPEN: the address of this host" in target.read_text("utf-8")
    # An answer closes what is open, and an existing file is kept.
    before = target.read_text("utf-8")
    answer = ["--set", "hosts.gateway.address=10.0.2.11"]
    assert main([*arguments, *answer]) == 1
    assert "exists; nothing was written" in capsys.readouterr().err
    assert target.read_text("utf-8") == before
    assert main([*arguments, *answer, "--force"]) == 0
    assert fleet.load(target).hosts["gateway"].address == "10.0.2.11"
    assert "OPEN:" not in target.read_text("utf-8")


def test_report_as_json_has_each_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = put(tmp_path / "config.yaml", SEED)
    assert main(["import", str(config), "-o", "-", "--json"]) == 1
    printed = capsys.readouterr()
    report = json.loads(printed.err)
    assert yaml.safe_load(printed.out)["name"] == "imported"
    [key] = [each for each in report["values"] if each["key"].endswith("aws_region_name")]
    assert key == {
        "file": str(config),
        "line": 9,
        "key": "model_list[1].litellm_params.aws_region_name",
        "fate": "taken",
        "reason": "",
        "target": "models.claude-bedrock.region",
    }


def test_names_fold_into_aliases_and_deployments(tmp_path: Path) -> None:
    put(
        tmp_path / "config.yaml",
        """\
model_list:
  - {model_name: gpt-4o, litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY}}
  - {model_name: smart, litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY}}
  - {model_name: both, litellm_params: {model: azure/deployed, api_base: "https://a.example.com", api_version: "2025-04-01-preview", api_key: os.environ/A_KEY, weight: 3, rpm: 90}}
  - {model_name: both, litellm_params: {model: anthropic/claude-opus-5-5, api_key: os.environ/B_KEY, rpm: 60}}
  - {model_name: both, litellm_params: {model: anthropic/claude-opus-5-5, api_key: os.environ/B_KEY, rpm: 60}}
litellm_settings:
  drop_params: true
  success_callback: [langfuse, prometheus]
  fallbacks: [{smart: [both]}, {gone: [both]}]
  no_such_setting: 1
""",
    )
    result = imported(tmp_path, "config.yaml")
    data = result.data
    assert data["aliases"] == {"smart": "gpt-4o"}
    assert [each["provider"] for each in data["models"]["both"]["deployments"]] == [
        "azure",
        "anthropic",
    ]
    assert data["gateway"]["limits"]["models"] == {"both": {"rpm": 60}}
    assert data["gateway"]["workers"] == 1
    assert data["fallbacks"] == {"gpt-4o": ["both"]}
    assert data["gateway"]["metrics"] == {}
    left = fates(result, "left out")
    assert "langfuse_otel" in left["litellm_settings.success_callback[0]"]
    assert left["litellm_settings.no_such_setting"] == f"LiteLLM {LITELLM} does not know it"
    assert "no model of the name" in left["litellm_settings.fallbacks[1].gone[0]"]
    assert (
        fates(result, "folded")["model_list[4].litellm_params.model"] == "the same as models.both"
    )


def test_one_machine_with_compose(tmp_path: Path) -> None:
    """A compose file names the configuration: gateway and engines become one fleet."""
    put(
        tmp_path / "docker-compose.yml",
        """\
services:
  litellm:
    image: ghcr.io/berriai/litellm:main-stable
    command: ["--config", "/app/config.yaml", "--port", "4000", "--num_workers", "4"]
    ports: ["4100:4000"]
    volumes: ["./config.yaml:/app/config.yaml"]
    env_file: .env
    environment:
      - LITELLM_MASTER_KEY=sk-CANARY-compose-1
      - HTTPS_PROXY=http://proxy.example.com:3128
  vllm:
    image: vllm/vllm-openai:v0.11.0
    command: >
      --model Qwen/Qwen3-Coder-30B-A3B-Instruct --served-model-name coder
      --max-model-len ${WINDOW:-131072} --tensor-parallel-size 2
      --enable-auto-tool-choice --tool-call-parser qwen3_coder --disable-log-requests
    environment: {HF_TOKEN: "${HF_TOKEN}", VLLM_LOGGING_LEVEL: INFO}
    ports: ["8001:8000"]
  ollama:
    image: ollama/ollama:latest
    environment: {OLLAMA_CONTEXT_LENGTH: 65536, OLLAMA_KEEP_ALIVE: 24h}
  db: {image: "postgres:16", environment: {POSTGRES_PASSWORD: CANARY-postgres-2}}
""",
    )
    put(
        tmp_path / "config.yaml",
        """\
model_list:
  - {model_name: coder, litellm_params: {model: hosted_vllm/coder, api_base: "http://vllm:8000/v1"}, model_info: {max_output_tokens: 16384}}
  - {model_name: small, litellm_params: {model: "ollama_chat/qwen3:4b", api_base: "http://ollama:11434"}}
  - {model_name: gpt, litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY}}
""",
    )
    put(tmp_path / ".env", "OPENAI_API_KEY=sk-CANARY-env-3\nLANGSMITH_API_KEY=CANARY-env-4\n")
    result = imported(tmp_path, "docker-compose.yml")
    coder = result.data["models"]["coder"]
    assert coder == {
        "engine": "vllm",
        "version": coder["version"],
        "weights": "Qwen/Qwen3-Coder-30B-A3B-Instruct",
        "revision": "0" * 40,
        "tool_parser": "qwen3_coder",
        "hosts": ["server"],
        "port": 8001,
        "context": 131072,
        "tensor_parallel": 2,
        "output": 16384,
        "environment": {"VLLM_LOGGING_LEVEL": "INFO"},
    }
    small = result.data["models"]["small"]
    assert (small["engine"], small["weights"], small["context"]) == ("ollama", "qwen3:4b", 65536)
    assert small["keep_alive"] == "24h"
    gateway = result.data["gateway"]
    assert (gateway["port"], gateway["workers"]) == (4100, 4)
    assert gateway["environment"]["HTTPS_PROXY"] == "http://proxy.example.com:3128"
    assert gateway["environment"]["LANGSMITH_API_KEY"] == {"env": "LANGSMITH_API_KEY"}
    assert gateway["master_key"] == {"env": "LITELLM_MASTER_KEY"}
    assert result.data["hub"] == {"token": {"env": "HF_TOKEN"}}
    assert {need.key[-1] for need in result.needs} == {"address", "revision"}
    assert (
        "has no option" in fates(result, "left out")["services.vllm.command.--disable-log-requests"]
    )
    assert "CANARY" not in repr(result)


def test_unit_with_drop_in_and_settings(tmp_path: Path) -> None:
    put(
        tmp_path / "vllm.service",
        """\
[Service]
Environment=CUDA_VISIBLE_DEVICES=2,3
EnvironmentFile=-/etc/vllm/env
ExecStart=/opt/vllm/bin/vllm serve /srv/models/qwen3 \\
  --max-model-len 32k --tensor-parallel-size 2
Restart=always
""",
    )
    put(
        tmp_path / "vllm.service.d" / "override.conf",
        "[Service]\nExecStart=\nExecStart=/opt/vllm/bin/vllm serve /srv/models/qwen3-coder "
        "--served-model-name coder Qwen/Coder -tp 2 --max-model-len=64K --enable-auto-tool-choice --tool-call-parser hermes\n",
    )
    put(
        tmp_path / "managed-settings.json",
        json.dumps(
            {
                "model": "coder",
                "env": {
                    "ANTHROPIC_BASE_URL": "http://10.0.2.11:4000",
                    "ANTHROPIC_AUTH_TOKEN": "CANARY-token",
                    "ANTHROPIC_DEFAULT_SONNET_MODEL": "coder",
                    "DISABLE_TELEMETRY": "1",
                    "BASH_DEFAULT_TIMEOUT_MS": "300000",
                },
                "permissions": {"deny": ["Read(.env)"], "defaultMode": "acceptEdits"},
                "noSuchSetting": True,
            },
            indent="\t",
        ),
    )
    result = imported(tmp_path, "vllm.service", "managed-settings.json")
    model, host = result.data["models"]["coder"], result.data["hosts"]["gpu"]
    assert (model["context"], model["devices"], model["weights"]) == (
        65536,
        [2, 3],
        {"path": "/srv/models/qwen3-coder"},
    )
    assert host["gpus"] == {"count": 4}
    assert result.data["aliases"] == {"Qwen/Coder": "coder", "sonnet": "coder"}
    assert result.data["hosts"]["gateway"]["address"] == "10.0.2.11"
    group = result.data["developers"]["managed"]
    assert (group["scope"], group["model"], group["privacy"]) == (
        "managed",
        "coder",
        "no_telemetry",
    )
    assert group["settings"] == {"env": {"BASH_DEFAULT_TIMEOUT_MS": "300000"}}
    assert group["permissions"] == {"deny": ["Read(.env)"], "default_mode": "acceptEdits"}
    left = fates(result, "left out")
    assert left["noSuchSetting"].startswith("not a setting of Claude Code")
    assert left["Service.ExecStart[0].--max-model-len"] == "a drop-in replaces the command"
    assert "CANARY" not in repr(result)


def test_ollama_override_and_modelfile(tmp_path: Path) -> None:
    put(
        tmp_path / "override.conf",
        '[Service]\nEnvironment="OLLAMA_NUM_PARALLEL=4" "OLLAMA_FLASH_ATTENTION=1"\n'
        "Environment=OLLAMA_HOST=0.0.0.0:11500\n",
    )
    put(tmp_path / "coder.modelfile", "FROM qwen3:4b\nPARAMETER num_ctx 65536\n")
    result = imported(tmp_path, "override.conf", "coder.modelfile")
    assert result.data["models"]["coder"] == {
        "engine": "ollama",
        "weights": "qwen3:4b",
        "hosts": ["gpu"],
        "port": 11500,
        "context": 65536,
        "parallel": 4,
        "flash_attention": True,
        "output": 8192,
    }


def test_settings_alone_become_a_gateway_to_the_provider(tmp_path: Path) -> None:
    put(tmp_path / "settings.json", '{"model": "opus", "cleanupPeriodDays": 30}')
    result = imported(tmp_path, "settings.json")
    assert result.data["aliases"] == {"opus": "claude-opus-5-5"}
    assert result.data["models"]["claude-opus-5-5"]["provider"] == "anthropic"
    assert result.data["developers"]["developers"]["settings"] == {"cleanupPeriodDays": 30}


def test_directories_of_settings_are_taken(tmp_path: Path) -> None:
    directories = ["/srv/shared", "~/notes", "../other", "c:\\Users\\ada", "/srv/shared"]
    settings = {"permissions": {"additionalDirectories": directories}}
    put(tmp_path / "settings.json", json.dumps(settings))
    result = imported(tmp_path, "settings.json")
    group = result.data["developers"]["developers"]
    assert group["permissions"] == {"additional_directories": directories[:3]}
    assert fates(result, "left out") == {
        "permissions.additionalDirectories[3]": "a directory begins with /, ~/ or ../"
    }


def test_included_files_replace_and_extend(tmp_path: Path) -> None:
    """LiteLLM extends lists of an included file, and replaces every other section by it."""
    entry = "{{model_name: {0}, litellm_params: {{model: anthropic/{0}, api_key: os.environ/KEY}}}}"
    put(
        tmp_path / "config.yaml",
        f"include: [more.yaml, gone.yaml]\nmodel_list:\n- {entry.format('claude-opus-5-5')}\n"
        "litellm_settings: {request_timeout: 90}\n",
    )
    put(
        tmp_path / "more.yaml",
        f"model_list:\n- {entry.format('claude-haiku-5-5')}\nlitellm_settings: {{request_timeout: 120}}\n",
    )
    result = imported(tmp_path, "config.yaml")
    assert set(result.data["models"]) == {"claude-opus-5-5", "claude-haiku-5-5"}
    assert result.data["gateway"]["timeout"] == 120
    assert fates(result, "open") == {"include[1]": "the included file is not there: import it too"}
    replaced = fates(result, "left out")["litellm_settings.request_timeout"]
    assert replaced == "the included file more.yaml replaces this section"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("notes.txt", "hello", "none of the kinds that import knows"),
        ("fleet.yml", "version: 1\nhosts: {}\n", "is a fleet file: run `mirrorfleet check`"),
        ("config.yaml", "model_list: [\n  a: b\n", "3: not valid YAML"),
        ("settings.json", '{"model": sk-CANARY-12345}', "1: not valid JSON"),
        ("config.yaml", "model_list: *sk-CANARY-1\n", "1: not valid YAML"),
        ("config.yaml", "model_list: &a [*a]\n", "an alias that contains itself"),
        ("compose.yml", "services: {web: {image: nginx}}\n", "nothing in these files"),
    ],
)
def test_unusable_files_say_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, message: str
) -> None:
    put(tmp_path / "in" / name, text)
    assert main(["import", str(tmp_path / "in" / name), "-o", str(tmp_path / "out.yml")]) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert "CANARY" not in printed
    assert not (tmp_path / "out.yml").exists()


def test_defect_prints_its_place_and_no_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("sk-CANARY-in-a-message")

    monkeypatch.setattr(litellm_models, "_required", broken)
    config = put(tmp_path / "config.yaml", SEED)
    assert main(["import", str(config), "-o", "-"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "with KeyError. Nothing was written." in printed.err
    assert "CANARY" not in printed.err
    assert "Traceback" not in printed.err


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotReadable, match="No such file"):
        importing.run([str(tmp_path / "gone.yaml")], name="x", target=tmp_path / "fleet.yml")
