"""Files with an engine's name: a new engine changes those that its page lists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

NAMES_AN_ENGINE = re.compile(r"vllm|ollama", re.IGNORECASE)

ADVISORIES = "mirrorfleet/data/advisories/"
IMPORTING = "mirrorfleet/importing/"
DATA_OF_RELEASES = re.compile(
    r"mirrorfleet/data/litellm_(known|models)/|schemas/claude-settings-|mirrorfleet/locking/"
)
"""The names that each release knows, and the command that writes them."""

NAMED_FOR_ANOTHER_REASON = {
    "deploys/remove_weights.py": "names the roles that remove weights",
    "deploys/verify_weights.py": "a deploy for vLLM only",
    "mirrorfleet/jobs/sizing/__init__.py": "proposals for vLLM only",
    "mirrorfleet/jobs/sizing/report.py": "proposals for vLLM only",
    "mirrorfleet/jobs/sizing/source.py": "proposals for vLLM only",
    "mirrorfleet/jobs/drivers.py": "the GPUs of a host are a fact of vLLM",
    "mirrorfleet/cli/pages/matrix.py": "engines that no test can run",
    "mirrorfleet/data/proofs.json": "releases that tests ran with",
    "mirrorfleet/cli/pages/families.py": "the page of vLLM's parsers",
    "mirrorfleet/data/families.yml": "vLLM's parsers",
    "mirrorfleet/config/providers.py": "LiteLLM's name of a provider",
    "mirrorfleet/engines/external/__init__.py": "LiteLLM's name of a provider",
    "mirrorfleet/engines/protocol.py": "LiteLLM's name of a provider",
    "mirrorfleet/data/releases.yml": "the releases of every service",
    "mirrorfleet/cli/lock.py": "the services that have releases",
    "roles/litellm/environment.py": "a module that is for every engine that cuts prompts",
    "roles/litellm/files/mirrorfleet_rejected_calls.py": "errors of Ollama's own parsers",
    "mirrorfleet/checks/deployments.py": "LiteLLM's name of a provider",
    "mirrorfleet/data/starter/fleet.yml": "an example",
    "mirrorfleet/checks/external_gateway.py": "the engine of a key in a message",
    "mirrorfleet/cli/import_.py": "examples of input",
    "mirrorfleet/cli/live/logs.py": "names of services in examples",
    "mirrorfleet/cli/init_local.py": "what runs on one machine",
    "mirrorfleet/cli/this_machine.py": "what runs on one machine",
    "mirrorfleet/cli/pages/editor_schema.py": "vLLM's families and releases",
}


def test_the_page_lists_the_files_that_a_new_engine_changes() -> None:
    text = (ROOT / "docs/contributing/engine.md").read_text("utf-8")
    [section] = re.findall(r"^## Changed files\n(.*?)^## ", text, re.S | re.M)
    listed = set(re.findall(r"^\| `([^`]+)` \|", section, re.M))
    assert len(listed) <= 8
    assert {*shared_files(), "docs/reference/fleet-file.md"} == listed


def shared_files() -> set[str]:
    """Return the files of the package with an engine's name, without the engines' own files.

    Comments and docstrings do not count: a new engine works without changes to them.
    """
    found = set()
    for folder in ("mirrorfleet", "roles", "deploys", "schemas"):
        for path in (ROOT / folder).rglob("*"):
            name = str(path.relative_to(ROOT))
            is_own = NAMES_AN_ENGINE.search(name) or name in NAMED_FOR_ANOTHER_REASON
            if name.startswith(IMPORTING) or DATA_OF_RELEASES.match(name):
                continue  # import reads the files of known engines; others can be added later
            if path.suffix not in (".py", ".yml", ".json", ".sh", ".j2") or is_own:
                continue
            if any(NAMES_AN_ENGINE.search(word) for word in words(path)):
                found.add(ADVISORIES if name.startswith(ADVISORIES) else name)
    return found


def words(path: Path) -> Iterator[str]:
    """Yield the names and strings of a Python file, or the lines of another file."""
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        yield from (line for line in text.splitlines() if not line.lstrip().startswith("#"))
        return
    nodes = [*ast.walk(ast.parse(text))]
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if id(node) in docstrings:
            continue
        for field in ("id", "attr", "name", "arg", "asname", "module", "value"):
            if isinstance(word := getattr(node, field, None), str):
                yield word
