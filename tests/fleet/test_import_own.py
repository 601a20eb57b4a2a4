"""Files that Mirrorfleet wrote, and what they share with other configurations."""

from __future__ import annotations

from pathlib import Path

import yaml

from mirrorfleet import fleet, importing
from mirrorfleet.jobs.show import files
from tests.fleet.importing import fates, imported

GOOD = Path(__file__).parent / "good"


def again(stem: str, directory: Path) -> importing.Import:
    """Import what `show` prints of a good fleet."""
    planned = fleet.plan(fleet.load(GOOD / f"{stem}.yml"))
    bundle = "".join(
        f"==> {host}: {file} <==\n{text}"
        for host, plan in planned.hosts.items()
        for file, text in files(plan)
    )
    target = directory / "fleet.yml"
    return importing.run(["-"], name="again", target=target, standard_input=bundle)


def test_engines_at_urls_are_engines_again(tmp_path: Path) -> None:
    models = again("engines-that-already-run", tmp_path).data["models"]
    assert models["helper"] == {
        "engine": "ollama",
        "url": "http://10.0.9.8:11434",
        "served_name": "qwen3:4b",
        "context": 65536,
        "output": 8192,
    }
    assert models["coder"]["family"] == "qwen3-coder"
    assert models["coder"]["api_key"] == {"env": "MODEL_CODER_API_KEY"}
    assert models["thinker"]["reasoning_parser"] == "qwen3"
    assert models["other"]["engine"] == "external"
    assert models["small"]["tools"] is False
    jina = again("embeddings", tmp_path).data["models"]["jina"]
    assert (jina["engine"], jina["task"], jina["context"]) == ("external", "embed", 32768)


def test_models_of_ollama_keep_their_names_and_tags(tmp_path: Path) -> None:
    result = again("ollama-beside-vllm", tmp_path)
    helper = result.data["models"]["helper"]
    assert helper["weights"] == "hf.co/unsloth/Qwen3-4B-GGUF:Q4_K_M"
    assert helper["hosts"] == ["gpu-a", "gpu-b"]
    assert (helper["keep_alive"], helper["max_queue"]) == ("-1", 64)
    assert result.data["models"]["titles"]["context"] == 32768
    # Only the digest of a Modelfile is known, so the file is missing.
    result = again("one-host-ollama", tmp_path)
    assert ("models", "coder", "weights") in {need.key for need in result.needs}


def test_limits_budgets_and_usage_come_back(tmp_path: Path) -> None:
    gateway = again("limits", tmp_path).data["gateway"]
    assert gateway["limits"]["per_person"] == {"requests_per_minute": 60, "parallel": 8}
    assert gateway["limits"]["models"]["cloud"] == {"rpm": 600, "requests_per_minute": 120}
    assert gateway["budgets"]["daily"] == {
        "tokens": 5_000_000,
        "per": "person",
        "period": "day",
        "time_zone": "Europe/Berlin",
        "exceptions": {"ada": 8_000_000, "lin": "unlimited"},
    }
    assert gateway["budgets"]["cloud"]["cost"] == 200
    usage = again("usage", tmp_path).data["gateway"]
    assert usage["usage"] == {"rows": "30d", "days": "730d"}
    assert usage["anthropic_passthrough"] == "cloud"


def test_mcp_servers_of_any_configuration_are_taken(tmp_path: Path) -> None:
    config = {
        "model_list": [],
        "mcp_servers": {
            "Git-Hub": {
                "url": "https://mcp.example.com/mcp",
                "transport": "sse",
                "auth_type": "bearer_token",
                "auth_value": "os.environ/GITHUB_TOKEN",
                "allowed_tools": ["search"],
            },
            "tickets": {
                "url": "https://tickets.example.com/mcp",
                "auth_type": "api_key",
                "auth_value": "CANARY-1",
                "static_headers": {"X-Team": "platform", "X-Key": "CANARY-2"},
                "description": "tickets",
            },
            "local": {"transport": "stdio", "command": "npx", "args": ["-y", "server"]},
            "signed": {"url": "https://aws.example.com/mcp", "auth_type": "aws_sigv4"},
        },
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    result = imported(tmp_path, "config.yaml")
    assert result.data["gateway"]["mcp_servers"] == {
        "git_hub": {
            "url": "https://mcp.example.com/mcp",
            "transport": "sse",
            "key": {"env": "GITHUB_TOKEN"},
            "tools": ["search"],
        },
        "tickets": {
            "url": "https://tickets.example.com/mcp",
            "headers": {
                "X-API-Key": {"env": "MCP_TICKETS_KEY"},
                "X-Team": "platform",
                "X-Key": {"env": "MCP_TICKETS_X_KEY"},
            },
        },
    }
    assert "CANARY" not in repr(result)
    assert "program" in fates(result, "left out")["mcp_servers.local.command"]
    assert "aws_sigv4" in fates(result, "open")["mcp_servers.signed.auth_type"]


def test_a_unit_named_litellm_is_a_gateway_whatever_it_starts(tmp_path: Path) -> None:
    (tmp_path / "litellm.service").write_text(
        "[Service]\nEnvironment=NUM_WORKERS=3\nExecStart=/opt/start --host 10.0.2.11\n", "utf-8"
    )
    (tmp_path / "config.yaml").write_text("model_list: []\n", "utf-8")
    result = imported(tmp_path, "litellm.service", "config.yaml")
    assert result.data["gateway"]["workers"] == 3
    assert result.data["hosts"]["gateway"]["address"] == "10.0.2.11"


def test_groups_keep_their_people_and_their_models(tmp_path: Path) -> None:
    result = again("usage", tmp_path)
    groups = result.data["developers"]
    assert groups["interns"]["models"] == ["coder"]
    assert groups["interns"]["scope"] == "isolated"
    assert "models" not in groups["team"]
    assert groups["team"]["seats"] == {"dev": ["ada", "grace"]}
    # What a key opens, and until when, is not lost: also of a person with another name.
    result = again("keys", tmp_path)
    assert result.data["developers"]["guests"]["expires"] == "2026-12-31"
    opened = fates(result, "open")
    assert opened["keys[3].expires"].startswith("no settings of a login kim are here")
    assert result.is_open


def test_clients_alone_use_a_gateway_that_runs_elsewhere(tmp_path: Path) -> None:
    result = again("external-gateway", tmp_path)
    assert result.data["gateway"]["external"] is True
    assert result.data["models"]["coder"] == {"context": 131072, "output": 16384, "thinking": True}
    assert result.data["models"]["claude-sonnet-5-5"]["context"] == 200_000
    assert result.data["developers"]["developers-2"]["key"] == {"env": "GATEWAY_KEY_DEVELOPERS_2"}
    assert "keys" not in result.data
