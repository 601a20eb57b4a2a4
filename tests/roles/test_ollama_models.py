"""The models of an Ollama: the role's real commands, with a stand-in for the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mirrorfleet.roles.ollama import models
from mirrorfleet.roles.ollama.files import ollama_server
from mirrorfleet.roles.ollama.files.model_manager import CANDIDATE
from mirrorfleet.roles.ollama.files.ollama_server import DAMAGED
from mirrorfleet.runtime.commands import script
from mirrorfleet.runtime.service import NEVER
from mirrorfleet.runtime.shell import call
from tests.roles.machine import Machine
from tests.roles.ollama_host import HELPER, OllamaHost
from tests.standins.ollama import REGISTRY

pytestmark = pytest.mark.slow


@pytest.fixture
def host(machine: Machine) -> Iterator[OllamaHost]:
    found = OllamaHost(machine)
    yield found
    found.stop()


def test_a_model_is_pulled_created_and_tested(host: OllamaHost) -> None:
    plan = host.ollama(helper=HELPER)
    host.start(plan)
    done = host.make(plan)
    assert (done.returncode, done.stderr) == (0, "")
    assert host.names() == {"qwen3:4b", "helper:latest"}
    assert host.window("helper") == 65536
    assert "helper: qwen3:4b: pulling manifest\n" in done.stdout
    assert "of 2.60 GB (0%)" in done.stdout
    assert "helper: created from qwen3:4b, window 65536\n" in done.stdout


def test_a_file_that_the_server_rejects_is_an_error(host: OllamaHost) -> None:
    host.start(host.ollama(helper=HELPER))
    (host.machine.root / "upload").write_bytes(b"GGUF")
    url = f"{host.url}/api/blobs/sha256:{'0' * 64}"
    words = ("give", url, "upload")
    done = host.machine.run(
        script(f"cd {host.machine.root}\n{call('python3', '-c', models.manager(), *words)}")
    )
    assert done.returncode == DAMAGED
    assert "Ollama rejects the file: digest mismatch" in done.stderr


def test_an_observation_recognizes_created_models(host: OllamaHost) -> None:
    plan = host.ollama(helper=HELPER)
    assert any(models.changes(plan, host.observe(plan))), "without a server there are no models"
    host.start(plan)
    host.make(plan)
    assert not any(models.changes(plan, host.observe(plan)))
    assert any(models.changes(host.ollama(helper={**HELPER, "context": 32768}), host.observe(plan)))
    assert any(models.changes(host.ollama(other=HELPER), host.observe(plan)))


def test_a_new_model_is_in_memory_under_its_own_name(host: OllamaHost) -> None:
    """Ollama keeps the name under which it loaded a model: it was that of the candidate."""
    plan = host.ollama(helper=HELPER)
    host.start(plan)
    host.make(plan)
    [loaded] = host.ask("GET", "/api/ps")["models"]
    assert (loaded["name"], loaded["context_length"]) == ("helper:latest", 65536)


def test_a_second_run_changes_nothing(host: OllamaHost) -> None:
    plan = host.ollama(helper=HELPER)
    host.start(plan)
    host.make(plan)
    before = host.ask("GET", "/api/tags"), host.ledger.read_text()
    done = host.make(plan)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (host.ask("GET", "/api/tags"), host.ledger.read_text()) == before


def test_each_model_has_its_own_window(host: OllamaHost) -> None:
    wide = {"weights": "qwen3-coder:30b", "context": 131072, "output": 8192}
    plan = host.ollama(helper=HELPER, wide=wide)
    host.start(plan)
    assert host.make(plan).returncode == 0
    assert (host.window("helper"), host.window("wide")) == (65536, 131072)


def test_models_with_the_same_weights_share_them_in_memory(host: OllamaHost) -> None:
    """The server reports the first model's name; both have the same window."""
    plan = host.ollama(helper=HELPER, twin=HELPER)
    host.start(plan)
    done = host.make(plan)
    assert (done.returncode, done.stderr) == (0, "")
    host.start(plan)
    assert host.prove(plan).returncode == 0
    [loaded] = host.ask("GET", "/api/ps")["models"]
    assert loaded["name"] == "helper:latest"
    assert host.make(host.ollama(helper=HELPER, twin=HELPER, third=HELPER)).stderr == ""


def test_another_window_needs_no_download(host: OllamaHost) -> None:
    host.start(host.ollama(helper=HELPER))
    host.make(host.ollama(helper=HELPER))
    done = host.make(host.ollama(helper={**HELPER, "context": 32768}))
    assert "pulling" not in done.stdout
    assert host.window("helper") == 32768


def test_a_modelfile(host: OllamaHost) -> None:
    (host.machine.root / "brief.modelfile").write_text(
        "FROM qwen3:4b\nPARAMETER top_k 7\nSYSTEM Be brief.\n"
    )
    plan = host.ollama(brief={**HELPER, "weights": {"modelfile": "brief.modelfile"}})
    host.start(plan)
    assert host.make(plan).returncode == 0
    parameters = host.ask("POST", "/api/show", {"model": "brief"})["parameters"].split()
    assert parameters == ["num_ctx", "65536", "top_k", "7"]


def test_only_models_of_the_ledger_are_removed(host: OllamaHost) -> None:
    plan = host.ollama(helper=HELPER, old=HELPER)
    host.start(plan)
    host.make(plan)
    host.ask("POST", "/api/copy", {"source": "qwen3:4b", "destination": "mine"})
    done = host.make(host.ollama(helper=HELPER))
    assert done.stdout == "old: removed; another model uses its weights, qwen3:4b\n"
    assert host.names() == {"qwen3:4b", "helper:latest", "mine:latest"}
    assert not any(models.changes(host.ollama(helper=HELPER), host.observe(plan)))


def test_a_model_that_was_removed_or_changed_by_hand_is_restored(host: OllamaHost) -> None:
    plan = host.ollama(helper=HELPER)
    host.start(plan)
    host.make(plan)
    for method, path, body in (
        ("DELETE", "/api/delete", {"model": "helper"}),
        ("POST", "/api/copy", {"source": "qwen3:4b", "destination": "helper"}),
    ):
        host.ask(method, path, body)
        assert any(models.changes(plan, host.observe(plan)))
        assert host.make(plan).returncode == 0
        assert host.window("helper") == 65536


def test_a_tag_that_the_registry_does_not_have(host: OllamaHost) -> None:
    plan = host.ollama(helper={**HELPER, "weights": "qwen3:4bit"})
    host.start(plan)
    done = host.make(plan)
    assert (done.returncode, done.stderr) == (
        NEVER,
        "helper: qwen3:4bit cannot be pulled: pull model manifest: file does not exist. The "
        "registry does not have this tag: correct the weights.\n",
    )


def test_a_window_that_the_model_was_not_trained_for(host: OllamaHost) -> None:
    """Ollama lowers it silently; the former model continues to serve."""
    host.start(host.ollama(helper=HELPER))
    host.make(host.ollama(helper=HELPER))
    done = host.make(host.ollama(helper={**HELPER, "weights": "qwen3:0.6b"}))
    assert (done.returncode, done.stderr) == (
        NEVER,
        "helper: has a window of 40960, but the fleet file has context 65536: Ollama would cut "
        "prompts silently. Set context: 40960, or choose weights that were trained for a larger "
        "window.\n",
    )
    assert not any(name.startswith(CANDIDATE) for name in host.names())
    assert host.window("helper") == 65536


def test_a_model_without_tool_support(host: OllamaHost) -> None:
    plan = host.ollama(helper={**HELPER, "weights": "gemma3:4b"})
    host.start(plan)
    done = host.make(plan)
    assert done.returncode == NEVER
    assert (
        "helper: does not support tools, which Claude Code sends with every request" in done.stderr
    )
    assert host.names() == {"gemma3:4b"}


def test_a_model_without_tools_that_the_file_declares(host: OllamaHost) -> None:
    plan = host.ollama(helper={**HELPER, "weights": "gemma3:4b", "tools": False})
    host.start(plan)
    assert host.make(plan).returncode == 0


@pytest.mark.parametrize(
    ("weights", "abilities", "problem"),
    [
        ("qwen3:4b", {"vision": True}, "vision: true, but Ollama reports that the model has no"),
        ("qwen3:4b", {"thinking": True}, "thinking: true, but Ollama reports that the model has"),
        ("qwen3-vl:8b", {"vision": False}, "vision: false, but Ollama reports that the model rea"),
        ("qwen3-vl:8b", {"thinking": False}, "thinking: false, but Ollama reports that the model"),
        ("qwen3-vl:8b", {"vision": True, "thinking": True}, ""),
        ("qwen3:4b", {"vision": False, "thinking": False}, ""),
    ],
)
def test_abilities_of_the_file_are_compared_with_those_that_ollama_reports(
    host: OllamaHost, weights: str, abilities: dict[str, bool], problem: str
) -> None:
    plan = host.ollama(helper={**HELPER, "weights": weights, **abilities})
    host.start(plan)
    done = host.make(plan)
    assert done.returncode == (NEVER if problem else 0)
    assert problem in done.stderr
    assert ("helper:latest" in host.names()) is not bool(problem)


def test_an_ability_is_compared_again_after_a_change(host: OllamaHost) -> None:
    host.start(host.ollama(helper=HELPER))
    assert host.make(host.ollama(helper=HELPER)).returncode == 0
    changed = host.ollama(helper={**HELPER, "vision": True})
    assert host.make(changed).returncode == NEVER


def test_vision_that_the_file_does_not_mention_is_a_warning(host: OllamaHost) -> None:
    plan = host.ollama(helper={**HELPER, "weights": "qwen3-vl:8b"})
    host.start(plan)
    done = host.make(plan)
    assert done.returncode == 0
    assert (
        "helper: warning: it reads images, but the gateway removes them. Write vis" in done.stdout
    )


def test_a_tag_must_have_the_configured_digest(host: OllamaHost) -> None:
    host.start(host.ollama(helper=HELPER))
    host.make(host.ollama(helper=HELPER))
    [digest] = [
        model["digest"]
        for model in host.ask("GET", "/api/tags")["models"]
        if model["name"] == "qwen3:4b"
    ]
    right = host.ollama(helper={**HELPER, "digest": digest})
    assert host.make(right).returncode == 0
    moved = {**REGISTRY, "qwen3:4b": {**REGISTRY["qwen3:4b"], "trained": 131072}}
    host.start(right, registry=moved)
    assert host.make(right).returncode == 0, "the local weights still have the digest"
    done = host.make(host.ollama(helper={**HELPER, "digest": "0" * 64}))
    assert done.returncode == NEVER
    assert f"but the fleet file has {'0' * 64}: the tag has moved" in done.stderr
    assert host.window("helper") == 65536


def test_a_candidate_of_an_interrupted_run_is_removed(host: OllamaHost) -> None:
    plan = host.ollama(helper=HELPER)
    host.start(plan)
    host.make(plan)
    host.ask("POST", "/api/copy", {"source": "helper", "destination": f"{CANDIDATE}x"})
    host.make(host.ollama(helper={**HELPER, "context": 32768}))
    assert host.names() == {"qwen3:4b", "helper:latest"}


def test_an_unreadable_ledger_is_rebuilt(host: OllamaHost) -> None:
    plan = host.ollama(helper=HELPER)
    host.start(plan)
    host.make(plan)
    for content in ("", "{torn", "[]"):
        host.ledger.write_text(content)
        assert any(models.changes(plan, host.observe(plan)))
        assert host.make(plan).returncode == 0
        assert set(json.loads(host.ledger.read_text())) == {"helper"}


@pytest.mark.parametrize(
    ("share", "warning"),
    [
        (0, "3.0 of its 3.0 GB are not on a GPU, so it is slow. Ollama uses none of its 2 GPUs"),
        (0.75, "0.8 of its 3.0 GB are not on a GPU, so it is slow. The GPUs have no memory for"),
    ],
)
def test_a_model_outside_its_gpus_is_a_warning(
    host: OllamaHost, share: float, warning: str
) -> None:
    plan = replace(host.ollama(helper=HELPER), devices=(0, 1))
    host.start(plan, vram=share)
    made, proved = host.make(plan), host.prove(plan)
    assert (made.returncode, proved.returncode) == (0, 0)
    assert f"helper: warning: {warning}" in made.stdout
    assert f"helper: warning: {warning}" in proved.stdout


def test_a_model_on_its_gpus_or_without_gpus_is_no_warning(
    host: OllamaHost,
) -> None:
    for devices in ((), (0, 1)):
        plan = replace(host.ollama(helper=HELPER), devices=devices)
        host.start(plan)
        host.make(plan)
        assert "warning" not in host.prove(plan).stdout


def test_without_a_server(host: OllamaHost) -> None:
    plan = host.ollama(helper=HELPER)
    done = host.make(plan)
    assert done.returncode == 1
    assert f"Ollama at {host.url} does not answer" in done.stderr


def test_a_new_server_must_serve_the_models_of_the_old_one(host: OllamaHost) -> None:
    plan = host.ollama(helper=HELPER)
    assert host.prove(plan).returncode == 1, "the server may still start"
    host.start(plan)
    assert host.prove(plan).returncode == 0, "there is no model yet"
    host.make(plan)
    host.start(plan, "0.40.1")
    again = host.prove(plan)
    assert (again.returncode, again.stdout) == (0, ""), "it has served before"
    proved = host.prove(plan, new=True)
    assert (proved.returncode, proved.stderr) == (0, "")
    assert "helper: tool call      ok, the same whole and streamed\n" in proved.stdout


def test_a_new_model_answers_a_session_which_the_ledger_records(host: OllamaHost) -> None:
    plan = host.ollama(helper=HELPER)
    host.start(plan)
    assert host.make(plan).stdout.splitlines()[-8:] == [
        "helper: tool call      ok, the same whole and streamed",
        "helper: tool result    ok",
        "helper: tool reference mended, by the clients' settings",
        "helper: system message ok",
        "helper: thinking on    ok, it begins without thinking",
        "helper: thinking off   ok, no thinking in the answer",
        "helper: effort         ok, low, medium, high",
        "helper: prompt cache   not reported, the engine has no figures of its cache",
    ]
    recorded = json.loads(host.ledger.read_text())["helper"]["proof"]["outcomes"]
    states = {each["item"]: each["state"] for each in recorded}
    assert (states["tool call"], states["tool reference"]) == ("ok", "mended")


def test_a_new_server_with_another_window_fails_without_waiting(host: OllamaHost) -> None:
    plan = host.ollama(helper=HELPER)
    host.start(plan)
    host.make(plan)
    ledger = json.loads(host.ledger.read_text())
    ledger["helper"]["context"] = 131072
    host.ledger.write_text(json.dumps(ledger))
    done = host.prove(plan)
    assert done.returncode == NEVER
    assert "helper: has a window of 65536, but the fleet file has context 131072" in done.stderr


@pytest.mark.parametrize(
    "text", ['{"error": "\\u001b[2Jfine"}', "\x1b[2Jfine", '{"error": {"message": "\\u0007"}}']
)
def test_the_words_of_a_registry_do_not_control_the_terminal(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ollama_server.report("coder", ollama_server.reason(text))
    ollama_server.report("coder", text)
    assert "\x1b" not in (found := capsys.readouterr().out)
    assert "\x07" not in found
