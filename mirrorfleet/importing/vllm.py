"""Commands of vLLM: `vllm serve`, its older module, and the arguments of its container."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mirrorfleet.checks.vllm.parsers import family_named
from mirrorfleet.data import table
from mirrorfleet.importing.draft import Draft, plain
from mirrorfleet.importing.engine import HERE, Engine, Option, options, tokens
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.hidden import Hidden, referred
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.parts import Part
from mirrorfleet.importing.releases import VLLM
from mirrorfleet.importing.vllm_arguments import argument, inner_argument
from mirrorfleet.importing.vllm_environment import variable

REVISION = "0" * 40
"""The placeholder of a commit, which no repository has."""

WEIGHTS = "/srv/models/MODEL"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
OUTPUT = 16384
"""Tokens of an answer, if nothing limits it."""

LEAST = 4096
"""The smallest window of a model that answers; one for embeddings can have a smaller one."""

SMALL = f"a window of at least {LEAST} tokens is needed"


def start(words: list[Node]) -> int | None:
    """Return where the arguments of vLLM begin in a command; ``None`` if it does not start vLLM."""
    for at, word in enumerate(words):
        text, after = word.text, words[at + 1].text if at + 1 < len(words) else ""
        if re.search(r"(^|/)vllm$", text) and after == "serve":
            return at + 2
        if text == "-m" and after.startswith("vllm.entrypoints"):
            return at + 2
        if (
            re.search(r"(^|/)vllm(-openai)?(:|@|$)", text)
            and "/" in text
            and not text.startswith("/")
        ):
            return at + 1
    return None


def engine(
    draft: Draft,
    entry: Node,
    words: list[Node],
    variables: Mapping[str, Node],
    paths: Mapping[str, str],
    others: Mapping[str, Node] | None = None,
) -> Engine:
    """Read the arguments and the environment of one vLLM.

    ``paths``: directories of the host by those of the container. ``others``: variables that only
    the command can refer to.
    """
    found = Engine("model", entry, kind="vllm", ports={8000})
    found.data["engine"] = "vllm"
    known = {**(others or {}), **variables}
    lookup = {name: node.text for name, node in known.items() if node.text}
    used: set[str] = set()
    named = [
        each for each in options(words, lookup) if each.name in ("served-model-name", "model", "")
    ]
    first = next(
        (
            each.text
            for each in sorted(named, key=lambda each: each.name, reverse=True)
            if each.text
        ),
        "",
    )
    found.name = plain((first or "model").rstrip("/").rpartition("/")[2])
    for option in options(words, lookup, used):
        _option(found, draft, option, paths)
    for name, node in known.items():
        if name in used:
            found.drop(node, "the command uses it", Fate.FOLDED)
        elif name in variables:
            variable(found, draft, name, node)
    found.default("version", VLLM, "the release that has a lock file here")
    found.ask(
        "weights",
        {"path": WEIGHTS},
        "the model: a repository with its revision, or {path: DIRECTORY}",
    )
    weights = found.data["weights"]
    if isinstance(weights, str) and "revision" not in found.data:
        found.ask("revision", REVISION, f"the commit of {weights}, all 40 digits")
    found.others = list(found.served)
    served = found.served or [weights if isinstance(weights, str) else str(weights.get("path", ""))]
    found.served = served
    found.name = plain(served[0].rstrip("/").rpartition("/")[2])
    if found.data.get("task") == "embed" and "rerank" in f"{weights} {served}".lower():
        found.data["task"] = "rerank"  # `--runner pooling` is for both
    if found.data.get("task") is None:
        if found.data.get("context", LEAST) < LEAST:
            found.reopen("context", SMALL)
        _family(found, weights)
        found.ask("context", 65536, "the context window in tokens (vLLM's --max-model-len)")
    else:
        found.ask("context", 8192, "the context window in tokens (vLLM's --max-model-len)")
    split = [
        found.data.get(key, 1) for key in ("tensor_parallel", "pipeline_parallel", "data_parallel")
    ]
    found.gpus = split[0] * split[1] * split[2]
    return found


def _family(found: Engine, weights: Any) -> None:
    source = weights if isinstance(weights, str) else str(weights.get("path", ""))
    if "tool_parser" in found.data or "reasoning_parser" in found.data:
        return
    family = family_named(source) or next(filter(None, map(family_named, found.served)), "")
    if family:
        found.default("family", family, "by the name of the model: it selects the parsers")
    else:
        found.default("family", "plain", "no parser of tool calls is set: Claude Code needs one")


def finish(found: Engine) -> None:
    """Add the length of answers, which LiteLLM's configuration may have had."""
    if found.kind == "vllm" and found.data.get("task") is None:
        limit = min(OUTPUT, found.data["context"] // 4)
        found.default(
            "output", max(limit, 256), "the longest answer; a quarter of the window at most"
        )


NUMBERS = {
    "tensor-parallel-size": ("tensor_parallel", 1),
    "pipeline-parallel-size": ("pipeline_parallel", 1),
    "data-parallel-size": ("data_parallel", 1),
    "max-num-seqs": ("max_num_seqs", None),
    "port": ("port", 8000),
}
"""Options with a whole number, each with its key and the key's default."""

TAKEN = (
    *("model", "max-model-len", "tensor-parallel-size", "pipeline-parallel-size", "port", "dtype"),
    *("data-parallel-size", "max-num-seqs", "gpu-memory-utilization", "tool-call-parser"),
    *("reasoning-parser", "quantization", "kv-cache-dtype", "revision", "runner"),
)
"""Options with a key of their own in the fleet file, which a variable leaves open."""

WORDS = {
    "tool-call-parser": "tool_parser",
    "reasoning-parser": "reasoning_parser",
    "dtype": "dtype",
    "quantization": "quantization",
    "kv-cache-dtype": "kv_cache_dtype",
}


def _option(found: Engine, draft: Draft, option: Option, paths: Mapping[str, str]) -> None:
    name, text = option.name, option.text
    known, arguments = table("vllm_arguments"), table(f"vllm_known/{VLLM}")["arguments"]
    if name == "api-key" and option.values:
        value = option.values[0]
        named = None if option.inline else referred(value.value)
        hidden = value.value if isinstance(value.value, Hidden) else Hidden(-2)
        reference = {"env": named} if named else draft.reference(hidden, f"{found.name}_ENGINE_KEY")
        _set(found, "api_key", reference, option)
    elif text is None and (
        name == "served-model-name" or (name in known["derived"] and name not in TAKEN)
    ):
        _drop(found, option, "depends on a variable, and the fleet file has its own value")
    elif text is None:
        key = "weights" if name in ("", "model") else name
        _drop(found, option, f"depends on a variable: write {key}", Fate.OPEN)
    elif name in ("", "model") and "weights" not in found.data and text:
        if not text.startswith("/") and not REPOSITORY.fullmatch(text):
            _drop(
                found,
                option,
                "write weights: a repository with its revision, or a directory",
                Fate.OPEN,
            )
            found.served = found.served or [text]
            return
        _set(found, "weights", _weights(text, paths), option)
    elif name == "":
        _drop(found, option, "is not an option of vllm serve")
    elif name == "host" and text and text not in HERE:
        found.address = text
        _drop(found, option, "the address of the engine's host", Fate.DERIVED)
    elif name == "served-model-name":
        found.served = [
            value.text.partition("=")[2] if option.inline else value.text for value in option.values
        ]
        _set(found, "hosts", None, option, "the name of the model")
        del found.data["hosts"]
    elif name == "max-model-len":
        window = tokens(text)
        if window and window >= 64:
            _set(found, "context", window, option)
        else:
            _drop(found, option, SMALL, Fate.OPEN)
    elif name in NUMBERS and text.isdecimal():
        key, default = NUMBERS[name]
        if name == "port":
            found.ports = {int(text)}
        if int(text) == default:
            _drop(found, option, "the default of the fleet file", Fate.DERIVED)
        else:
            _set(found, key, int(text), option)
    elif name == "gpu-memory-utilization" and re.fullmatch(r"0?\.\d+|1(\.0+)?", text):
        if float(text) > 0.99:
            _drop(found, option, "0.99 is the most: the default, 0.9, is used")
        elif float(text) == 0.9:
            _drop(found, option, "the default of the fleet file", Fate.DERIVED)
        else:
            _set(found, "gpu_memory_utilization", float(text), option)
    elif name in WORDS and text:
        _set(found, WORDS[name], text, option)
    elif name == "revision" and re.fullmatch("[0-9a-f]{40}", text):
        _set(found, "revision", text, option)
    elif name in ("task", "runner", "convert") and text in TASKS:
        _set(found, "task", TASKS[text], option)
    elif name == "chat-template" and text.startswith("/"):
        _drop(
            found,
            option,
            "a file of the host: put it beside the fleet file as chat_template",
            Fate.OPEN,
        )
    elif name in known["derived"]:
        reported = known["derived"][name]
        derived = name in (
            "host",
            "enable-auto-tool-choice",
            "hf-config-path",
            "headless",
        ) or text in ("auto", "generate")
        _drop(found, option, reported, Fate.DERIVED if derived else Fate.LEFT_OUT)
    elif not {name, name.removeprefix("no-")}.isdisjoint(arguments):
        found.data.setdefault("arguments", {})[name] = argument(text)
        for word in option.words:
            found.parts.append(Part(word, ("arguments", name)))
    elif "." in name and name.partition(".")[0] in arguments:
        inner_argument(found, option, name.split("."), text)
    else:
        _drop(found, option, f"vLLM {VLLM} has no option of this name")


TASKS = {
    "embed": "embed",
    "embedding": "embed",
    "pooling": "embed",
    "score": "rerank",
    "rerank": "rerank",
}


def _weights(text: str, paths: Mapping[str, str]) -> Any:
    for inside, outside in sorted(paths.items(), key=lambda each: -len(each[0])):
        if text == inside or text.startswith(f"{inside}/"):
            return {"path": outside + text.removeprefix(inside)}
    return {"path": text.rstrip("/") or "/"} if text.startswith("/") else text


def _set(found: Engine, key: str, value: Any, option: Option, reason: str = "") -> None:
    found.data[key] = value
    for word in option.words:
        found.parts.append(Part(word, (key,), Fate.TAKEN, reason))


def _drop(found: Engine, option: Option, reason: str, fate: Fate = Fate.LEFT_OUT) -> None:
    for word in option.words:
        found.drop(word, reason, fate)
