"""Can an engine compile for its GPUs? Runs as the engine, in its unit, before it is switched to.

    toolchain.py         for the GPUs that the driver reports
    toolchain.py 9.0     for this compute capability, on a host without a GPU

Does what vLLM does when it starts: FlashInfer's sampler is compiled and linked, Triton's launcher
and a kernel are compiled. What FlashInfer and Triton build stays in their caches, which the engine
uses. Prints what is missing and what to do, and fails.
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
    "Run deploys/mirror.py again; if it comes back, remove the environment's directory, {}, and "
    "run again."
)

SAMPLER = (8, 0)
"""The oldest compute capability on which vLLM samples by FlashInfer."""

LIBRARIES = ("cudart", "cuda", "nvrtc", "cublas", "cublasLt")
"""What FlashInfer's modules link against."""

DRIVER = {
    100: "The driver reports no GPU. See nvidia-smi, and dmesg for why.",
    802: "GPUs that are joined by NVSwitch need nvidia-fabricmanager, of the same release as the "
    "driver: install it, and run systemctl enable --now nvidia-fabricmanager.",
    803: "The driver was upgraded, and the kernel still runs the former one. Reboot the host.",
    804: "The libcuda of cuda_compat does not go with these GPUs: it is for datacenter GPUs. "
    "Remove that key, and install a newer driver.",
    999: "The driver does not answer: /dev/nvidia-uvm is missing, or the driver was upgraded. Run "
    "systemctl restart mirrorfleet-nvidia; if that does not help, reboot the host.",
}
"""By the error of the CUDA driver: what to do."""

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
    """What an engine lacks to compile, and what to do."""


def missing() -> Iterator[str]:
    """Yield what is not there, each with what to do; a look at files only."""
    again = REBUILD.format(sys.prefix)
    home = os.environ.get("CUDA_HOME", "")
    if not home:
        yield f"CUDA_HOME is not set for the engine. {again}"
    elif not os.access(f"{home}/bin/nvcc", os.X_OK):
        yield f"There is no CUDA compiler at {home}/bin/nvcc. {again}"
    if not shutil.which("ninja"):
        yield f"ninja is not in PATH ({os.environ.get('PATH', '')}). {again}"
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if not (shutil.which("g++") and shutil.which("gcc")):
        yield "There is no C++ compiler. Run: apt-get install g++"
    if not headers.is_file():
        yield f"There are no headers of Python: {headers}. Run: apt-get install python3-dev"


def capabilities() -> list[str]:
    """Ask the driver for the compute capability of each GPU that the engine sees."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise Missing(f"The library of NVIDIA's driver cannot be loaded: {error}.") from None
    # No context is made: it would take memory of a GPU that may be in use.
    _asked(driver, driver.cuInit(0))
    count = ctypes.c_int()
    _asked(driver, driver.cuDeviceGetCount(ctypes.byref(count)))
    wanted = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    if count.value < max(len(wanted), 1):
        raise Missing(
            f"The driver shows the engine {count.value} GPUs, and it is to have {len(wanted)} "
            f"({', '.join(wanted)}). See nvidia-smi, and correct the host's gpus or 'devices'."
        )
    found = set()
    for device in range(count.value):
        version = []
        for attribute in (75, 76):  # the major and the minor number
            value = ctypes.c_int()
            _asked(driver, driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device))
            version.append(value.value)
        found.add((version[0], version[1]))
    return [f"{major}.{minor}" for major, minor in sorted(found)]


def _asked(driver: ctypes.CDLL, error: int) -> None:
    if error:
        text = ctypes.c_char_p()
        driver.cuGetErrorString(error, ctypes.byref(text))
        words = (text.value or b"unknown").decode()
        hint = DRIVER.get(error, "See nvidia-smi and dmesg.")
        raise Missing(f"NVIDIA's driver answers with error {error}: {words}. {hint}")


def compiled_by_nvcc(capability: str, scratch: Path) -> None:
    """Compile a kernel with the toolkit's own headers, and link as FlashInfer does."""
    home, (major, minor) = os.environ["CUDA_HOME"], capability.split(".")
    source = scratch / "one.cu"
    source.write_text(CUDA)
    architecture = f"sm_{major}{minor}{'a' if int(major) >= 9 else ''}"
    _run(f"{home}/bin/nvcc", "-cubin", f"-arch={architecture}", "-o", f"{source}bin", str(source))
    # Nothing is used of the libraries: each must be found all the same.
    directories = [f"-L{home}/lib64", f"-L{home}/lib64/stubs"]
    libraries = [f"-l{name}" for name in LIBRARIES]
    _run("g++", "-shared", "-o", f"{source}.so", *directories, *libraries)


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        words = _errors(done.stdout)
        raise Missing(f"{' '.join(command)} fails:\n{words}\n{REBUILD.format(sys.prefix)}")


def _errors(output: str) -> str:
    """Return the errors of a compiler, without the many lines that lead to them."""
    lines = output.strip().splitlines()
    found = [line for line in lines if re.search("error|fatal|cannot find", line, re.IGNORECASE)]
    return "\n".join(line[:600] for line in (found or lines)[:8])


def compiled_by_triton(capability: str, scratch: Path) -> None:
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
        raise Missing("Triton compiles a kernel, and there is no cubin of it.")


def compiled_by_flashinfer() -> None:
    """Build the sampler. It takes minutes once, and nothing where the engine's cache has it."""
    from flashinfer.jit.sampling import gen_sampling_module  # type: ignore[import-not-found]

    sampler = gen_sampling_module()
    sampler.build()
    if not Path(sampler.get_library_path()).is_file():
        raise Missing(f"FlashInfer has built no {sampler.get_library_path()}.")


def main(*given: str) -> int:
    lacks = list(missing())
    try:
        if not lacks:
            found = list(given) or capabilities()
            os.environ.setdefault("FLASHINFER_CUDA_ARCH_LIST", " ".join(found))
            with tempfile.TemporaryDirectory() as scratch:
                for each in found:
                    compiled_by_nvcc(each, Path(scratch))
                    compiled_by_triton(each, Path(scratch))
            newest = max(tuple(map(int, each.split("."))) for each in found)
            if newest >= SAMPLER:
                compiled_by_flashinfer()
    except Missing as error:
        lacks.append(str(error))
    except Exception as error:
        # Of the packages that compile: their own words say best what it was.
        text = _errors("".join(traceback.format_exception_only(error)))
        lacks.append(f"{text}\n{REBUILD.format(sys.prefix)}")
    for each in lacks:
        print(f"The engine cannot compile for its GPUs: {each}", file=sys.stderr)
    return 1 if lacks else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
