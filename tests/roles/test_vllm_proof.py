"""What makes a start of vLLM a good one, and what is said of a bad one."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from typing import Any

import pytest

from mirrorfleet.roles.vllm import render
from mirrorfleet.runtime.service import NEVER
from tests.roles import programs
from tests.standins.vllm import CALL, Engine, says, served

PROVE, EXPLAIN = (render.HERE / "files" / name for name in ("smoke_test.py", "diagnose.py"))

LEFT = says('<tool_call>\n{"name": "Bash", "arguments": {"command": "echo ready"}}\n</tool_call>')
WANTED = {"model": "tiny", "context": 131072, "parser": "hermes", "concurrency": None}


ME = pwd.getpwuid(os.getuid()).pw_name


def prove(engine: Engine, user: str = ME, **other: Any) -> subprocess.CompletedProcess[str]:
    with served(engine) as url:
        command = [sys.executable, "-I", str(PROVE), url, user]
        return programs.run(command, json.dumps(WANTED | other))


def test_a_call_streamed_and_not_and_the_room_is_told() -> None:
    engine = Engine()
    done = prove(engine)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "tiny: serves, with a KV cache of 262144 tokens, room for 2.00 full windows of 131072\n"
    )
    assert [body["stream"] for body in engine.asked] == [False, True]


def test_another_users_process_on_the_port_is_asked_nothing() -> None:
    engine = Engine()
    done = prove(engine, user="daemon")
    assert (done.returncode, done.stdout, engine.asked) == (1, "", [])


@pytest.mark.parametrize(
    ("engine", "other", "said"),
    [
        pytest.param(
            Engine(content=LEFT),
            {},
            "calls a tool, and the parser 'hermes' does not see it (not streamed)",
            id="the call is left as text",
        ),
        pytest.param(
            Engine(content=[], stop="end_turn"),
            {},
            "Another parser reads its calls: correct 'family', or write 'tool_parser' and "
            "'reasoning_parser'.",
            id="the call is swallowed",
        ),
        pytest.param(
            Engine(content=[{**CALL[0], "input": {}}]),
            {},
            "makes of it (not streamed) 'Bash' with {}",
            id="the arguments are lost",
        ),
        pytest.param(
            Engine(stop="end_turn"), {}, "stops for 'end_turn'", id="the client would not run it"
        ),
        pytest.param(Engine(cut=True), {}, "a stream ends in the middle", id="a stream is cut"),
        pytest.param(
            Engine(content=says("No."), forced=says("No."), stop="end_turn"),
            {},
            "write 'family: plain'; Claude Code cannot use them",
            id="there are no tools",
        ),
        pytest.param(
            Engine(window=65536),
            {},
            "has a window of 65536, and the fleet file says 131072",
            id="another window",
        ),
        pytest.param(
            Engine(),
            {"concurrency": 3},
            "room for 2.00 full windows of 131072, and the fleet file wants 3 at the same time. "
            "Write a context of 87381 or less",
            id="too little room",
        ),
        pytest.param(Engine(status=401), {}, "/v1/models is answered 401", id="another key"),
    ],
)
def test_one_that_does_not_serve_says_why(engine: Engine, other: Any, said: str) -> None:
    done = prove(engine, **other)
    assert (done.returncode, done.stdout) == (NEVER, "")
    assert said in done.stderr


def test_a_model_that_rather_talks_is_warned_of() -> None:
    done = prove(Engine(content=says("I could do that."), stop="end_turn", forced=CALL))
    assert (done.returncode, done.stderr) == (0, "")
    assert "warning: asked 3 times to call a tool, it talks instead" in done.stdout


def test_a_model_without_tools_has_to_answer_only() -> None:
    engine = Engine(content=says("Hello"), stop="end_turn")
    assert prove(engine, parser=None).returncode == 0
    assert not any("tools" in body for body in engine.asked)


def test_one_that_starts_is_waited_for() -> None:
    assert prove(Engine(status=503)).returncode == 1


LOGS = {
    "a window that the weights do not have": (
        "(APIServer pid=7) INFO 11-22 17:58:40 [config.py:12] Resolved architecture\n"
        "Traceback (most recent call last):\n"
        '  File "/x/pydantic/_internal/_dataclasses.py", line 121, in __init__\n'
        "    s.__pydantic_validator__.validate_python(ArgsKwargs(args, kwargs))\n"
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
        "  Value error, User-specified max_model_len (262144) is greater than the derived "
        "max_model_len (max_position_embeddings=131072.0)\n",
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
        "Value error, User-specified max_model_len (262144) is greater than the derived "
        "max_model_len (max_position_embeddings=131072.0)\n"
        "What to do: The weights were trained for a smaller window than the declared context. "
        "Write a context that is not above the derived max_model_len.\n",
    ),
    "a root below another": (
        "(EngineCore pid=9) ERROR 11-22 17:58:40 [core.py:1] EngineCore failed to start.\n"
        "(EngineCore pid=9) ERROR 11-22 17:58:40 [core.py:1] Traceback (most recent call last):\n"
        "(EngineCore pid=9) ERROR 11-22 17:58:40 [core.py:1] torch.OutOfMemoryError: CUDA out of "
        "memory. Tried to allocate 2.00 GiB.\n"
        "Traceback (most recent call last):\n"
        "RuntimeError: Engine core initialization failed. See root cause above.\n",
        "EngineCore failed to start.\n"
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n"
        "What to do: The GPUs' memory is too small for the weights and their work. Split the model "
        "over more GPUs (tensor_parallel), choose weights of fewer bits, or write a smaller "
        "max_num_seqs.\n",
    ),
    "the kernel ended it": (
        "INFO 11-22 17:58:40 [loader.py:3] Loading weights\n"
        "vllm.service: A process of this unit has been killed by the OOM killer.\n",
        "vllm.service: A process of this unit has been killed by the OOM killer.\n"
        "What to do: The host's own memory ran out while the engine started. Stop something else "
        "there, or give it more memory.\n",
    ),
    "weights that are not whole": (
        "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata\n",
        "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata\n"
        "What to do: The weights are not whole. Remove their directory, /srv/tiny, and run again: "
        "it is brought anew; a directory of your own, fetch again yourself.\n",
    ),
    "an option of another release": (
        "usage: vllm serve [model_tag] [options]\n"
        "vllm: error: unrecognized arguments: --enable-shm-tensor-arena\n",
        "vllm: error: unrecognized arguments: --enable-shm-tensor-arena\n"
        "What to do: This release of vLLM does not know this option, or this value of it. Correct "
        "'arguments', or choose another version.\n",
    ),
    "heads that the GPUs do not divide": (
        "pydantic_core.ValidationError: 1 validation error for VllmConfig\n"
        "  Value error, Total number of attention heads (32) must be divisible by tensor parallel "
        "size (3). [type=value_error]\n",
        "pydantic_core.ValidationError: 1 validation error for VllmConfig\n"
        "Value error, Total number of attention heads (32) must be divisible by tensor parallel "
        "size (3). [type=value_error]\n"
        "What to do: The model's attention or KV heads cannot be split over so many GPUs. Write a "
        "tensor_parallel that divides them evenly: 1, 2, 4 or 8 mostly.\n",
    ),
    "no compiler, told after all that it was started with": (
        "(EngineCore pid=9) ERROR 11-22 17:58:40 [dump_input.py:72] Dumping input data for V1 LLM "
        "engine (v0.31.0) with config: model='/srv/tiny', trust_remote_code=False\n"
        "(EngineCore pid=9) ERROR 11-22 17:58:40 [core.py:1] RuntimeError: Failed to find C "
        "compiler. Please specify via CC environment variable or set triton.knobs.build.impl.\n",
        "RuntimeError: Failed to find C compiler. Please specify via CC environment variable or "
        "set triton.knobs.build.impl.\n"
        "What to do: It compiles a part of itself on the host, which lacks a compiler or Python's "
        "headers: apt-get install g++ python3-dev.\n",
    ),
    "it starts still": (
        "INFO 11-22 17:58:40 [loader.py:3] Loading weights\n",
        "INFO 11-22 17:58:40 [loader.py:3] Loading weights\n",
    ),
    "it serves, and has said nothing of it": ("Application startup complete.\n", ""),
}


def explain(journal: str, nodes: int = 1) -> subprocess.CompletedProcess[str]:
    return programs.run([sys.executable, "-I", str(EXPLAIN), "/srv/tiny", str(nodes)], journal)


@pytest.mark.parametrize("name", LOGS)
def test_what_its_log_says(name: str) -> None:
    journal, told = LOGS[name]
    done = explain(journal)
    assert (done.returncode, done.stdout) == (0, told)


COMPILER = "the CUDA compiler of its environment is not complete. Run deploys/mirror.py"


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("RuntimeError: Could not find nvcc and default cuda_home='/usr/local/cuda'", COMPILER),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'ninja'", COMPILER),
        (
            "/x/cuda_runtime.h(5): error: #error directive: CUDA compiler and CUDA toolkit headers "
            "are incompatible, please check your include paths",
            COMPILER,
        ),
        ("RuntimeError: /usr/bin/ld: cannot find -lcudart: No such file or directory", COMPILER),
        ("RuntimeError: /usr/bin/ld: cannot find -lcuda: No such file or directory", COMPILER),
        ("RuntimeError: DeepGEMM backend is unavailable in the current environment", COMPILER),
        (
            "torch.AcceleratorError: CUDA error: no kernel image is available for execution",
            "needs compute capability 7.5 or newer",
        ),
        (
            "RuntimeError: CUDA unknown error - this may be due to an incorrectly set up "
            "environment",
            "nvidia-modprobe -c0 -u",
        ),
        (
            "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 802: system not yet "
            "initialized",
            "systemctl enable --now nvidia-fabricmanager",
        ),
        (
            "RuntimeError: NCCL error: unhandled cuda error. Cuda failure 802 'system not yet "
            "initialized'",
            "systemctl enable --now nvidia-fabricmanager",
        ),
        (
            "pynvml.NVMLError_LibRmVersionMismatch: NVMLError: Driver/library version mismatch",
            "the kernel still runs the former one. Reboot the host",
        ),
    ],
)
def test_a_start_that_failed_at_the_gpu_says_what_to_do(line: str, remedy: str) -> None:
    told = explain(f"(EngineCore pid=9) ERROR 11-22 17:58:40 [core.py:1] {line}\n").stdout
    [shown, advice] = told.splitlines()
    assert shown == line
    assert remedy in advice


def test_nccl_on_one_host_is_not_the_network() -> None:
    line = "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:94\n"
    assert "it is not the network" in explain(line).stdout
    assert "nodes of the model do not reach each other" not in explain(line).stdout
    assert "nodes of the model do not reach each other" in explain(line, nodes=2).stdout
