"""Fixtures for lock files of a project, and for `mirrorfleet lock`: a copy and stand-ins."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from mirrorfleet import lock_folders
from mirrorfleet.locking import (
    claude_releases,
    command,
    litellm_models,
    python_releases,
    resolve,
)
from mirrorfleet.locking.target import Target
from tests.fleet.test_claude_settings import BUNDLE, package

ROOT = Path(__file__).parents[2]

Own = Callable[[str, str], Path]


@pytest.fixture
def own(tmp_path: Path) -> Own:
    """Return a function that writes a lock file of the project, at a path below locks/."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / "locks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a fleet file in inventories/ that includes the base."""
    (tmp_path / "inventories").mkdir()
    return tmp_path / "inventories/prod.yml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with copies of the lock files, which checks and the command use."""
    for role in ("claude", "litellm", "vllm"):
        shutil.copytree(ROOT / "roles" / role / "locks", tmp_path / "roles" / role / "locks")
    monkeypatch.setattr(lock_folders, "SHIPPED", tmp_path / "roles")
    monkeypatch.setattr(command, "target", lambda _: Target(tmp_path, own=False))
    return tmp_path


UV = """\
#!/bin/sh
# A stand-in for uv, which logs its arguments and resolves without a registry.
case $1 in
    venv) for directory; do :; done
        mkdir -p "$directory/bin"
        printf '#!/bin/sh\necho "callbacks: [of the stand-in]"\n' >"$directory/bin/python"
        chmod +x "$directory/bin/python"
        exit ;;
    pip) [ "$2" = compile ] || exit 0 ;;
esac
echo "$*" >>log
[ ! -e broken ] || exit 1
case "$*" in *find-links=https:*) ;; *) [ ! -e "$(basename "$3").elsewhere" ] || exit 1 ;; esac
echo "# made by uv"
grep -hE '^(litellm|vllm)' "$3" | sed 's/\\[.*\\]//'
"""


@pytest.fixture(name="uv")
def uv_stand_in(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = project / "uv"
    path.write_text(UV)
    path.chmod(0o755)
    monkeypatch.setattr(resolve, "BESIDE", path)
    # Instead of the wheels of releases that no registry has.
    listed = {"gpt-9": {"mode": "chat", "litellm_provider": "openai", "max_input_tokens": 9000}}
    monkeypatch.setattr(litellm_models, "price_list", lambda *_: json.dumps(listed).encode())
    monkeypatch.setattr(python_releases, "wheel", lambda *_: nullcontext(vllm_wheel()))
    return path


def vllm_wheel() -> io.BytesIO:
    """Return a wheel with names like those in vLLM's source, each kind in its own form."""
    tables = {
        "tool_parsers/__init__": "_TOOL_PARSERS_TO_REGISTER",
        "reasoning/__init__": "_REASONING_PARSERS_TO_REGISTER",
        "envs": "environment_variables: dict[str, int]",
    }
    source = {
        path: f"{table} = {dict.fromkeys(NUMBERED[table], 1)!r}" for path, table in tables.items()
    }
    source["entrypoints/openai/cli_args"] = "class FrontendArgs:\n    chat_template: str\n"
    source["engine/arg_utils"] = "\n".join(
        f"group.add_argument('--option-{number}', '-o')" for number in range(30)
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in source.items():
            archive.writestr(f"vllm/{path}.py", text)
    buffer.seek(0)
    return buffer


NUMBERED = {
    "_TOOL_PARSERS_TO_REGISTER": [f"tool_{number}" for number in range(30)],
    "_REASONING_PARSERS_TO_REGISTER": [f"thinking_{number}" for number in range(30)],
    "environment_variables: dict[str, int]": ["CUDA_HOME", *(f"VLLM_{n}" for n in range(30))],
}


NPM = """\
#!/bin/sh
# A stand-in for `npm view`, whose registry is the files beside it.
for word; do
    case $word in @*) cat "$(dirname "$0")/$(basename "$word")" 2>/dev/null && exit ;; esac
done
echo '{"error": {"code": "E404", "summary": "No match found"}}'
exit 1
"""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "npm").mkdir()
    (tmp_path / "npm/npm").write_text(NPM)
    (tmp_path / "npm/npm").chmod(0o755)
    monkeypatch.setattr(claude_releases, "npm", lambda: str(tmp_path / "npm/npm"))

    def fetched(_: str, version: str, __: str) -> Path:
        return package(tmp_path / f"{version}.tgz", BUNDLE, version)

    monkeypatch.setattr(claude_releases, "npm_package", fetched)
    return tmp_path / "npm"
