"""One conversation of the real client in which the troubles of a day occur in turn: it goes on.

A screenshot and a PDF at a model that reads text only, a tool search, a web search and the death of
the engine. All parts are real but the search service and the words of the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from mirrorfleet.jobs.verify import day_turns
from tests.lab import look
from tests.lab.conversation import Json, blocks, conversation
from tests.lab.hosts import GATEWAY
from tests.standins.searxng import ADDRESS, SearXNG, searxng

PORT = 8097
WORKERS = "  workers: 2\n"
SEARCH = f"  web_search: {{service: searxng, url: 'http://{GATEWAY.ip}:{PORT}'}}\n"
UNIT = "mirrorfleet-vllm-tiny.service"

# Derived settings turn tool search off for models that are not Claude; developers can turn it on.
OPTIONS = (
    *("--settings", json.dumps({"env": {"ENABLE_TOOL_SEARCH": "true"}})),
    *("--allowedTools", "WebSearch", "ToolSearch", "Bash"),
)
PICTURE, DOCUMENT, _ = day_turns.pasted()["message"]["content"]
PLAIN = "makes every machine of the fleet agree"


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearXNG]:
    """Deploy the lab with a search service, which runs on this machine; restore it at the end."""
    fleet = look.variant(tmp_path_factory.mktemp("search"), WORKERS, WORKERS + SEARCH)
    try:
        done = look.mirror(fleet=fleet)
        assert done.returncode == 0, done.stdout + done.stderr
        with searxng(str(GATEWAY.ip), PORT) as found:
            yield found
    finally:
        assert look.mirror().returncode == 0


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def result(events: list[Json]) -> str:
    """Return the words of the model. The turn must have succeeded."""
    assert not events[-1]["is_error"], events[-1]
    return str(events[-1]["result"])


def invocation() -> str:
    return look.run("gpu", f"systemctl show -p InvocationID --value {UNIT}")


def test_a_conversation_goes_on_after_each_trouble_of_a_day(service: SearXNG) -> None:
    with conversation(*OPTIONS) as session:
        for block in (PICTURE, DOCUMENT):
            with look.journal("gw-1", "-u", "mirrorfleet-front") as log:
                assert PLAIN in result(session.send([block, text("What is this?")]))
            assert look.turns(log)[-2:] == ["400", "200"], "the client has taken the block out"

        events = session.send("Please find a tool for the web.")
        assert result(events)
        assert [call["name"] for call in blocks(events, "tool_use")] == ["ToolSearch"]
        assert "tool_reference" in json.dumps(blocks(events, "tool_result"))

        events = session.send("Please search the web for it.")
        assert "I see the result" in result(events)
        assert [call["name"] for call in blocks(events, "tool_use")] == ["WebSearch"]
        assert ADDRESS in json.dumps(blocks(events, "tool_result"))
        assert service.queries == ["release of mirrorfleet"]

        before = invocation()
        look.run("gpu", f"systemctl kill -s KILL {UNIT}")
        with look.journal("gw-1", "-u", "mirrorfleet-front") as log:
            assert PLAIN in result(session.send("And what does Mirrorfleet do?"))
        assert invocation() != before
        statuses = look.turns(log)
        assert statuses[-1] == "200"
        assert len(statuses) > 1, "the client has repeated the turn while the engine started"

        events = session.send("Please leave a note.")
        assert "I left a note" in result(events)
        assert [call["name"] for call in blocks(events, "tool_use")] == ["Bash"]
    look.run("dev", "rm /home/ada/mirrorfleet-note.txt")
