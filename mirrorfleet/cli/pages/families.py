"""docs/reference/models.md: the table of model families, from mirrorfleet/data/families.yml."""

from __future__ import annotations

from collections.abc import Mapping

from mirrorfleet.data import table

HEAD = """\
# Model families

`family` of a model on vLLM decides its parsers. If a model has no family here, set the parsers
that its card names. With a family, each parser that you set replaces the one of the family:

```yaml
models:
  coder: {family: qwen3-coder, tool_parser: qwen3_xml}
```

A model with only a `reasoning_parser` thinks and has no tools. The table is generated from
`mirrorfleet/data/families.yml` by `mirrorfleet schema --families`.

"""

COLUMNS = (
    ("`family`", "models", "tool parser", "reasoning parser", "template", "settings", "sources"),
    ("---",) * 7,
)

FOOT = """
The parsers are those that vLLM 0.32.0 registers (`mirrorfleet/data/vllm_parsers.yml`, which the
lab compares with the package). In the lab a tiny model of the family `hermes` calls tools; the
weights of the others are too large for it. There, vLLM's own parsers of `qwen3.5`, `qwen3.6` and
`qwen3.8` read what these models write. All other rows come from their sources. Each start proves
them: a model with the wrong parser does not serve, and the run says so
([how engines are proved](../explanation/engines.md#vllm-after-the-start)).

If the table names a chat template, it comes with vLLM's sources, in `examples/`, not with its
package: copy it to the hosts and set `arguments: {chat-template: /srv/templates/NAME}`. Settings
belong under `arguments`, too. All other families have their template in the weights.

Sources: *tools* and *reasoning* are the pages
[tool calling](https://docs.vllm.ai/en/latest/features/tool_calling/) and
[reasoning outputs](https://docs.vllm.ai/en/latest/features/reasoning_outputs/) of vLLM's
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
