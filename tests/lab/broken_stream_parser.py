"""A tool parser of vLLM that breaks in streams only: it leaves calls in the text.

Loaded with --tool-parser-plugin. Real parsers have had such faults, but none of this release fails
on the tiny model.
"""

from typing import Any

from vllm.entrypoints.generate.base.protocol import DeltaMessage
from vllm.tool_parsers.abstract_tool_parser import ToolParserManager
from vllm.tool_parsers.hermes_tool_parser import Hermes2ProToolParser


@ToolParserManager.register_module("hermes_without_streams")
class WithoutStreams(Hermes2ProToolParser):  # type: ignore[misc]
    def extract_tool_calls_streaming(
        self, previous_text: str, current_text: str, delta_text: str, *_: Any, **__: Any
    ) -> Any:
        return DeltaMessage(content=delta_text)
