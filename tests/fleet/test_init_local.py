"""`mirrorfleet init --local`: the fleet of one machine, from what runs there."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrorfleet.cli import this_machine
from mirrorfleet.cli.main import main

MODELS: dict[str, dict[str, Any]] = {
    "qwen3:8b": {"size": 5_200_000_000, "capabilities": ["completion", "tools"]},
    "qwen3:4b": {"size": 2_600_000_000, "capabilities": ["completion", "tools"]},
    "nomic-embed-text:latest": {"size": 9_000_000_000, "capabilities": ["embedding"]},
    'odd"name': {"size": 1, "capabilities": ["tools"]},
}


@pytest.fixture(name="ollama")
def answering_ollama(request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the address of a server with the API of Ollama; the parameter is its window."""
    window = request.param

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            loaded = [{"name": "qwen3:8b", "context_length": window}]
            answers: dict[str, dict[str, Any]] = {
                "/api/version": {"version": "0.32.7"},
                "/api/tags": {"models": [{"name": name, **MODELS[name]} for name in MODELS]},
                "/api/ps": {"models": loaded if window else []},
            }
            self.answer(answers[self.path])

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(MODELS[body["model"]])

        def answer(self, found: dict[str, Any]) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("ollama", "context", "advice"),
    [(131072, 131072, False), (8192, 65536, True), (0, 65536, True)],
    indirect=["ollama"],
)
def test_an_ollama_that_runs_stays_and_its_largest_model_with_tools_is_used(
    ollama: str,
    context: int,
    advice: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", ollama)
    monkeypatch.setattr(this_machine, "_user", lambda: "ada")
    assert main(["init", "--local", str(tmp_path / "fleet")]) == 0
    text = (tmp_path / "fleet/fleet.yml").read_text("utf-8")
    coder = yaml.safe_load(text)["models"]["coder"]
    assert coder == {
        "engine": "ollama",
        "url": f"http://{ollama}",
        "served_name": "qwen3:8b",
        "context": context,
        "output": 8192,
    }
    assert "It also has qwen3:4b." in text
    assert yaml.safe_load(text)["developers"]["me"]["users"] == ["ada"]
    assert ("Set OLLAMA_CONTEXT_LENGTH=65536" in capsys.readouterr().out) == advice
    assert main(["check", "--secrets", str(tmp_path / "fleet/fleet.yml")]) == 0


@pytest.mark.parametrize(
    ("memory", "gpus", "tag"),
    [(64.0, (), "qwen3-coder:30b"), (8.0, (16.0,), "qwen3:8b"), (8.0, (), "qwen3:4b")],
)
def test_without_an_ollama_one_is_installed_with_a_model_that_fits(
    memory: float,
    gpus: tuple[float, ...],
    tag: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = this_machine.Machine("desk", "ada", memory, gpus, None, 4001, has_systemd=True)
    monkeypatch.setattr("mirrorfleet.cli.init_local.this_machine", lambda: machine)
    assert main(["init", "--local", str(tmp_path)]) == 0
    found = yaml.safe_load((tmp_path / "fleet.yml").read_text("utf-8"))
    assert found["models"]["coder"]["weights"] == tag
    assert found["hosts"]["desk"] == {
        "address": "local",
        **({"gpus": {"count": 1}} if gpus else {}),
    }
    assert found["gateway"]["port"] == 4001
    assert main(["check", str(tmp_path / "fleet.yml")]) == 0
    assert main(["init", "--local", str(tmp_path)]) == 1


def test_it_names_the_gitignore_only_if_it_writes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = this_machine.Machine("desk", "ada", 24, (), None, 4000, has_systemd=True)
    monkeypatch.setattr("mirrorfleet.cli.init_local.this_machine", lambda: machine)
    assert main(["init", "--local", str(tmp_path / "alone")]) == 0
    assert f"{tmp_path}/alone/.gitignore: excludes the secrets\n" in capsys.readouterr().out
    assert (tmp_path / "alone/.gitignore").exists()
    # In a repository that ignores the directory.
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True, timeout=120)
    (tmp_path / ".gitignore").write_text("*\n")
    assert main(["init", "--local", str(tmp_path / "inside")]) == 0
    assert ".gitignore" not in capsys.readouterr().out
    assert not (tmp_path / "inside/.gitignore").exists()
