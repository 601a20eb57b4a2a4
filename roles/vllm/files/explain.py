"""Make of the journal of a vLLM that did not start what a person wants to know.

Runs on the host with its python3: explain.py <journal. Prints the exceptions that
ended it and the errors that it logged, without the stacks, and for the known ones the remedy.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

MOST = 12
"""Lines of errors that are shown; the first are nearest to the cause."""

WIDTH = 600

PREFIX = re.compile(
    r"^(?:\((?P<process>[^)]*)\) )?"
    r"(?:(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) [\d-]+ [\d:.]+ \[[^\]]*\] ?)?"
)
"""What vLLM writes before each line: (EngineCore pid=7) ERROR 11-22 17:04:05 [core.py:12]"""

EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|OutOfMemory)\b")

# Said by the process that waited for the one with the cause.
# And what it worked on, with its whole configuration.
ECHOES = re.compile(
    r"Engine core initialization failed|Worker failed with error|See root cause|"
    r"^Dumping (?:input data|scheduler)"
)

SYSTEMD = re.compile(r"OOM killer|oom-kill|Failed at step|status=9/KILL|core-dump|timed out")
"""What systemd says of it, where it had no time to say anything itself."""

REMEDIES = {
    r"max_model_len \(\d+\) is greater than the derived": (
        "The weights were trained for a smaller window than the declared context. Write a context "
        "that is not above the derived max_model_len."
    ),
    r"larger than the available KV cache memory|larger than the maximum number of tokens": (
        "Beside the weights there is no room for one full window. Write a smaller context, "
        "kv_cache_dtype: fp8 or a higher gpu_memory_utilization, or split the model over more GPUs."
    ),
    r"less than desired GPU memory utilization": (
        "Something else holds memory of these GPUs: see nvidia-smi. Stop it, choose other "
        "'devices' or write a lower gpu_memory_utilization."
    ),
    r"out of memory|OutOfMemory|No available memory for the cache blocks": (
        "The GPUs' memory is too small for the weights and their work. Split the model over more "
        "GPUs (tensor_parallel), choose weights of fewer bits, or write a smaller max_num_seqs."
    ),
    r"OOM killer|oom-kill": (
        "The host's own memory ran out while the engine started. Stop something else there, or "
        "give it more memory."
    ),
    r"invalid (?:tool call|reasoning) parser|[Pp]arser '?\w+'? (?:is )?not found": (
        "This release of vLLM does not know the parser. Correct 'family', 'tool_parser' or "
        "'reasoning_parser', or choose another version."
    ),
    r"unrecognized arguments|invalid choice": (
        "This release of vLLM does not know this option, or this value of it. Correct 'arguments', "
        "or choose another version."
    ),
    r"SafetensorError|deserializ|UnpicklingError|does not appear to have a file named|"
    r"[Ii]ncomplete metadata": (
        "The weights are not whole. Remove their directory, {weights}, and run again: it is "
        "brought anew; a directory of your own, fetch again yourself."
    ),
    r"No working C\+\+ compiler|Failed to find C compiler|Python\.h: No such file": (
        "It compiles a part of itself on the host, which lacks a compiler or Python's headers: "
        "apt-get install g++ python3-dev."
    ),
    r"must be divisible by tensor parallel size|\d+ is not divisible by \d+": (
        "The model's attention or KV heads cannot be split over so many GPUs. Write a "
        "tensor_parallel that divides them evenly: 1, 2, 4 or 8 mostly."
    ),
    r"trust_remote_code": (
        "These weights bring programs of their own. If you trust whoever made them, write "
        "arguments: {{trust-remote-code: true}}."
    ),
    r"does not recognize this architecture|architectures .* (?:are|is) not supported": (
        "This release of vLLM does not know this kind of model. Choose another version."
    ),
    r"must be divisible by tensor|cannot be evenly split|not divisible by tensor": (
        "The model cannot be split so. Write another tensor_parallel: a power of two mostly fits."
    ),
    r"forward compatibility was attempted on non supported|unsupported display driver": (
        "The libcuda of cuda_compat does not go with these GPUs, or with this driver: it is for "
        "datacenter GPUs, and newer than the driver. Take the key out, and install a newer driver."
    ),
    r"driver version is insufficient|no NVIDIA driver|no CUDA-capable device|NVML": (
        "The host's NVIDIA driver is missing, or too old for this release. See nvidia-smi."
    ),
    r"[Aa]ddress already in use": (
        "Its port, or that for the other nodes, is taken: see ss -ltnp on the host. Stop whoever "
        "has it, or write another 'port'."
    ),
    r"NCCL|[Gg]loo|connectFullMesh|DistNetworkError|DistStoreError|client socket": (
        "The nodes of the model do not reach each other. Each must reach all ports of the others "
        "at the addresses of 'hosts'."
    ),
    r"No space left on device": "A disk of the host is full: see df -h.",
}


def errors(lines: list[str]) -> list[str]:
    """Return the exceptions and logged errors, the first first, each once."""
    found: list[str] = []
    ours = False
    for line in lines:
        matched = PREFIX.match(line)
        text = line[matched.end() :].rstrip() if matched else line.rstrip()
        level = matched["level"] if matched else None
        more = ours and text.startswith("  ") and not text.lstrip().startswith(("File ", "^"))
        ours = bool(EXCEPTION.match(text) or SYSTEMD.search(text) or more)
        logged = level in ("ERROR", "CRITICAL") and not _stack(text)
        if ours or logged or " error: " in text:
            found.append(text.strip()[:WIDTH])
    causes = [text for text in found if not ECHOES.search(text)]
    return list(dict.fromkeys(causes or found))


def _stack(text: str) -> bool:
    return not text or text.startswith((" ", "Traceback"))


def remedies(found: list[str], weights: str) -> Iterator[str]:
    """Yield what to do about the first of the known causes in each error."""
    for text in found:
        for pattern, remedy in REMEDIES.items():
            if re.search(pattern, text):
                yield remedy.format(weights=weights)
                break


def main(weights: str) -> None:
    lines = sys.stdin.read().splitlines()
    found = errors(lines)
    if found:
        print("\n".join(found[:MOST]))
    elif not any("Application startup complete" in line for line in lines):
        # It has been killed, or is still at it.
        print("\n".join(lines[-25:]))
    for remedy in dict.fromkeys(remedies(found, weights)):
        print(f"What to do: {remedy}")


if __name__ == "__main__":
    main(*sys.argv[1:])
