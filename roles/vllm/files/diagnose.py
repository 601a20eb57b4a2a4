"""Reduce the journal of a vLLM that did not start to its errors, each with its remedy.

Runs on the host with its python3: diagnose.py WEIGHTS NODES <journal, where NODES is the number of
hosts that serve the model together. Prints exceptions and logged errors without stack traces, and
the remedies of known ones.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

MAX_LINES = 12
"""Maximum number of error lines; the first are nearest to the cause."""

WIDTH = 600
"""Maximum length of an error line in characters."""

PREFIX = re.compile(
    r"^(?:\((?P<process>[^)]*)\) )?"
    r"(?:(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) [\d-]+ [\d:.]+ \[[^\]]*\] ?)?"
)
"""The prefix of vLLM's log lines: (EngineCore pid=7) ERROR 11-22 17:04:05 [core.py:12]"""

EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|OutOfMemory)\b")

# Errors of a process that waited for the failed one, and dumps of the whole configuration.
SECONDARY = re.compile(
    r"Engine core initialization failed|Worker failed with error|See root cause|"
    r"^Dumping (?:input data|scheduler)"
)

SYSTEMD = re.compile(r"OOM killer|oom-kill|Failed at step|status=9/KILL|core-dump|timed out")
"""Messages of systemd or the kernel about a process that they ended."""

BETWEEN_PROCESSES = r"NCCL|[Gg]loo|connectFullMesh|DistNetworkError|DistStoreError|client socket"

REMEDIES = {
    r"[Ee]rror 802|system not yet initialized|cudaErrorSystemNotReady": (
        "GPUs that are connected by NVSwitch need nvidia-fabricmanager of the driver's release. "
        "Install it, run systemctl enable --now nvidia-fabricmanager, and check its status."
    ),
    r"no kernel image": (
        "vLLM has no code for this GPU: CUDA 13 needs compute capability 7.5 or newer. Choose "
        "another host; nvidia-smi --query-gpu=name,compute_cap --format=csv shows the capability."
    ),
    r"CUDA unknown error": (
        "The driver does not respond: /dev/nvidia-uvm is missing, or the driver was upgraded. Run "
        "nvidia-modprobe -c0 -u and restart the engine; if that does not help, reboot the host."
    ),
    r"Driver/library version mismatch": (
        "NVIDIA's driver was upgraded, but the kernel still runs the former one. Reboot the host."
    ),
    r"Could not find nvcc|No such file or directory: '(?:ninja|nvcc)'|headers are incompatible|"
    r"cannot find -l(?:cuda|nvrtc|cublas)|DeepGEMM backend is unavailable|NVCC version must be": (
        "vLLM compiles kernels for the GPU, but the CUDA compiler of its environment is not "
        "complete. Run deploys/mirror.py, which rebuilds the environment. If it has its own lock "
        "file, write that with `mirrorfleet lock vllm` first."
    ),
    r"max_model_len \(\d+\) is greater than the derived": (
        "The weights were trained for a smaller window than the declared context. Set context to "
        "the derived max_model_len or less."
    ),
    r"larger than the available KV cache memory|larger than the maximum number of tokens": (
        "The memory beside the weights is too small for one full window. Set a smaller context, "
        "kv_cache_dtype: fp8 or a higher gpu_memory_utilization, or use more GPUs."
    ),
    r"less than desired GPU memory utilization": (
        "Another process uses memory of these GPUs: see nvidia-smi. Stop it, choose other "
        "'devices' or set a lower gpu_memory_utilization."
    ),
    r"out of memory|OutOfMemory|No available memory for the cache blocks": (
        "The GPU memory is too small for the weights and the activations. Split the model over "
        "more GPUs (tensor_parallel), choose weights of fewer bits, or set a smaller max_num_seqs."
    ),
    r"OOM killer|oom-kill": (
        "The host's main memory was full during the start of the engine. Stop other services "
        "there, or add memory."
    ),
    r"invalid (?:tool call|reasoning) parser|[Pp]arser '?\w+'? (?:is )?not found": (
        "This release of vLLM does not have the parser. Correct 'family', 'tool_parser' or "
        "'reasoning_parser', or choose another version."
    ),
    r"unrecognized arguments|invalid choice": (
        "This release of vLLM does not have this option, or this value of it. Correct 'arguments', "
        "or choose another version."
    ),
    r"SafetensorError|deserializ|UnpicklingError|does not appear to have a file named|"
    r"[Ii]ncomplete metadata": (
        "The weights are not complete. Remove their directory, {weights}, and run again, which "
        "downloads them; copy a directory of your own again yourself."
    ),
    r"No working C\+\+ compiler|Failed to find C compiler|Python\.h: No such file": (
        "vLLM compiles a part of itself on the host, and needs a compiler and Python's headers: "
        "apt-get install g++ python3-dev."
    ),
    r"must be divisible by tensor parallel size|\d+ is not divisible by \d+": (
        "The model's attention or KV heads cannot be split over this number of GPUs. Set a "
        "tensor_parallel that divides them evenly, usually 1, 2, 4 or 8."
    ),
    r"trust_remote_code": (
        "These weights include programs. If you trust their publisher, set "
        "arguments: {{trust-remote-code: true}}."
    ),
    r"does not recognize this architecture|architectures .* (?:are|is) not supported": (
        "This release of vLLM does not support this architecture. Choose another version."
    ),
    r"must be divisible by tensor|cannot be evenly split|not divisible by tensor": (
        "The model cannot be split this way. Set another tensor_parallel, usually a power of two."
    ),
    r"forward compatibility was attempted on non supported|unsupported display driver": (
        "The libcuda of cuda_compat does not support these GPUs or this driver: it is for "
        "datacenter GPUs, and newer than the driver. Remove the key, and install a newer driver."
    ),
    r"driver version is insufficient|no NVIDIA driver|no CUDA-capable device|NVML": (
        "The host's NVIDIA driver is missing, or too old for this release: see nvidia-smi. Install "
        "a newer one."
    ),
    r"[Aa]ddress already in use": (
        "Another process uses its port, or the port for the other nodes: see ss -ltnp there. "
        "Stop that process, or set another 'port'."
    ),
    BETWEEN_PROCESSES: (
        "The nodes of the model cannot reach each other. Allow connections between them to all "
        "ports of the addresses in 'hosts'."
    ),
    r"No space left on device": "A disk of the host is full: see df -h, and free space there.",
}

ONE_HOST = {
    BETWEEN_PROCESSES: (
        "The processes of this engine cannot reach each other. They are on one host, so it is not "
        "the network. nvidia-smi topo -m shows how its GPUs are connected, dmesg shows GPU errors "
        "(Xid). On virtual machines and with IOMMU, GPUs often cannot reach each other directly: "
        "set environment: {{NCCL_P2P_DISABLE: 1}}."
    ),
}
"""Other remedies for a model with all GPUs on one host."""


def errors(lines: list[str]) -> list[str]:
    """Return the exceptions and logged errors in order, without duplicates."""
    found: list[str] = []
    in_error = False
    for line in lines:
        matched = PREFIX.match(line)
        text = line[matched.end() :].rstrip() if matched else line.rstrip()
        level = matched["level"] if matched else None
        is_indented = text.startswith("  ") and not text.lstrip().startswith(("File ", "^"))
        continues = in_error and is_indented
        in_error = bool(EXCEPTION.match(text) or SYSTEMD.search(text) or continues)
        logged = level in ("ERROR", "CRITICAL") and not _is_stack(text)
        if in_error or logged or " error: " in text:
            found.append(text.strip()[:WIDTH])
    causes = [text for text in found if not SECONDARY.search(text)]
    return list(dict.fromkeys(causes or found))


def _is_stack(text: str) -> bool:
    return not text or text.startswith((" ", "Traceback"))


def remedies(found: list[str], weights: str, nodes: int) -> Iterator[str]:
    """Yield the remedy for the first known cause in each error."""
    known = REMEDIES if nodes > 1 else {**REMEDIES, **ONE_HOST}
    for text in found:
        for pattern, remedy in known.items():
            if re.search(pattern, text):
                yield remedy.format(weights=weights)
                break


def main(weights: str, nodes: str) -> None:
    """Print the errors of the journal on standard input, and their remedies."""
    lines = sys.stdin.read().splitlines()
    found = errors(lines)
    if found:
        print("\n".join(found[:MAX_LINES]))
    elif not any("Application startup complete" in line for line in lines):
        # vLLM was killed, or is still starting.
        print("\n".join(lines[-25:]))
    for remedy in dict.fromkeys(remedies(found, weights, int(nodes))):
        print(f"What to do: {remedy}")


if __name__ == "__main__":
    main(*sys.argv[1:])
