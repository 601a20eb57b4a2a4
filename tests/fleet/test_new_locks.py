"""Fleets with a release that was locked just before."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
KNOWN = ROOT / "mirrorfleet/data/litellm_known/1.106.12.yml"

# The environment's Python prints the known settings; a real environment takes minutes to install.
UV = f"""\
#!/bin/sh
# A stand-in for uv: it resolves and installs without a registry.
case $1 in
    venv) for directory; do :; done
        mkdir -p "$directory/bin"
        printf '#!/bin/sh\\ncat {KNOWN}\\n' >"$directory/bin/python"
        chmod +x "$directory/bin/python" ;;
    pip) [ "$2" != compile ] || grep -hE '^(litellm|vllm)' "$3" | sed 's/\\[.*\\]//' ;;
esac
"""

LOCK = """\
import sys
from contextlib import nullcontext
from pathlib import Path
sys.path.append({root!r})
from mirrorfleet.cli.main import main
from mirrorfleet.locking import litellm_models, python_releases, resolve
from tests.fleet.conftest import vllm_wheel
resolve.BESIDE = Path("uv").resolve()
litellm_models.price_list = lambda *_: b"{{}}"  # of a wheel that no registry has
python_releases.wheel = lambda *_: nullcontext(vllm_wheel())
sys.exit(main(["lock", *{release!r}]))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the source tree for `mirrorfleet lock` and `mirrorfleet check`."""
    for name in ("mirrorfleet", "roles", "deploys", "bin", "schemas"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=ignored)
    (tmp_path / "uv").write_text(UV)
    (tmp_path / "uv").chmod(0o755)
    for source in ("good", "bad/base"):
        shutil.copytree(ROOT / "tests/fleet" / source, tmp_path / "fleets" / source)
    return tmp_path


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, timeout=120
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def pin(tree: Path, *release: str) -> None:
    done = run(tree, "-c", LOCK.format(root=str(ROOT), release=list(release)))
    assert done.returncode == 0, done.stderr


def check(tree: Path, fleet: str, **changed: dict[str, object]) -> subprocess.CompletedProcess[str]:
    """Check a fleet of the copy with some changed keys."""
    path = tree / "fleets" / fleet
    path.with_name("new.yml").write_text(yaml.safe_dump({"include": path.name, **changed}))
    return run(tree, "-m", "mirrorfleet", "check", str(path.with_name("new.yml")))


@pytest.mark.slow
def test_a_gateway_with_a_new_release_of_litellm(tree: Path) -> None:
    gateway: dict[str, object] = {"version": "99.0.0"}
    refused = check(tree, "good/gateway-options.yml", gateway=gateway)
    assert refused.returncode == 1
    assert "or add locks/litellm/99.0.0.txt." in refused.stderr
    pin(tree, "litellm", "99.0.0")
    done = check(tree, "good/gateway-options.yml", gateway=gateway)
    assert done.returncode == 0, done.stderr
    misspelt = check(tree, "good/gateway-options.yml", gateway={**gateway, "callbacks": ["otle"]})
    assert "'otle' is not a callback of LiteLLM 99.0.0. Did you mean 'otel'?" in misspelt.stderr


@pytest.mark.slow
def test_a_release_of_litellm_without_known_settings(tree: Path) -> None:
    pin(tree, "litellm", "99.0.0")
    (tree / "mirrorfleet/data/litellm_known/99.0.0.yml").unlink()
    done = check(tree, "good/gateway-options.yml", gateway={"version": "99.0.0"})
    assert done.returncode == 1
    [error] = [line for line in done.stderr.splitlines() if "warning" not in line]
    assert "gateway.version: is 99.0.0, whose settings, callbacks and strategies are not" in error
    assert error.endswith("Generate it: `mirrorfleet lock litellm 99.0.0`")


@pytest.mark.slow
def test_an_engine_with_a_new_release_of_vllm(tree: Path) -> None:
    pin(tree, "vllm", "9.40.0-cpu")
    coder = {
        "version": "9.40.0",
        "build": "cpu",
        "tensor_parallel": None,
        "arguments": {"option-7": 32},
        "family": None,
        "tool_parser": "tool_7",
    }
    done = check(tree, "bad/base/whole.yml", models={"coder": coder})
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_clients_with_a_new_release_of_claude_code(tree: Path) -> None:
    locks = tree / "roles/claude/locks"
    lock = (locks / "2.1.331.json").read_text("utf-8")  # as `mirrorfleet lock` writes it
    (locks / "9.9.9.json").write_text(lock.replace("2.1.331", "9.9.9"))
    team: dict[str, object] = {"version": "9.9.9"}
    done = check(tree, "bad/base/whole.yml", developers={"team": team})
    assert done.returncode == 0, done.stderr
    refused = check(
        tree, "bad/base/whole.yml", developers={"team": {**team, "settings": {"theme": "dark"}}}
    )
    assert refused.returncode == 1
    assert "run `mirrorfleet lock claude 9.9.9` to add it." in refused.stderr
