"""The table of model families, made from mirrorfleet/data/families.yml: docs/models.md."""

from __future__ import annotations

from collections.abc import Mapping

from mirrorfleet.data import table

HEAD = """\
# Model families

Made from [mirrorfleet/data/families.yml](../mirrorfleet/data/families.yml) by
`mirrorfleet schema --families`. `family` of a model on vLLM decides its parsers. For a model of
no family, write the parsers that its card names; with a family, each one written replaces that one
of the family:

```yaml
models:
  coder: {engine: vllm, tool_parser: qwen3_coder, reasoning_parser: qwen3, …}
```

A model with a `reasoning_parser` alone thinks, and has no tools.

"""

COLUMNS = (
    ("`family`", "models", "tool parser", "reasoning parser", "template", "settings", "sources"),
    ("---",) * 7,
)

FOOT = """
The parsers are those that vLLM 0.32.0 registers
([vllm_parsers.yml](../mirrorfleet/data/vllm_parsers.yml), which the lab compares with the package).
In our lab a tiny model of the family `hermes` calls tools; the weights of the others are too large
for it. vLLM's own parsers of `qwen3.5`, `qwen3.6` and `qwen3.8` read there what these models write.
For the rest, the table is the word of its sources. Each start proves it: a model with the wrong
parser does not serve, and the run says so
([how it works](how-it-works.md#when-a-vllm-serves)).

A chat template that is named comes with vLLM's sources, in `examples/`, not with its package: put
it on the hosts and write `arguments: {chat-template: /srv/templates/…}`. Settings go below
`arguments`, too. All other families bring their template with the weights.

Sources: [tools](https://docs.vllm.ai/en/latest/features/tool_calling/) and
[reasoning](https://docs.vllm.ai/en/latest/features/reasoning_outputs/), pages of vLLM's
documentation; *recipes*, [vLLM's recipes](https://github.com/vllm-project/recipes); *vendor*, the
card of the model; *registry*, the name under which vLLM 0.32.0 registers a parser for the family.
"""


def markdown() -> str:
    """Return the page."""
    rows = list(COLUMNS)
    for name, family in table("families").items():
        cells = (
            f"`{name}`",
            family["models"],
            *(_code(family, key, "none") for key in ("tool_parser", "reasoning_parser")),
            _code(family, "template", "its own"),
            family.get("settings", ""),
            ", ".join(family["sources"]),
        )
        rows.append(cells)
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows) + FOOT


def _code(family: Mapping[str, str], key: str, otherwise: str) -> str:
    return f"`{family[key]}`" if key in family else otherwise
