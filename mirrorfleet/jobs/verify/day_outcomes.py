"""Pure: what became of the requests of a day: taken, mended, refused or failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mirrorfleet.jobs.verify.day import Day, Json
from mirrorfleet.roles.proof.files.api import printable

HIT = 0.5
"""The least share of the second turn's prompt that a working prefix cache has."""

TAKEN_OUT = "the client takes it out and goes on"
READS_TEXT = ("reads text only", "does not support PDF input")
"""Words in the gateway's errors: Claude Code knows them, and asks again without the block."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a part of the day: ok, mended, refused, failed, not asked, not reported.

    ``note`` is short. A failure has the ``status`` of the answer, or 200 and a ``cause`` with its
    ``remedy``.
    """

    item: str
    state: str
    note: str = ""
    status: int = 200
    cause: str = ""
    remedy: str = ""


def outcomes(day: Day, answers: Iterable[Json]) -> Iterator[Outcome]:
    """Yield the outcome of each part of the day of a model."""
    found: dict[str, list[Json]] = {}
    for answer in answers:
        if answer.get("model") == day.model:
            found.setdefault(answer["item"], []).append(answer)
    for item, evaluate in ITEMS.items():
        if item == "fallbacks" and day.fallbacks is None:
            continue
        if reason := _not_asked(day, item):
            yield Outcome(item, "not asked", reason)
        elif not found.get(item):
            yield Outcome(item, "not asked", "the host took too long")
        else:
            yield _with_fallback(evaluate(day, item, found[item]), found[item])


def _with_fallback(outcome: Outcome, answers: Sequence[Json]) -> Outcome:
    """Return an outcome with the name of the fallback that answered, if one did."""
    names = [_name(answer) for answer in answers if answer.get("fallbacks")]
    if not names or outcome.state == "failed" or "fallback" in outcome.note + outcome.item:
        return outcome
    notes = (outcome.note, f"the fallback {names[0]} answers")
    return replace(outcome, note=", ".join(note for note in notes if note))


def _not_asked(day: Day, item: str) -> str:
    if item == "tool reference" and not day.tools:
        return "the model has no tools"
    if item.startswith("thinking") and not day.thinks:
        return "the model does not think"
    if item == "effort" and not day.efforts:
        return "the model has no levels of effort"
    if item == "foreign id" and not day.foreign:
        return "no tier has this model"
    if item == "fallbacks" and not day.fallbacks:
        return "the model has none"
    return ""


def _failed(item: str, answers: Sequence[Json]) -> Outcome | None:
    """Return the outcome of an item with an answer that is an error, or that is missing."""
    for answer in answers:
        status, message = answer["status"], printable(str(answer.get("message", "")))
        if status == 0:
            return Outcome(item, "not asked", f"curl has no connection: {message}")
        if status == 429:
            return Outcome(item, "not asked", f"a limit of the gateway: {message}")
        if status != 200 or message:
            return Outcome(item, "failed", str(status), status, message[:240])
    return None


def _accepted(day: Day, item: str, answers: Sequence[Json]) -> Outcome:
    return _failed(item, answers) or Outcome(item, "ok")


def _reference(day: Day, item: str, answers: Sequence[Json]) -> Outcome:
    """Two references to tools with names of different lengths make prompts of different lengths."""
    if failed := _failed(item, answers):
        return failed
    lengths = [answer.get("tokens") for answer in answers]
    if len(lengths) == 2 and lengths[0] and lengths[0] == lengths[1]:
        cause = f"'{day.model}' gets no names of the tools that a tool search finds"
        return Outcome(item, "failed", "dropped", 200, cause, "See the journal of the gateway.")
    return Outcome(item, "ok" if day.is_claude else "mended", "" if day.is_claude else "as text")


def _content(day: Day, item: str, answers: Sequence[Json]) -> Outcome:
    """Evaluate an image or a PDF: read, read by a fallback, or refused so that clients go on."""
    [answer, *_] = answers
    if answer["status"] == 400 and any(words in answer["message"] for words in READS_TEXT):
        return Outcome(item, "mended", TAKEN_OUT)
    if failed := _failed(item, answers):
        return failed
    if day.is_claude or (day.vision if item == "image" else day.documents):
        return Outcome(item, "ok")
    # A slow answer begins before the gateway knows who gives it: then no header names the model.
    by = f"the fallback {_name(answer)}" if answer.get("fallbacks") else "a fallback"
    return Outcome(item, "mended", f"{by} reads it")


def _search(day: Day, item: str, answers: Sequence[Json]) -> Outcome:
    [answer, *_] = answers
    if answer["status"] == 400 and "gateway.web_search" in answer["message"]:
        return Outcome(item, "refused", "400: there is no gateway.web_search")
    if failed := _failed(item, answers):
        return failed
    if errors := answer.get("errors"):
        cause = f"the web search of '{day.model}' fails: {printable(str(errors[0]))}"
        remedy = "Check gateway.web_search, and whether the gateways reach the search service."
        return Outcome(item, "failed", str(errors[0]), 200, cause, remedy)
    if day.searches == "gateway":
        return Outcome(item, "mended", "the gateway searches")
    return Outcome(item, "ok")


def _thinking(day: Day, item: str, answers: Sequence[Json]) -> Outcome:
    if failed := _failed(item, answers):
        return failed
    thinks = "thinking" in answers[0].get("blocks", ())
    if item == "thinking on":
        return Outcome(item, "ok", "" if thinks else "it begins without thinking")
    if thinks and day.thinking != "always":
        cause = f"'{day.model}' thinks although the request turns thinking off"
        remedy = f"Set models.{day.model}.thinking: {{mode: always}}, or correct thinking.disabled."
        return Outcome(item, "failed", "it thinks", 200, cause, remedy)
    return Outcome(item, "ok", "the model always thinks" if thinks else "")


def _effort(day: Day, item: str, answers: Sequence[Json]) -> Outcome:
    return _failed(item, answers) or Outcome(item, "ok", ", ".join(day.efforts))


def _foreign(day: Day, item: str, answers: Sequence[Json]) -> Outcome:
    if failed := _failed(item, answers):
        return failed
    by = _name(answers[0])
    if by not in ("", day.model) and not answers[0].get("fallbacks"):
        cause = f"'{by}' answers {day.foreign}, not '{day.model}'"
        return Outcome(item, "failed", by, 200, cause, "Run deploys/mirror.py.")
    return Outcome(item, "mended", f"{day.foreign} is {day.model}")


def _every_fallback(day: Day, item: str, answers: Sequence[Json]) -> Outcome:
    for name, answer in zip(day.fallbacks or (), answers, strict=False):
        if failed := _failed(item, [answer]):
            return replace(failed, cause=f"'{name}', a fallback: {failed.cause}")
    return Outcome(item, "ok", ", ".join(day.fallbacks or ()))


def _second(day: Day, item: str, answers: Sequence[Json]) -> Outcome:
    if failed := _failed(item, answers):
        return failed
    count, cached = answers[0].get("tokens") or 0, answers[0].get("cached")
    if cached is None:
        return Outcome(item, "not reported", "the engine has no figures of its cache")
    rate = cached / count if count else 0
    note = f"{rate:.0%} of {count} tokens from the cache"
    if rate < HIT and day.replicas > 1:
        return Outcome(item, "ok", f"{note}: gateway.routing.affinity can keep sessions together")
    if rate >= HIT or not day.is_managed:
        return Outcome(item, "ok", note)
    cause = f"'{day.model}' computes a second turn again: {note}"
    return Outcome(item, "failed", note, 200, cause, "See the proof of its engine.")


def _name(answer: Json) -> str:
    return printable(str(answer.get("by") or ""))


ITEMS = {
    "tool reference": _reference,
    "image": _content,
    "PDF": _content,
    "web search": _search,
    "thinking on": _thinking,
    "thinking off": _thinking,
    "effort": _effort,
    "foreign id": _foreign,
    "second turn": _second,
    "fallbacks": _every_fallback,
}
"""The parts of a day, in the order of the report."""
