"""Modelfiles: what Ollama's API is told of them, and which are refused, with the line."""

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


def test_files_beside_the_modelfile_or_anywhere_else(tmp_path: Path) -> None:
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
        ("FROM ./pyproject.toml", "in line 1, which is no GGUF file"),
        ("FROM a\nADAPTER pyproject.toml", "in line 2, which is no GGUF file"),
        ("FROM a\nPARAMETER num_ctx 4096", "says num_ctx in line 2"),
        ("FROM a\nPARAMETER warmth 3", "has 'warmth' in line 2, which is no parameter"),
        ("FROM a\nPARAMETER top_k many", "says 'many' for 'top_k' in line 2"),
        ("FROM a\nPARAMETER use_mmap perhaps", "says 'perhaps' for 'use_mmap' in line 2"),
        ("FROM a\n\nFORM b", "has 'FORM' in line 3, which is no instruction"),
        ("FROM a\nSYSTEM", "has 'SYSTEM' in line 2: no instruction"),
        ('FROM a\nSYSTEM """never\nends', 'has a """ in line 2 that never ends'),
    ],
)
def test_what_cannot_be_used(text: str, mistake: str) -> None:
    with pytest.raises(NotUsable, match=mistake):
        parse(text)
