"""A tokenizer like those of models: byte-level BPE, with merges that were trained on real text.

`merges.txt` was trained on the sources of Python's standard library:

    .venv/bin/python tests/standins/ollama/tokenizer.py >tests/standins/ollama/merges.txt

Only the training needs more than the standard library: the stand-in also runs on hosts of the lab.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

SPECIAL = re.compile(r"(<\|im_start\|>|<\|im_end\|>)")
"""Markers between messages. Each is one token, and parts between them are counted separately."""

WORD = re.compile(r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+|_+| ?\d{1,3}| ?[^\s\w]+|\s+(?!\S)|\s+")

SIZE = 4096
"""Tokens of the vocabulary, including single bytes."""


@cache
def ranks() -> dict[tuple[bytes, bytes], int]:
    """Return the rank of each merge."""
    lines: list[str] = Path(__file__).with_name("merges.txt").read_text("ascii").split("\n")
    pairs = (line.split(" ") for line in lines if line)
    return {(bytes.fromhex(a), bytes.fromhex(b)): at for at, (a, b) in enumerate(pairs)}


def count(text: str) -> int:
    """Return the number of tokens of a prompt."""
    return sum(_plain(part) if at % 2 == 0 else 1 for at, part in enumerate(SPECIAL.split(text)))


@lru_cache(4096)
def _plain(text: str) -> int:
    return sum(map(_word, WORD.findall(text)))


@lru_cache(200_000)
def _word(word: str) -> int:
    known = ranks()
    parts = [bytes([byte]) for byte in word.encode(errors="surrogatepass")]
    while len(parts) > 1:
        best = min(pairwise(parts), key=lambda pair: known.get(pair, SIZE))
        if best not in known:
            break
        parts = list(_merged(parts, best))
    return len(parts)


def _merged(parts: list[bytes], pair: tuple[bytes, bytes]) -> Iterator[bytes]:
    at = 0
    while at < len(parts):
        step = 2 if tuple(parts[at : at + 2]) == pair else 1
        yield b"".join(parts[at : at + step])
        at += step


def train() -> None:
    """Print the merges of the standard library's text, in hexadecimal digits."""
    import sysconfig

    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    value = {chr(byte): byte for byte in printable}
    value |= {chr(256 + at): byte for at, byte in enumerate(others)}
    assert sorted(value) == alphabet
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD.pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    texts = [path.read_text("utf-8") for path in files]
    trainer = trainers.BpeTrainer(vocab_size=SIZE, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    import json

    for pair in json.loads(tokenizer.to_str())["model"]["merges"]:
        print(*(bytes(value[char] for char in half).hex() for half in pair))


if __name__ == "__main__":
    train()
