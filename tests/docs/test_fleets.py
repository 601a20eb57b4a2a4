"""The YAML of the documentation is accepted by `check`, as a fleet or laid over base.yml."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from mirrorfleet.cli.main import main
from tests.docs.pages import Block, blocks, every
from tests.standins.ollama import real_store

BASE = Path(__file__).with_name("base.yml")

GOOD = Path(__file__).parents[1] / "fleet/good"

WHOLE = {"models": {"engine", "provider"}, "developers": {"hosts", "seats", "packaged"}}
"""Keys that show that a page describes a whole model or group: it replaces that of the base."""


FLEETS = [block for block in every("yaml") if not block.title.startswith(".")]
"""Without workflows, whose titles are their places, as .gitlab-ci.yml."""


@pytest.mark.parametrize("block", FLEETS, ids=str)
def test_it_passes_the_check(
    block: Block, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = block.text
    if "version" not in (fragment := yaml.safe_load(text)):
        base = yaml.safe_load(BASE.read_text("utf-8"))
        for kind, keys in WHOLE.items():
            for name, entry in fragment.get(kind, {}).items():
                if entry and keys & entry.keys():
                    base[kind].pop(name, None)
        (tmp_path / "base").mkdir()
        (tmp_path / "base/company.yml").write_text(yaml.safe_dump(base))
        if "include" not in fragment:
            text = f"include: base/company.yml\n{text}"
    (tmp_path / "coder.modelfile").write_text("FROM qwen3:4b\n")
    for template in re.findall(r"chat_template: ([\w.]+)", text):
        (tmp_path / template).write_text("{{ messages }}\n")
    for part in ("all", "platform"):
        shutil.copytree(GOOD / "claude" / part, tmp_path / "claude", dirs_exist_ok=True)
    shutil.copy(GOOD / "people.csv", tmp_path)
    (tmp_path / "hooks").mkdir()
    names = re.findall(r"our_hooks\.(\w+)", text)
    (tmp_path / "hooks/our_hooks.py").write_text("\n".join(f"{name} = None" for name in names))
    for other in blocks(block.page):
        if other.title:
            (tmp_path / other.title).parent.mkdir(exist_ok=True)
            (tmp_path / other.title).write_text(other.text, "utf-8")
    real_store.write(tmp_path / "ollama-store", "qwen3:4b")
    file = tmp_path / "fleet.yml"
    file.write_text(text)
    done = main(["check", str(file)])
    assert done == 0, capsys.readouterr().err
