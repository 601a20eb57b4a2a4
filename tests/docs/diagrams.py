"""Diagrams of the documentation as SVG, from boxes and arrows. Legible on light and dark pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
.page { fill: #ffffff }
.box { fill: #f4f6fb; stroke: #5b6b8c; stroke-width: 1.5 }
.group { fill: none; stroke: #a9b4ca; stroke-width: 1.5; stroke-dasharray: 5 4 }
.strong { fill: #dde8fb; stroke: #2f5bb7 }
text { fill: #1c2433; font-size: 14px }
text { font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif }
.title { font-weight: 600 }
.small { fill: #4a5670; font-size: 12.5px }
.arrow { stroke: #4a5670; stroke-width: 1.6; fill: none }
.head { fill: #4a5670 }
.dashed { stroke-dasharray: 5 4 }
@media (prefers-color-scheme: dark) {
  .page { fill: #171b24 }
  .box { fill: #232a38; stroke: #8594b5 }
  .group { stroke: #55617d }
  .strong { fill: #22365f; stroke: #7ea6f5 }
  text { fill: #e8ecf5 }
  .small { fill: #b4bfd6 }
  .arrow { stroke: #b4bfd6 }
  .head { fill: #b4bfd6 }
}
"""


@dataclass(frozen=True)
class Box:
    """A box with a title and lines below it; all lengths in pixels."""

    x: int
    y: int
    width: int
    height: int
    title: str
    lines: Sequence[str] = ()
    kind: str = "box"


@dataclass(frozen=True)
class Arrow:
    """A line between two points, with a label above its middle."""

    start: tuple[int, int]
    end: tuple[int, int]
    label: str = ""
    dashed: bool = False


def svg(title: str, size: tuple[int, int], boxes: Sequence[Box], arrows: Sequence[Arrow]) -> str:
    """Return a drawing. ``title`` is what a screen reader says."""
    width, height = size
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" role="img" aria-label="{escape(title)}">'
    )
    marker = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path class="head" d="M0 0 8 4 0 8z"/></marker></defs>'
    )
    page = f'<rect class="page" width="{width}" height="{height}" rx="10"/>'
    parts = [each for box in boxes for each in _box(box)]
    parts += [each for arrow in arrows for each in _arrow(arrow)]
    title_element = f"<title>{escape(title)}</title>"
    return "\n".join(
        [head, title_element, f"<style>{STYLE}</style>", marker, page, *parts, "</svg>\n"]
    )


def _box(box: Box) -> Iterator[str]:
    kind = "box strong" if box.kind == "strong" else box.kind
    yield (
        f'<rect class="{kind}" x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" '
        'rx="8"/>'
    )
    middle = box.x + box.width // 2
    height = 20 * (1 + len(box.lines))
    top = box.y + 24 if box.kind == "group" else box.y + (box.height - height) // 2 + 15
    yield (
        f'<text class="title" x="{middle}" y="{top}" text-anchor="middle">'
        f"{escape(box.title)}</text>"
    )
    for number, line in enumerate(box.lines, 1):
        yield (
            f'<text class="small" x="{middle}" y="{top + 20 * number}" text-anchor="middle">'
            f"{escape(line)}</text>"
        )


def _arrow(arrow: Arrow) -> Iterator[str]:
    (x1, y1), (x2, y2) = arrow.start, arrow.end
    dashed = " dashed" if arrow.dashed else ""
    yield f'<path class="arrow{dashed}" d="M{x1} {y1} {x2} {y2}" marker-end="url(#head)"/>'
    if arrow.label:
        yield (
            f'<text class="small" x="{(x1 + x2) // 2}" y="{(y1 + y2) // 2 - 10}" '
            f'text-anchor="middle">{escape(arrow.label)}</text>'
        )


def topology() -> str:
    """Draw who talks to whom."""
    boxes = [
        Box(20, 60, 190, 150, "developers' machines", ("Claude Code", "settings, key, policy")),
        Box(300, 60, 170, 64, "gateway", ("LiteLLM, workers",), "strong"),
        Box(300, 146, 170, 64, "gateway", ("LiteLLM, workers",), "strong"),
        Box(560, 20, 200, 64, "provider", ("Anthropic and others",)),
        Box(560, 103, 200, 64, "GPU host", ("vLLM: coder",)),
        Box(560, 186, 200, 64, "GPU host", ("vLLM: coder, Ollama: helper",)),
        Box(20, 290, 740, 50, "controller: one fleet file, one command, SSH", (), "strong"),
    ]
    arrows = [
        Arrow((210, 110), (298, 92)),
        Arrow((210, 160), (298, 178)),
        Arrow((470, 78), (558, 50), "fallback", dashed=True),
        Arrow((470, 98), (558, 126)),
        Arrow((470, 106), (558, 206)),
        Arrow((470, 170), (558, 144)),
        Arrow((470, 186), (558, 222)),
        *(Arrow((x, 290), (x, y), dashed=True) for x, y in ((115, 213), (385, 213), (660, 253))),
    ]
    return svg(
        "Developers' machines send requests to LiteLLM gateways. The gateways use engines on GPU "
        "hosts, and a provider as fallback. The controller configures all of them over SSH.",
        (780, 360),
        boxes,
        arrows,
    )


def run() -> str:
    """Draw the phases of a run."""
    phases = [
        ("1. Read", ("check the file,", "derive all values")),
        ("2. Observe", ("every host, in parallel,", "in one exec")),
        ("3. Report", ("all errors, or", "every change")),
        ("4. Change", ("beside what runs,", "one after the other")),
        ("5. Prove", ("must serve, otherwise", "roll back")),
    ]
    boxes = [
        Box(20 + 190 * number, 60, 160, 90, title, lines, "strong" if number > 2 else "box")
        for number, (title, lines) in enumerate(phases)
    ]
    boxes += [
        Box(10, 16, 560, 150, "changes nothing", (), "group"),
        Box(400, 210, 160, 60, "errors", ("the run stops",)),
        Box(780, 210, 160, 60, "does not serve", ("roll back",)),
    ]
    arrows = [Arrow((180 + 190 * n, 105), (208 + 190 * n, 105)) for n in range(4)]
    arrows += [Arrow((x, 150), (x, 208), dashed=True) for x in (480, 860)]
    return svg(
        "A run reads the file, observes every host once, and reports all errors or every change. "
        "Then it changes services one after the other. Each must prove that it serves, or rolls "
        "back.",
        (960, 300),
        boxes,
        arrows,
    )
