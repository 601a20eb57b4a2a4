"""The commands of mirrorfleet, for users and for CI jobs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirrorfleet import __version__, fleet, terminal
from mirrorfleet.cli.main import main
from mirrorfleet.cli.pages import editor_schema
from mirrorfleet.config.schema import SCHEMA, resolve
from mirrorfleet.planning.explain import values

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROD = ROOT / "inventories" / "prod.yml"
NAMES = HERE / "bad" / "names.yml"
GOOD = sorted([*(HERE / "good").glob("*.yml"), *(ROOT / "inventories").glob("*.yml")])


def test_check_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", str(PROD), str(NAMES)]) == 1
    good, bad = json.loads(capsys.readouterr().out)
    assert (good["accepted"], good["problems"]) == (True, [])
    assert not bad["accepted"]
    [alias] = [problem for problem in bad["problems"] if problem["key"] == "aliases.sonnet"]
    assert alias["remedy"] == "Did you mean 'coder'?"
    text = NAMES.read_text("utf-8").splitlines()
    assert "sonnet: codre" in text[alias["line"] - 1]


def test_check_annotates_the_lines_of_a_pull_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--github", str(NAMES)]) == 1
    output = capsys.readouterr().err.splitlines()
    [error] = [line for line in output if "codre" in line]
    assert error.startswith(f"::error file={NAMES},line=29::aliases.sonnet: model or alias")
    assert any(line.startswith(f"::warning file={NAMES},line=28::") for line in output)


def test_warnings_alone_do_not_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(PROD.read_text("utf-8").replace(", haiku: helper", ""), "utf-8")
    assert main(["check", str(path)]) == 0
    printed = capsys.readouterr()
    assert "fleet.yml:48: warning: aliases: no model serves claude-haiku-5-5" in printed.err
    assert printed.out == f"{path}: 7 hosts, no mistakes, 1 warning\n"


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_every_value_of_a_plan_has_a_provenance(path: Path) -> None:
    planned = fleet.plan(fleet.load(path))
    for plan in planned.hosts.values():
        for value in values(planned, plan):
            where = f"{plan.name}: {'.'.join(value.path)}"
            assert value.sources or value.reason, f"{where} has no provenance"
            for source in value.sources:
                assert "{" not in source.key, f"{where} comes from {source.key}"


def test_show_names_the_line_of_each_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(PROD), "--values", "--host", "gpu-a"]) == 0
    output = capsys.readouterr().out
    _, _, origin = output.partition("engines.coder.context = 262144\n")
    number = origin.split("prod.yml:")[1].split()[0]
    assert "context: 262144" in PROD.read_text("utf-8").splitlines()[int(number) - 1]
    assert "gw-a" not in output


def test_show_has_one_line_per_value_at_any_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["show", str(PROD), "--values", "--host", "gw-a"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("gateway.max_requests_before_restart = 20000")
    assert lines[at + 1] == f"    {PROD}:45 gateway.max_requests_before_restart"
    at = lines.index("gateway.jitter = 10000")
    assert lines[at + 2 : at + 4] == [
        "    half of it, so that workers do not restart at the same",
        "    time",
    ]
    keys = [line for line in lines[1:] if not line.startswith(" ")]
    assert all(" = " in line for line in keys)
    assert len(keys) > 50


def test_a_table_is_as_wide_as_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    assert terminal.console().width == 72
    monkeypatch.delenv("COLUMNS")
    assert terminal.console().width == terminal.WIDEST


def test_why_follows_a_value_through_the_layers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "CLAUDE_CODE_MAX_CONTEXT_TOKENS", str(PROD)]) == 0
    output = capsys.readouterr().out
    assert output.startswith("clients.users.ada.settings.env.CLAUDE_CODE_MAX_CONTEXT_TOKENS, ")
    assert "CLAUDE_CODE_MAX_CONTEXT_TOKENS = 249376\n" in output
    assert "on dev-1, dev-2" in output
    assert "models.coder.context: 262144" in output
    assert "developers.platform.model: sonnet" in output


def test_why_an_ollama_server_has_an_option_of_one_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["why", "keep_alive", str(HERE / "good" / "ollama-beside-vllm.yml")])
    output = capsys.readouterr().out
    assert "ollama-beside-vllm.yml:18 models.helper.keep_alive: -1" in output


def test_why_a_model_has_its_parsers(capsys: pytest.CaptureFixture[str]) -> None:
    fleet = str(HERE / "good" / "parsers.yml")
    main(["why", "engines.mixed.tool_parser", fleet])
    output = capsys.readouterr().out
    assert "models.mixed.tool_parser: qwen3_xml" in output
    main(["why", "engines.of-a-family.tool_parser", fleet])
    output = capsys.readouterr().out
    assert "models.of-a-family.family: qwen3.6" in output
    assert "if unset, from the family in mirrorfleet/data/families.yml" in output
    main(["why", "engines.named.environment", fleet])
    assert "models.named.environment.NCCL_DEBUG: WARN" in capsys.readouterr().out


def test_why_of_a_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "gateway.port", str(PROD)]) == 0
    assert "    gateway.port: not in the file, default 4000\n" in capsys.readouterr().out


def test_why_of_an_unknown_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "wrokers", str(PROD)]) == 1
    assert "Did you mean 'workers'?" in capsys.readouterr().err


def test_why_compares_dotted_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "gateway.worker", str(PROD)]) == 1
    assert "Did you mean 'gateway.workers'?" in capsys.readouterr().err


def test_a_misused_option_refers_to_the_help_of_its_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["why", "workers", "--host"]) == 2
    assert capsys.readouterr().err == (
        "mirrorfleet why: option '--host' requires an argument. See `mirrorfleet why --help`.\n"
    )


def test_show_as_json_has_references_instead_of_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-the-secret-itself")
    assert main(["show", str(PROD), "--json", "--host", "gw-a"]) == 0
    output = capsys.readouterr().out
    assert json.loads(output)["gw-a"]["gateway"]["master_key"]["value"] == "LITELLM_MASTER_KEY"
    assert "sk-the-secret-itself" not in output


def test_topology_is_a_chart_with_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topology", str(PROD)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "flowchart LR"
    assert '    model_coder["coder<br>vLLM on gpu-a, gpu-b<br>256K window"]' in lines
    assert "    gateway -->|opus, sonnet| model_coder" in lines
    assert "    model_coder -. fallback .-> model_cloud" in lines


def test_topology_has_the_load_balancers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topology", str(HERE / "good" / "load-balancer.yml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert '    load_balancer["HAProxy<br>gw-a, gw-b"]' in lines
    assert "    developers_team -->|cloud| load_balancer" in lines
    assert "    load_balancer --> gateway" in lines


def test_init_writes_a_repository_that_passes_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path), "--name", "team"]) == 0
    path = tmp_path / "inventories" / "team.yml"
    assert fleet.load(path).name == "team"
    assert fleet.load(path).warnings == ()
    first = path.read_text("utf-8").splitlines()[0]
    schema = path.parent / first.split("$schema=")[1]
    assert schema.resolve() == (tmp_path / "schemas/fleet.schema.json").resolve()
    assert schema.read_text("utf-8") == editor_schema.text()
    module = path.with_suffix(".py").read_text("utf-8")
    assert module == (ROOT / "inventories" / "prod.py").read_text("utf-8").replace("prod", "team")
    # The tests run in a source tree, which has no URL: a bare name could be another project's.
    requirements = (tmp_path / "requirements.txt").read_text("utf-8")
    assert all(line.startswith("#") for line in requirements.splitlines())
    assert f"# ./wheels/mirrorfleet-{__version__}-py3-none-any.whl\n" in requirements
    assert capsys.readouterr().out.endswith("mirrorfleet check inventories/team.yml\n")


def test_init_pins_the_archive_that_was_installed_from_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://files.example.com/mirrorfleet-0.2.0-py3-none-any.whl"
    origin = {"url": url, "archive_info": {"hashes": {"sha256": "ab12"}}}
    folder = tmp_path / "site/mirrorfleet-0.2.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.3\nName: mirrorfleet\nVersion: 0.2.0\n")
    (folder / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert main(["init", str(tmp_path / "fleet")]) == 0
    requirements = (tmp_path / "fleet/requirements.txt").read_text("utf-8")
    assert requirements == f"mirrorfleet @ {url}#sha256=ab12\n"


def test_init_takes_a_directory_and_a_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / "team.yml")]) == 1
    assert "Write `mirrorfleet init --name team`" in capsys.readouterr().err
    assert main(["init", str(tmp_path), "--name", "Team A"]) == 1
    assert "use lower-case letters, digits and '-'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--reference", "fleet-file.md"),
        ("--families", "models.md"),
        ("--commands", "cli.md"),
        ("--matrix", "matrix.md"),
    ],
)
def test_generated_pages_are_up_to_date(
    capsys: pytest.CaptureFixture[str], option: str, name: str
) -> None:
    assert main(["schema", option]) == 0
    page = (ROOT / "docs/reference" / name).read_text("utf-8")
    assert capsys.readouterr().out == page, (
        f"regenerate it: mirrorfleet schema {option} > docs/reference/{name}"
    )


def test_every_key_of_the_schema_is_described() -> None:
    """Editors and the reference show the description."""

    def undescribed(schema: object, path: str) -> Iterator[str]:
        if isinstance(schema, dict):
            for name, inner in schema.get("properties", {}).items():
                if isinstance(inner, dict) and not resolve(inner).get("description"):
                    yield f"{path}/{name}"
            for name, inner in schema.items():
                yield from undescribed(inner, f"{path}/{name}")

    [*missing] = undescribed({"properties": {}, **json.loads(SCHEMA.read_text("utf-8"))}, "")
    conditions = [path for path in missing if "/if/" in path or "/oneOf" in path]
    assert sorted(set(missing) - set(conditions)) == []


def test_the_schema_for_editors_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    keys = json.loads(SCHEMA.read_text("utf-8"))["properties"].keys()
    assert printed["properties"].keys() == keys


def test_show_imports_neither_pyinfra_nor_roles() -> None:
    program = (
        "import sys; from mirrorfleet.cli.main import main\n"
        f"assert main(['show', {str(PROD)!r}, '--json']) == 0; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "mirrorfleet.planning.explain" in loaded
    assert not {"pyinfra", "mirrorfleet.roles", "gevent", "paramiko"} & loaded
