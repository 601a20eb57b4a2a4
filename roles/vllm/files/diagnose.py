"""Make of the journal of a vLLM that did not start what a person wants to know.

Runs on the host with its python3: diagnose.py WEIGHTS NODES <journal, where NODES is how many hosts
serve the model together. Prints the exceptions that ended it and the errors that it logged, without
the stacks, and for the known ones the remedy.
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

BETWEEN_PROCESSES = r"NCCL|[Gg]loo|connectFullMesh|DistNetworkError|DistStoreError|client socket"

REMEDIES = {
    r"[Ee]rror 802|system not yet initialized|cudaErrorSystemNotReady": (
        "GPUs that are joined by NVSwitch need nvidia-fabricmanager, of the same release as the "
        "driver. Install it, run systemctl enable --now nvidia-fabricmanager, and see its status."
    ),
    r"no kernel image": (
        "vLLM has no code for this GPU: CUDA 13 needs compute capability 7.5 or newer. See "
        "nvidia-smi --query-gpu=name,compute_cap --format=csv, and choose another host."
    ),
    r"CUDA unknown error": (
        "The driver does not answer: /dev/nvidia-uvm is missing, or the driver was upgraded. Run "
        "nvidia-modprobe -c0 -u and restart the engine; if that does not help, reboot the host."
    ),
    r"Driver/library version mismatch": (
        "NVIDIA's driver was upgraded, and the kernel still runs the former one. Reboot the host."
    ),
    r"Could not find nvcc|No such file or directory: '(?:ninja|nvcc)'|headers are incompatible|"
    r"cannot find -l(?:cuda|nvrtc|cublas)|DeepGEMM backend is unavailable|NVCC version must be": (
        "vLLM compiles kernels for the GPU, and the CUDA compiler of its environment is not "
        "complete. Run deploys/mirror.py, which builds such an environment anew. If it has its own "
        "lock file, write that with bin/lock first."
    ),
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
    BETWEEN_PROCESSES: (
        "The nodes of the model do not reach each other. Each must reach all ports of the others "
        "at the addresses of 'hosts'."
    ),
    r"No space left on device": "A disk of the host is full: see df -h.",
}

ONE_HOST = {
    BETWEEN_PROCESSES: (
        "The processes of this engine do not reach each other: they are on one host, so it is not "
        "the network. See nvidia-smi topo -m for how its GPUs are joined, and dmesg for errors "
        "(Xid) of a GPU; on virtual machines and with IOMMU, GPUs often cannot reach each other "
        "directly: write environment: {{NCCL_P2P_DISABLE: 1}}."
    ),
}
"""Remedies that differ where all GPUs of a model are on one host."""


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


def remedies(found: list[str], weights: str, nodes: int) -> Iterator[str]:
    """Yield what to do about the first of the known causes in each error."""
    known = REMEDIES if nodes > 1 else {**REMEDIES, **ONE_HOST}
    for text in found:
        for pattern, remedy in known.items():
            if re.search(pattern, text):
                yield remedy.format(weights=weights)
                break


def main(weights: str, nodes: str) -> None:
    lines = sys.stdin.read().splitlines()
    found = errors(lines)
    if found:
        print("\n".join(found[:MOST]))
    elif not any("Application startup complete" in line for line in lines):
        # It has been killed, or is still at it.
        print("\n".join(lines[-25:]))
    for remedy in dict.fromkeys(remedies(found, weights, int(nodes))):
        print(f"What to do: {remedy}")


if __name__ == "__main__":
    main(*sys.argv[1:])
