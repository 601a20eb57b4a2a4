"""Modelfiles: the parameters for Ollama's API, and problems with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirrorfleet.config.modelfile import NotUsable, parse, read


def test_every_instruction() -> None:
    assert parse(
        """\
# comment
FROM  qwen3:4b
parameter temperature 0.5
PARAMETER top_k 20
PARAMETER use_mmap true
PARAMETER stop "a b"
TEMPLATE \"\"\"{{ .Prompt }}
# no comment here
\"\"\"
SYSTEM Be brief.
MESSAGE user Hello
MESSAGE assistant "Hi there"
LICENSE MIT
PARSER qwen3
RENDERER qwen3
REQUIRES 0.17.1
"""
    ) == {
        "from": "qwen3:4b",
        "parameters": {"temperature": 0.5, "top_k": 20, "use_mmap": True, "stop": ["a b"]},
        "template": "{{ .Prompt }}\n# no comment here\n",
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi there"},
        ],
        "license": ["MIT"],
        "parser": "qwen3",
        "renderer": "qwen3",
        "requires": "0.17.1",
    }


def test_files_with_relative_and_absolute_paths(tmp_path: Path) -> None:
    (tmp_path / "beside").mkdir()
    for name in ("own.gguf", "beside/lora.gguf"):
        (tmp_path / name).write_bytes(b"GGUF and so on")
    (tmp_path / "beside/modelfile").write_text(
        f"FROM {tmp_path}/own.gguf\nADAPTER lora.gguf\nSYSTEM Be brief.\n"
    )
    assert read(tmp_path / "beside/modelfile") == {
        "files": {"own.gguf": f"{tmp_path}/own.gguf"},
        "adapters": {"lora.gguf": f"{tmp_path}/beside/lora.gguf"},
        "parameters": {},
        "system": "Be brief.",
    }


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "has no FROM"),
        ("FROM ./model.gguf", "names model.gguf in line 1: No such file or directory"),
        ("FROM pyproject.toml/model.gguf", "in line 1: Not a directory"),
        ("FROM ./pyproject.toml", "in line 1, which is not a GGUF file"),
        ("FROM a\nADAPTER pyproject.toml", "in line 2, which is not a GGUF file"),
        ("FROM a\nPARAMETER num_ctx 4096", "sets num_ctx in line 2"),
        ("FROM a\nPARAMETER warmth 3", "sets the unknown parameter 'warmth' in line 2"),
        ("FROM a\nPARAMETER top_k many", "sets 'top_k' to the invalid value 'many' in line 2"),
        (
            "FROM a\nPARAMETER use_mmap perhaps",
            "sets 'use_mmap' to the invalid value 'perhaps' in line 2",
        ),
        ("FROM a\n\nFORM b", "has the unknown instruction 'FORM' in line 3"),
        ("FROM a\nSYSTEM", "has no instruction in line 2: 'SYSTEM'"),
        ('FROM a\nSYSTEM """never\nends', 'does not close the """ in line 2'),
    ],
)
def test_mistakes_in_a_modelfile(text: str, mistake: str) -> None:
    with pytest.raises(NotUsable, match=mistake):
        parse(text)
