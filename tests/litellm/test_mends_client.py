"""The real Claude Code with images, PDFs and tool calls that a model or its engine cannot take.

Through the real LiteLLM. Skipped if the pinned client is not in the cache.
"""

from __future__ import annotations

import json
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.roles.claude.user_settings import assignment_of
from tests.litellm import ollama
from tests.litellm.gateway import Gateway, planned, serving
from tests.litellm.ollama import REAL, Engine
from tests.litellm.test_mends import PIXEL
from tests.litellm.upstream import Upstream
from tests.roles.real_client import needed, unpacked
from tests.roles.recorder import ANSWER, Recorder, calls, recorder
from tests.standins.ollama import program
from tests.waiting import limited

pytestmark = [
    needed,
    pytest.mark.client,
    pytest.mark.skipif(bool(REAL), reason="needs the stand-in, which calls tools on request"),
]

WINDOW = 65536

FLEET = """\
version: 1
name: mends
hosts: {box: {address: 10.0.0.2}, gw: {address: 10.0.0.1}, dev: {address: 10.0.0.3}}
models:
  coder: &vllm
    {engine: vllm, url: "http://10.0.9.1:8000", family: hermes, context: 131072, output: 8192}
  seer: {<<: *vllm, url: "http://10.0.9.2:8000", vision: true}
  local:
    {engine: ollama, url: "http://10.0.0.2:11434", served_name: coder, context: 65536, output: 8192}
aliases: {sonnet: coder, opus: coder, haiku: coder}
gateway: {hosts: [gw], version: "1.106.12", master_key: {env: MASTER_KEY}, metrics: {}URL}
developers:
  team: {hosts: [dev], users: [ada], model: sonnet, version: 2.1.331, key: {env: TEAM_KEY}}
"""

PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj
trailer<</Root 1 0 R>>
%%EOF
"""

Json = dict[str, Any]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with unpacked(tmp_path_factory.mktemp("client")) as found:
        yield found


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with ollama.engine(tmp_path_factory.mktemp("engine"), WINDOW) as found:
        yield found


@pytest.fixture(scope="module")
def vllm() -> Iterator[Recorder]:
    with recorder() as found:
        yield found


@pytest.fixture(scope="module")
def gateway(
    engine: Engine, vllm: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("gateway")
    path = directory / "fleet.yml"
    path.write_text(FLEET.replace("URL", ""))
    at = ollama.At(Upstream(vllm.url), engine.url)
    with serving(planned(path), at, directory) as found:
        yield found


@pytest.fixture
def home(gateway: Gateway, vllm: Recorder, tmp_path: Path) -> Path:
    """Return the home of a developer, with the files of a run."""
    vllm.asked.clear()
    vllm.answer = lambda _: ANSWER
    path = tmp_path / "fleet.yml"
    path.write_text(FLEET.replace("URL", f", url: '{gateway.url}'"))
    clients = fleet.plan(fleet.load(path)).hosts["dev"].clients
    assert clients
    [ada] = clients.users
    home, where = tmp_path / "home", assignment_of(ada)
    (home / where.directory).mkdir(parents=True)
    (home / where.key).write_text(gateway.key)
    (home / where.state).write_bytes(written(ada.state))
    (home / where.settings).write_bytes(written(ada.settings))
    (home / "a.png").write_bytes(b64decode(PIXEL))
    (home / "a.pdf").write_bytes(PDF)
    return home


def session(client: Path, home: Path, model: str, *turns: list[Json]) -> list[Json]:
    """Send turns of a session to the client, and return the result of each."""
    streams = ("--input-format", "stream-json", "--output-format", "stream-json", "--verbose")
    options = ("--model", model, "--dangerously-skip-permissions")
    results: list[Json] = []
    started = subprocess.Popen(
        [client, "-p", *streams, *options],
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "IS_SANDBOX": "1"},
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with limited(started, seconds=180) as process:
        assert process.stdin and process.stdout
        for blocks in turns:
            message = {"type": "user", "message": {"role": "user", "content": blocks}}
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                event = json.loads(line)
                if event["type"] == "result":
                    results.append(event)
                    break
        process.stdin.close()
        process.wait(60)
    assert len(results) == len(turns)
    return results


def text(words: str) -> Json:
    return {"type": "text", "text": words}


IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
}
DOCUMENT = {
    "type": "document",
    "source": {
        "type": "base64",
        "media_type": "application/pdf",
        "data": b64encode(PDF).decode(),
    },
}


def main_turns(vllm: Recorder) -> list[Json]:
    """Return the requests of the session itself: those with tools."""
    return [body for body in vllm.asked if body.get("tools")]


def removed(body: Json) -> list[str]:
    """Return the texts that the client has put in place of blocks."""
    messages = json.dumps(body["messages"])
    assert '"type": "image"' not in messages
    assert '"type": "document"' not in messages
    blocks = [block for message in body["messages"] for block in content(message)]
    inner = [part for block in blocks for part in content(block)]
    found = [block.get("text", "") for block in (*blocks, *inner)]
    return [words for words in found if words.startswith(("[Image removed", "[Document removed"))]


def content(parent: Json) -> list[Json]:
    inner = parent.get("content")
    return inner if isinstance(inner, list) else []


def test_pasted_images_are_removed_and_the_session_goes_on(
    client: Path, home: Path, vllm: Recorder
) -> None:
    first = [text("Look."), *[IMAGE] * 5]
    results = session(client, home, "sonnet", first, [text("And now?")])
    one, two = main_turns(vllm)
    texts = removed(one)
    assert len(texts) == 5
    assert all("The model coder reads text only. Let the developer know" in it for it in texts)
    assert not removed(two), "the client itself leaves them out of later turns"
    assert [result["is_error"] for result in results] == [False, False]


@pytest.mark.parametrize(("file", "kind"), [("a.png", "Image"), ("a.pdf", "Document")])
def test_a_file_that_is_read_is_removed_from_its_result(
    client: Path, home: Path, vllm: Recorder, file: str, kind: str
) -> None:
    vllm.answer = calls("Read", file_path=str(home / file))
    results = session(client, home, "sonnet", [text("Read it.")], [text("And now?")])
    [removal] = [words for body in main_turns(vllm) for words in removed(body)]
    assert removal.startswith(f"[{kind} removed")
    assert "The model coder reads text only." in removal
    assert [result["is_error"] for result in results] == [False, False]


@pytest.mark.parametrize("model", ["sonnet", "seer"])
def test_a_pasted_pdf_is_removed_with_what_to_do_instead(
    client: Path, home: Path, vllm: Recorder, model: str
) -> None:
    results = session(client, home, model, [text("Read it."), DOCUMENT], [text("And now?")])
    [removal] = [words for body in main_turns(vllm) for words in removed(body)]
    advice = "pages parameter" if model == "seer" else "pdftotext"
    assert advice in removal
    assert [result["is_error"] for result in results] == [False, False]


@pytest.mark.parametrize("late", ["", f" {program.LATE}"])
def test_a_rejected_tool_call_costs_few_generations(
    client: Path, home: Path, engine: Engine, late: str
) -> None:
    before = engine.log.read_text().count("malformed call")
    turns = [text(program.MALFORM + late)], [text("And now?")]
    results = session(client, home, "local", *turns)
    assert engine.log.read_text().count("malformed call") - before == (3 if late else 2)
    assert "element <parameter> closed by </function>" in results[0]["result"]
    assert [result["is_error"] for result in results] == [False, False]
