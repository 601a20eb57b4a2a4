"""Check that an engine can compile for its GPUs, in the sandbox of its unit, before the switch.

    toolchain.py         for the GPUs that the driver reports
    toolchain.py 9.0     for this compute capability, on a host without a GPU

Compiles what vLLM compiles at its start: FlashInfer's sampler, Triton's launcher, and a kernel.
The results of FlashInfer and Triton stay in their caches, which the engine uses. If something is
missing, prints it with its remedy, and exits with 1.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

REBUILD = (
    "Run deploys/mirror.py again. If the error persists, remove the environment's directory, {}, "
    "and run again."
)

SAMPLER = (8, 0)
"""The lowest compute capability for which vLLM uses FlashInfer's sampler."""

LIBRARIES = ("cudart", "cuda", "nvrtc", "cublas", "cublasLt")
"""The libraries that FlashInfer's modules link against."""

DRIVER = {
    100: "The driver reports no GPU. Run nvidia-smi, and see dmesg for the reason.",
    802: "GPUs that are connected by NVSwitch need nvidia-fabricmanager of the driver's release: "
    "install it, and run systemctl enable --now nvidia-fabricmanager.",
    803: "The driver was upgraded, but the kernel still runs the former one. Reboot the host.",
    804: "The libcuda of cuda_compat does not support these GPUs: it is for datacenter GPUs. "
    "Remove that key, and install a newer driver.",
    999: "The driver does not respond: /dev/nvidia-uvm is missing, or the driver was upgraded. Run "
    "systemctl restart mirrorfleet-nvidia; if that does not help, reboot the host.",
}
"""Remedies by the error code of the CUDA driver."""

KERNEL = """\
import triton
import triton.language as tl


@triton.jit
def add(x, y, count, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + at, tl.load(x + at, mask=at < count) + 1, mask=at < count)
"""

MODULE = """\
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "launcher", 0, -1, 0};
PyMODINIT_FUNC PyInit_launcher(void) { return PyModule_Create(&module); }
"""

CUDA = """\
#include <cuda/std/cstdint>
__global__ void one(cuda::std::uint32_t *value) { *value = 1; }
"""


class Missing(Exception):
    """A missing part of the toolchain, with its remedy."""


def missing() -> Iterator[str]:
    """Yield which files are missing, each with its remedy."""
    rebuild = REBUILD.format(sys.prefix)
    home = os.environ.get("CUDA_HOME", "")
    if not home:
        yield f"CUDA_HOME is not set for the engine. {rebuild}"
    elif not os.access(f"{home}/bin/nvcc", os.X_OK):
        yield f"The CUDA compiler {home}/bin/nvcc is missing. {rebuild}"
    if not shutil.which("ninja"):
        yield f"ninja is not in PATH ({os.environ.get('PATH', '')}). {rebuild}"
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if not (shutil.which("g++") and shutil.which("gcc")):
        yield "The C++ compiler is missing. Run: apt-get install g++"
    if not headers.is_file():
        yield f"Python's headers are missing: {headers}. Run: apt-get install python3-dev"


def capabilities() -> list[str]:
    """Return the compute capabilities of the GPUs that the driver shows. Raises ``Missing``."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise Missing(f"The library of NVIDIA's driver cannot be loaded: {error}.") from None
    # Without a context, which would use memory of a GPU that another process may need.
    _check(driver, driver.cuInit(0))
    count = ctypes.c_int()
    _check(driver, driver.cuDeviceGetCount(ctypes.byref(count)))
    devices = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if count.value < max(len(devices), 1):
        raise Missing(
            f"The driver shows the engine {count.value} GPUs, but it needs {len(devices)} "
            f"({', '.join(devices)}). Run nvidia-smi, and correct the host's gpus or 'devices'."
        )
    found = set()
    for device in range(count.value):
        version = []
        for attribute in (75, 76):  # the major and the minor number
            value = ctypes.c_int()
            _check(driver, driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device))
            version.append(value.value)
        found.add((version[0], version[1]))
    return [f"{major}.{minor}" for major, minor in sorted(found)]


def _check(driver: ctypes.CDLL, error: int) -> None:
    if error:
        text = ctypes.c_char_p()
        driver.cuGetErrorString(error, ctypes.byref(text))
        message = (text.value or b"unknown").decode()
        remedy = DRIVER.get(error, "Run nvidia-smi, and see dmesg.")
        raise Missing(f"NVIDIA's driver reports error {error}: {message}. {remedy}")


def compile_with_nvcc(capability: str, scratch: Path) -> None:
    """Compile a kernel with the toolkit's own headers, and link as FlashInfer does."""
    home, (major, minor) = os.environ["CUDA_HOME"], capability.split(".")
    source = scratch / "one.cu"
    source.write_text(CUDA)
    architecture = f"sm_{major}{minor}{'a' if int(major) >= 9 else ''}"
    _run(f"{home}/bin/nvcc", "-cubin", f"-arch={architecture}", "-o", f"{source}bin", str(source))
    # The module uses none of the libraries, but the linker must find each.
    directories = [f"-L{home}/lib64", f"-L{home}/lib64/stubs"]
    libraries = [f"-l{name}" for name in LIBRARIES]
    _run("g++", "-shared", "-o", f"{source}.so", *directories, *libraries)


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        errors = _errors(done.stdout)
        raise Missing(f"{' '.join(command)} fails:\n{errors}\n{REBUILD.format(sys.prefix)}")


def _errors(output: str) -> str:
    """Return the error lines of a compiler's output."""
    lines = output.strip().splitlines()
    found = [line for line in lines if re.search("error|fatal|cannot find", line, re.IGNORECASE)]
    return "\n".join(line[:600] for line in (found or lines)[:8])


def compile_with_triton(capability: str, scratch: Path) -> None:
    """Compile Triton's launcher, which needs Python's headers, and a kernel."""
    import triton  # type: ignore[import-not-found]
    from triton.backends.compiler import GPUTarget  # type: ignore[import-not-found]
    from triton.compiler import ASTSource  # type: ignore[import-not-found]
    from triton.runtime.build import compile_module_from_src  # type: ignore[import-not-found]

    compile_module_from_src(MODULE, "launcher")
    (scratch / "mirrorfleet_kernel.py").write_text(KERNEL)
    sys.path.insert(0, str(scratch))
    from mirrorfleet_kernel import add  # type: ignore[import-not-found]

    signature = {"x": "*fp32", "y": "*fp32", "count": "i32", "BLOCK": "constexpr"}
    source = ASTSource(fn=add, signature=signature, constexprs={(3,): 128})
    target = GPUTarget("cuda", int(capability.replace(".", "")), 32)
    if not triton.compile(source, target=target).asm.get("cubin"):
        raise Missing("Triton compiles a kernel, but without a cubin. Use another release of vLLM.")


def compile_with_flashinfer() -> None:
    """Build the sampler, which takes minutes at first; later builds use the engine's cache."""
    from flashinfer.jit.sampling import gen_sampling_module  # type: ignore[import-not-found]

    sampler = gen_sampling_module()
    sampler.build()
    if not Path(sampler.get_library_path()).is_file():
        raise Missing(f"FlashInfer has built no {sampler.get_library_path()}.")


def main(*given: str) -> int:
    """Compile for the given capabilities, or those of the GPUs; return the exit status."""
    faults = list(missing())
    try:
        if not faults:
            found = list(given) or capabilities()
            os.environ.setdefault("FLASHINFER_CUDA_ARCH_LIST", " ".join(found))
            with tempfile.TemporaryDirectory() as scratch:
                for capability in found:
                    compile_with_nvcc(capability, Path(scratch))
                    compile_with_triton(capability, Path(scratch))
            newest = max(tuple(map(int, capability.split("."))) for capability in found)
            if newest >= SAMPLER:
                compile_with_flashinfer()
    except Missing as error:
        faults.append(str(error))
    except Exception as error:
        # An error of a package that compiles: its own message names the cause.
        text = _errors("".join(traceback.format_exception_only(error)))
        faults.append(f"{text}\n{REBUILD.format(sys.prefix)}")
    for fault in faults:
        print(f"The engine cannot compile for its GPUs: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
