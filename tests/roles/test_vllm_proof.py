"""The smoke test of vLLM, and the diagnosis of a failed start."""

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

SMOKE_TEST, DIAGNOSE = (render.HERE / "files" / name for name in ("smoke_test.py", "diagnose.py"))

UNPARSED = says(
    '<tool_call>\n{"name": "Bash", "arguments": {"command": "echo ready"}}\n</tool_call>'
)
EXPECTED = {"model": "tiny", "context": 131072, "parser": "hermes", "concurrency": None}


ME = pwd.getpwuid(os.getuid()).pw_name


def smoke_test(engine: Engine, user: str = ME, **other: Any) -> subprocess.CompletedProcess[str]:
    with served(engine) as url:
        command = [sys.executable, "-I", str(SMOKE_TEST), url, user]
        return programs.run(command, json.dumps(EXPECTED | other))


def test_it_tests_calls_with_and_without_a_stream_and_reports_the_cache() -> None:
    engine = Engine()
    done = smoke_test(engine)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "tiny: serves, with a KV cache of 262144 tokens, room for 2.00 full windows of 131072\n"
    )
    assert [body["stream"] for body in engine.asked] == [False, True]


def test_another_users_process_on_the_port_gets_no_request() -> None:
    engine = Engine()
    done = smoke_test(engine, user="daemon")
    assert (done.returncode, done.stdout, engine.asked) == (1, "", [])


@pytest.mark.parametrize(
    ("engine", "other", "message"),
    [
        pytest.param(
            Engine(content=UNPARSED),
            {},
            "calls a tool, but the parser 'hermes' does not recognize the call (not streamed)",
            id="the call stays text",
        ),
        pytest.param(
            Engine(content=[], stop="end_turn"),
            {},
            "Its calls need another parser: correct 'family', or set 'tool_parser' and "
            "'reasoning_parser'.",
            id="the call is missing",
        ),
        pytest.param(
            Engine(content=[{**CALL[0], "input": {}}]),
            {},
            "returns 'Bash' with {} (not streamed)",
            id="the arguments are missing",
        ),
        pytest.param(
            Engine(stop="end_turn"),
            {},
            "with stop_reason 'end_turn'",
            id="the client would not run it",
        ),
        pytest.param(
            Engine(cut=True), {}, "ends a stream before its last event", id="a stream is cut"
        ),
        pytest.param(
            Engine(content=says("No."), forced=says("No."), stop="end_turn"),
            {},
            "set 'family: plain'; Claude Code cannot use them",
            id="there are no tools",
        ),
        pytest.param(
            Engine(window=65536),
            {},
            "has a window of 65536, but the fleet file has context 131072",
            id="another window",
        ),
        pytest.param(
            Engine(),
            {"concurrency": 3},
            "room for 2.00 full windows of 131072, but the fleet file needs 3 at the same time. "
            "Set context to 87381 or less",
            id="the cache is too small",
        ),
        pytest.param(Engine(status=401), {}, "answers /v1/models with 401", id="another key"),
    ],
)
def test_a_failure_reports_its_cause_and_remedy(engine: Engine, other: Any, message: str) -> None:
    done = smoke_test(engine, **other)
    assert (done.returncode, done.stdout) == (NEVER, "")
    assert message in done.stderr


def test_a_model_that_answers_with_text_is_a_warning() -> None:
    done = smoke_test(Engine(content=says("I could do that."), stop="end_turn", forced=CALL))
    assert (done.returncode, done.stderr) == (0, "")
    assert "warning: answers 3 requests for a tool call with text" in done.stdout


def test_a_model_without_tools_must_only_answer() -> None:
    engine = Engine(content=says("Hello"), stop="end_turn")
    assert smoke_test(engine, parser=None).returncode == 0
    assert not any("tools" in body for body in engine.asked)


def test_an_engine_that_starts_is_not_a_failure() -> None:
    assert smoke_test(Engine(status=503)).returncode == 1


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
        "Set context to the derived max_model_len or less.\n",
    ),
    "a cause with a secondary error": (
        "(EngineCore pid=9) ERROR 11-22 17:58:40 [core.py:1] EngineCore failed to start.\n"
        "(EngineCore pid=9) ERROR 11-22 17:58:40 [core.py:1] Traceback (most recent call last):\n"
        "(EngineCore pid=9) ERROR 11-22 17:58:40 [core.py:1] torch.OutOfMemoryError: CUDA out of "
        "memory. Tried to allocate 2.00 GiB.\n"
        "Traceback (most recent call last):\n"
        "RuntimeError: Engine core initialization failed. See root cause above.\n",
        "EngineCore failed to start.\n"
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n"
        "What to do: The GPU memory is too small for the weights and the activations. Split the "
        "model over more GPUs (tensor_parallel), choose weights of fewer bits, or set a smaller "
        "max_num_seqs.\n",
    ),
    "the kernel ended it": (
        "INFO 11-22 17:58:40 [loader.py:3] Loading weights\n"
        "vllm.service: A process of this unit has been killed by the OOM killer.\n",
        "vllm.service: A process of this unit has been killed by the OOM killer.\n"
        "What to do: The host's main memory was full during the start of the engine. Stop other "
        "services there, or add memory.\n",
    ),
    "weights that are not complete": (
        "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata\n",
        "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata\n"
        "What to do: The weights are not complete. Remove their directory, /srv/tiny, and run "
        "again, which downloads them; copy a directory of your own again yourself.\n",
    ),
    "an option of another release": (
        "usage: vllm serve [model_tag] [options]\n"
        "vllm: error: unrecognized arguments: --enable-shm-tensor-arena\n",
        "vllm: error: unrecognized arguments: --enable-shm-tensor-arena\n"
        "What to do: This release of vLLM does not have this option, or this value of it. Correct "
        "'arguments', or choose another version.\n",
    ),
    "heads that the GPUs do not divide": (
        "pydantic_core.ValidationError: 1 validation error for VllmConfig\n"
        "  Value error, Total number of attention heads (32) must be divisible by tensor parallel "
        "size (3). [type=value_error]\n",
        "pydantic_core.ValidationError: 1 validation error for VllmConfig\n"
        "Value error, Total number of attention heads (32) must be divisible by tensor parallel "
        "size (3). [type=value_error]\n"
        "What to do: The model's attention or KV heads cannot be split over this number of GPUs. "
        "Set a tensor_parallel that divides them evenly, usually 1, 2, 4 or 8.\n",
    ),
    "no compiler, after a dump of the configuration": (
        "(EngineCore pid=9) ERROR 11-22 17:58:40 [dump_input.py:72] Dumping input data for V1 LLM "
        "engine (v0.31.0) with config: model='/srv/tiny', trust_remote_code=False\n"
        "(EngineCore pid=9) ERROR 11-22 17:58:40 [core.py:1] RuntimeError: Failed to find C "
        "compiler. Please specify via CC environment variable or set triton.knobs.build.impl.\n",
        "RuntimeError: Failed to find C compiler. Please specify via CC environment variable or "
        "set triton.knobs.build.impl.\n"
        "What to do: vLLM compiles a part of itself on the host, and needs a compiler and Python's "
        "headers: apt-get install g++ python3-dev.\n",
    ),
    "it is still starting": (
        "INFO 11-22 17:58:40 [loader.py:3] Loading weights\n",
        "INFO 11-22 17:58:40 [loader.py:3] Loading weights\n",
    ),
    "it serves, without an error": ("Application startup complete.\n", ""),
}


def diagnose(journal: str, nodes: int = 1) -> subprocess.CompletedProcess[str]:
    return programs.run([sys.executable, "-I", str(DIAGNOSE), "/srv/tiny", str(nodes)], journal)


@pytest.mark.parametrize("name", LOGS)
def test_a_journal_gives_its_errors_and_remedies(name: str) -> None:
    journal, diagnosis = LOGS[name]
    done = diagnose(journal)
    assert (done.returncode, done.stdout) == (0, diagnosis)


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
def test_a_gpu_error_has_a_remedy(line: str, remedy: str) -> None:
    output = diagnose(f"(EngineCore pid=9) ERROR 11-22 17:58:40 [core.py:1] {line}\n").stdout
    [shown, advice] = output.splitlines()
    assert shown == line
    assert remedy in advice


def test_nccl_on_one_host_is_not_the_network() -> None:
    line = "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:94\n"
    assert "it is not the network" in diagnose(line).stdout
    assert "nodes of the model cannot reach each other" not in diagnose(line).stdout
    assert "nodes of the model cannot reach each other" in diagnose(line, nodes=2).stdout
