"""Weights that are uploaded in chunks, verified, and moved to their directory."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from mirrorfleet.roles.vllm import weights_upload
from mirrorfleet.roles.vllm.facts import Weights
from mirrorfleet.runtime import chunks
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import FileSizes
from mirrorfleet.runtime.observe import Observation
from tests.kills.case import Case
from tests.roles.fleets import safetensors

PLACE = "/var/lib/mirrorfleet/weights/tiny-1"
CHUNK = 512 * 1024
SMALL = 256 * 1024


def cases(source: Path) -> Iterator[Case]:
    source.mkdir()
    content = random.Random(1)
    (source / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (source / "model.safetensors").write_bytes(safetensors(content.randbytes(3 * CHUNK)))
    (source / "tokenizer.json").write_bytes(content.randbytes(100_000))
    # The same code with smaller files.
    chunks.CHUNK, weights_upload.SMALL = CHUNK, SMALL

    def send(observed: Observation) -> Commands:
        if observed[Weights(PLACE)] != frozenset():
            yield from weights_upload.send("tiny", source, PLACE, observed)

    facts = [Weights(PLACE), FileSizes(f"{PLACE}.part")]
    yield Case("weights: upload in chunks", facts, send)
