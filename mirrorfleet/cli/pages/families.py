"""docs/reference/models.md: the table of model families, from mirrorfleet/data/families.yml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mirrorfleet.data import table

HEAD = """\
# Model families

Generated from `mirrorfleet/data/families.yml` by `mirrorfleet schema --families`. `family` of a
model on vLLM decides its parsers. If a model has no family here, set the parsers that its card
names. With a family, each parser that you set replaces the one of the family:

```yaml
models:
  coder: {family: qwen3-coder, tool_parser: qwen3_xml}
```

A model with a `reasoning_parser` alone thinks, and has no tools.

"""

COLUMNS = (
    "`family`",
    "models",
    "tool parser",
    "reasoning parser",
    "thinking",
    "vision",
    "needs",
    "notes",
    "sources",
)

FOOT = """
**Parsers** are those that vLLM 0.32.0 registers
(`mirrorfleet/data/vllm_known/0.32.0.yml`). The lab compares that list with the
package. It also has vLLM's own parsers read what the models of each family write: whole, token by
token, and several tokens at a time, as with speculative decoding. It compares the result with what
a client must receive (`tests/lab/families/`). A tiny
model of the family `hermes` calls tools there; the weights of the others are too large for it.
At each start, an engine proves its parsers: a model with the wrong one does not serve, and the run
reports it ([how engines are proved](../explanation/engines.md#vllm-after-the-start)).

**Thinking**: *always*, or the default of the chat template and the arguments that switch it. The
gateway writes these arguments into requests, so on, off and effort mean what the client requests.
*Effort* lists the values of `reasoning_effort` that the models know.
[Abilities](../how-to/abilities.md) describes the rules.

**Vision**: the models that read images. If only some models of a family do, the name of the weights
decides.

**Needs**: an engine gets these options, unless `arguments` of the model says another value;
`mirrorfleet why KEY` shows where each one comes from. `trust-remote-code` runs programs that
come with the weights: review them first. A chat template that is named comes with vLLM's sources,
in `examples/`, not with its package. Save it beside the fleet file and write
[`chat_template`](../how-to/models-on-vllm.md#use-another-chat-template). All other families bring
their template with the weights.

**Notes** begin with what vLLM 0.32.0 gets wrong; the lab shows each fault. Claude Code always
streams, and models often write text before a call: prefer families without such a note. While a
model writes a call that arrives whole, the client receives nothing of it: for a large file, this
takes minutes.

**Sources**: [tools](https://docs.vllm.ai/en/latest/features/tool_calling/) and
[reasoning](https://docs.vllm.ai/en/latest/features/reasoning_outputs/), pages of vLLM's
documentation; *recipes*, [vLLM's recipes](https://github.com/vllm-project/recipes); *vendor*, the
vendor's card or documentation of the model; *registry*, the source of vLLM 0.32.0: the name of a
parser, what it reads, and the template arguments that it knows.
"""


def markdown() -> str:
    """Return the page."""
    rows = [COLUMNS, ("---",) * len(COLUMNS)]
    rows += [_row(name, family) for name, family in table("families").items()]
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows) + FOOT


def _row(name: str, family: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"`{name}`",
        ", ".join(family["models"]),
        *(_code(family.get(f"{kind}_parser")) for kind in ("tool", "reasoning")),
        "; ".join(_thinking(family.get("thinking"))),
        _vision(family),
        "; ".join(_needs(family)),
        " ".join(family[key] for key in ("limits", "note") if key in family),
        ", ".join(family["sources"]),
    )


def _vision(family: Mapping[str, Any]) -> str:
    """Return the models that read images; "all" if these are all models of the family."""
    seeing = family.get("vision", [])
    return "all" if seeing and {*family["models"]} <= {*seeing} else ", ".join(seeing) or "none"


def _code(text: str | None) -> str:
    return "none" if text is None else f"`{text}`"


def _thinking(thinking: Mapping[str, Any] | None) -> Iterator[str]:
    if thinking is None:
        yield "none"
    elif thinking["mode"] == "always":
        yield "always"
    else:
        yield {"enabled": "on", "disabled": "off"}.get(thinking["default"], "the model decides")
        for state, word in (("enabled", "on"), ("disabled", "off")):
            if state in thinking and state != thinking["default"]:
                yield f"{word} by `{_arguments(thinking[state])}`"
    if thinking is not None and "always" in thinking:
        yield f"always: {', '.join(thinking['always'])}"
    if thinking is not None and "efforts" in thinking:
        yield f"effort {', '.join(thinking['efforts'])}"


def _needs(family: Mapping[str, Any]) -> Iterator[str]:
    if "template" in family:
        yield f"`{family['template']}`"
    yield from (
        f"`{_arguments({key: value})}`" for key, value in family.get("arguments", {}).items()
    )


def _arguments(arguments: Mapping[str, Any]) -> str:
    """Write arguments as a fleet file does."""
    return ", ".join(
        f"{key}: {{{_arguments(value)}}}" if isinstance(value, Mapping) else f"{key}: {value}"
        for key, value in arguments.items()
    )
