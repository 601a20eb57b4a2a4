"""Stores of models on the controller, and the names of models in them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mirrorfleet.config import ollama_store
from mirrorfleet.config.ollama_names import Name, NotAName, parse
from tests.standins.ollama import real_store

TAG = "team/coder:7b"
MANIFEST = f"manifests/registry.ollama.ai/{TAG.replace(':', '/')}"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    real_store.write(tmp_path, TAG)
    return tmp_path


def test_the_only_model_needs_no_tag(store: Path) -> None:
    found = ollama_store.read(store, None)
    assert (found.tag, found.digest) == (TAG, ollama_store.read(store, TAG).digest)
    assert found.manifest == (store / MANIFEST).read_text("utf-8")
    assert {path.name for path in found.blobs.values()} == {
        path.name for path in (store / "blobs").iterdir()
    }


def test_names_are_shortened_as_ollama_does(store: Path) -> None:
    tags = ("qwen3:4b", "hf.co/unsloth/Qwen3:Q4", "registry.example.com:5000/team/coder:7b")
    for tag in tags:
        real_store.write(store, tag)
        assert ollama_store.read(store, tag).tag == tag
    with pytest.raises(ollama_store.NotUsable) as caught:
        ollama_store.read(store, None)
    assert caught.value.mistake == "has 4 models."
    assert caught.value.remedy == f"Add tag, one of: {', '.join(sorted((TAG, *tags)))}."


def manifest(store: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change the manifest of the store."""
    content = json.loads((store / MANIFEST).read_text("utf-8"))
    change(content)
    (store / MANIFEST).write_text(json.dumps(content), "utf-8")


def weights(store: Path) -> Path:
    [found] = [path for path in (store / "blobs").iterdir() if path.read_bytes()[:4] == b"GGUF"]
    return found


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "an empty directory": (
        lambda store: (store / MANIFEST).unlink(),
        "has no manifests/HOST/NAMESPACE/MODEL/TAG.",
    ),
    "no JSON": (
        lambda store: (store / MANIFEST).write_text("{"),
        f"has a manifest of '{TAG}' that is not Ollama's: ",
    ),
    "very deep JSON": (
        lambda store: (store / MANIFEST).write_text("[" * 100_000),
        f"has a manifest of '{TAG}' that is not Ollama's: ",
    ),
    "another JSON": (
        lambda store: (store / MANIFEST).write_text("[1]"),
        f"has a manifest of '{TAG}' that is not Ollama's: ",
    ),
    "a digest that is none": (
        lambda store: manifest(store, lambda it: it["config"].update(digest="sha256:../x")),  # type: ignore[attr-defined]
        "has a manifest with the digest 'sha256:../x'.",
    ),
    "weights for MLX": (
        lambda store: manifest(
            store,
            lambda it: it["layers"][0].update(mediaType=ollama_store.TENSOR),  # type: ignore[index]
        ),
        f"has '{TAG}' in the format of MLX, which is not uploaded.",
    ),
    "a missing blob": (lambda store: weights(store).unlink(), ": No such file or directory."),
    "a pipe in place of a blob": (
        lambda store: pipe(weights(store)),
        ", which is not a file.",
    ),
    "a cut blob": (
        lambda store: weights(store).write_bytes(b"GGUF"),
        " with 4 bytes; its manifest says 12.",
    ),
}


@pytest.mark.parametrize(("breaks", "mistake"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_store_is_refused(
    store: Path, breaks: Callable[[Path], object], mistake: str
) -> None:
    breaks(store)
    with pytest.raises(ollama_store.NotUsable) as caught:
        ollama_store.read(store, None)
    assert mistake in caught.value.mistake
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("qwen3", Name("registry.ollama.ai", "library", "qwen3", "latest")),
        ("team/coder:7b", Name("registry.ollama.ai", "team", "coder", "7b")),
        ("localhost:5000/team/coder", Name("localhost:5000", "team", "coder", "latest")),
    ],
)
def test_names_that_ollama_reads(text: str, name: Name) -> None:
    assert parse(text) == name


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("registry.example.com/coder:7b", "has the registry registry.example.com but no namespace"),
        ("https://registry.example.com/team/coder", "has a scheme, which Ollama ignores"),
        ("a/b/c/d:e", "'a/b' is not valid there"),
        ("coder:", "'' is not valid there"),
        ("-coder", "'-coder' is not valid there"),
    ],
)
def test_names_that_ollama_refuses(text: str, mistake: str) -> None:
    with pytest.raises(NotAName) as caught:
        parse(text)
    assert mistake in str(caught.value)
