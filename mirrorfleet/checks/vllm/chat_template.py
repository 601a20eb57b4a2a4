"""Chat templates: files that are no templates, and families that need one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from mirrorfleet.config import Fleet, reading
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.engines.placement import models_of
from mirrorfleet.engines.vllm import families

LARGEST = 1024**2
"""Most bytes of a template; those of vLLM's examples have up to 20,000."""

SOURCE = "https://raw.githubusercontent.com/vllm-project/vllm/v{version}/examples/{name}"
"""Where a release of vLLM has its templates; the package does not have them."""


class Generation(Extension):
    """The tag ``{% generation %}``, which Transformers adds for training."""

    tags = {"generation"}  # noqa: RUF012 - as the base class declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


_LANGUAGE = Environment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
)
"""The dialect of chat templates, as Transformers compiles them."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, VllmModel):
        key: Key = ("models", model.name, "chat_template")
        if model.chat_template:
            if "chat-template" in model.arguments:
                yield fleet.document.problem(
                    (*key[:2], "arguments", "chat-template"),
                    "is set in 'chat_template', too.",
                    "Keep one of the two.",
                )
            yield from _template(fleet, key, model.chat_template)
        elif name := families.template(model):
            yield fleet.document.warning(
                (*key[:2], "family"),
                f"'{model.family}' needs the chat template {name}, which vLLM's package does not "
                "contain: with that of the weights, tool calls can fail.",
                f"Save {SOURCE.format(version=model.version, name=name)} beside this file, and "
                f"write chat_template: {name}.",
                given=(key,),
            )


def _template(fleet: Fleet, key: Key, path: Path) -> Iterator[Problem]:
    """Yield why a file is no chat template."""
    name = fleet.document.data["models"][key[1]]["chat_template"]
    try:
        text = reading.text(path, LARGEST)
    except reading.Unreadable as error:
        yield fleet.document.problem(key, f"'{name}': {error.mistake}", error.remedy)
        return
    try:
        _LANGUAGE.parse(text)
    except TemplateSyntaxError as error:
        yield fleet.document.problem(
            key, f"'{name}', line {error.lineno}: {error.message}.", "Correct the template."
        )
    except RecursionError:
        yield fleet.document.problem(key, f"'{name}': nested too deeply.", "Correct the template.")
    else:
        if not text.strip():
            yield fleet.document.problem(key, f"'{name}' is empty.", "Write the template.")
